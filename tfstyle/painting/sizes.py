"""Painting with a trained network: a picture of any size, whole or in pieces nobody can tell."""

import base64
import functools
import io
import itertools
import zipfile
from importlib.resources import files
from pathlib import Path

import keras
import numpy as np
from keras import ops

from tfstyle.config import CODE_SIDE, PaintConfig
from tfstyle.networks.graphs import compiled
from tfstyle.pictures import MIN_SIDE, for_code, read_image, resize, to_pil

WHOLE_PIXELS = 4_000_000  # what is painted at once takes up to 0.6 kB of memory a pixel
TOGETHER = 1_000_000  # pixels of several pictures that are painted at once; more gain nothing
TILE = 768  # side of a piece, without the border that overlaps with others
SAMPLES, SAMPLE = 16, 256  # number and side of the pieces that statistics are taken from


def load_painter(path):
    """Load a trained network.

    Args:
        path: A `.keras` file that `tfstyle.training.feed_forward.train` wrote.

    Returns:
        A `tfstyle.networks.Generator`.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file holds something else.
    """
    from tfstyle.networks import Generator

    if not Path(path).is_file():
        raise FileNotFoundError(f"There is no network '{path}'.")
    try:
        network = keras.saving.load_model(path, compile=False)
    except (ValueError, TypeError, OSError, KeyError, zipfile.BadZipFile) as error:
        raise ValueError(f"'{path}' does not hold a network of tfstyle: {error}") from error
    if not isinstance(network, Generator):
        raise ValueError(f"'{path}' holds a {type(network).__name__}, no network of tfstyle.")
    return network


def paint(network, image, config=None, *, style_weights=None, moments=None):
    """Paint a picture.

    Args:
        network: `Generator`.
        image: Float32 array `(height, width, 3)` in [0, 1].
        config: `PaintConfig`; its size and color are not looked at here.
        style_weights: A weight for each of the network's styles. Default: the first style.
        moments: Statistics to use in place of those that the config says, as `picture_moments`
            returns them.

    Returns:
        Float32 array of the shape of `image`, in [0, 1].

    Raises:
        ValueError: If the style weights cannot be used.

    Source of statistics apart from pieces: Chen et al. (2022), "Towards Ultra-Resolution Neural
    Style Transfer via Thumbnail Instance Normalization". Departs from it: pieces at full size in
    place of a thumbnail, whose statistics are others.
    """
    return paint_batch(network, [image], config, style_weights=style_weights, moments=moments)[0]


def paint_batch(network, images, config=None, *, style_weights=None, moments=None):
    """Paint pictures of one size, which for small ones takes less time than one by one.

    Args:
        images: List of arrays as for `paint`, all of one shape.
        network, config, style_weights, moments: As for `paint`.

    Returns:
        List of float32 arrays in [0, 1].

    Raises:
        ValueError: If the style weights cannot be used.
    """
    config = config or PaintConfig()
    points, share = _at_strength(network, network.point(style_weights), images, config)
    photos, (statistics, *_) = zip(*(_at_stroke_size(i, config) for i in images), strict=True)
    if moments is None and statistics == "whole":
        stylized = np.asarray(_whole(network)(np.stack(photos), points))
    else:
        each = np.broadcast_to(points, (len(photos), points.shape[-1]))[:, None]
        stylized = [
            _in_pieces(network, photo, point, moments or MOMENTS[statistics](network, photo, point))
            for photo, point in zip(photos, each, strict=True)
        ]
    return [_laid(picture, share, i) for i, picture in zip(images, stylized, strict=True)]


def paint_after(network, image, config, style_weights, before, steady):
    """Paint a frame of a film with statistics that move on slowly from those of the frames before.

    Args:
        network, image, config, style_weights: As for `paint`.
        before: Statistics that the frame before was painted with; None for the first.
        steady: Share of them that stays.

    Returns:
        Float32 array of the shape of `image`, in [0, 1], and the statistics.
    """
    photo, statistics = _at_stroke_size(image, config)
    if before is None or statistics != "whole":
        moments = picture_moments(network, image, config, style_weights)
        if before is not None:
            moments = [_moved(*pair, steady) for pair in zip(before, moments, strict=True)]
        return paint(network, image, config, style_weights=style_weights, moments=moments), moments
    point, share = _at_strength(network, network.point(style_weights), [image], config)
    pictures, moments = _moving(network)(photo[None], point, before, np.float32(steady))
    return _laid(np.asarray(pictures)[0], share, image), moments


def _laid(picture, share, image):
    """Return what was painted, at the size of a photograph, and with some of it."""
    picture = resize(picture, image.shape[:2])
    return picture if share == 1 else image + np.float32(share) * (picture - image)


def _moved(before, found, steady):
    """Return a norm's moments, moved on from those before."""
    return tuple(new + steady * (old - new) for old, new in zip(before, found, strict=True))


def thumbnail(network, style):
    """Paint the photograph that ships with the package; return a JPEG of 128 px as base64 text."""
    photo = resize(read_image(files("tfstyle") / "pictures" / "lake.jpg").rgb, 384)
    painted = paint(network, photo, style_weights=np.eye(network.num_styles)[style])
    file = io.BytesIO()
    to_pil(resize(painted, 128)).save(file, "JPEG", quality=80)
    return base64.b64encode(file.getvalue()).decode()


def picture_moments(network, image, config, style_weights):
    """Return `[(mean, variance)]` for all instance norms, found as the config says."""
    point, _ = _at_strength(network, network.point(style_weights), [image], config)
    photo, statistics = _at_stroke_size(image, config)
    return MOMENTS[statistics](network, photo, point)


def _at_strength(network, point, images, config):
    """Return what `Generator.at_strength` does, of photographs as large as paintings are read."""
    if config.strength == 1:
        return point, 1.0
    small = [for_code(image, min(CODE_SIDE, max(image.shape[:2]))) for image in images]
    return network.at_strength(point, np.stack(small), config.strength)


def _at_stroke_size(image, config):
    """Return a picture at the size that it is painted at, and how its statistics are found."""
    sides = (max(MIN_SIDE, round(side / config.stroke_size)) for side in image.shape[:2])
    photo = resize(image, tuple(sides))
    if config.statistics != "auto":
        return photo, config.statistics
    return photo, "whole" if photo[..., 0].size <= WHOLE_PIXELS else "sampled"


def whole_moments(network, image, style_weights):
    """Return `[(mean, variance)]` for all instance norms, of a whole picture at once."""
    return _finding(network)(image[None], style_weights)


def sampled_moments(network, image, style_weights):
    """Return `[(mean, variance)]` for all instance norms, from pieces spread over a picture.

    The pieces go through the network together, and each norm sees them as one picture.
    """
    height, width = image.shape[:2]
    side = min(SAMPLE, height - height % network.multiple, width - width % network.multiple)
    count = max(1, min(SAMPLES, height * width // side**2))
    rows = max(1, min(count, round((count * height / width) ** 0.5)))
    columns = max(1, count // rows)
    tops, lefts = (
        np.linspace(0, length - side, n + 2)[1:-1].astype(int) if n > 1 else [(length - side) // 2]
        for length, n in ((height, rows), (width, columns))
    )
    pieces = [image[y : y + side, x : x + side] for y, x in itertools.product(tops, lefts)]
    return _finding(network)(np.stack(pieces), style_weights)


def exact_moments(network, image, style_weights):
    """Return `[(mean, variance)]` for all instance norms, of a whole picture seen in pieces.

    A pass over all pieces for every norm, each with the statistics of those before.
    """
    known = []
    for number in range(_number_of_norms(network)):
        look = _looking(network, number)
        total, squares, count = 0.0, 0.0, 0
        for piece, core, _ in _pieces(network, image):
            mean, square, positions = (
                np.asarray(value, np.float64)
                for value in look(piece[None], style_weights, known, np.int32(core))
            )
            total, squares = total + mean * positions, squares + square * positions
            count += positions
        mean = total / count
        variance = np.maximum(squares / count - mean**2, 0)
        known = [*known, (np.float32(mean), np.float32(variance))]
    return known


MOMENTS = {"whole": whole_moments, "sampled": sampled_moments, "exact": exact_moments}


def _in_pieces(network, image, style_weights, moments):
    height, width = image.shape[:2]
    stylized = np.empty((height, width, 3), np.float32)
    paint_piece = _known(network)
    for piece, (top, bottom, left, right), (y, x) in _pieces(network, image):
        painted = np.asarray(paint_piece(piece[None], style_weights, moments))[0]
        painted = painted[top:bottom, left:right]
        rows, columns = min(len(painted), height - y), min(painted.shape[1], width - x)
        stylized[y : y + rows, x : x + columns] = painted[:rows, :columns]
    return stylized


def _pieces(network, image):
    """Yield pieces that overlap by the network's reach, the part of each that counts, as (top,
    bottom, left, right), and where that part belongs, as (top, left)."""
    multiple = network.multiple
    border = -(-network.reach // multiple) * multiple
    height, width = (side + -side % multiple for side in image.shape[:2])
    for y, x in itertools.product(range(0, height, TILE), range(0, width, TILE)):
        top, left = max(0, y - border), max(0, x - border)
        bottom, right = min(height, y + TILE + border), min(width, x + TILE + border)
        core = (y - top, min(height, y + TILE) - top, x - left, min(width, x + TILE) - left)
        piece = image[top:bottom, left:right]
        more = [(0, bottom - top - len(piece)), (0, right - left - piece.shape[1]), (0, 0)]
        yield np.pad(piece, more, "reflect"), core, (y, x)


@functools.lru_cache(maxsize=8)
def _whole(network):
    return compiled(lambda images, style_weights: network(images, style_weights), any_size=True)


@functools.lru_cache(maxsize=8)
def _known(network):
    def paint_piece(images, style_weights, moments):
        moments = iter(moments)
        stylized = network.paint(
            images, normalize=lambda norm, x: norm(x, style_weights, next(moments))
        )
        return ops.clip(stylized, 0, 1)

    return compiled(paint_piece, any_size=True)


@functools.lru_cache(maxsize=8)
def _finding(network):
    """Return a function that finds the moments of pictures which each norm sees as one."""

    def find(images, style_weights):
        found = []

        def normalize(norm, x):
            found.append(norm.moments(ops.reshape(x, (1, -1, 1, x.shape[-1]))))
            return norm(x, style_weights, found[-1])

        network(images, normalize=normalize)
        return found

    return compiled(find, any_size=True)


@functools.lru_cache(maxsize=8)
def _moving(network):
    """Return a function that paints pictures and moves each norm's moments on its way, so that one
    pass is enough."""

    def paint_moving(images, style_weights, before, steady):
        before, moved = iter(before), []

        def normalize(norm, x):
            moved.append(_moved(next(before), norm.moments(x), steady))
            return norm(x, style_weights, moved[-1])

        return network(images, normalize=normalize), moved

    return compiled(paint_moving, any_size=True)


@functools.lru_cache(maxsize=64)
def _looking(network, number):
    """Return a function that looks at the input of one norm, given the moments of those before."""

    def look(images, style_weights, known, core):
        seen, height = [], ops.shape(images)[1]

        def normalize(norm, x):
            seen.append(x)
            moments = known[len(seen) - 1] if len(seen) <= len(known) else None
            return norm(x, style_weights, moments)

        network.paint(images, normalize=normalize)  # what comes after is not computed
        x = ops.cast(seen[number], "float32")
        cell = height // ops.shape(x)[1]
        top, bottom, left, right = (core[i] // cell for i in range(4))
        x = x[:, top:bottom, left:right]
        positions = ops.shape(x)[1] * ops.shape(x)[2]
        mean = ops.mean(x, (1, 2), keepdims=True)
        return mean, ops.mean(x * x, (1, 2), keepdims=True), positions

    return compiled(look, any_size=True)


@functools.lru_cache(maxsize=64)
def _number_of_norms(network):
    count = 0

    def normalize(norm, x):
        nonlocal count
        count += 1
        return norm(x, np.eye(1, network.num_styles, dtype=np.float32))

    network.paint(np.zeros((1, 32, 32, 3), np.float32), normalize=normalize)
    return count
