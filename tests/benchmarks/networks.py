"""Seconds per picture and pictures per second of training, beside PyTorch.

    pip install torch==2.13.0            # only for the PyTorch rows
    python tests/benchmarks/networks.py paint [--sizes 512]
    python tests/benchmarks/networks.py train [--size 256 --batch 4]
    python tests/benchmarks/networks.py data PHOTOS [--size 256 --batch 4]

`paint`: one forward pass of a picture, medians of passes taken in turn. `train`: one step of
Johnson's training (losses of its column in `tfstyle.TRAININGS["johnson"]`, of VGG-19) on random
pictures, Adam included. `data`: what the pipeline gives alone, and how much longer a step of the
default training takes when it gets its pictures from there than when they are at hand.
"""

import argparse
import os
import statistics
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np


def measure(steps, repeat):
    """Return the median seconds of each step, measured in turn."""
    times = {name: [] for name in steps}
    for turn in range(repeat + 2):
        for name, step in steps.items():
            begun = time.perf_counter()
            step()
            if turn > 1:  # the first ones trace
                times[name].append(time.perf_counter() - begun)
    return {name: statistics.median(values) for name, values in times.items()}


def torch_network():
    """Return Johnson's network in PyTorch, written as its authors and their followers do."""
    from torch import nn

    class Residual(nn.Module):
        def __init__(self):
            super().__init__()
            self.way = nn.Sequential(*conv(128, 128, 3), *conv(128, 128, 3)[:-1])

        def forward(self, x):
            return x + self.way(x)

    def conv(channels, filters, size, stride=1):
        return [
            nn.ReflectionPad2d(size // 2),
            nn.Conv2d(channels, filters, size, stride),
            nn.InstanceNorm2d(filters, affine=True),
            nn.ReLU(),
        ]

    def double():
        return nn.Upsample(scale_factor=2, mode="nearest")

    return nn.Sequential(
        *conv(3, 32, 9),
        *conv(32, 64, 3, 2),
        *conv(64, 128, 3, 2),
        *(Residual() for _ in range(5)),
        *(double(), *conv(128, 64, 3)),
        *(double(), *conv(64, 32, 3)),
        nn.ReflectionPad2d(4),
        nn.Conv2d(32, 3, 9),
        nn.Sigmoid(),
    )


def paint(options):
    """Print seconds per picture of each network."""
    import tensorflow as tf

    from tfstyle.networks import CrispNet, LeanNet, TransformNet

    try:
        import torch
    except ImportError:
        torch = None
        print("PyTorch is not installed: its row is left out.")
    for size in options.sizes:
        image = np.random.default_rng(0).random((1, size, size, 3), np.float32)
        steps = {}
        networks = {
            "full": TransformNet(),
            "crisp": CrispNet(),
            "crisp, 5 blocks": CrispNet(blocks=5),
            "lean": LeanNet(),
        }
        for name, network in networks.items():
            call = tf.function(network)
            steps[f"tfstyle, {name}"] = lambda call=call, image=image: call(image).numpy()
        if torch:
            network, x = torch_network().eval(), torch.from_numpy(image.transpose(0, 3, 1, 2))

            def run(network=network, x=x):
                with torch.inference_mode():
                    network(x)

            steps["PyTorch, full"] = run
        medians = measure(steps, options.repeat)
        for name, median in medians.items():
            ratio = medians["tfstyle, full"] / median
            print(f"  {size}×{size} px  {name:<24} {median:6.3f} s  {ratio:5.2f}× tfstyle's full")


def tfstyle_step(network, config, precision, images, style):
    """Return a training step of tfstyle as `fit` runs it."""
    import keras

    from tfstyle.losses import terms_of
    from tfstyle.model import StyleContentModel
    from tfstyle.networks import GENERATORS
    from tfstyle.networks.features import FeatureExtractor

    generator = GENERATORS[config.architecture](dtype=precision)
    extractor = FeatureExtractor(network, config.layers, dtype=precision)
    model = StyleContentModel(generator, extractor, terms_of(config))
    model.set_style([style])
    model.compile(keras.optimizers.Adam(1e-3))
    return lambda: model.train_on_batch(images)


def torch_step(network, config, images, style):
    """Return the same step in PyTorch, with the same weights of the loss network."""
    import torch
    from torch_vgg import convert, gram, look

    vgg = convert(network, config.style_layers[-1])
    x = torch.from_numpy(images.transpose(0, 3, 1, 2).copy())
    with torch.no_grad():
        seen = look(vgg, torch.from_numpy(style.transpose(0, 3, 1, 2).copy()))
        targets = {layer: gram(seen[layer]) for layer in config.style_layers}
    painter = torch_network()
    optimizer = torch.optim.Adam(painter.parameters(), 1e-3)
    weights, content_layer = config.layer_weights("style"), config.content_layers[0]

    def step():
        optimizer.zero_grad()
        y = painter(x)
        with torch.no_grad():
            kept = look(vgg, x, last=content_layer)[content_layer]
        seen = look(vgg, y)
        content = ((seen[content_layer] - kept) ** 2).mean()
        styles = [
            w * ((gram(seen[layer]) - targets[layer]) ** 2).mean() for layer, w in weights.items()
        ]
        (content + config.style_weight * sum(styles)).backward()
        optimizer.step()

    return step


def train(options):
    """Print training pictures per second of each implementation."""
    from tfstyle.config import training_with
    from tfstyle.networks.features import fastest_precision, load_network

    config = training_with("johnson", network="vgg19")
    network, random = load_network("vgg19"), np.random.default_rng(0)
    images = random.random((options.batch, options.size, options.size, 3), np.float32)
    style = random.random((1, options.size, options.size, 3), np.float32)
    steps = {"tfstyle, float32": tfstyle_step(network, config, "float32", images, style)}
    if (precision := fastest_precision()) != "float32":
        steps[f"tfstyle, {precision} (auto)"] = tfstyle_step(
            network, config, precision, images, style
        )
    try:
        steps["PyTorch"] = torch_step(network, config, images, style)
    except ImportError:
        print("PyTorch is not installed: its row is left out.")
    medians = measure(steps, options.repeat)
    print(f"full network, {options.batch} pictures of {options.size}×{options.size} px a step")
    for name, median in medians.items():
        print(f"  {name:<32} {median:6.2f} s  {options.batch / median:6.2f} pictures/s")


def data(options):
    """Print what the pipeline gives, and what it costs a step."""
    from tfstyle.config import training_with
    from tfstyle.networks.features import fastest_precision, load_network
    from tfstyle.training.data import Photos, batches

    config = training_with("lean")
    photos = Photos(options.photos)

    def pictures(size):
        return iter(batches(photos, size, config.content_size, options.batch))

    iterator, count = pictures(options.size), 50
    batch = next(iterator).numpy()
    begun = time.perf_counter()
    for _ in range(count):
        next(iterator)
    speed = count * options.batch / (time.perf_counter() - begun)
    print(f"  pipeline alone           {speed:6.1f} pictures/s of {len(photos)} photographs")
    style = np.random.default_rng(0).random((1, 512, 512, 3), np.float32)
    step = tfstyle_step(load_network("vgg19"), config, fastest_precision(), batch, style)

    waits, spent = [], []
    for turn in range(options.repeat + 2):
        begun = time.perf_counter()
        next(iterator)
        fetched = time.perf_counter()
        step()
        if turn > 1:
            waits.append(fetched - begun)
            spent.append(time.perf_counter() - begun)
    share = sum(waits) / sum(spent)
    print(
        f"  a step of the lean net   {statistics.median(spent):6.3f} s, waiting {share:.1%} of it"
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(required=True)
    for run in (paint, train, data):
        command = commands.add_parser(run.__name__)
        command.set_defaults(run=run)
        command.add_argument("--repeat", type=int, default=7)
        if run is paint:
            command.add_argument("--sizes", type=int, nargs="+", default=[512])
            continue
        if run is data:
            command.add_argument("photos")
        command.add_argument("--size", type=int, default=256)
        command.add_argument("--batch", type=int, default=4)
    options = parser.parse_args()
    options.run(options)


if __name__ == "__main__":
    main()
