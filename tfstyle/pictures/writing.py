"""Arrays to pictures, and pictures to files."""

import contextlib
import io
import numbers
import os
import tempfile
import uuid
from pathlib import Path

import numpy as np
from PIL import Image

from tfstyle.config import CODE_SIDE, LEAST_CODE_SIDE
from tfstyle.pictures.files import check_writable, is_same_file, local, write
from tfstyle.pictures.opening import describe

SAVE_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff", ".bmp", ".gif")

MOST_PIXELS = {".jpg": 65500, ".jpeg": 65500, ".webp": 16383, ".gif": 65535}  # a side

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
    if not all(isinstance(side, numbers.Integral) and int(side) >= 1 for side in sides):
        raise ValueError(
            "`size` must be the long side in pixels or a tuple (height, width), in whole "
            f"numbers of at least 1. Received: size={size!r}."
        )
    if not isinstance(size, tuple):
        size = fitted(rgb.shape, size)
    if size == rgb.shape[:2]:
        return rgb
    if rgb.ndim == 3:
        return np.stack([resize(rgb[..., i], size) for i in range(rgb.shape[-1])], axis=-1)
    plane = Image.fromarray(np.asarray(rgb, np.float32))
    return np.asarray(plane.resize(size[::-1], Image.Resampling.LANCZOS)).clip(0.0, 1.0)


def fitted(shape, size):
    """Return height and width of a picture of a shape whose long side becomes `size` pixels; None
    keeps it."""
    height, width = shape[:2]
    size = size or max(height, width)
    return tuple(max(1, round(side * size / max(height, width))) for side in (height, width))


def for_code(image, size=CODE_SIDE):
    """Return a picture at the size at which its code is read.

    Args:
        image: Float array `(height, width, 3)` in [0, 1].
        size: Long side in pixels.
    """
    return resize(image, tuple(max(LEAST_CODE_SIDE, side) for side in fitted(image.shape, size)))


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
            replaced, and a link followed; if saving fails it stays as it is.
        quality: For JPEG and WebP, from 1 (small file) to 100 (fine).

    Raises:
        FileNotFoundError: If the parent folder does not exist.
        ValueError: If `path` cannot be saved to, the image is too large for the format, or
            `quality` is off range.
        OSError: If the file cannot be written, such as on a full disk.
        TypeError: If `image` is not a PIL image.
    """
    path = check_output_path(path)
    if not isinstance(image, Image.Image):
        raise TypeError(f"`image` must be a PIL image. Received: {describe(image)}. Use to_pil.")
    if not 1 <= quality <= 100:
        raise ValueError(f"`quality` must be from 1 to 100. Received: quality={quality}.")
    write(path, encode(image, path.suffix, quality=quality))


def save_or_rescue(image, path, *, quality=95):
    """Save a PIL image as `save_image` does; one that cannot be saved there is put elsewhere.

    Raises:
        OSError: If it was put elsewhere, which the message names; or could not be put anywhere.
        ValueError: If `quality` is off range.
        TypeError: If `image` is not a PIL image.
    """
    try:
        save_image(image, path, quality=quality)
    except OSError as error:
        elsewhere = _saved_elsewhere(image, local(path), quality)
        if elsewhere is None:
            raise
        raise OSError(
            f"'{path}' could not be written ({error.strerror or error}). The picture was put here "
            f"instead: '{elsewhere}'."
        ) from error


def _saved_elsewhere(image, path, quality):
    """Save a picture in the first folder that takes it, and return its path; None if none does."""
    for folder in (tempfile.gettempdir(), os.path.expanduser("~")):
        elsewhere = Path(folder, f"{path.stem}-{uuid.uuid4().hex[:8]}{path.suffix}")
        with contextlib.suppress(OSError):
            save_image(image, elsewhere, quality=quality)
            return elsewhere
    return None


def encode(image, suffix, *, quality=95):
    """Return the bytes of a PIL image's file, in the format that a suffix names; as `save_image`.

    In memory, since Pillow does not notice a disk that fills while it writes.
    """
    suffix = suffix.lower()
    check_size(image.size[::-1], suffix)
    if suffix in (".jpg", ".jpeg", ".bmp") and image.mode not in ("L", "RGB"):
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, image.convert("RGBA")).convert("RGB")
    options = {"quality": quality} if suffix in (".jpg", ".jpeg", ".webp") else {}
    file = io.BytesIO()
    image.save(file, Image.registered_extensions()[suffix], **options)
    return file.getvalue()


def encode_gif(images, milliseconds, loop=0):
    """Encode a film as a GIF.

    Args:
        images: Iterable of PIL images.
        milliseconds: Iterable of how long each is shown.
        loop: How often it is played again: 0 for ever, None never.

    Returns:
        The file's bytes: Pillow would not notice a disk that fills while it writes.
    """

    def timed():
        for image, duration in zip(images, milliseconds, strict=False):
            image.info["duration"] = duration
            yield image

    frames, file = timed(), io.BytesIO()
    often = {} if loop is None else {"loop": loop}
    next(frames).save(file, "GIF", save_all=True, append_images=frames, **often)
    return file.getvalue()


def check_output_path(path, suffixes=SAVE_SUFFIXES, *, inputs=(), size=None):
    """Check that a file can go to a path, before the work that makes it.

    Args:
        path: A str or `os.PathLike`.
        suffixes: Tuple of the suffixes to accept, in lower case, with dot.
        inputs: What the file is made of, or what else is written, which it must not replace; None
            and what is no path is passed over.
        size: Height and width in pixels of the picture, if known.

    Returns:
        `pathlib.Path`, with `~` expanded.

    Raises:
        FileNotFoundError: If the parent folder does not exist.
        ValueError: If the suffix is another one, the path is a folder, a device or one of
            `inputs`, or the picture too large for its format.
        OSError: If the file, or its folder, cannot be written to.
    """
    path = local(path)
    if path.suffix.lower() not in suffixes:
        choices = f"one of {', '.join(suffixes)}" if len(suffixes) > 1 else suffixes[0]
        raise ValueError(f"The output path must end in {choices}. Received: '{path}'.")
    if path.is_dir():
        raise ValueError(f"The output path must name a file. Received: '{path}', a folder.")
    for source in inputs:
        if isinstance(source, (str, os.PathLike)) and is_same_file(path, local(source)):
            raise ValueError(
                "The output must be another file than what the run reads or writes beside it, "
                "which would be lost. "
                f"Received: '{path}'."
            )
    if size is not None:
        check_size(size, path.suffix)
    check_writable(path)
    return path


def check_size(size, suffix):
    """Check that a picture of a height and width fits the format that a suffix names.

    Raises:
        ValueError: If it is too large.
    """
    most = MOST_PIXELS.get(suffix.lower())
    if most and max(size) > most:
        raise ValueError(
            f"A {suffix} picture has at most {most} pixels a side. Received: {size[1]} × {size[0]} "
            "pixels. Choose .png or .tif, or a smaller `size`."
        )
