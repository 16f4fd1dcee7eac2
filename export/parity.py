"""Proof that an exported network paints as the network does, and what it takes."""

import functools
import io
import math
import statistics
import time
from pathlib import Path

import numpy as np

from tfstyle.config import PaintConfig
from tfstyle.export.calibration import SHIPPED, cover, picture_files
from tfstyle.export.config import ExportConfig
from tfstyle.export.footprint import peak_memory_mb
from tfstyle.export.frozen import freeze
from tfstyle.export.report import TOLERANCES, Report, Row
from tfstyle.painting.sizes import paint
from tfstyle.pictures import for_code, read_image, resize, to_pil
from tfstyle.pictures.files import refuse_special

SHIPPED_SIDES = (256, 511, 767)  # an odd one, and one that no network's multiple divides
LARGEST_SIDE = 1024
HIGHEST_PSNR = 120.0  # float32 resolves no more
LEAST_RUNS, MOST_RUNS, RUN_SECONDS = 3, 15, 1.0


def verify(path, network, photographs=()):
    """Compare an exported network with the network.

    Args:
        path: What `write_saved_model`, `write_litert` or `write_onnx` wrote.
        network: The `tfstyle.networks.Generator` that was exported. It is made to paint in float32,
            too.
        photographs: Files, or folders of files, reduced to 1024 px where larger; for a file of a
            fixed size, the middle of each. Default: the lake that ships with the package, in
            three sizes.

    Returns:
        A `Report`.

    Raises:
        FileNotFoundError: If there is no export.
        ValueError: If it is not one of tfstyle, or of another network.
        tf.errors.OpError: If a warm-up request of a SavedModel fails.
    """
    painter = open_export(path)
    metadata = painter.metadata
    given, weights = _style(path, metadata, network)
    exact = functools.partial(
        paint,
        freeze(network, ExportConfig(all_styles=True)),
        config=PaintConfig(statistics="whole"),
        style_weights=weights,
    )
    rows = []
    for name, image in _pictures(painter, photographs):
        run = functools.partial(painter, image, given)
        expect = functools.partial(exact, image)
        rows.append(_row(name, painter.signature, metadata["precision"], run, expect))
    warmup_requests = 0
    if metadata["format"] == "saved-model":
        from tfstyle.export.warmup import replay_warmup

        rows.append(_row_of_files(name, image, painter, exact, given))
        warmup_requests = replay_warmup(painter.path, painter.loaded)
    files = painter.path.rglob("*") if painter.path.is_dir() else [painter.path]
    return Report(
        export=str(path),
        metadata=metadata,
        file_bytes=sum(file.stat().st_size for file in files if file.is_file()),
        memory_mb=peak_memory_mb(painter, *image.shape[:2]),
        warmup_requests=warmup_requests,
        rows=tuple(rows),
    )


def open_export(path):
    """Return a painter for a `.tflite` or `.onnx` file, else a `SavedModelPainter`.

    Raises:
        FileNotFoundError: If there is none.
        ValueError: If it is not one of tfstyle.
    """
    if Path(path).suffix in (".tflite", ".onnx"):
        refuse_special(path)  # a pipe would be waited for
    if Path(path).suffix == ".tflite":
        from tfstyle.export.litert import LiteRTPainter

        return LiteRTPainter(path)
    if Path(path).suffix == ".onnx":
        from tfstyle.export.onnx import OnnxPainter

        return OnnxPainter(path)
    from tfstyle.export.saved_model import SavedModelPainter

    return SavedModelPainter(path)


def _style(path, metadata, network):
    """Return what to give an export beside the photograph, and the point of style that this is for
    the network: weights, different for all styles that were exported; or a painting."""
    kept = [style["index"] for style in metadata["styles"]]
    architecture = type(network).__name__
    if metadata["architecture"] != architecture or max(kept) >= network.num_styles:
        raise ValueError(
            f"'{path}' holds style {max(kept) + 1} of a {metadata['architecture']}, but the "
            f"network is a {architecture} with number of styles {network.num_styles}."
        )
    if metadata.get("painting"):
        painting = to_pil(for_code(read_image(SHIPPED[1]).rgb))
        painting = np.asarray(painting, np.float32) / 255  # as a file holds it
        return painting, np.asarray(network.encode(painting[None]))
    weights = np.zeros(network.num_styles, np.float32)
    weights[kept] = np.arange(1, len(kept) + 1)
    weights /= weights.sum()
    return weights if metadata["style_weights"] else None, weights


def _pictures(painter, photographs):
    """Yield names and pictures of sizes that an export takes."""
    largest = min(LARGEST_SIDE, math.isqrt(painter.metadata.get("max_pixels", LARGEST_SIDE**2)))
    given = picture_files(photographs) if photographs else SHIPPED[:1]
    for path in given:
        image = read_image(path).rgb
        if painter.size:
            yield path.name, cover(image, painter.size)
            continue
        own = [max(image.shape[:2])] if photographs else SHIPPED_SIDES
        for side in sorted({min(side, largest) for side in own}):
            yield path.name, resize(image, side)


def _row(name, signature, kind, run, expect):
    """Return the `Row` of a picture that `run` paints, and `expect` as it should be."""
    stylized, latency_ms = _measured(run)
    expected = expect()
    difference = 255 * np.abs(np.float64(stylized) - expected)
    squares = max(np.mean((difference / 255) ** 2), 10 ** (-HIGHEST_PSNR / 10))
    largest, mean = TOLERANCES[kind]
    return Row(
        picture=name,
        signature=signature,
        height=expected.shape[0],
        width=expected.shape[1],
        maximum=float(difference.max()),
        mean=float(difference.mean()),
        psnr=float(-10 * np.log10(squares)),
        latency_ms=latency_ms,
        passed=bool(difference.mean() <= mean and difference.max() <= (largest or 255)),
    )


def _row_of_files(name, image, painter, exact, given):
    """Return the `Row` of a picture that goes to a SavedModel, and comes back, as a file."""
    import tensorflow as tf

    from tfstyle.export.signatures import encode

    file = io.BytesIO()
    to_pil(image).save(file, "PNG")
    data = file.getvalue()

    def run():
        return read_image(painter.paint_bytes(data, given)).rgb

    def expect():
        pixels = np.asarray(to_pil(exact(read_image(data).rgb)))
        return read_image(encode(tf.constant(pixels), painter.metadata["encoding"]).numpy()).rgb

    return _row(name, "stylize_bytes", "file", run, expect)


def _measured(run):
    """Return a function's result, and the median time of further calls in milliseconds."""
    result, times = run(), []
    while len(times) < LEAST_RUNS or (sum(times) < RUN_SECONDS and len(times) < MOST_RUNS):
        begun = time.perf_counter()
        run()
        times.append(time.perf_counter() - begun)
    return result, 1e3 * statistics.median(times)
