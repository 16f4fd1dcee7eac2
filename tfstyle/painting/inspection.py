"""What a loss network sees in a picture: its layers, their statistics, classes, edges."""

from pathlib import Path
from typing import NamedTuple

import keras
import numpy as np
from keras import ops
from PIL import Image, ImageDraw, ImageFont

from tfstyle.config import LAYERS
from tfstyle.losses import gram_matrix
from tfstyle.networks.features import FeatureExtractor, channels_last
from tfstyle.pictures import resize, to_pil


class LayerRow(NamedTuple):
    """Settings of one layer of a network; None where it has no such setting."""

    name: str
    kind: str
    filters: int | None
    kernel: tuple[int, int] | None
    strides: tuple[int, int] | None
    pool: tuple[int, int] | None
    padding: str | None
    activation: str | None


class LayerStatistics(NamedTuple):
    """What a layer makes of a picture; of the values the least, the greatest and the mean."""

    name: str
    shape: tuple[int, int, int]
    features: tuple[float, float, float]
    gram: tuple[float, float, float]


def layer_table(network):
    """Return a `LayerRow` for every layer of a network, its input left out."""
    return [
        LayerRow(
            layer.name,
            type(layer).__name__,
            getattr(layer, "filters", None),
            getattr(layer, "kernel_size", None),
            getattr(layer, "strides", None),
            getattr(layer, "pool_size", None),
            getattr(layer, "padding", None),
            getattr(getattr(layer, "activation", None), "__name__", None),
        )
        for layer in network.layers
        if not isinstance(layer, keras.layers.InputLayer)
    ]


def layer_statistics(network, rgb, layers):
    """Measure the features and Gram matrices of a picture, in the order of `layers`.

    Args:
        network: A loss network, see `tfstyle.networks.features.load_network`.
        rgb: Float array `(height, width, 3)`, [0, 1].
        layers: Names of layers; the list returned has a `LayerStatistics` for each.

    Raises:
        ValueError: If `layers` is empty, or holds one that is unknown or too deep.
    """
    if not layers:
        raise ValueError(f"`layers` must name at least one layer. Received: layers={layers!r}.")
    extractor = FeatureExtractor(network, layers)
    if min(rgb.shape[:2]) < (least := max(extractor.strides.values())):
        raise ValueError(
            f"These layers need {least} px a side. Received: {rgb.shape[1]} × {rgb.shape[0]} px."
        )
    seen = extractor(rgb[np.newaxis])
    return [
        LayerStatistics(
            name,
            tuple(seen[name].shape[1:]),
            _statistics(seen[name]),
            _statistics(gram_matrix(seen[name])),
        )
        for name in layers
    ]


def top_classes(rgb, weights, count=5, name="vgg19"):
    """Name what the full network takes a picture for: a check that weights are right.

    Args:
        rgb: Float array `(height, width, 3)`, [0, 1]; squeezed into the network's square.
        weights: Path of the full network's weights, in Keras' layout.
        count: How many classes.
        name: `"vgg19"` or `"vgg16"`.

    Returns:
        A list of `(class, probability)`, likeliest first. The names are in a small file that
        Keras downloads once; without it a class is called like `"class 281"`.

    Raises:
        ValueError: If `name` is unknown or the file does not hold that network.
        FileNotFoundError: If the file is missing.
    """
    if name not in LAYERS:
        raise ValueError(f"`network` must be one of {tuple(LAYERS)}. Received: {name!r}.")
    if not Path(weights).is_file():
        raise FileNotFoundError(f"There is no file {str(weights)!r} with weights of {name}.")
    application = getattr(keras.applications, name.upper())
    try:
        with channels_last():
            classifier = application(include_top=True, weights=str(weights))
    except (ValueError, OSError) as error:
        raise ValueError(
            f"{str(weights)!r} does not hold {name} with its classifier in Keras' layout: {error}"
        ) from error
    pixels = resize(rgb, classifier.input_shape[1:3])[np.newaxis] * 255
    imagenet = keras.applications.imagenet_utils
    pixels = imagenet.preprocess_input(pixels, data_format="channels_last")
    probabilities = ops.convert_to_numpy(classifier(pixels))
    try:
        named = imagenet.decode_predictions(probabilities, top=count)[0]
        return [(label.replace("_", " "), float(share)) for _, label, share in named]
    except Exception:  # Keras raises bare Exception when a download fails
        likeliest = np.argsort(-probabilities[0])[:count]
        return [(f"class {i}", float(probabilities[0, i])) for i in likeliest]


def high_pass(rgb, axis):
    """Subtract each pixel from its right (`axis=1`) or lower (`axis=0`) neighbor; 0 at the end."""
    return np.diff(rgb, axis=axis, append=np.take(rgb, [-1], axis=axis))


def sobel_magnitude(rgb):
    """Return Sobel's gradient `(height, width)`, root mean square over colors, 4 at full steps."""
    x = np.pad(rgb, ((1, 1), (1, 1), (0, 0)), mode="reflect")
    dx, dy = x[:, 2:] - x[:, :-2], x[2:] - x[:-2]
    dx = dx[:-2] + 2 * dx[1:-1] + dx[2:]
    dy = dy[:, :-2] + 2 * dy[:, 1:-1] + dy[:, 2:]
    return np.sqrt(np.mean(dx**2 + dy**2, axis=-1))


def edge_figure(pictures):
    """Return a PIL image of pictures and their edges, all in one contrast so that rows compare.

    Args:
        pictures: A list of `(label, rgb)`, float arrays `(height, width, 3)` in [0, 1]. The row
            of each: itself, differences in x and in y around mid-grey, Sobel magnitude.

    Source: https://www.tensorflow.org/tutorials/generative/style_transfer.
    Departs from it: contrast that fits the pictures; one Sobel map, where it shows two.
    """
    maps = [(high_pass(rgb, 1), high_pass(rgb, 0), sobel_magnitude(rgb)) for _, rgb in pictures]
    slope = 0.5 / _bright([difference for dx, dy, _ in maps for difference in (dx, dy)])
    white = _bright([magnitude for *_, magnitude in maps])
    tiles = []
    for (label, rgb), (dx, dy, magnitude) in zip(pictures, maps, strict=True):
        tiles += [(label, rgb), ("horizontal high-pass", 0.5 + slope * dx)]
        tiles += [("vertical high-pass", 0.5 + slope * dy)]
        tiles += [("Sobel magnitude", np.dstack([magnitude / white] * 3))]
    widest = max(rgb.shape[1] for _, rgb in pictures)
    text_px = gap = max(12, widest // 28)
    font, head = ImageFont.load_default(size=text_px), round(1.5 * text_px)
    right = max(widest, *(round(font.getlength(text)) for text, _ in tiles)) + gap
    heights = [head + rgb.shape[0] + gap for _, rgb in pictures]
    figure = Image.new("RGB", (gap + 4 * right, gap + sum(heights)), "white")
    for i, (text, array) in enumerate(tiles):
        x, y = gap + i % 4 * right, gap + sum(heights[: i // 4])
        ImageDraw.Draw(figure).text((x, y + text_px), text, (40, 40, 40), font, anchor="ls")
        figure.paste(to_pil(array), (x, y + head))
    return figure


def _statistics(values):
    values = ops.convert_to_numpy(values)
    return float(values.min()), float(values.max()), float(values.mean())


def _bright(arrays):
    """Return a size that few values exceed, by a factor of four at most; never 0."""
    sizes = np.abs(np.concatenate([array.ravel() for array in arrays]))
    return max(np.quantile(sizes, 0.99), sizes.max() / 4, 1e-6)
