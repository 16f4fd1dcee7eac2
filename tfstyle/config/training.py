"""A way of training a network."""

from dataclasses import dataclass
from typing import Literal

from tfstyle.config.checks import check_at_least_one, check_positive
from tfstyle.config.looks import Losses
from tfstyle.config.painting import LEAST_CODE_SIDE

PATCH = 46  # side of what a critic judges at once, see `networks.PatchCritic`
ARCHITECTURES = ["lean", "crisp", "full", "any"]  # `tfstyle.networks.register` adds others

TrainingPrecision = Literal["float32", "mixed_float16", "mixed_bfloat16", "auto"]


@dataclass(frozen=True, kw_only=True)
class TrainConfig(Losses):
    """A way of training a network: the network, what it sees, losses, weights and optimizer.

    Presets are in `TRAININGS`; all that is said of `Recipe` holds here too.

    Raises:
        ValueError: If a field has a value that no run could use.
        TypeError: If a field has a value of the wrong type.
    """

    precision: TrainingPrecision = "auto"  # type: ignore[assignment]  # one more than Recipe has
    """What both networks compute in; "auto": bfloat16 where this machine is faster in it. Weights,
    statistics of instance norm, Gram matrices and losses are float32 throughout."""

    architecture: str = "lean"
    """A network for phones and CPUs, "lean"; one that keeps edges better, "crisp"; the residual
    network of Johnson et al., "full"; one of any style, "any"; or one that
    `tfstyle.networks.register` was given."""
    width: float = 1.0
    """Factor of the number of channels everywhere."""
    blocks: int | None = None
    """Number of residual blocks. None: the architecture's own."""
    init: str | None = None
    """File of a network to start from, of the same shape or with more blocks; or of a network of
    any style, or "any" for the one that ships: what it makes of each painting, or of the mean of
    a collection's codes. "auto": "any" where the network has its shape, else as None, from chance.
    """

    identity_weight: float = 0.0
    """Of a network of any style: weight of the error of a photograph that is painted by its own
    code, see `tfstyle.losses.IdentityTerm`."""
    contrast_weight: float = 0.0
    """Of a network of any style: weight of how badly codes tell whose style a picture is painted
    in, see `tfstyle.losses.contrast_loss`."""
    code_weight: float = 0.0
    """Of a network of any style: weight of the codes' mean square."""

    stability_weight: float = 0.0
    """Weight of how much noise in a photograph changes its painting, see
    `tfstyle.losses.stability_loss`: higher gives calmer flat areas."""
    stability_noise: float = 0.015
    """Deviation of that noise, of pixels in [0, 1], see `tfstyle.losses.octave_noise`."""

    collection: bool = False
    """Whether the style is a folder of one painter's works, whose hand is learned: what each
    photograph is held against is drawn from them in every step."""
    adversary_weight: float = 0.0
    """How much a critic counts that learns along to tell paintings from what the network paints:
    the size of its gradient at the picture, beside that of all other losses together, where it is
    sure; the less sure, the smaller."""
    critic_learning_rate: float = 1e-3
    """Adam's learning rate of the critic."""

    sizes: tuple[int, ...] = (160, 256)
    """Sides of the square crops to train on, one after the other, each for an equal share of the
    pixels."""
    content_size: tuple[int, int] = (256, 330)
    """Shortest and longest short side that a photograph is resized to before it is cropped: how
    large its things are beside the strokes."""
    style_size: int = 512
    """Long side of the painting in pixels: how large the strokes are."""
    painting_size: tuple[int, int] = (192, 400)
    """Of a network of any style or of a collection: shortest and longest short side that a painting
    is resized to before a square with the shortest as its side is cropped."""
    batch_size: int = 4
    """Photographs in a step, over all devices. Of a network of any style: also paintings; each
    photograph of a device is painted in the style of each painting there."""
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
        if self.architecture not in ARCHITECTURES:
            raise ValueError(
                f"`architecture` must be one of {tuple(ARCHITECTURES)}. "
                f"Received: architecture={self.architecture!r}."
            )
        check_at_least_one(self, "steps", "batch_size")
        check_positive(
            self,
            "width",
            "learning_rate",
            "critic_learning_rate",
            "gradient_norm",
            "stability_noise",
        )
        any_style = self.architecture == "any"
        if self.stability_noise > 1:
            raise ValueError(
                "`stability_noise` must be at most 1, as pixels lie in [0, 1]. "
                f"Received: stability_noise={self.stability_noise}."
            )
        # Of a window of `losses.grid_variation`; of what an encoder reads.
        least = 32 if self.grid_weight or any_style else 16
        if not self.sizes or min(self.sizes) < least:
            raise ValueError(
                f"`sizes` must name at least one side, none below {least} px "
                "(16 px where `grid_weight` is 0 and the network is none of any style). "
                f"Received: sizes={self.sizes}."
            )
        for field, least in (("content_size", 16), ("painting_size", LEAST_CODE_SIDE)):
            sides = getattr(self, field)
            if len(sides) != 2 or not least <= sides[0] <= sides[1]:
                raise ValueError(
                    f"`{field}` must be the shortest and the longest short side, at least "
                    f"{least} px. Received: {field}={sides}."
                )
        of_codes = ("identity_weight", "contrast_weight", "code_weight")
        if not any_style and any(getattr(self, field) for field in of_codes):
            raise ValueError(
                f"Only a network of any style has codes: {', '.join(of_codes)} must be 0 with "
                f"architecture={self.architecture!r}."
            )
        if any_style and (self.collection or self.adversary_weight):
            raise ValueError(
                "A network of any style learns from no `collection` and no critic: "
                "`adversary_weight` must be 0. "
                f"Received: collection={self.collection}, adversary_weight={self.adversary_weight}."
            )
        if self.adversary_weight:
            least = {"sizes": self.sizes, "painting_size": self.painting_size}
            for field, sides in least.items():
                if min(sides) < PATCH:
                    raise ValueError(
                        f"A critic judges patches of {PATCH} px: `{field}` must not be below. "
                        f"Received: {field}={sides}."
                    )
        if self.style_size < 16:
            raise ValueError(
                f"`style_size` must be at least 16 px. Received: style_size={self.style_size}."
            )
        if self.seed < 0:
            raise ValueError(f"`seed` must not be negative. Received: seed={self.seed}.")
        if self.blocks is not None and self.blocks < 0:
            raise ValueError(f"`blocks` must not be negative. Received: blocks={self.blocks}.")
