"""Files, bytes, PIL images and arrays to pictures: RGB in [0, 1], upright, in sRGB."""

import contextlib
import io
import os
import re
import warnings
from typing import NamedTuple

import numpy as np
from PIL import ExifTags, Image, ImageCms, ImageOps, UnidentifiedImageError

from tfstyle.pictures.jpeg_end import END, with_end

MIN_SIDE = 16


READ_FORMATS = ("JPEG", "PNG", "WEBP", "TIFF", "BMP", "GIF")


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


def read_image(source):
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
        with _open(source, name) as opened:
            image = _turn_upright(_decode(opened, name), name)
        pixels = _to_pixels(_to_srgb(image, name))
    return _composite_on_white(_to_unit_range(pixels, name))


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
    with _open(source, name) as opened:
        image = _turn_upright(_decode(opened, name, short_side), name)
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
    with _open(source, name) as opened:
        content = opened.read(2)
        if content != b"\xff\xd8":
            return None
        content += opened.read()
    image = _decode(io.BytesIO(content), name, load=False)
    short, long = sorted(image.size)
    fits = short >= MIN_SIDE and (max_side is None or long <= max_side)
    plain = image.mode in ("L", "RGB") and not image.info.get("icc_profile")
    try:
        upright = image.getexif().get(ExifTags.Base.Orientation, 1) == 1
    except Exception:  # as in `_turn_upright`
        upright = False
    if not (fits and plain and upright):
        return None
    _decode(image, name)  # is it whole?
    return content if content.endswith(END) else content + END  # other decoders want one


def describe(source):
    """Name a source in an error message."""
    if isinstance(source, (str, os.PathLike)):
        return f"'{os.fsdecode(source)}'"
    if isinstance(source, (bytes, bytearray, memoryview)):
        return "bytes"
    if isinstance(source, Image.Image):
        return f"PIL image of mode {source.mode}"
    if isinstance(source, np.ndarray):
        return f"array of shape {source.shape}"
    return f"object of type {type(source).__name__}"


def _open(source, name):
    """Return a context manager around what Pillow can read."""
    if isinstance(source, (bytes, bytearray, memoryview)):
        return io.BytesIO(source)
    is_binary = hasattr(source, "read") and not isinstance(source, io.TextIOBase)
    if is_binary or isinstance(source, Image.Image):
        return contextlib.nullcontext(source)
    if not isinstance(source, (str, os.PathLike)):
        raise TypeError(
            "A picture must be a path, bytes, a file object opened with 'rb', a PIL image or "
            f"an array. Received: {name}."
        )
    path = os.fsdecode(source)
    if re.match(r"\w{2,}://|data:", path):
        raise ValueError(f"A picture must be local. Received: {name:.60}, a URL. Download it.")
    if os.path.isdir(path):
        raise ValueError(f"A picture must be a file. Received: {name}, a folder.")
    if not os.path.exists(path):
        raise FileNotFoundError(f"A picture must exist. Received: {name}, no file. Check the path.")
    return open(path, "rb")


def _decode(opened, name, short_side=None, *, load=True):
    """Decode an open file, or a PIL image that still has to be; a JPEG no larger than needed.

    Without `load`, only its header.
    """
    try:
        with warnings.catch_warnings():
            # Pillow warns from half its limit on, and raises at the limit.
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            is_image = isinstance(opened, Image.Image)
            image = opened if is_image else Image.open(opened, formats=READ_FORMATS)
            if short_side and min(image.size) > short_side:
                image.draft(None, (short_side, short_side))
            if load:
                image = _loaded(image, name)
            return image
    except Image.DecompressionBombError as error:
        raise ValueError(
            f"A picture must have at most {2e-6 * Image.MAX_IMAGE_PIXELS:.0f} megapixels. "
            f"Received: {name}, which has more. Scale it down first."
        ) from error
    except UnidentifiedImageError as error:
        raise ValueError(
            f"A picture must be a {', '.join(READ_FORMATS)} file. "
            f"Received: {name}, which is empty, cut short or of another kind."
        ) from error
    except Exception as error:  # Decoders raise anything on damaged data.
        raise ValueError(
            f"A picture must be whole. Received: {name}, which is cut short or damaged "
            f"({error}). Get it anew."
        ) from error


def _loaded(image, name):
    """Return a picture with its pixels; a JPEG that lacks only its end marker, with a word."""
    try:
        image.load()
        return image
    except OSError:
        if image.format != "JPEG":
            raise
        image.fp.seek(0)
        whole = with_end(image.fp.read())
        if whole is None:
            raise
    warnings.warn(f"{name} lacks JPEG's end marker, but no pixel.", stacklevel=5)
    mended = Image.open(io.BytesIO(whole), formats=["JPEG"])
    mended.draft(None, image.size)  # reduced, where that one was to be
    mended.load()
    return mended


def _turn_upright(image, name):
    """Return a copy, turned as EXIF says."""
    try:
        return ImageOps.exif_transpose(image)
    except Exception:  # Pillow's parser raises anything on broken EXIF data.
        warnings.warn(f"The EXIF data of {name} is broken and was ignored.", stacklevel=3)
        return image.copy()


def _to_srgb(image, name):
    """Bring colors to 8-bit sRGB (mode L, LA, RGB or RGBA); deep grey stays."""
    alpha = None
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
    if image.mode == "I" and pixels.min() >= 0 and pixels.max() <= 65535:
        return pixels.astype(np.uint16)
    return pixels


def _to_unit_range(pixels, name):
    """Check an array and make it float32 `(height, width, 1 to 4)` in [0, 1]."""
    if pixels.ndim == 4 and len(pixels) != 1:
        raise ValueError(f"A batch must hold one picture. Received: {name}. Pass one at a time.")
    if pixels.ndim in (3, 4) and len(pixels) == 1:  # No picture is one pixel high.
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
