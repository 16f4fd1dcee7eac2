"""Milliseconds for a picture: Keras, SavedModel and LiteRT.

    python tests/benchmarks/latency.py [--sizes 256 512 --threads 1 2 --styles wave full.keras]
    python tests/benchmarks/latency.py --model wave.tflite other.tflite

Exports each style to a temporary folder and paints one picture again and again; the median of what
fits into `--seconds` is printed, and the peak of memory that a process of that row had. Each row is
a process of its own, since TensorFlow's number of threads cannot change. `--model` takes LiteRT
files as they are, others' too, whose inputs are then filled with noise at the size they have, or at
`--sizes` where it is open.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np

WAYS = ("keras", "saved-model", "float32", "float16", "dynamic", "int8")
ROW = "{:<14} {:<12} {:>5} px {:>2} threads  {:>8.1f} ms  {:>6.0f} MB"


def painter_of(way, path, size, threads):
    """Return a function without arguments that paints noise."""
    pixels = np.random.default_rng(0).random((1, size, size, 3), np.float32)
    if way == "litert":
        from ai_edge_litert.interpreter import Interpreter

        interpreter = Interpreter(path, num_threads=threads)
        for entry in interpreter.get_input_details():
            if -1 in entry["shape_signature"]:
                interpreter.resize_tensor_input(entry["index"], pixels.shape)
        interpreter.allocate_tensors()
        for entry in interpreter.get_input_details():
            noise = np.resize(pixels, entry["shape"]).astype(entry["dtype"])
            interpreter.set_tensor(entry["index"], noise)
        return interpreter.invoke
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    if way == "saved-model":
        signature = tf.saved_model.load(path).signatures["serving_default"]
        image = tf.constant(pixels)
        return lambda: signature(image=image)["stylized"].numpy()
    from tfstyle.painting import zoo
    from tfstyle.painting.sizes import paint

    network = zoo.load(path)
    return lambda: paint(network, pixels[0])


def measure(way, path, size, threads, seconds):
    """Print median milliseconds and peak megabytes of this process as JSON."""
    run = painter_of(way, path, size, threads)
    run()
    times, end = [], time.perf_counter() + seconds
    while len(times) < 3 or time.perf_counter() < end:
        begun = time.perf_counter()
        run()
        times.append(1000 * (time.perf_counter() - begun))
    with open("/proc/self/status") as lines:
        peak = next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:"))
    print(json.dumps([statistics.median(times), peak / 1024]))


def row(label, way, path, size, threads, seconds):
    """Measure in a process of its own and print a row."""
    kind = way if way in ("keras", "saved-model") else "litert"
    arguments = ["--measure", kind, str(path), str(size), str(threads), str(seconds)]
    done = subprocess.run([sys.executable, __file__, *arguments], capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(done.stderr)
    print(ROW.format(label, way, size, threads, *json.loads(done.stdout)), flush=True)


def export(style, way, folder):
    """Return the path of a style exported for this way."""
    from tfstyle.export.config import ExportConfig
    from tfstyle.export.litert import write_litert
    from tfstyle.export.saved_model import write_saved_model
    from tfstyle.painting import zoo

    path = zoo.require(style, "style").path
    if way == "keras":
        return path
    if way == "saved-model":
        return write_saved_model(zoo.load(path), folder / path.stem)
    config = ExportConfig(format="litert", precision=way)
    return write_litert(zoo.load(path), folder / f"{path.stem}_{way}.tflite", config)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=[256, 512])
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--styles", nargs="+", default=["wave"])
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=WAYS)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--model", type=Path, nargs="+", help="LiteRT files in place of styles")
    parser.add_argument("--measure", nargs=5, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        way, path, size, threads, seconds = options.measure
        measure(way, path, int(size), int(threads), float(seconds))
        return
    with tempfile.TemporaryDirectory() as folder:
        paths = {(model.stem, "litert"): model for model in options.model or ()}
        for style in () if options.model else options.styles:
            paths |= {(style, way): export(style, way, Path(folder)) for way in options.ways}
        for (label, way), path in paths.items():
            for size in options.sizes:
                for threads in options.threads:
                    row(label, way, path, size, threads, options.seconds)


if __name__ == "__main__":
    main()
