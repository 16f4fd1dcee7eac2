"""Presets: ways of painting and of training that users know by name."""

from typing import Any

from tfstyle.config.checks import with_fields
from tfstyle.config.recipe import Recipe
from tfstyle.config.training import TrainConfig

_FIRST_CONVOLUTIONS = tuple(f"block{i}_conv1" for i in range(1, 6))

# Ours, of both trainings.
_STYLE_LAYERS = ("block1_conv2", "block2_conv2", "block3_conv3", "block4_conv1", "block5_conv1")

# The figures below are facts of the works named; see README.md, "Recipes". Weights that were
# published for another loss network are translated here and nowhere else: torchvision's VGG-19
# takes pictures divided by ImageNet's deviation, and its activations are about 57 times smaller
# than Keras'. A content loss is quadratic in them, a style loss of fourth order.
_TORCHVISION = 1 / 57

# One figure serves all layers but with StyleFusion: read so, its style leaves nothing of the
# photograph, since in Keras' VGG-19 block4_conv1 outweighs the others a hundred times. How
# torchvision's layers compare, no source at hand says; with these shares of 1/57, one a style
# layer, photograph and painting are both to be seen.
_SHARES = (1, 0.6, 0.6, 0.2, 0.3)

# Of our trainings for a style of one's own.
_OURS: dict[str, Any] = {
    "content_layers": ("block3_conv3",),
    "style_layers": _STYLE_LAYERS,
    "style_weight": 6,
    "tv_norm": "smooth",
    "tv_weight": 2,
    "grid_weight": 300,
}

# StyleFusion's losses, in both of its modes.
_STYLEFUSION: dict[str, Any] = {
    "content_layers": ("block2_conv1", "block3_conv1"),
    "content_layer_weights": tuple(0.5 * share**2 for share in _SHARES[1:3]),
    "content_norm": "half_mean",
    "content_weight": _TORCHVISION**2,
    "style_layers": _FIRST_CONVOLUTIONS,
    "style_layer_weights": tuple(0.2 * share**4 for share in _SHARES),
    "style_norm": "gatys",
    "style_weight": 15 * _TORCHVISION**4,
}

RECIPES = {
    # Ours; see README.md, "Recipes".
    "default": Recipe(
        precision="auto",
        content_layers=("block4_conv2",),
        content_norm="relative",
        style_norm="relative",
        style_weight=10,
        tv_norm="smooth",
        tv_weight=10,
        start="instant",
        optimizer="lbfgs",
        steps=100,
    ),
    # TensorFlow's tutorial "Neural style transfer".
    "tutorial": Recipe(
        content_layers=("block5_conv2",),
        content_norm="mean",
        content_weight=1e4,
        style_norm="mean",
        style_weight=1e-2,
        tv_norm="absolute",
        tv_weight=30,
        size=512,
        style_size=512,
        steps=1500,
        learning_rate=0.02,
        beta_1=0.99,
        epsilon=0.1,
    ),
    # Gatys, Ecker and Bethge, CVPR 2016, with the weights of the authors' own later code: mean
    # squares, style 1e3/C² of a layer with C channels, for VGG-19 as it was trained. The paper's
    # α/β = 1e-3 is for a network scaled to mean activations of 1, and depends on the size of the
    # picture, since its content loss is a sum and its style loss a mean.
    "gatys": Recipe(
        pooling="average",
        content_layers=("block4_conv2",),
        content_layer_weights=(1.0,),
        content_norm="mean",
        content_weight=1,
        style_layer_weights=tuple(4 * channels**-2 for channels in (64, 128, 256, 512, 512)),
        style_norm="gatys",
        style_weight=1e3,
        pixels="caffe",
        clip="end",
        optimizer="lbfgs",
        steps=500,
    ),
    # Keras' early example with SciPy's L-BFGS.
    "gatys-lbfgs": Recipe(
        content_layers=("block5_conv2",),
        content_norm="sum",
        content_weight=0.025,
        style_norm="pixels",
        style_weight=1,
        tv_norm="power",
        tv_weight=1,
        size=100,
        style_size="content",
        pixels="caffe",
        clip="end",
        optimizer="lbfgs",
        steps=100,
    ),
    # The lesson in PyTorch with five layers for content and style alike.
    "five-layer": Recipe(
        content_layers=_FIRST_CONVOLUTIONS,
        content_layer_weights=(1.0,) * 5,
        content_norm="mean",
        content_weight=_TORCHVISION**2,
        style_layer_weights=(1.0,) * 5,
        style_norm="channels",
        style_weight=100 * _TORCHVISION**4,
        size=400,
        style_size="content",
        pixels="imagenet",
        clip="end",
        steps=2000,
        learning_rate=0.003,
        beta_1=0.5,
    ),
    # crowsonkb's style-transfer-pytorch, its second form, with Wasserstein's distance. A content
    # loss scaled so grows as activations do, the distance with their square. Departs from it: 500
    # steps at the smallest size, too, where it takes 1000; a border of zeros in the loss network.
    "crowsonkb": Recipe(
        content_norm="scaled",
        content_weight=0.015 * _TORCHVISION,
        style_layer_weights=tuple(weight / 341 for weight in (256, 64, 16, 4, 1)),
        style_norm="mean",
        style_weight=0,
        wasserstein_weight=_TORCHVISION**2,
        tv_norm="smooth",
        tv_weight=4,  # each neighbor is counted once here
        scales=(0.25, 0.5**1.5, 0.5, 0.5**0.5, 1.0),
        beta_2=0.99,
        average=0.99,
    ),
    # StyleFusion's iterative mode.
    "stylefusion": Recipe(
        **_STYLEFUSION,
        size=450,
        style_size="content",
        start="noise",
        pixels="imagenet",
        clip="end",
        steps=2000,
        learning_rate=0.03,
        gradient_norm=1,
    ),
}

TRAININGS = {
    # Ours; see docs/training.md.
    "default": TrainConfig(
        **_OURS
        | {
            "architecture": "crisp",
            "init": "auto",
            "style_weight": 3,
            "grid_weight": 1000,
            "stability_weight": 0.05,
            "content_size": (170, 640),
            "steps": 1000,
            "learning_rate": 1.5e-3,
        }
    ),
    # The lean network, from chance: for phones that the other is too slow for.
    "lean": TrainConfig(**_OURS),
    # Ours, for the network of any style; see docs/any_style.md.
    "any": TrainConfig(
        architecture="any",
        content_layers=("block3_conv3",),
        normed_content_weight=0.3,
        style_layers=_STYLE_LAYERS,
        style_weight=3.5,
        moments_weight=1.3,
        tv_norm="smooth",
        tv_weight=2,
        grid_weight=1000,
        identity_weight=10,
        contrast_weight=0.2,
        code_weight=1e-3,
        stability_weight=0.05,
        stability_noise=0.004,
        sizes=(128,),
        content_size=(170, 640),
        steps=12_000,
        learning_rate=1e-3,
    ),
    # Ours, for a painter's hand; see docs/adversaries.md.
    "collection": TrainConfig(
        **_OURS,
        collection=True,
        adversary_weight=0.3,
        painting_size=(256, 400),
    ),
    # Johnson, Alahi and Fei-Fei (2016), as re-done in TensorFlow, with its weight for the Wave.
    # Its Gram matrices are divided by their channels as well.
    "johnson": TrainConfig(
        network="vgg16",
        architecture="full",
        content_layers=("block3_conv3",),
        content_norm="mean",
        style_layers=("block1_conv2", "block2_conv2", "block3_conv3", "block4_conv3"),
        style_layer_weights=tuple(channels**-2 for channels in (64, 128, 256, 512)),
        style_norm="mean",
        style_weight=220,
        sizes=(256,),
        content_size=(256, 256),
        steps=41_000,
        learning_rate=1e-3,
        gradient_norm=None,
    ),
    # StyleFusion's real-time mode.
    "stylefusion": TrainConfig(
        **_STYLEFUSION,
        architecture="full",
        sizes=(300,),
        content_size=(300, 300),
        steps=200_000,
        learning_rate=1e-3,
        gradient_norm=1.0,
    ),
}


def recipe_with(recipe: "str | Recipe" = "default", **fields: Any) -> Recipe:
    """Return a preset by name, or a recipe as it is, with some fields replaced.

    Args:
        recipe: A name in `RECIPES`, or a `Recipe`.
        **fields: Fields of `Recipe` by name.

    Raises:
        ValueError: If there is no such recipe, or a value cannot be used.
        TypeError: If there is no such field, or a value has the wrong type.

    Example:

    >>> recipe_with("tutorial", steps=51).steps
    51
    """
    return _preset(recipe, "recipe", RECIPES, Recipe, fields, " (or 'instant', in one pass)")


def training_with(training: "str | TrainConfig" = "default", **fields: Any) -> TrainConfig:
    """Return a preset of `TRAININGS` by name, or a `TrainConfig`, with some fields replaced.

    As `recipe_with` is for recipes.
    """
    others = " (or 'digits', for `tfstyle-train` alone)"
    return _preset(training, "config", TRAININGS, TrainConfig, fields, others)


def _preset(preset, argument, presets, kind, fields, others=""):
    if isinstance(preset, str):
        if preset not in presets:
            names = f"{tuple(presets)}{others}"
            raise ValueError(f"`{argument}` must be one of {names}. Received: {preset!r}.")
        preset = presets[preset]
    if not isinstance(preset, kind):
        raise TypeError(f"`{argument}` must be a name or a {kind.__name__}. Received: {preset!r}.")
    return with_fields(preset, **fields)
