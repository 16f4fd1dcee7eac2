"""What a network is exported as. Loads neither Keras nor TensorFlow."""

import re
from dataclasses import dataclass
from typing import Literal, get_args

from tfstyle.pictures import MIN_SIDE

Format = Literal["saved-model", "litert", "android", "onnx", "web"]
Precision = Literal["float32", "float16", "dynamic", "int8"]
Encoding = Literal["jpeg", "png"]


@dataclass(frozen=True, kw_only=True)
class ExportConfig:
    """What to export a network as.

    Raises:
        ValueError: If a field has a value that cannot be used, or not with this format.

    Example:

    >>> ExportConfig(format="litert", size="384x512").sides
    (384, 512)
    >>> ExportConfig(format="android").chosen_precision
    'float16'
    """

    format: Format = "saved-model"
    """A versioned folder for TensorFlow Serving, a file for LiteRT, a folder of assets for an
    Android app, a file in ONNX, or a page for browsers: a folder for any host, or one .html file
    that opens by itself."""
    style: str | None = None
    """Which style of a network of several to freeze in. None: the first."""
    all_styles: bool = False
    """Keep all styles of a network of several, and an input `style_weights`."""
    precision: Precision | None = None
    """For LiteRT: "float16", half the file; "dynamic", weights of convolutions in 8 bits, but for
    the first and the last; "int8", all of these in 8 bits. None: float32, float16 for Android and
    the page."""
    size: int | str | None = None
    """For LiteRT: fixed side in pixels, or HEIGHTxWIDTH; GPUs need one. None: any size; 256 and
    512 for Android."""
    encoding: Encoding = "jpeg"
    """What the signature `stylize_bytes` of a SavedModel returns; "jpeg" is of quality 95."""
    max_pixels: int = 4_000_000
    """Pixels of a picture beyond which a SavedModel's signatures refuse it: it takes up to 0.6 kB
    of memory a pixel."""

    def __post_init__(self):
        for field, choices in (("format", Format), ("encoding", Encoding)):
            self._check(field, getattr(self, field) in get_args(choices), get_args(choices))
        served = self.format in ("saved-model", "onnx")
        precisions = ("float32",) if served else get_args(Precision)
        if self.format == "web":
            precisions = ("float32", "float16")
        self._check("precision", self.chosen_precision in precisions, precisions)
        if self.all_styles and (self.style is not None or self.format == "android"):
            raise ValueError("`all_styles` goes neither with `style` nor with format 'android'.")
        if self.size is not None and (served or self.format == "web"):
            raise ValueError(
                "A SavedModel takes pictures of any size, as ONNX and the page do: `size` is for "
                "LiteRT."
            )
        if self.sides and min(self.sides) < MIN_SIDE:
            raise ValueError(f"`size` must be at least {MIN_SIDE} px. Received: size={self.size}.")
        if self.max_pixels < MIN_SIDE**2:
            raise ValueError(
                f"`max_pixels` must be at least {MIN_SIDE**2}. Received: {self.max_pixels}."
            )

    def _check(self, field, fits, choices):
        if not fits:
            raise ValueError(
                f"`{field}` must be one of {choices} with format {self.format!r}. "
                f"Received: {field}={getattr(self, field)!r}."
            )

    @property
    def chosen_precision(self):
        """The precision, or what the format has by default."""
        return self.precision or ("float16" if self.format in ("android", "web") else "float32")

    @property
    def sides(self):
        """The fixed size as (height, width), or None."""
        if self.size is None:
            return None
        match = re.fullmatch(r"(\d+)(?:x(\d+))?", str(self.size))
        if not match:
            raise ValueError(
                "`size` must be a side in pixels or HEIGHTxWIDTH, such as 512 or 384x512. "
                f"Received: size={self.size!r}."
            )
        return int(match[1]), int(match[2] or match[1])
