"""Ways of painting in one pass."""

from dataclasses import dataclass
from typing import Literal

from tfstyle.config.checks import check_at_least_one, check_types

CODE_SIDE = 512  # long side in pixels at which a picture's code of style is read, as in training
LEAST_CODE_SIDE = 32  # short side; the encoder reduces a picture by so much


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
        check_types(self)
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
class BatchConfig(PaintConfig):
    """How to paint very many photographs, see `tfstyle.batch.pipeline`."""

    recipe: str = "instant"
    """What paints after paintings: "instant", the network of any style that ships, or the path of
    another one, .keras."""
    quality: int = 95
    """Quality of a JPEG or WebP, 1 to 100."""
    shards: Literal["tar", "tfrecord"] | None = None
    """Write files of many pictures each: "tar", as WebDataset reads them, or "tfrecord", as
    `tfstyle-train` does. None: a file for each picture."""
    task_size: int = 64
    """Pictures that a worker paints and writes in one go: what has to be done again when it is
    lost, and what a shard holds."""

    def __post_init__(self):
        super().__post_init__()
        check_at_least_one(self, "task_size")
        if not 1 <= self.quality <= 100:
            raise ValueError(f"`quality` must be from 1 to 100. Received: quality={self.quality}.")


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
