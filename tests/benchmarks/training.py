"""Quality over training time: losses of photographs that are not trained on, as minutes go by.

    python tests/benchmarks/training.py --style wave.jpg --content PHOTOS --validation OTHERS

Trains as `tfstyle-train` does in a temporary folder and prints, every `--every` steps, the minutes
spent on training and the losses of crops of the validation photographs. `--config`, `--init` and
`--steps` are those of `tfstyle-train`.
"""

import argparse
import os
import tempfile
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np

from tfstyle.training.data import Photos
from tfstyle.training.feed_forward import train


class Quality(keras.callbacks.Callback):
    """Print losses of the same crops every few steps; the clock stands meanwhile."""

    def __init__(self, photos, every, size=256):
        super().__init__()
        crops = [photos.crop(i, size, (size, size)) for i in range(min(16, len(photos)))]
        self.crops, self.every = np.stack(crops).astype(np.float32) / 255, every
        self.step, self.spent = 0, 0.0

    def on_train_batch_begin(self, batch, logs=None):
        self.begun = time.perf_counter()

    def on_train_batch_end(self, batch, logs=None):
        self.spent += time.perf_counter() - self.begun
        self.step += 1
        if self.step % self.every and self.step != 10:
            return
        rows, names = [], ("loss", "content_loss", "style_loss")
        for crop in self.crops:
            painted = self.model.stylizer(crop[None])
            losses = self.model.losses_of(painted, crop[None])
            rows.append([float(losses[name]) for name in names])
        means = dict(zip(names, np.mean(rows, axis=0), strict=True))
        print(
            f"  {self.step:5} steps {self.spent / 60:6.2f} min  loss {means['loss']:.3f}  "
            f"content {means['content_loss']:.3f}  style {means['style_loss']:.4f}",
            flush=True,
        )


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name in ("style", "content", "validation"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--config", default="default")
    parser.add_argument("--init")
    parser.add_argument("--steps", type=int)
    parser.add_argument("--every", type=int, default=200)
    options = parser.parse_args()
    fields = {name: getattr(options, name) for name in ("init", "steps")}
    quality = Quality(Photos(options.validation), options.every)
    with tempfile.TemporaryDirectory() as folder:
        train(
            options.style,
            options.content,
            Path(folder) / "network.keras",
            options.config,
            callbacks=[quality],
            **{name: value for name, value in fields.items() if value is not None},
        )


if __name__ == "__main__":
    main()
