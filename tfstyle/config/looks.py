"""What is looked at, and how much it counts."""

import dataclasses
import json
from dataclasses import dataclass
from typing import Literal

from tfstyle.config.checks import check_types, with_fields


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
    content_norm: Literal["mean", "half_mean", "sum", "half_sum", "relative", "scaled"] = "relative"
    """Form of the content loss, see `tfstyle.losses.content_loss`."""
    content_weight: float = 1.0
    """Weight of the content loss."""

    normed_content_weight: float = 0.0
    """Weight of the content loss of features whose channels have mean 0 and variance 1, see
    `tfstyle.losses.normed_content_loss`: it keeps things where they are, whatever their colors."""

    style_layers: tuple[str, ...] = tuple(f"block{i}_conv1" for i in range(1, 6))
    """Layers whose Gram matrices should become those of the painting."""
    style_layer_weights: tuple[float, ...] = ()
    """Weight of each style layer; empty: their mean."""
    style_norm: Literal["mean", "gatys", "pixels", "channels", "relative"] = "relative"
    """Form of the style loss, see `tfstyle.losses.style_loss`; of Wasserstein's too, which is
    "relative" or, with any other, a mean over channels."""
    style_weight: float = 1.0
    """Weight of the style loss: higher paints more freely."""
    moments_weight: float = 0.0
    """Weight of the means and deviations of the style layers' features, see
    `tfstyle.losses.moments_loss`."""
    wasserstein_weight: float = 0.0
    """Weight of how far the style layers' features are from the painting's as Gaussians, see
    `tfstyle.losses.wasserstein_loss`."""
    sorted_weight: float = 0.0
    """Weight of the sorted features of the style layers, see `tfstyle.losses.sorted_loss`."""

    tv_norm: Literal["absolute", "power", "smooth"] = "absolute"
    """Form of the total variation, see `tfstyle.losses.total_variation`."""
    tv_weight: float = 0.0
    """Weight of the total variation: higher gives smoother areas."""
    grid_weight: float = 0.0
    """Weight of what repeats every four pixels, see `tfstyle.losses.grid_variation`."""

    def __post_init__(self):
        check_types(self)
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
        for field, value in dataclasses.asdict(self).items():
            if field.endswith("_weight") and value < 0:
                raise ValueError(f"`{field}` must not be negative. Received: {field}={value}.")

    @property
    def layers(self):
        """Names of all layers that are looked at."""
        return tuple(dict.fromkeys((*self.content_layers, *self.style_layers)))

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
