"""Opening pictures' files: what they hold, whatever they are called, with no word of Pillow's."""

import contextlib
import importlib.util
import io
import os
import re
import tempfile
import threading
import warnings

import numpy as np
from PIL import ExifTags, Image, UnidentifiedImageError

from tfstyle.pictures.files import refuse_special
from tfstyle.pictures.jpeg_end import with_end
from tfstyle.pictures.layouts import UnreadableError, check_layout

# Pillow's, and of these what it was built with; HEIC is left to pillow-heif.
READ_FORMATS: tuple[str, ...] = ("JPEG", "PNG", "WEBP", "TIFF", "BMP", "GIF")
if importlib.util.find_spec("PIL._avif"):
    READ_FORMATS += ("AVIF",)

_HEIC_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")

_stderr = threading.Lock()


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


def open_source(source, name):
    """Return a context manager around what Pillow can read, and `decode` takes."""
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
    path = os.path.expanduser(os.fsdecode(source))
    if re.match(r"\w{2,}:/|data:", path) and not os.path.lexists(path):  # pathlib drops a slash
        raise ValueError(f"A picture must be local. Received: {name:.60}, a URL. Download it.")
    if os.path.isdir(path):
        raise ValueError(f"A picture must be a file. Received: {name}, a folder.")
    if not os.path.exists(path):
        what = "a link to nothing" if os.path.lexists(path) else "no file"
        raise FileNotFoundError(f"A picture must exist. Received: {name}, {what}. Check the path.")
    refuse_special(path)  # which would be waited for
    return open(path, "rb")


def decode(opened, name, short_side=None, *, load=True):
    """Decode an open file, or a PIL image that still has to be; a JPEG no larger than needed.

    Without `load`, only its header.
    """
    try:
        with pillow_silenced():
            is_image = isinstance(opened, Image.Image)
            image = opened if is_image else _identify(opened, name)
            if load:
                check_layout(image, name)
            if short_side and min(image.size) > short_side:
                image.draft(None, (short_side, short_side))
            if load:
                with _libtiff_silenced(image) as said:
                    image = _loaded(image, name)
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
    except UnreadableError:
        raise
    except MemoryError as error:
        raise ValueError(
            f"A picture must fit into memory. Received: {name}, which does not. Scale it down."
        ) from error
    except Exception as error:  # Decoders raise anything on damaged data.
        raise ValueError(
            f"A picture must be whole. Received: {name}, which is cut short or damaged "
            f"({error}). Get it anew."
        ) from error
    if load and said:
        warnings.warn(f"{name} is damaged in places ({said[0].rstrip('.')}).", stacklevel=4)
    return image


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


@contextlib.contextmanager
def pillow_silenced():
    """Let Pillow warn of nothing: what matters is an error, or a warning of our own."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module=r"PIL\b")
        yield


@contextlib.contextmanager
def _libtiff_silenced(image):
    """Yield a list that is then of the lines that libtiff has written to stderr, each of which
    begins with the name of a function."""
    said = []
    tiles = getattr(image, "tile", None)  # of a file's image, until it is loaded
    if not tiles or tiles[0][0] != "libtiff" or not _is_open(2):
        yield said
        return
    with _stderr, tempfile.TemporaryFile() as lines:
        kept = os.dup(2)
        try:
            os.dup2(lines.fileno(), 2)
            yield said
        finally:
            os.dup2(kept, 2)
            os.close(kept)
            lines.seek(0)
            for line in lines.read().splitlines(keepends=True):
                if re.match(rb"\w+: ", line):
                    said.append(line.decode(errors="replace").strip())
                else:  # of another thread, such as a training's progress
                    os.write(2, line)


def _is_open(handle):
    try:
        os.fstat(handle)
    except OSError:
        return False
    return True


def _identify(opened, name):
    """Open a picture's file, whose header alone is read."""
    opened.seek(0)
    head = opened.read(12)
    if head[4:8] != b"ftyp" or head[8:] not in _HEIC_BRANDS:
        return Image.open(opened, formats=READ_FORMATS)
    try:
        from pillow_heif import register_heif_opener
    except ImportError as error:
        raise UnreadableError(
            f"HEIC needs pillow-heif: pip install 'tfstyle[heic]'. Received: {name}."
        ) from error
    register_heif_opener()
    return Image.open(opened, formats=["HEIF"])


def orientation(image):
    """Return how EXIF says a picture is turned: 1 upright, 5 to 8 on its side, 0 unreadable."""
    try:
        with pillow_silenced():
            return image.getexif().get(ExifTags.Base.Orientation, 1)
    except Exception:  # as above
        return 0
