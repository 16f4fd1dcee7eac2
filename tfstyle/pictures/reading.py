"""Files, bytes, PIL images and arrays to pictures: RGB in [0, 1], upright, in sRGB."""

import io
import os
import warnings
from typing import BinaryIO, NamedTuple, TypeAlias

import numpy as np
from PIL import Image, ImageCms, ImageOps

from tfstyle.pictures.jpeg_end import END
from tfstyle.pictures.layouts import with_alpha, with_true_levels
from tfstyle.pictures.opening import decode, describe, open_source, orientation, pillow_silenced

MIN_SIDE = 16

PictureLike: TypeAlias = str | os.PathLike | bytes | BinaryIO | Image.Image | np.ndarray
"""What `read_image` reads."""

_DEEP_GREY = ("I", "I;16", "I;16B", "F")  # Pillow's modes of more than 8 bits


class Picture(NamedTuple):
    """A picture as the package computes with it.

    Attributes:
        rgb: Float32 array `(height, width, 3)`, sRGB in [0, 1], already
            composited on white where the source was transparent.
        alpha: Float32 array `(height, width)` in [0, 1], or None if opaque.
    """

    rgb: np.ndarray
    alpha: np.ndarray | None


def read_image(source: "PictureLike | Picture") -> Picture:
    """Read a picture of any common kind as upright sRGB in [0, 1].

    EXIF orientation is applied, an ICC profile converted to sRGB, and
    transparency composited on white. Of an animation the first frame is read.

    Args:
        source: A path, a file's bytes, a binary file object or a PIL image;
            or an array of uint8, uint16 or floats in [0, 1], of shape
            `(height, width)` or `(height, width, channels)` with 1 (grey),
            2 (grey, alpha), 3 (RGB) or 4 (RGBA) channels, with or without a
            leading batch axis of 1. A `Picture` is returned as it is.

    Returns:
        A `Picture` that shares no memory with `source`.

    Raises:
        FileNotFoundError: If there is no file at the path.
        ValueError: If the file cannot be read, a side is under `MIN_SIDE`
            pixels, the picture is a decompression bomb, or the array is
            not as above.
        TypeError: If `source` is of another type.

    Example:

    >>> read_image(np.full((16, 20), 255, np.uint8)).rgb.shape
    (16, 20, 3)
    """
    if isinstance(source, Picture):
        return source
    if hasattr(source, "__array__") and not isinstance(source, Image.Image):
        pixels = np.asarray(source)
        name = describe(pixels)
    else:
        name = describe(source)
        with open_source(source, name) as opened:
            image = _load(opened, name)
        pixels = _to_pixels(_to_srgb(image, name))
    return _composite_on_white(_to_unit_range(pixels, name))


def as_list_of_pictures(sources):
    """Return a list of pictures in any form that `read_image` takes; a single one alone."""
    # A `Picture` is a tuple, too.
    several = isinstance(sources, (list, tuple)) and not isinstance(sources, Picture)
    return list(sources) if several else [sources]


def read_small(source, short_side):
    """Read a picture for training: quickly, and no larger than needed.

    A JPEG is decoded at the half, quarter or eighth where that is enough, several times as fast.

    Args:
        source: A path, a file's bytes or a binary file object.
        short_side: Short side in pixels that a larger picture is reduced to.

    Returns:
        `PIL.Image.Image` of mode RGB, upright, sRGB, on white where it was transparent.

    Raises:
        As `read_image`, but a picture may be of any size.
    """
    name = describe(source)
    with open_source(source, name) as opened:
        image = _load(opened, name, short_side)
        image = _to_srgb(image, name)
    if image.mode in _DEEP_GREY:
        grey = _to_unit_range(_to_pixels(image), name)[..., 0]
        image = Image.fromarray((grey * 255).round().astype(np.uint8))
    if image.mode in ("LA", "RGBA"):
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    image = image.convert("RGB")
    if min(image.size) > short_side:
        scale = short_side / min(image.size)
        size = tuple(max(short_side, round(side * scale)) for side in image.size)
        image = image.resize(size, Image.Resampling.BICUBIC, reducing_gap=2.0)
    return image


def read_size(source):
    """Return height and width of a picture, upright, by its header alone.

    Args:
        source: A path, a file's bytes, a binary file object or a PIL image.

    Raises:
        As `read_image`, where the header tells.
    """
    name = describe(source)
    with open_source(source, name) as opened:
        image = decode(opened, name, load=False)
        return image.size if orientation(image) >= 5 else image.size[::-1]


def read_plain_jpeg(source, max_side=None):
    """Return the bytes of a JPEG that any decoder reads as `read_image` does, upright and in sRGB.

    Args:
        source: As for `read_image`.
        max_side: Most pixels on a side. Default: any number.

    Returns:
        Bytes; None where the picture is of another kind, or needs to be turned, reduced or brought
        to sRGB.

    Raises:
        As `read_image`.
    """
    if not isinstance(source, (str, os.PathLike, bytes)):
        return None
    name = describe(source)
    with open_source(source, name) as opened:
        content = opened.read(2)
        if content != b"\xff\xd8":
            return None
        content += opened.read()
    image = decode(io.BytesIO(content), name, load=False)
    short, long = sorted(image.size)
    fits = short >= MIN_SIDE and (max_side is None or long <= max_side)
    plain = image.mode in ("L", "RGB") and not image.info.get("icc_profile")
    if not (fits and plain and orientation(image) == 1):
        return None
    decode(image, name)  # is it whole?
    return content if content.endswith(END) else content + END  # other decoders want one


def _load(opened, name, short_side=None):
    """Decode a picture, turn it upright, and put white where it should be."""
    image = decode(opened, name, short_side)
    return with_true_levels(_turn_upright(image, name), image)


def _turn_upright(image, name):
    """Return a copy, turned as EXIF says."""
    try:
        with pillow_silenced():
            return ImageOps.exif_transpose(image)
    except Exception:  # Pillow's parser raises anything on broken EXIF data.
        warnings.warn(f"The EXIF data of {name} is broken and was ignored.", stacklevel=4)
        return image.copy()


def _to_srgb(image, name):
    """Bring colors to 8-bit sRGB (mode L, LA, RGB or RGBA); deep grey stays."""
    alpha, image = None, with_alpha(image)
    if image.mode == "1":
        image = image.convert("L")
    if image.has_transparency_data and image.mode not in _DEEP_GREY:
        image = image.convert("LA" if image.mode in ("L", "LA", "La") else "RGBA")
        alpha = image.getchannel("A")
        image = image.convert(image.mode[:-1])
    if image.mode not in ("L", "RGB", "CMYK", *_DEEP_GREY):  # P, YCbCr, LAB ...
        image = image.convert("RGB")
    if image.info.get("icc_profile"):
        image = _apply_profile(image, name)
    if image.mode == "CMYK":
        image = image.convert("RGB")
    if alpha is not None:
        image.putalpha(alpha)
    return image


def _apply_profile(image, name):
    """Convert an image from its ICC profile to sRGB, or warn and leave it."""
    try:
        profile = ImageCms.ImageCmsProfile(io.BytesIO(image.info["icc_profile"]))
        space = profile.profile.xcolor_space.strip()
        if image.mode in ("I", "F"):  # LittleCMS would take their bytes for pixels.
            raise ImageCms.PyCMSError("32-bit pixels")
        if image.mode == "L" and space == "RGB":
            image = image.convert("RGB")
        # The table that speeds up the rest can be 10 levels off in dark grey.
        flags = ImageCms.Flags.NOOPTIMIZE if space == "GRAY" else ImageCms.Flags.NONE
        srgb = ImageCms.createProfile("sRGB")
        return ImageCms.profileToProfile(image, profile, srgb, outputMode="RGB", flags=flags)
    except (OSError, ImageCms.PyCMSError) as error:
        warnings.warn(
            f"The ICC profile of {name} is broken or does not fit its pixels and was ignored "
            f"({error}): the colors may be off.",
            stacklevel=4,
        )
        return image


def _to_pixels(image):
    """Take the array out: 16 bit for grey; 16-bit color and LA Pillow has cut to 8."""
    pixels = np.asarray(image)
    # Pillow's whole numbers are of 16 bits where they are of any; up to 255 nobody knows.
    if image.mode == "I" and pixels.min() >= 0 and 255 < pixels.max() <= 65535:
        return pixels.astype(np.uint16)
    return pixels


def _to_unit_range(pixels, name):
    """Check an array and make it float32 `(height, width, 1 to 4)` in [0, 1]."""
    if pixels.ndim == 4 and len(pixels) != 1:
        raise ValueError(f"A batch must hold one picture. Received: {name}. Pass one at a time.")
    if len(pixels) == 1 and (pixels.ndim == 4 or (pixels.ndim == 3 and pixels.shape[-1] > 4)):
        pixels = pixels[0]
    if pixels.ndim == 2:
        pixels = pixels[..., np.newaxis]
    if pixels.ndim != 3 or pixels.shape[-1] not in (1, 2, 3, 4):
        raise ValueError(
            "An array must have shape (height, width) or (height, width, 1 to 4 channels). "
            f"Received: {name}. Move channels from first to last with np.moveaxis(x, -3, -1)."
        )
    height, width = pixels.shape[:2]
    if min(height, width) < MIN_SIDE:
        raise ValueError(
            f"A picture must have at least {MIN_SIDE} pixels on each side. "
            f"Received: {name}, {height} high and {width} wide. Use a larger one."
        )
    white = {"u1": 255, "u2": 65535}.get(f"{pixels.dtype.kind}{pixels.dtype.itemsize}")
    if white:
        return np.divide(pixels, white, dtype=np.float32)
    if pixels.dtype.kind != "f":
        raise ValueError(
            f"Pixels must be uint8, uint16 or float. Received: {name}, in {pixels.dtype}. "
            "Cast levels from 0 to 255 with x.astype(np.uint8)."
        )
    low, high = pixels.min(), pixels.max()
    if not np.isfinite([low, high]).all():
        raise ValueError(f"Pixels must be finite. Received: {name}, with NaN or infinity.")
    if low < -1e-3 or high > 1 + 1e-3:
        raise ValueError(
            f"Float pixels must be in [0, 1]. Received: {name}, with {low:g} to {high:g}. "
            "Divide levels from 0 to 255 by 255."
        )
    return pixels.astype(np.float32).clip(0.0, 1.0)


def _composite_on_white(pixels):
    """Split off alpha and lay the colors on white."""
    alpha = None
    if pixels.shape[-1] in (2, 4):
        pixels, alpha = pixels[..., :-1], np.ascontiguousarray(pixels[..., -1])
    if pixels.shape[-1] == 1:
        pixels = np.repeat(pixels, 3, axis=-1)
    if alpha is None or alpha.min() == 1.0:
        return Picture(np.ascontiguousarray(pixels), None)
    return Picture(1.0 - alpha[..., np.newaxis] * (1.0 - pixels), alpha)
