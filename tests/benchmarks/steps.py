"""Seconds per step and peak memory of one loss and gradient, beside the tutorial and PyTorch.

    pip install torch==2.13.0        # only for the PyTorch rows
    python tests/benchmarks/steps.py speed  [--height 384 --width 512]
    python tests/benchmarks/steps.py memory [--sizes 512 1024 2048] [--memory-gb 4]

All rows compute the tutorial's loss of a random picture and its gradient, with one thread per
core. `speed` prints the median of several steps, taken in turn. `memory` runs each size in a
process of its own and prints the largest resident size of an L-BFGS run of 13 evaluations, with the
recipe `default`, as a user would have it: loading, targets and all that L-BFGS remembers included.
"""

import argparse
import os
import resource
import statistics
import subprocess
import sys
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

STYLE_LAYERS = [f"block{i}_conv1" for i in range(1, 6)]
CONTENT_LAYER = "block5_conv2"


def tutorial_step(network, content, style):
    """Return the tutorial's step, as `tests/benchmarks/optimizers.py` has it."""
    import tensorflow as tf
    from optimizers import Tutorial

    tutorial = Tutorial(network, content, style)
    image = tf.Variable(content)

    @tf.function
    def step():
        with tf.GradientTape() as tape:
            loss = tutorial.loss(image)
        return tape.gradient(loss, image)

    return lambda: step().numpy()


def tfstyle_step(network, content, style, precision):
    """Return what the optimizers of tfstyle call."""
    from tfstyle.config import recipe_with
    from tfstyle.losses import terms_of
    from tfstyle.model import StyleContentModel
    from tfstyle.networks import Canvas
    from tfstyle.networks.features import FeatureExtractor

    recipe = recipe_with("tutorial")
    extractor = FeatureExtractor(network, recipe.layers, dtype=precision)
    model = StyleContentModel(Canvas(*content.shape[1:3]), extractor, terms_of(recipe))
    model.set_content(content)
    model.set_style([style])
    model.stylizer.paint(content)
    evaluate = model.loss_and_gradient()
    return lambda: evaluate(None)[1].numpy()


def torch_step(network, content, style, channels_last):
    """Return the same step in PyTorch, with the same weights."""
    import torch
    from torch_vgg import convert, gram, look

    layout = torch.channels_last if channels_last else torch.contiguous_format
    vgg = convert(network, CONTENT_LAYER).to(memory_format=layout)

    def picture(array):
        x = torch.from_numpy(array.transpose(0, 3, 1, 2).copy())
        return x.contiguous(memory_format=layout)

    def grams_and_content(image):
        seen = look(vgg, image)
        return [gram(seen[layer]) for layer in STYLE_LAYERS], seen[CONTENT_LAYER]

    with torch.no_grad():
        targets = grams_and_content(picture(style))[0]
        kept = grams_and_content(picture(content))[1]
    image = picture(content).requires_grad_(True)

    def step():
        image.grad = None
        grams, seen = grams_and_content(image)
        styles = [((a - b) ** 2).mean() for a, b in zip(grams, targets, strict=True)]
        variation = (image[:, :, 1:] - image[:, :, :-1]).abs().sum() + (
            image[:, :, :, 1:] - image[:, :, :, :-1]
        ).abs().sum()
        loss = 1e-2 * sum(styles) / 5 + 1e4 * ((seen - kept) ** 2).mean() + 30 * variation
        loss.backward()
        return image.grad.numpy()

    return step


def speed(options):
    """Print seconds per step of each implementation, measured in turn."""
    import numpy as np

    from tfstyle.networks.features import fastest_precision, load_network

    network = load_network()
    rng = np.random.default_rng(0)
    content = rng.random((1, options.height, options.width, 3), np.float32)
    style = rng.random((1, options.height, options.width, 3), np.float32)
    steps = {
        "tutorial, TensorFlow": tutorial_step(network, content, style),
        "tfstyle, float32": tfstyle_step(network, content, style, "float32"),
    }
    if (precision := fastest_precision()) != "float32":
        steps[f"tfstyle, {precision} (auto)"] = tfstyle_step(network, content, style, precision)
    try:
        steps["PyTorch"] = torch_step(network, content, style, channels_last=False)
        steps["PyTorch, channels last"] = torch_step(network, content, style, channels_last=True)
    except ImportError:
        print("PyTorch is not installed: its rows are left out.")
    times = {name: [] for name in steps}
    for turn in range(options.repeat + 1):
        for name, step in steps.items():
            begun = time.perf_counter()
            step()
            if turn:  # the first one traces
                times[name].append(time.perf_counter() - begun)
    print(f"{options.height}×{options.width} px, median of {options.repeat} steps")
    slowest = statistics.median(times["tutorial, TensorFlow"])
    for name, values in times.items():
        median = statistics.median(values)
        print(
            f"  {name:<36} {median:6.3f} s  (min {min(values):.3f}, max {max(values):.3f})  "
            f"{slowest / median:4.2f}× the tutorial's speed"
        )


def memory(options):
    """Print the peak memory of short runs, each in a process of its own."""
    for size in options.sizes:
        for precision in ("float32", "auto"):
            command = [sys.executable, __file__, "one", str(size), precision]
            command += [str(options.memory_gb)] if options.memory_gb else []
            peak = subprocess.run(command, check=True, capture_output=True, text=True).stdout
            print(f"  {size}×{size} px, {precision:<8} {float(peak) / 2**20:6.2f} GiB", flush=True)


def one(options):
    """Run 13 evaluations, of which L-BFGS remembers ten, and print the peak memory in KiB."""
    import numpy as np

    import tfstyle

    photo = np.random.default_rng(0).random((options.size, options.size, 3), np.float32)
    tfstyle.stylize(
        photo,
        photo,
        size=options.size,
        steps=13,
        precision=options.precision,
        memory_gb=options.memory_gb,
    )
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(required=True)
    command = commands.add_parser("speed")
    command.set_defaults(run=speed)
    command.add_argument("--height", type=int, default=384)
    command.add_argument("--width", type=int, default=512)
    command.add_argument("--repeat", type=int, default=7)
    command = commands.add_parser("memory")
    command.set_defaults(run=memory)
    command.add_argument("--sizes", type=int, nargs="+", default=[512, 1024, 2048])
    command.add_argument("--memory-gb", type=float)
    command = commands.add_parser("one")
    command.set_defaults(run=one)
    command.add_argument("size", type=int)
    command.add_argument("precision")
    command.add_argument("memory_gb", type=float, nargs="?")
    options = parser.parse_args()
    options.run(options)


if __name__ == "__main__":
    main()
