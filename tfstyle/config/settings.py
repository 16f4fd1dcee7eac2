"""What "good" means and how to get there. Loads neither Keras nor TensorFlow."""

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


@dataclass(frozen=True, kw_only=True)
class Losses:
    """What is looked at, and how much it counts: the common part of `Recipe` and `TrainConfig`."""

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
    """Form of the content loss, see `tfstyle.losses.equations.content_loss`."""
    content_weight: float = 1.0
    """Weight of the content loss."""

    style_layers: tuple[str, ...] = tuple(f"block{i}_conv1" for i in range(1, 6))
    """Layers whose Gram matrices should become those of the painting."""
    style_layer_weights: tuple[float, ...] = ()
    """Weight of each style layer; empty: their mean."""
    style_norm: Literal["mean", "gatys", "pixels", "channels", "relative"] = "relative"
    """Form of the style loss, see `tfstyle.losses.equations.style_loss`."""
    style_weight: float = 1.0
    """Weight of the style loss: higher paints more freely."""

    tv_norm: Literal["absolute", "power", "smooth"] = "absolute"
    """Form of the total variation, see `tfstyle.losses.equations.total_variation`."""
    tv_weight: float = 0.0
    """Weight of the total variation: higher gives smoother areas."""
    grid_weight: float = 0.0
    """Weight of what repeats every four pixels, see `tfstyle.losses.equations.grid_variation`."""

    def __post_init__(self):
        _check_types(self)
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
        for field in ("content_weight", "style_weight", "tv_weight", "grid_weight"):
            if getattr(self, field) < 0:
                raise ValueError(
                    f"`{field}` must not be negative. Received: {field}={getattr(self, field)}."
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
        """Return what `to_json` wrote; fields left out take their defaults."""
        return with_fields(cls(), **json.loads(text))


@dataclass(frozen=True, kw_only=True)
class Recipe(Losses):
    """A way of painting one picture: losses, weights, start and optimizer.

    Presets are in `RECIPES`. Make another one with `dataclasses.replace(recipe, steps=51)`; two
    recipes with equal fields are equal, and `Recipe.from_json(recipe.to_json()) == recipe`.

    Raises:
        ValueError: If a field has a value that no run could use.
        TypeError: If a field has a value of the wrong type.
    """

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
        super().__post_init__()
        for field in ("size", "style_size"):
            value = getattr(self, field)
            if isinstance(value, int) and value < 16:
                raise ValueError(f"`{field}` must be at least 16 px. Received: {field}={value}.")
        if not self.scales or self.scales[-1] != 1 or not all(0 < s <= 1 for s in self.scales):
            raise ValueError(
                "`scales` must be fractions of `size`, above 0 and up to 1, that end with 1. "
                f"Received: scales={self.scales}."
            )
        _check_at_least_one(self, "steps", "corrections")
        _check_positive(self, "style_scale", "learning_rate", "epsilon", "gradient_norm")
        for field in ("noise", "average", "beta_1", "beta_2"):
            value = getattr(self, field)
            if not 0 <= value <= 1 or (field != "noise" and value == 1):
                end = "1" if field == "noise" else "1, 1 excluded"
                raise ValueError(
                    f"`{field}` must lie between 0 and {end}. Received: {field}={value}."
                )


@dataclass(frozen=True, kw_only=True)
class TrainConfig(Losses):
    """A way of training a network: the network, what it sees, losses, weights and optimizer.

    Presets are in `TRAININGS`; all that is said of `Recipe` holds here too.

    Raises:
        ValueError: If a field has a value that no run could use.
        TypeError: If a field has a value of the wrong type.
    """

    precision: Literal["float32", "mixed_float16", "mixed_bfloat16", "auto"] = "auto"
    """What both networks compute in; "auto": bfloat16 where this machine is faster in it. Weights,
    statistics of instance norm, Gram matrices and losses are float32 throughout."""

    architecture: Literal["lean", "full"] = "lean"
    """A network for phones and CPUs, or the residual network of Johnson et al."""
    width: float = 1.0
    """Factor of the number of channels everywhere."""
    blocks: int | None = None
    """Number of residual blocks. None: the architecture's own."""

    sizes: tuple[int, ...] = (160, 256)
    """Sides of the square crops to train on, one after the other, each for an equal share of the
    pixels."""
    content_size: tuple[int, int] = (256, 330)
    """Shortest and longest short side that a photograph is resized to before it is cropped: how
    large its things are beside the strokes."""
    style_size: int = 512
    """Long side of the painting in pixels: how large the strokes are."""
    batch_size: int = 4
    """Photographs in a step, over all devices."""
    steps: int = 2400
    """Steps in all."""
    learning_rate: float = 2e-3
    """Adam's learning rate at first; it falls to a fiftieth on a cosine."""
    gradient_norm: float | None = 1.0
    """Clip the gradient, of all weights together, to this norm."""
    xla: bool = False
    """Compile the step with XLA."""
    seed: int = 0
    """Seed of first weights, order and crops."""

    def __post_init__(self):
        super().__post_init__()
        _check_at_least_one(self, "steps", "batch_size")
        _check_positive(self, "width", "learning_rate", "gradient_norm")
        least = 32 if self.grid_weight else 16  # of a window of `losses.grid_variation`
        if not self.sizes or min(self.sizes) < least:
            raise ValueError(
                f"`sizes` must name at least one side, none below {least} px "
                f"(16 px where `grid_weight` is 0). Received: sizes={self.sizes}."
            )
        if len(self.content_size) != 2 or not 16 <= self.content_size[0] <= self.content_size[1]:
            raise ValueError(
                "`content_size` must be the shortest and the longest short side, at least 16 px. "
                f"Received: content_size={self.content_size}."
            )
        if self.style_size < 16:
            raise ValueError(
                f"`style_size` must be at least 16 px. Received: style_size={self.style_size}."
            )
        if self.seed < 0:
            raise ValueError(f"`seed` must not be negative. Received: seed={self.seed}.")
        if self.blocks is not None and self.blocks < 0:
            raise ValueError(f"`blocks` must not be negative. Received: blocks={self.blocks}.")


@dataclass(frozen=True, kw_only=True)
class OnePass:
    """What painting in one pass always takes.

    Raises:
        ValueError: If a field has a value that cannot be used.
        TypeError: If a field has a value of the wrong type.
    """

    size: int | None = None
    """Long side of the result in pixels. None: the photograph's own."""
    strength: float = 1.0
    """From 0, the photograph, to 1, the painting."""
    color: Literal["style", "content"] = "style"
    """Colors of the painting, or of the photograph, put back at the end."""

    def __post_init__(self):
        _check_types(self)
        if self.size is not None and self.size < 16:
            raise ValueError(f"`size` must be at least 16 px. Received: size={self.size}.")
        if not 0 <= self.strength <= 1:
            raise ValueError(
                f"`strength` must lie between 0 and 1. Received: strength={self.strength}."
            )


@dataclass(frozen=True, kw_only=True)
class PaintConfig(OnePass):
    """How to paint with a trained network."""

    stroke_size: float = 1.0
    """Size of strokes compared with the network's own, 0.1 to 10."""
    statistics: Literal["auto", "whole", "sampled", "exact"] = "auto"
    """What a network normalizes by: "whole", the whole picture at once, which takes up to 0.6 kB
    of memory a pixel; "sampled", 16 pieces spread over it, the rest painted piece by piece;
    "exact", the same as whole in pieces, which takes several passes; "auto": whole up to 4
    megapixels, else sampled."""

    def __post_init__(self):
        super().__post_init__()
        if not 0.1 <= self.stroke_size <= 10:
            raise ValueError(
                "`stroke_size` must lie between 0.1 and 10. "
                f"Received: stroke_size={self.stroke_size}."
            )


@dataclass(frozen=True, kw_only=True)
class HubConfig(OnePass):
    """How to paint with a SavedModel, see `tfstyle.painting.hub`."""

    style_size: int = 256
    """Long side in pixels that the painting is shown to the network at; Magenta's was trained
    with 256."""

    def __post_init__(self):
        super().__post_init__()
        if self.style_size < 16:
            raise ValueError(
                f"`style_size` must be at least 16 px. Received: style_size={self.style_size}."
            )


def _check_types(config):
    for field, hint in get_type_hints(type(config)).items():
        object.__setattr__(config, field, _checked(field, getattr(config, field), hint))


def _check_at_least_one(config, *fields):
    for field in fields:
        if getattr(config, field) < 1:
            raise ValueError(
                f"`{field}` must be at least 1. Received: {field}={getattr(config, field)}."
            )


def _check_positive(config, *fields):
    for field in fields:
        value = getattr(config, field)
        if value is not None and value <= 0:
            raise ValueError(f"`{field}` must be positive. Received: {field}={value}.")


def with_fields(config, **fields: Any):
    """Return `config` with some fields replaced.

    Raises:
        TypeError: If there is no such field.
    """
    known = tuple(field.name for field in dataclasses.fields(config))
    for name in fields:
        if name not in known:
            raise TypeError(
                f"A {type(config).__name__} has no field {name!r}. Its fields: {', '.join(known)}."
            )
    return dataclasses.replace(config, **fields)


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
        if isinstance(value, hint) and isinstance(value, bool) == (hint is bool):
            return value
        expected = hint.__name__
    raise TypeError(f"`{field}` must be {expected}. Received: {field}={value!r}.")
