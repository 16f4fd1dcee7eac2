"""The recipe `default` beside what it was: from the photograph, coarse to fine, 4 × 60 evaluations.

    python tests/benchmarks/starts.py CONTENT STYLE --size 512 -o both.png

For both: seconds, with the first picture and TensorFlow's tracing, and the loss of the
picture. TFSTYLE_VGG19_WEIGHTS names the loss network's weights.
"""

import argparse
import time
from pathlib import Path

import keras
import numpy as np
from PIL import Image

import tfstyle
from tfstyle.networks.features import fastest_precision

WAYS = {
    "default": {},
    "coarse to fine": {"start": "content", "scales": (0.35, 0.5, 0.7, 1.0), "steps": 60},
}


class Best(keras.callbacks.Callback):
    """Keep the losses of the best picture of the last scale, and when each loss was reached."""

    def on_train_begin(self, logs=None):
        self.best, self.reached = {"loss": np.inf}, []

    def on_train_batch_end(self, batch, logs=None):
        if logs["loss"] < self.best["loss"]:
            self.best = dict(logs)
            self.reached.append((time.perf_counter(), logs["loss"]))


def main(options):
    fastest_precision()  # its half-second is nobody's
    pictures, runs = [], {}
    for name, fields in WAYS.items():
        best, begun = Best(), time.perf_counter()
        settings = fields | {"size": options.size, "callbacks": [best]}
        pictures.append(tfstyle.stylize(options.content, options.style, **settings))
        seconds = time.perf_counter() - begun
        runs[name] = best, begun
        print(
            f"{name:<15} {seconds:6.1f} s  loss {best.best['loss']:.4f} "
            f"(content {best.best['content_loss']:.3f}, style {best.best['style_loss']:.4f})",
            flush=True,
        )
    (ours, begun), (theirs, _) = runs.values()
    when = next((at - begun for at, loss in ours.reached if loss <= theirs.best["loss"]), None)
    if when is not None:
        print(f"default reaches the loss of the other after {when:.1f} s")
    width, height = pictures[0].size
    both = Image.new("RGB", (2 * width, height))
    for place, picture in enumerate(pictures):
        both.paste(picture, (place * width, 0))
    both.save(options.output)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("content", type=Path)
    parser.add_argument("style", type=Path)
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("-o", "--output", type=Path, default=Path("both.png"))
    main(parser.parse_args())
