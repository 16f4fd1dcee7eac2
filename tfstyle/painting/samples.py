"""Pictures that a trained sampler makes: sheets of them, and walks from one to the next."""

import json
import math
import zipfile
from pathlib import Path

import keras
import numpy as np
from PIL import Image

GAP = 2  # pixels between two pictures of a sheet


def points(count, latent, seed=0):
    """Draw points, float32 `(count, latent)`; the first of more are those of fewer."""
    return np.random.default_rng(seed).standard_normal((count, latent), np.float32)


def load_sampler(path):
    """Load a network that makes pictures of points.

    Args:
        path: A `.keras` file that `tfstyle-train --config digits` wrote.

    Returns:
        `tfstyle.networks.Sampler`.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it holds something else.
    """
    from tfstyle.networks import Sampler

    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"There is no network '{path}'.")
    try:
        with zipfile.ZipFile(path) as archive:
            kind = json.loads(archive.read("config.json"))["class_name"]
    except (zipfile.BadZipFile, KeyError, ValueError) as error:
        raise ValueError(f"'{path}' does not hold a network of Keras.") from error
    if kind != Sampler.__name__:
        raise ValueError(
            f"'{path}' holds a {kind}, which makes no pictures of its own: `tfstyle-train --config "
            f"digits` trains one that does. A style paints photographs: tfstyle stylize PHOTO "
            f"{path} -o OUT."
        )
    return keras.saving.load_model(path, compile=False)


def pictures_of(sampler, where):
    """Return the pictures of points as a float32 array `(count, height, width, channels)`."""
    return keras.ops.convert_to_numpy(sampler(where))


def sheet(pictures, scale=1):
    """Lay small pictures out in rows on one.

    Args:
        pictures: Float array `(count, height, width, channels)` in [0, 1], of 1 or 3 channels.
        scale: How many pixels a side each of theirs becomes.

    Returns:
        `PIL.Image.Image`, as near to a square as whole rows allow.
    """
    count, height, width, channels = pictures.shape
    columns = math.ceil(math.sqrt(count))
    rows = math.ceil(count / columns)
    cells = np.zeros((rows * columns, height + GAP, width + GAP, channels), np.uint8)
    cells[:count, GAP:, GAP:] = np.round(255 * np.clip(pictures, 0, 1))
    lines = cells.reshape(rows, columns, *cells.shape[1:]).swapaxes(1, 2)
    pixels = lines.reshape(rows * (height + GAP), columns * (width + GAP), channels)
    pixels = np.pad(pixels, ((0, GAP), (0, GAP), (0, 0)))
    image = Image.fromarray(pixels[..., 0] if channels == 1 else pixels)
    return image.resize((image.width * scale, image.height * scale), Image.Resampling.NEAREST)


def walk(stops, frames):
    """Yield points on the way from stop to stop and back to the first, on great circles: there a
    normal distribution has its mass, and a straight line would pass through greyish pictures.

    Args:
        stops: Float array `(stops, ..., latent)`.
        frames: Points between two stops, with the first of them.

    Yields:
        Float32 arrays `(..., latent)`.
    """
    for here, there in zip(stops, np.roll(stops, -1, 0), strict=True):
        lengths = [np.linalg.norm(x, axis=-1, keepdims=True) for x in (here, there)]
        cosine = (here * there).sum(-1, keepdims=True) / np.maximum(lengths[0] * lengths[1], 1e-9)
        angle = np.maximum(np.arccos(np.clip(cosine, -1, 1)), 1e-3)
        for frame in range(frames):
            share = frame / frames
            shares = (np.sin((1 - share) * angle), np.sin(share * angle))
            yield np.float32((shares[0] * here + shares[1] * there) / np.sin(angle))
