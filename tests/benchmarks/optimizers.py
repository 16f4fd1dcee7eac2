"""Wall time to a loss: the TensorFlow tutorial's own loop beside tfstyle's L-BFGS.

    python tests/benchmarks/optimizers.py CONTENT STYLE [--sizes 288 512] [--steps 500 1500]

Both minimize the tutorial's loss from the same picture in one process, one after the other. The
loop below is the tutorial's, written out plainly; its losses after the given steps are the goals.
tfstyle runs the recipe `tutorial` with the optimizer of `default`, with the tutorial's own
(`--optimizers adam`), or with the first for 150 evaluations and the second from there
(`lbfgs-adam`); a picture counts once the loop's own float32 loss of it reaches the goal. Times
include tracing and exclude loading the weights, which both share.
"""

import argparse
import itertools
import os
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import tensorflow as tf

from tfstyle.config import RECIPES, recipe_with
from tfstyle.networks.features import load_network
from tfstyle.optimize.picture import optimize_image
from tfstyle.pictures import read_image, resize

STYLE_LAYERS = [f"block{i}_conv1" for i in range(1, 6)]
CONTENT_LAYERS = ["block5_conv2"]
# Ways of tfstyle: optimizers in turn, and how many evaluations each may take at most.
WAYS = {
    "lbfgs": [("lbfgs", 2000)],
    "adam": [("adam", 2000)],
    "lbfgs-adam": [("lbfgs", 150), ("adam", 2000)],
}


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
    """Tell when the loop's own loss of the picture reaches each goal; then stop.

    Pictures are judged once their loss comes within 0.5 % of a goal; the clock stands meanwhile.
    """

    def __init__(self, goals, seconds, judge, way):
        super().__init__()
        self.goals, self.seconds, self.judge, self.way = goals, seconds, judge, way
        self.reached, self.evaluations, self.begun = set(), 0, None

    def on_train_begin(self, logs=None):
        self.begun = self.begun or time.perf_counter()

    def on_train_batch_end(self, batch, logs=None):
        now = time.perf_counter()
        self.evaluations += 1
        open_goals = [goal for goal in self.goals if goal not in self.reached]
        if float(logs["loss"]) < 1.005 * max(open_goals):
            loss = float(self.judge(self.model.stylizer(None)))
            for goal in open_goals:
                if loss <= goal:
                    self.reached.add(goal)
                    self.tell(goal, now - self.begun, loss)
            self.model.stop_training = len(self.reached) == len(self.goals)
        self.begun += time.perf_counter() - now

    def tell(self, goal, moment, loss):
        loop = self.seconds.get(goal)
        faster = f"{loop / moment:5.1f} times faster  " if loop else ""
        print(
            f"  tfstyle   {self.evaluations:>5} evaluations  loss {loss:.6g}  {moment:8.1f} s  "
            f"{faster}{self.way}",
            flush=True,
        )


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("content")
    parser.add_argument("style")
    parser.add_argument("--sizes", type=int, nargs="+", default=[288, 512])
    parser.add_argument("--steps", type=int, nargs="+", default=[500, 1500])
    parser.add_argument("--optimizers", nargs="+", default=["lbfgs-adam"], choices=WAYS)
    parser.add_argument("--precision", nargs="+", default=["float32", "auto"])
    parser.add_argument(
        "--known",
        type=float,
        nargs="+",
        help="losses of the loop after these steps at the only size, from an earlier run",
    )
    options = parser.parse_args()
    network = load_network()
    photo, painting = read_image(options.content).rgb, read_image(options.style).rgb
    for size in options.sizes:
        content, style = resize(photo, size), resize(painting, 512)
        tutorial = Tutorial(network, tf.constant(content[None]), tf.constant(style[None]))
        judge = tf.function(tutorial.loss)
        print(f"\n{content.shape[1]}×{content.shape[0]} px")
        if options.known:
            goals, seconds = options.known, {}
        else:
            losses, times = tutorial.run(content[None], max(options.steps) + 1)
            goals = [losses[steps] for steps in options.steps]
            seconds = {losses[steps]: times[steps] for steps in options.steps}
            for steps, goal in zip(options.steps, goals, strict=True):
                print(
                    f"  tutorial  {steps:>5} steps        loss {goal:.6g}  {times[steps]:8.1f} s",
                    flush=True,
                )
        for way, precision in itertools.product(options.optimizers, options.precision):
            watch, picture = Watch(goals, seconds, judge, f"({way}, {precision})"), None
            for optimizer, steps in WAYS[way]:
                recipe = recipe_with(
                    "tutorial",
                    size=size,
                    optimizer=optimizer,
                    corrections=RECIPES["default"].corrections,
                    precision=precision,
                    steps=steps,
                )
                picture = optimize_image(
                    content, [style], recipe, start_from=picture, callbacks=[watch]
                )
                if len(watch.reached) == len(goals):
                    break
            for goal in goals:
                if goal not in watch.reached:
                    print(f"  tfstyle   did not reach {goal:.4g}  {watch.way}")


if __name__ == "__main__":
    main()
