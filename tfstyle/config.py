"""What "good" means and how to get there: recipes. Loads neither Keras nor TensorFlow."""

import dataclasses
import json
import math
from dataclasses import dataclass
from typing import Any, Literal, get_args, get_origin, get_type_hints


def _vgg(*convolutions):
    """Name the layers of a VGG that has this many convolutions in its blocks."""
    return tuple(
        f"block{block}_{layer}"
        for block, count in enumerate(convolutions, 1)
        for layer in (*(f"conv{i}" for i in range(1, count + 1)), "pool")
    )


LAYERS = {"vgg16": _vgg(2, 2, 3, 3, 3), "vgg19": _vgg(2, 2, 4, 4, 4)}

_FIRST_CONVOLUTIONS = tuple(f"block{i}_conv1" for i in range(1, 6))


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """A way of painting one picture: losses, weights, start and optimizer.

    Presets are in `RECIPES`. Make another one with `dataclasses.replace(recipe, steps=51)`; two
    recipes with equal fields are equal, and `Recipe.from_json(recipe.to_json()) == recipe`.

    Raises:
        ValueError: If a field has a value that no run could use.
        TypeError: If a field has a value of the wrong type.
    """

    network: Literal["vgg16", "vgg19"] = "vgg19"
    """Loss network, trained on ImageNet."""
    network_weights: str | None = None
    """File of its weights. None: the one that the environment variable TFSTYLE_VGG19_WEIGHTS
    (TFSTYLE_VGG16_WEIGHTS) names; where unset, Keras' download."""
    pooling: Literal["max", "average"] = "max"
    """Pooling inside the loss network."""
    precision: Literal["float32", "mixed_bfloat16", "auto"] = "float32"
    """What the loss network computes in; "auto": bfloat16 where this machine is faster in it.
    Gram matrices and losses are float32 throughout."""

    content_layers: tuple[str, ...] = ("block4_conv2",)
    """Layers whose features should stay those of the photograph."""
    content_layer_weights: tuple[float, ...] = ()
    """Weight of each content layer; empty: their mean."""
    content_norm: Literal["mean", "half_mean", "sum", "half_sum", "relative"] = "relative"
    """Form of the content loss, see `tfstyle.losses.content_loss`."""
    content_weight: float = 1.0
    """Weight of the content loss."""

    style_layers: tuple[str, ...] = _FIRST_CONVOLUTIONS
    """Layers whose Gram matrices should become those of the painting."""
    style_layer_weights: tuple[float, ...] = ()
    """Weight of each style layer; empty: their mean."""
    style_norm: Literal["mean", "gatys", "pixels", "channels", "relative"] = "relative"
    """Form of the style loss, see `tfstyle.losses.style_loss`."""
    style_weight: float = 1.0
    """Weight of the style loss: higher paints more freely."""

    tv_norm: Literal["absolute", "power", "smooth"] = "absolute"
    """Form of the total variation, see `tfstyle.losses.total_variation`."""
    tv_weight: float = 0.0
    """Weight of the total variation: higher gives smoother areas."""

    size: int = 512
    """Long side of the result in pixels."""
    style_size: int | Literal["content"] | None = None
    """Long side of the painting in pixels; None: the same as the result's; "content": both
    sides the result's, whatever becomes of the painting's proportions."""
    style_scale: float = 1.0
    """Stroke size: the painting is looked at this many times as large."""
    scales: tuple[float, ...] = (1.0,)
    """Sizes to pass through, coarse to fine, as fractions of `size`; the last is 1."""

    start: Literal["content", "noise", "blend"] = "content"
    """What the canvas shows at first: the photograph, Gaussian noise, or a blend of both."""
    noise: float = 0.5
    """Share of noise in a blend: noise·r + content·(1 − r)."""
    pixels: Literal["unit", "imagenet", "caffe"] = "unit"
    """Units that the optimizer moves pixels in: [0, 1]; [0, 1] normalized by ImageNet's mean and
    deviation; 0–255 minus ImageNet's mean."""
    clip: Literal["step", "end"] = "step"
    """Keep pixels within [0, 1] after every step, or only when the picture is read."""

    optimizer: Literal["adam", "lbfgs"] = "adam"
    """Keras' Adam, or SciPy's L-BFGS-B."""
    steps: int = 500
    """Adam steps or L-BFGS evaluations at each scale."""
    learning_rate: float = 0.02
    """Adam's learning rate, in the units of `pixels`."""
    beta_1: float = 0.9
    """Adam's decay of the mean."""
    beta_2: float = 0.999
    """Adam's decay of the variance."""
    epsilon: float = 1e-8
    """Adam's guard against division by zero."""
    gradient_norm: float | None = None
    """Clip Adam's gradient to this norm."""
    average: float = 0.0
    """Decay of the average over Adam's iterates that is shown; 0: the last iterate."""
    corrections: int = 10
    """Steps that L-BFGS remembers."""

    color: Literal["style", "content", "recolor"] = "style"
    """Colors of the painting; of the photograph, put back at the end; or of the photograph, by
    recoloring the painting before the run."""

    def __post_init__(self):
        for field, hint in get_type_hints(type(self)).items():
            object.__setattr__(self, field, _checked(field, getattr(self, field), hint))
        for kind in ("content", "style"):
            layers = getattr(self, f"{kind}_layers")
            weights = getattr(self, f"{kind}_layer_weights")
            known = LAYERS[self.network]
            if not layers or len(set(layers)) < len(layers) or not set(layers) <= set(known):
                raise ValueError(
                    f"`{kind}_layers` must name at least one layer of {self.network}, each once: "
                    f"{', '.join(known)}. Received: {kind}_layers={layers}."
                )
            if weights and len(weights) != len(layers):
                raise ValueError(
                    f"`{kind}_layer_weights` must have one weight for each of {layers}, or be "
                    f"empty. Received: {weights}."
                )
        for field in ("size", "style_size"):
            value = getattr(self, field)
            if isinstance(value, int) and value < 16:
                raise ValueError(f"`{field}` must be at least 16 px. Received: {field}={value}.")
        if not self.scales or self.scales[-1] != 1 or not all(0 < s <= 1 for s in self.scales):
            raise ValueError(
                "`scales` must be fractions of `size`, above 0 and up to 1, that end with 1. "
                f"Received: scales={self.scales}."
            )
        for field in ("steps", "corrections"):
            if getattr(self, field) < 1:
                raise ValueError(
                    f"`{field}` must be at least 1. Received: {field}={getattr(self, field)}."
                )
        for field in ("style_scale", "learning_rate", "epsilon", "gradient_norm"):
            value = getattr(self, field)
            if value is not None and value <= 0:
                raise ValueError(f"`{field}` must be positive. Received: {field}={value}.")
        for field in ("content_weight", "style_weight", "tv_weight"):
            if getattr(self, field) < 0:
                raise ValueError(
                    f"`{field}` must not be negative. Received: {field}={getattr(self, field)}."
                )
        for field in ("noise", "average", "beta_1", "beta_2"):
            value = getattr(self, field)
            if not 0 <= value <= 1 or (field != "noise" and value == 1):
                end = "1" if field == "noise" else "1, 1 excluded"
                raise ValueError(
                    f"`{field}` must lie between 0 and {end}. Received: {field}={value}."
                )

    def layer_weights(self, kind):
        """Return `{layer: weight}` for `kind`, `"content"` or `"style"`."""
        layers = getattr(self, f"{kind}_layers")
        weights = getattr(self, f"{kind}_layer_weights") or (1 / len(layers),) * len(layers)
        return dict(zip(layers, weights, strict=True))

    def to_json(self):
        """Return the fields as JSON text, in the order in which they are declared."""
        return json.dumps(dataclasses.asdict(self), indent=2)

    @classmethod
    def from_json(cls, text):
        """Return the recipe that `to_json` wrote; fields left out take their defaults."""
        return recipe_with(cls(), **json.loads(text))


def _checked(field, value, hint):
    """Return `value` as the type `hint`, or say why it is none."""
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"`{field}` must be finite. Received: {field}={value}.")
    choices = get_args(hint)
    if get_origin(hint) is Literal:
        if value in choices:
            return value
        raise ValueError(f"`{field}` must be one of {choices}. Received: {field}={value!r}.")
    if get_origin(hint) is tuple:
        if not isinstance(value, str):
            try:
                return tuple(_checked(field, item, choices[0]) for item in value)
            except TypeError:
                pass  # not a sequence, or one of something else: reported below
        expected = f"a sequence of {choices[0].__name__}"
    elif choices:  # a union: the first member that takes the value
        for member in choices:
            try:
                return _checked(field, value, member)
            except (TypeError, ValueError):
                continue
        expected = " or ".join(
            " or ".join(map(repr, get_args(member)))
            or {type(None): "None"}.get(member, getattr(member, "__name__", ""))
            for member in choices
        )
    else:
        if hint is float and isinstance(value, int) and not isinstance(value, bool):
            value = float(value)
        if isinstance(value, hint) and not isinstance(value, bool):
            return value
        expected = hint.__name__
    raise TypeError(f"`{field}` must be {expected}. Received: {field}={value!r}.")


def recipe_with(recipe: "str | Recipe" = "default", **overrides: Any) -> Recipe:
    """Return a preset by name, or a recipe as it is, with some fields replaced.

    Args:
        recipe: A name in `RECIPES`, or a `Recipe`.
        **overrides: Fields of `Recipe` by name.

    Raises:
        ValueError: If there is no such recipe, or a value cannot be used.
        TypeError: If there is no such field, or a value has the wrong type.

    Example:

    >>> recipe_with("tutorial", steps=51).steps
    51
    """
    if isinstance(recipe, str):
        if recipe not in RECIPES:
            raise ValueError(f"`recipe` must be one of {tuple(RECIPES)}. Received: {recipe!r}.")
        recipe = RECIPES[recipe]
    if not isinstance(recipe, Recipe):
        raise TypeError(f"`recipe` must be a name or a Recipe. Received: {recipe!r}.")
    fields = tuple(field.name for field in dataclasses.fields(Recipe))
    for name in overrides:
        if name not in fields:
            raise TypeError(f"A recipe has no field {name!r}. Its fields: {', '.join(fields)}.")
    return dataclasses.replace(recipe, **overrides)


# The figures below are facts of the works named; see README.md, "Recipes". Weights that were
# published for another loss network are translated here and nowhere else:
# - torchvision's VGG-19 takes pictures divided by ImageNet's deviation, and its activations are
#   about 57 times smaller than Keras'. A content loss is quadratic in them, a style loss of
#   fourth order.
# - Gatys et al. scale their network so that each layer's mean activation is 1. The means of
#   Keras' VGG-19 on photographs, after ReLU, are these.
_TORCHVISION = 1 / 57
_MEAN_ACTIVATIONS = {
    "block1_conv1": 21,
    "block2_conv1": 121,
    "block3_conv1": 125,
    "block4_conv1": 508,
    "block4_conv2": 333,
    "block5_conv1": 49,
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
        scales=(0.35, 0.5, 0.7, 1.0),
        optimizer="lbfgs",
        steps=60,
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
    # Gatys, Ecker and Bethge, CVPR 2016: α/β = 1e-3, average pooling, from noise.
    "gatys": Recipe(
        pooling="average",
        content_layers=("block4_conv2",),
        content_layer_weights=(_MEAN_ACTIVATIONS["block4_conv2"] ** -2,),
        content_norm="half_sum",
        content_weight=1,
        style_layer_weights=tuple(
            0.2 * _MEAN_ACTIVATIONS[layer] ** -4 for layer in _FIRST_CONVOLUTIONS
        ),
        style_norm="gatys",
        style_weight=1e3,
        start="noise",
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
    # StyleFusion's iterative mode.
    "stylefusion": Recipe(
        content_layers=("block2_conv1", "block3_conv1"),
        content_layer_weights=(0.5, 0.5),
        content_norm="half_mean",
        content_weight=_TORCHVISION**2,
        style_layer_weights=(0.2,) * 5,
        style_norm="gatys",
        style_weight=15 * _TORCHVISION**4,
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
