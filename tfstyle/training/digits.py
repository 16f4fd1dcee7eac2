"""Small pictures to learn from: files of Keras' and of MNIST's layout, folders, Keras' download."""

import gzip
import warnings
import zipfile
import zlib

import keras
import numpy as np
from PIL import Image

from tfstyle.pictures import read_small
from tfstyle.pictures.files import local
from tfstyle.training.data import Photos

LAYOUTS = (
    "an .npz of Keras' layout with `x_train`, a file in MNIST's idx format "
    "(train-images-idx3-ubyte, also .gz), or a folder or .zip of small pictures"
)


def read_digits(source=None, side=28):
    """Read small pictures.

    Args:
        source: Path of an `.npz` with `x_train`; of an idx file, also `.gz`; of a folder with
            `train-images-idx3-ubyte` or with pictures; of what else `Photos` takes. None: MNIST,
            which Keras downloads once.
        side: Side in pixels that pictures of a folder are brought to.

    Returns:
        uint8 array `(count, height, width, channels)`, of one channel where all is grey.

    Raises:
        FileNotFoundError: If there is no such file or folder, or no picture in it.
        ValueError: If it holds something else.
        OSError: If MNIST cannot be downloaded.
    """
    if source is None:
        images = _download()
    else:
        path = local(source)
        found = sorted(path.glob("*train-images*idx3*")) if path.is_dir() else ()
        path = found[0] if found else path
        if not path.is_file() or path.suffix.lower() in (".zip", ".tfrecord"):
            images = _pictures_of(source, side)
        elif path.suffix.lower() == ".npz":
            images = _in_npz(path)
        else:
            images = _in_idx(path)
    if images.dtype != np.uint8 or images.ndim not in (3, 4) or not images.size:
        raise ValueError(
            f"Pictures must be uint8 (count, height, width) or (count, height, width, channels). "
            f"Received: '{source}' with {images.dtype} {images.shape}."
        )
    return images if images.ndim == 4 else images[..., None]


def _download():
    try:
        (images, _), _ = keras.datasets.mnist.load_data()
    except Exception as error:  # Keras raises plain ones when there is no connection
        raise OSError(
            f"MNIST could not be downloaded ({' '.join(str(error).split())}). Fetch mnist.npz "
            f"where there is a connection and name it as `content`, or {LAYOUTS}."
        ) from error
    return images


def _in_npz(path):
    try:
        if not zipfile.is_zipfile(path):
            raise ValueError("it is no .npz file, or cut short")
        with np.load(path) as file:
            if "x_train" not in file:
                raise ValueError(f"it holds {', '.join(file) or 'nothing'}")
            return file["x_train"]
    except (ValueError, OSError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise ValueError(
            f"'{path}' must be of Keras' layout, with uint8 pictures as `x_train` ({error})."
        ) from error


def _in_idx(path):
    data = path.read_bytes()
    try:
        data = gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data
    except (OSError, EOFError, zlib.error) as error:
        raise ValueError(f"'{path}' is damaged ({error}).") from error
    if data[:4] == b"\x00\x00\x08\x01":
        raise ValueError(f"'{path}' holds labels. Name the pictures: train-images-idx3-ubyte.")
    if data[:4] != b"\x00\x00\x08\x03":
        raise ValueError(f"Pictures must come in {LAYOUTS}. Received: '{path}'.")
    if len(data) < 16:
        raise ValueError(f"'{path}' is damaged: it ends in its first 16 bytes.")
    shape = np.frombuffer(data, ">u4", 3, 4)
    pixels = np.frombuffer(data, np.uint8, offset=16)
    if len(pixels) != shape.prod(dtype=np.int64):
        raise ValueError(
            f"'{path}' must hold {' × '.join(map(str, shape))} bytes. Received: {len(pixels)}."
        )
    return pixels.reshape(shape)


def _pictures_of(source, side):
    """Read the pictures of a folder or archive, each brought to a square."""
    photos, found = Photos(source), []
    for name, read in zip(photos.names, photos.reads, strict=True):
        try:
            image = read_small(read(), side)
        except Exception as error:  # archives and decoders raise anything on damaged data
            photos.bad[name] = " ".join(str(error).split())
            continue
        edge = min(image.size)
        left, top = ((length - edge) // 2 for length in image.size)
        square = image.crop((left, top, left + edge, top + edge))
        found.append(np.asarray(square.resize((side, side), Image.Resampling.LANCZOS)))
    if photos.bad:
        name, reason = next(iter(photos.bad.items()))
        text = (
            f"{len(photos.bad)} of {len(photos)} pictures cannot be used, such as {name}: {reason}"
        )
        if not found:
            raise ValueError(f"'{source}': {text}")
        warnings.warn(text, stacklevel=4)
    images = np.stack(found)
    grey = (images == images[..., :1]).all()
    return images[..., :1] if grey else images
