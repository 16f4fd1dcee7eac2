"""Train the network of any style: the run that made the one that ships.

    python tests/benchmarks/any_training.py --photos FOLDER ... --paintings FOLDER --more FOLDER \
        --output any.keras --minutes 60 --learning-rate 1e-3

PAINTINGS holds `sources.tsv` with columns file, group and note: paintings are drawn by the square
root of their group's size, and every 20th file by name is never trained on. Every photograph of a
step is painted in the style of every painting of the step. The learning rate falls linearly to 3 %.
With `--init any.keras` a run goes on from earlier weights. TFSTYLE_VGG19_WEIGHTS names the loss
network's weights.
"""

import argparse
import csv
import queue
import threading
import time
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from keras import ops
from PIL import Image

from tfstyle.losses import gram_matrix, grid_variation, total_variation
from tfstyle.networks import AnyNet, features
from tfstyle.painting.sizes import load_painter

LAYERS = ("block1_conv2", "block2_conv2", "block3_conv3", "block4_conv1", "block5_conv1")
CONTENT = "block3_conv3"
CONTENT_RAW, CONTENT_NORMED, STYLE, MOMENTS, IDENTITY, CONTRAST, TV, GRID = (
    0.7, 0.3, 6.0, 2.0, 10.0, 0.2, 2.0, 300.0,
)  # fmt: skip
PHOTOS, PAINTINGS, CROP, STYLE_CROP = 4, 3, 128, 192


class Source:
    """Random crops of photographs and of paintings, augmented."""

    def __init__(self, options, seed):
        self.random, self._read = np.random.default_rng(seed), {}
        self.photos = sorted(file for folder in options.photos for file in folder.iterdir())
        files = sorted(options.paintings.glob("*.jpg"))
        with open(options.paintings / "sources.tsv") as table:
            rows = {row["file"]: row for row in csv.DictReader(table, delimiter="\t")}
        self.groups = {}
        for number, file in enumerate(files):
            if number % 20:
                row = rows[file.name]
                enlarged = "enlarged" in (row["note"] or "")
                self.groups.setdefault(row["group"], []).append((file, 0.6 if enlarged else 1.0))
        if options.more:
            self.groups["more"] = [(file, 1.0) for file in sorted(options.more.iterdir())]
        shares = np.sqrt([len(group) for group in self.groups.values()])
        self.shares = shares / shares.sum()

    def load(self, file, short_side):
        if file not in self._read:
            image = Image.open(file).convert("RGB")
            scale = min(1, short_side / min(image.size))
            sides = [round(side * scale) for side in image.size]
            self._read[file] = image.resize(sides, Image.Resampling.LANCZOS)
        return self._read[file]

    def crop(self, image, short_side, size):
        scale = max(size, short_side) / min(image.size)
        sides = [max(size, round(side * scale)) for side in image.size]
        left, top = (int(self.random.integers(side - size + 1)) for side in sides)
        box = [edge / scale for edge in (left, top, left + size, top + size)]
        box[2:] = min(box[2], image.width), min(box[3], image.height)
        pixels = np.asarray(image.resize((size, size), Image.Resampling.BICUBIC, box))
        return pixels[:, ::-1] if self.random.random() < 0.5 else pixels

    def photo(self):
        while True:
            file = self.photos[int(self.random.integers(len(self.photos)))]
            try:
                image = self.load(file, 330)
            except OSError as error:
                print(f"{file}: {error}", flush=True)
                self.photos.remove(file)
                continue
            if min(image.size) >= 100:
                return self.crop(image, int(self.random.integers(170, 331)), CROP) / np.float32(255)

    def painting(self, mix=True):
        random, names = self.random, list(self.groups)
        group = self.groups[names[int(random.choice(len(names), p=self.shares))]]
        file, factor = group[int(random.integers(len(group)))]
        image = self.load(file, 400)
        long_side = 512 * factor * random.uniform(0.6, 1.15)
        pixels = self.crop(image, long_side * min(image.size) / max(image.size), STYLE_CROP)
        if random.random() < 0.5:
            hsv = np.float32(Image.fromarray(pixels).convert("HSV"))
            hsv[..., 0] = (hsv[..., 0] + 256 * random.uniform(-0.1, 0.1)) % 256
            hsv[..., 1] = np.clip(hsv[..., 1] * random.uniform(0.5, 1.5), 0, 255)
            pixels = np.asarray(Image.fromarray(hsv.astype(np.uint8), "HSV").convert("RGB"))
            pixels = np.clip(pixels * random.uniform(0.85, 1.15), 0, 255)
        pixels = pixels / np.float32(255)
        if mix and random.random() < 0.15:  # the colors of another painting
            other = self.painting(mix=False)
            own, theirs = ((p.mean((0, 1)), p.std((0, 1)) + 0.02) for p in (pixels, other))
            pixels = np.clip((pixels - own[0]) / own[1] * theirs[1] + theirs[0], 0, 1)
        return np.float32(pixels)

    def feed(self, batches):
        while True:
            photos = np.stack([self.photo() for _ in range(PHOTOS)])
            batches.put((photos, np.stack([self.painting() for _ in range(PAINTINGS)])))


def statistics(seen):
    """Return Gram matrix, means and deviations of features."""
    gram = gram_matrix(seen)
    mean = ops.mean(ops.cast(seen, "float32"), (1, 2))
    square = ops.diagonal(gram, axis1=1, axis2=2)
    return gram, mean, ops.sqrt(ops.maximum(square - mean**2, 0) + 1e-3)


def relative(value, target, axes):
    return ops.sum((value - target) ** 2, axes) / ops.maximum(ops.sum(target**2, axes), 1e-6)


def normed(seen):
    mean = ops.mean(seen, (1, 2), keepdims=True)
    variance = ops.mean((seen - mean) ** 2, (1, 2), keepdims=True)
    return (seen - mean) * ops.rsqrt(variance + 1)


def step_of(network, extract, optimizer, averages):
    """Return the compiled step from photographs and paintings to the losses."""
    weights = network.trainable_variables

    @tf.function(autograph=False)
    def step(photos, paintings, decay):
        targets = {layer: statistics(seen) for layer, seen in extract(paintings, LAYERS).items()}
        content = ops.cast(extract(photos, (CONTENT,))[CONTENT], "float32")
        each_photo = lambda x: tf.tile(x, [PAINTINGS] + [1] * (x.ndim - 1))  # noqa: E731
        each_painting = lambda x: tf.repeat(x, PHOTOS, 0)  # noqa: E731
        with tf.GradientTape() as tape:
            codes, own = network.encode(paintings), network.encode(photos)
            painted = network(
                ops.concatenate([each_photo(photos), photos[:1]]),
                ops.concatenate([each_painting(codes), own[:1]]),
                training=True,
            )
            painted, same = painted[:-1], painted[-1:]
            seen = extract(painted, LAYERS)
            style = moments = 0.0
            for layer in LAYERS:
                gram, mean, deviation = statistics(seen[layer])
                aims = [each_painting(target) for target in targets[layer]]
                style += ops.mean(relative(gram, aims[0], (1, 2))) / len(LAYERS)
                moments += ops.mean(
                    relative(mean, aims[1], 1) + relative(deviation, aims[2], 1)
                ) / len(LAYERS)
            kept, aim = ops.cast(seen[CONTENT], "float32"), each_photo(content)
            raw = ops.mean(relative(kept, aim, (1, 2, 3)))
            free = ops.mean(relative(normed(kept), normed(aim), (1, 2, 3)))
            identity = ops.mean((same - photos[:1]) ** 2)
            # The painted picture's code is near its painting's and far from all others.
            found, known = network.encode(ops.clip(painted, 0, 1)), ops.concatenate([codes, own])
            distance = ops.mean((found[:, None] - known[None]) ** 2, -1)
            scale = ops.stop_gradient(ops.mean(distance)) + 1e-6
            contrast = ops.mean(
                keras.losses.sparse_categorical_crossentropy(
                    each_painting(tf.range(PAINTINGS)), -4 * distance / scale, from_logits=True
                )
            )
            loss = (
                CONTENT_RAW * raw
                + CONTENT_NORMED * free
                + STYLE * style
                + MOMENTS * moments
                + IDENTITY * identity
                + CONTRAST * contrast
                + TV * total_variation(painted, "smooth")
                + GRID * grid_variation(painted)
                + 1e-3 * ops.mean(codes**2)
            )
        gradients = tape.gradient(loss, weights)
        finite = tf.reduce_all([tf.reduce_all(tf.math.is_finite(g)) for g in gradients])
        # In bfloat16 one step in thousands overflows: it changes nothing.
        gradients = [tf.where(finite, gradient, tf.zeros_like(gradient)) for gradient in gradients]
        optimizer.apply_gradients(zip(gradients, weights, strict=True))
        for average, weight in zip(averages, weights, strict=True):
            average.assign(average + (1 - decay) * (weight.value - average))
        return ops.stack([loss, raw, style, moments, identity, contrast])

    return step


def main(options):
    vgg = features.load_network()
    extractor = features.FeatureExtractor(
        vgg, (CONTENT,), LAYERS, dtype=features.fastest_precision()
    )

    def extract(pictures, layers):
        extractor.content_layers = layers  # as deep as needed, features of all of them
        return extractor(pictures, style=False)["content"]

    network = AnyNet(dtype=extractor.dtype_policy)
    if options.init:
        network.set_weights(load_painter(options.init).get_weights())
    optimizer = keras.optimizers.Adam(options.learning_rate, beta_2=0.99, global_clipnorm=1.0)
    optimizer.build(network.trainable_variables)
    averages = [tf.Variable(weight.value) for weight in network.trainable_variables]
    step = step_of(network, extract, optimizer, averages)
    batches = queue.Queue(6)
    source = Source(options, int(time.time()))
    threading.Thread(target=source.feed, args=(batches,), daemon=True).start()
    begun, steps = time.monotonic(), 0
    while (gone := (time.monotonic() - begun) / 60) < options.minutes:
        fall = max(0.03, 1 - gone / options.minutes)
        optimizer.learning_rate.assign(options.learning_rate * fall * min(1, (steps + 1) / 100))
        found = step(*batches.get(), tf.constant(min(0.999, (1 + steps) / (10 + steps))))
        steps += 1
        if steps % 100 == 0:
            print(f"{steps} {gone:.1f} min", *(f"{value:.4g}" for value in found), flush=True)
    result = AnyNet(card={"styles": [{"name": "any", "about": "the style of any painting"}]})
    for weight, average in zip(result.trainable_variables, averages, strict=True):
        weight.assign(average.numpy().astype(np.float16).astype(np.float32))
    result.save(options.output)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--photos", type=Path, nargs="+", required=True)
    parser.add_argument("--paintings", type=Path, required=True)
    parser.add_argument("--more", type=Path, help="folder of further paintings")
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--init", type=Path)
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--learning-rate", type=float, default=1e-3)
    main(parser.parse_args())
