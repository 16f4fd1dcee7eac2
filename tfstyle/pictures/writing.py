"""Arrays to pictures, and pictures to files."""

import numbers
import os
import uuid
from pathlib import Path

import numpy as np
from PIL import Image

from tfstyle.pictures.reading import describe

SAVE_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff", ".bmp", ".gif")


_BAND = 256  # rows that are rounded to levels at once


def resize(rgb, size):
    """Resize a picture, or its alpha, with a Lanczos filter in float.

    Args:
        rgb: Float array `(height, width, channels)` or `(height, width)` in
            [0, 1].
        size: The long side in pixels, which the short side follows; or a
            tuple `(height, width)`.

    Returns:
        Float32 array in [0, 1]; `rgb` itself if it has the size already.

    Raises:
        ValueError: If a side is not a whole number of at least 1.
    """
    sides = size if isinstance(size, tuple) else (size,)
    if not all(isinstance(side, numbers.Integral) and side >= 1 for side in sides):
        raise ValueError(
            "`size` must be the long side in pixels or a tuple (height, width), in whole "
            f"numbers of at least 1. Received: size={size!r}."
        )
    if not isinstance(size, tuple):
        long_side = max(rgb.shape[:2])
        size = tuple(max(1, round(side * size / long_side)) for side in rgb.shape[:2])
    if size == rgb.shape[:2]:
        return rgb
    if rgb.ndim == 3:
        return np.stack([resize(rgb[..., i], size) for i in range(rgb.shape[-1])], axis=-1)
    plane = Image.fromarray(np.asarray(rgb, np.float32))
    return np.asarray(plane.resize(size[::-1], Image.Resampling.LANCZOS)).clip(0.0, 1.0)


def to_pil(rgb, alpha=None):
    """Make an 8-bit PIL image, rounding to the nearest level.

    Args:
        rgb: Float array `(height, width, 3)` or `(1, height, width, 3)`;
            clipped to [0, 1].
        alpha: Float array `(height, width)` in [0, 1], or None if opaque.

    Returns:
        A `PIL.Image.Image` of mode RGB, or RGBA with `alpha`.

    Raises:
        ValueError: If a shape is not as above, or a value NaN or infinite.
    """
    pixels = np.asarray(rgb)
    if pixels.ndim == 4 and len(pixels) == 1:
        pixels = pixels[0]
    fits = alpha is None or np.shape(alpha) == pixels.shape[:2]
    if pixels.ndim != 3 or pixels.shape[-1] != 3 or not fits:
        raise ValueError(
            "`rgb` must have shape (height, width, 3) or (1, height, width, 3), and `alpha` "
            f"(height, width). Received: shapes {np.shape(rgb)} and {np.shape(alpha)}."
        )
    levels = np.empty((*pixels.shape[:2], 3 if alpha is None else 4), np.uint8)
    for top in range(0, len(pixels), _BAND):  # the whole in float would be gigabytes
        rows = slice(top, top + _BAND)
        band = pixels[rows] if alpha is None else np.dstack([pixels[rows], alpha[rows]])
        if not np.isfinite(band).all():
            raise ValueError("`rgb` and `alpha` must be finite. Received: NaN or infinity.")
        levels[rows] = (band.clip(0.0, 1.0) * 255.0).round()
    return Image.fromarray(levels)


def save_image(image, path, *, quality=95):
    """Save a PIL image whole or not at all, in the format its suffix names.

    Args:
        image: A `PIL.Image.Image`. JPEG and BMP get it flattened on white.
        path: Where to, with one of `SAVE_SUFFIXES`. An existing file is
            replaced; if saving fails it stays as it is.
        quality: For JPEG and WebP, from 1 (small file) to 100 (fine).

    Raises:
        FileNotFoundError: If the parent folder does not exist.
        ValueError: If `path` cannot be saved to or `quality` is off range.
        TypeError: If `image` is not a PIL image.
    """
    check_output_path(path)
    if not isinstance(image, Image.Image):
        raise TypeError(f"`image` must be a PIL image. Received: {describe(image)}. Use to_pil.")
    if not 1 <= quality <= 100:
        raise ValueError(f"`quality` must be from 1 to 100. Received: quality={quality}.")
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix in (".jpg", ".jpeg", ".bmp") and image.mode not in ("L", "RGB"):
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, image.convert("RGBA")).convert("RGB")
    options = {"quality": quality} if suffix in (".jpg", ".jpeg", ".webp") else {}
    # Not by tempfile, whose files only their owner may read.
    temporary = path.with_name(f".{uuid.uuid4().hex}{suffix}")
    try:
        image.save(temporary, **options)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def check_output_path(path, suffixes=SAVE_SUFFIXES):
    """Check that a file can go to a path, before the work that makes it.

    Args:
        path: A str or `os.PathLike`.
        suffixes: Tuple of the suffixes to accept, in lower case, with dot.

    Raises:
        FileNotFoundError: If the parent folder does not exist.
        ValueError: If the suffix is another one or the path is a folder.
    """
    path = Path(path)
    if path.suffix.lower() not in suffixes:
        choices = f"one of {', '.join(suffixes)}" if len(suffixes) > 1 else suffixes[0]
        raise ValueError(f"The output path must end in {choices}. Received: '{path}'.")
    if path.is_dir():
        raise ValueError(f"The output path must name a file. Received: '{path}', a folder.")
    if not path.parent.is_dir():
        raise FileNotFoundError(
            f"The output path must lie in an existing folder. Received: '{path}'. "
            f"Create the folder '{path.parent}' first."
        )
