"""`tfstyle inspect`: look at a picture as the loss network does."""

import contextlib
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from tfstyle.cli import flags
from tfstyle.cli.quiet import load_tensorflow
from tfstyle.config import RECIPES, Recipe
from tfstyle.pictures import MIN_SIDE, check_output_path, read_image, resize, save_image

_TUTORIAL = RECIPES["tutorial"]


@dataclass(frozen=True, kw_only=True)
class Inspect:
    """Look at a picture as the loss network does."""

    photo: tyro.conf.Positional[Path]
    """The photograph."""
    result: tyro.conf.Positional[Path | None] = None
    """What was painted from it, to compare."""
    output: Annotated[Path | None, tyro.conf.arg(aliases=("-o",))] = None
    """Picture of the edges to write. Default: <photograph>_edges.png in the current folder."""
    size: int = Recipe.size
    """Long side in pixels at which the pictures are looked at."""
    network: Literal["vgg16", "vgg19"] = Recipe.network
    """Loss network."""
    layers: tuple[str, ...] = (*_TUTORIAL.style_layers, *_TUTORIAL.content_layers)
    """Layers to measure."""
    weights: Path | None = None
    """Weights of the full network, which names what it sees. Default: Keras' download, if any."""


def run(arguments):
    """Inspect as `arguments` say."""
    options = flags.read(Inspect, "tfstyle inspect", arguments)
    output = options.output or Path(f"{options.photo.stem}_edges.png")
    check_output_path(output, inputs=(options.photo, options.result))
    if options.size < MIN_SIDE:
        raise ValueError(f"`size` must be at least {MIN_SIDE} px. Received: size={options.size}.")
    weights = options.weights or _cached_weights(options.network)
    if options.weights and not weights.is_file():
        raise FileNotFoundError(f"There is no file '{weights}' with weights of {options.network}.")
    paths = {"content": options.photo}
    if options.result is not None:
        paths["result"] = options.result
    pictures = {label: read_image(path) for label, path in paths.items()}
    rgb = {label: resize(picture.rgb, options.size) for label, picture in pictures.items()}
    load_tensorflow()
    from tfstyle.networks import features
    from tfstyle.painting import inspection

    with contextlib.redirect_stdout(sys.stderr):  # Keras' progress of downloads
        network = features.load_network(options.network)
        statistics = {
            label: inspection.layer_statistics(network, rgb[label], options.layers) for label in rgb
        }
        classes = []
        if weights.is_file():
            classes = inspection.top_classes(rgb["content"], weights, name=options.network)
    save_image(inspection.edge_figure(list(rgb.items())), output)

    for label, picture in pictures.items():
        print(f"{label}: {_facts(paths[label], picture, rgb[label])}")
    print(f"\nlayers of {options.network}")
    print(_table(inspection.LayerRow._fields, map(_settings, inspection.layer_table(network))))
    for label, rows in statistics.items():
        print(f"\nfeatures and Gram matrices of the {label}")
        header = "layer", "shape", *("min", "max", "mean"), *("Gram min", "Gram max", "Gram mean")
        print(_table(header, map(_numbers, rows)))
    if classes:
        print("\nclasses of the content")
        print(_table(("class", "probability"), [(c, f"{100 * p:.1f} %") for c, p in classes]))
    else:
        command = f'python -c "import keras; keras.applications.{options.network.upper()}()"'
        print(f"\nclasses: give --weights FILE, or fetch it once: {command}")
    print(f"\nedges: {output}")


def _cached_weights(network):
    """Return where Keras keeps the full network, be it there or not."""
    home = Path(os.environ.get("KERAS_HOME") or Path.home() / ".keras")
    return home / "models" / f"{network}_weights_tf_dim_ordering_tf_kernels.h5"


def _facts(path, picture, rgb):
    """Describe a picture in one line."""
    alpha = "opaque"
    if picture.alpha is not None:
        alpha = f"{100 * (1 - picture.alpha.mean()):.0f} % transparent, seen on white"
    return f"{path.name}, {_size(picture.rgb)}, {alpha}, looked at in {_size(rgb)}"


def _size(rgb):
    height, width = rgb.shape[:2]
    return f"{width} × {height} px"


def _settings(row):
    """Write a `LayerRow` for the table."""
    return ["×".join(map(str, x)) if isinstance(x, tuple) else "-" if x is None else x for x in row]


def _numbers(row):
    """Write a `LayerStatistics` for the table."""
    return [row.name, "×".join(map(str, row.shape)), *(f"{x:.2f}" for x in row.features + row.gram)]


def _table(header, rows):
    """Align columns: words to the left, numbers to the right."""
    rows = [[str(cell) for cell in row] for row in rows]
    columns = []
    for title, *cells in zip(header, *rows, strict=True):
        width = max(map(len, (title, *cells)))
        numeric = any(cell[0].isdigit() for cell in cells)
        columns.append([f"{cell:{'>' if numeric else '<'}{width}}" for cell in (title, *cells)])
    return "\n".join("  ".join(cells).rstrip() for cells in zip(*columns, strict=True))
