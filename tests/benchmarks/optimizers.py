"""Wall time to a loss: the TensorFlow tutorial's own loop beside tfstyle's L-BFGS.

    python tests/benchmarks/optimizers.py CONTENT STYLE [--sizes 288 512] [--steps 500 1500]

Both minimize the tutorial's loss from the same picture in one process, one after the other. The
loop below is the tutorial's, written out plainly; its losses after the given steps are the goals.
tfstyle runs the recipe `tutorial` with the optimizer of `default`; every picture whose loss comes
near a goal is judged again by the loop's own float32 loss, and the time of the first that truly
reaches it counts. Times include tracing and exclude loading the weights, which both share.
"""

import argparse
import os
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import tensorflow as tf

from tfstyle.config import RECIPES, recipe_with
from tfstyle.features import load_network
from tfstyle.images import read_image, resize
from tfstyle.optimize import optimize_image

STYLE_LAYERS = [f"block{i}_conv1" for i in range(1, 6)]
CONTENT_LAYERS = ["block5_conv2"]


class Tutorial:
    """The loop of TensorFlow's tutorial on neural style transfer."""

    def __init__(self, network, content, style):
        outputs = [network.get_layer(name).output for name in STYLE_LAYERS + CONTENT_LAYERS]
        self.vgg = keras.Model(network.input, outputs)
        self.style_targets = self.look(style)[0]
        self.content_targets = self.look(content)[1]
        self.step = tf.function(self._step)

    def look(self, image):
        features = self.vgg(keras.applications.vgg19.preprocess_input(image * 255.0))
        styles, contents = features[: len(STYLE_LAYERS)], features[len(STYLE_LAYERS) :]
        return [self.gram(f) for f in styles], contents

    @staticmethod
    def gram(features):
        shape = tf.shape(features)
        positions = tf.cast(shape[1] * shape[2], tf.float32)
        return tf.linalg.einsum("bijc,bijd->bcd", features, features) / positions

    def loss(self, image):
        styles, contents = self.look(image)
        style = tf.add_n(
            [tf.reduce_mean((a - b) ** 2) for a, b in zip(styles, self.style_targets, strict=True)]
        )
        content = tf.add_n(
            [
                tf.reduce_mean((a - b) ** 2)
                for a, b in zip(contents, self.content_targets, strict=True)
            ]
        )
        variation = tf.reduce_sum(tf.image.total_variation(image))
        return 1e-2 * style / len(STYLE_LAYERS) + 1e4 * content + 30 * variation

    def _step(self, image, optimizer):
        with tf.GradientTape() as tape:
            loss = self.loss(image)
        optimizer.apply_gradients([(tape.gradient(loss, image), image)])
        image.assign(tf.clip_by_value(image, 0.0, 1.0))
        return loss

    def run(self, content, steps):
        """Return the loss before each step, and the seconds at which it was known."""
        image = tf.Variable(content)
        optimizer = keras.optimizers.Adam(learning_rate=0.02, beta_1=0.99, epsilon=1e-1)
        losses, seconds, begun = [], [], time.perf_counter()
        for _ in range(steps):
            losses.append(float(self.step(image, optimizer)))
            seconds.append(time.perf_counter() - begun)
        return losses, seconds


class Watch(keras.callbacks.Callback):
    """Keep the first pictures whose loss comes near each goal, with their times; then stop."""

    ENOUGH = 30

    def __init__(self, goals):
        super().__init__()
        self.near = {goal: [] for goal in goals}

    def on_train_begin(self, logs=None):
        self.begun = time.perf_counter()

    def on_train_batch_end(self, batch, logs=None):
        seconds, loss = time.perf_counter() - self.begun, float(logs["loss"])
        for goal, pictures in self.near.items():
            if loss < 1.005 * goal and len(pictures) < self.ENOUGH:
                pictures.append((seconds, batch + 1, self.model.stylizer(None)))
        lowest = min(self.near)
        if loss < 0.99 * lowest or len(self.near[lowest]) == self.ENOUGH:
            self.model.stop_training = True


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("content")
    parser.add_argument("style")
    parser.add_argument("--sizes", type=int, nargs="+", default=[288, 512])
    parser.add_argument("--steps", type=int, nargs="+", default=[500, 1500])
    parser.add_argument("--precision", nargs="+", default=["float32", "auto"])
    options = parser.parse_args()
    network = load_network()
    photo, painting = read_image(options.content).rgb, read_image(options.style).rgb
    for size in options.sizes:
        content, style = resize(photo, size), resize(painting, 512)
        tutorial = Tutorial(network, tf.constant(content[None]), tf.constant(style[None]))
        judge = tf.function(tutorial.loss)
        losses, seconds = tutorial.run(content[None], max(options.steps) + 1)
        goals = [losses[steps] for steps in options.steps]
        print(f"\n{content.shape[1]}×{content.shape[0]} px")
        for steps, goal in zip(options.steps, goals, strict=True):
            print(f"  tutorial  {steps:>5} steps        loss {goal:.4g}  {seconds[steps]:8.1f} s")
        for precision in options.precision:
            default = RECIPES["default"]
            recipe = recipe_with(
                "tutorial",
                size=size,
                optimizer=default.optimizer,
                corrections=default.corrections,
                precision=precision,
                steps=max(options.steps),
            )
            watch = Watch(goals)
            optimize_image(content, [style], recipe, callbacks=[watch])
            for steps, goal in zip(options.steps, goals, strict=True):
                for moment, evaluations, picture in watch.near[goal]:
                    if (reached := float(judge(picture))) <= goal:
                        ratio = seconds[steps] / moment
                        print(
                            f"  tfstyle   {evaluations:>5} evaluations  loss {reached:.4g}  "
                            f"{moment:8.1f} s  {ratio:5.1f} times faster  ({precision})"
                        )
                        break
                else:
                    print(f"  tfstyle   did not reach {goal:.4g} ({precision})")


if __name__ == "__main__":
    main()
