"""A way of painting one picture."""

from dataclasses import dataclass
from typing import Literal

from tfstyle.config.checks import check_at_least_one, check_positive
from tfstyle.config.looks import Losses


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

    start: Literal["content", "noise", "blend", "instant"] = "content"
    """What the canvas shows at first: the photograph, Gaussian noise, a blend of both, or what the
    network of any style makes of photograph and paintings in one pass."""
    noise: float = 0.5
    """Share of noise in a blend: noise·r + content·(1 − r)."""
    pixels: Literal["unit", "imagenet", "caffe"] = "unit"
    """Units that the optimizer moves pixels in: [0, 1]; [0, 1] normalized by ImageNet's mean and
    deviation; 0–255 minus ImageNet's mean."""
    clip: Literal["step", "end"] = "step"
    """Keep pixels within [0, 1] after every step, or only when the picture is read."""

    optimizer: Literal["adam", "lbfgs"] = "adam"
    """Keras' Adam, or L-BFGS within bounds."""
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
    memory_gb: float | None = None
    """Memory to do with: a picture that is too large for it is looked at in pieces,
    which takes two to five times as long and gives the same. None: what is free."""

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
        check_at_least_one(self, "steps", "corrections")
        check_positive(
            self, "style_scale", "learning_rate", "epsilon", "gradient_norm", "memory_gb"
        )
        for field in ("noise", "average", "beta_1", "beta_2"):
            value = getattr(self, field)
            if not 0 <= value <= 1 or (field != "noise" and value == 1):
                end = "1" if field == "noise" else "1, 1 excluded"
                raise ValueError(
                    f"`{field}` must lie between 0 and {end}. Received: {field}={value}."
                )
