"""The lesson's generative adversarial network: small pictures made of nothing but chance."""

from dataclasses import dataclass

from tfstyle.config.checks import check_at_least_one, check_positive, check_types


@dataclass(frozen=True, kw_only=True)
class DigitsConfig:
    """A generative adversarial network of dense layers, and how it is trained.

    Raises:
        ValueError: If a field has a value that no run could use.
        TypeError: If a field has a value of the wrong type.
    """

    latent: int = 64
    """Of the lesson `digits`: numbers in a point, from which the generator makes a picture."""
    hidden: int = 256
    """Of the lesson `digits`: width of both hidden layers of both networks."""
    side: int = 28
    """Of the lesson `digits`: side in pixels that pictures of a folder are brought to."""
    epochs: int = 100
    """Of the lesson `digits`: how often all pictures are seen."""
    sheet_epochs: int = 20
    """Of the lesson `digits`: epochs between two sheets of samples, always of the same points."""
    batch_size: int = 32
    """Pictures in a step."""
    learning_rate: float = 2e-4
    """Adam's learning rate for both networks."""
    seed: int = 0
    """Seed of first weights, order and points."""

    def __post_init__(self):
        check_types(self)
        check_at_least_one(self, "latent", "hidden", "side", "epochs", "sheet_epochs", "batch_size")
        check_positive(self, "learning_rate")
        if self.seed < 0:
            raise ValueError(f"`seed` must not be negative. Received: seed={self.seed}.")
