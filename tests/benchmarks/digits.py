"""How many of a sampler's pictures a classifier of digits recognizes, and which.

    python tests/benchmarks/digits.py digits.keras --content mnist.npz

A small convolutional network is trained on the real digits of a file of Keras' layout. Samples that
it gives one digit a probability of at least `--sure` are recognized, and are counted by digit: a
generator that has lost some shows it there. Real digits that it never saw stand beside them, and
noise, to tell how easily it is sure. Two columns tell how samples differ from one another and from
the nearest real digit, as root mean squares of pixels: one that merely copies would have 0 there.
"""

import argparse
import os
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np

from tfstyle.painting.samples import load_sampler, pictures_of, points


def classifier(pictures, labels, epochs):
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input(pictures.shape[1:]),
            keras.layers.Conv2D(16, 5, strides=2, activation="relu"),
            keras.layers.Conv2D(32, 3, strides=2, activation="relu"),
            keras.layers.Flatten(),
            keras.layers.Dropout(0.3),
            keras.layers.Dense(64, activation="relu"),
            keras.layers.Dense(10, activation="softmax"),
        ]
    )
    model.compile(keras.optimizers.Adam(1e-3), "sparse_categorical_crossentropy")
    model.fit(pictures, labels, batch_size=128, epochs=epochs, verbose=0)
    return model


def row(name, model, pictures, sure):
    found = model.predict(pictures, batch_size=500, verbose=0)
    recognized = found.max(1) >= sure
    shares = np.bincount(found[recognized].argmax(1), minlength=10) / max(1, recognized.sum())
    cells = " ".join(f"{100 * share:5.1f}" for share in shares)
    return f"{name:<16} {100 * recognized.mean():5.1f} %  by digit {cells}"


def spread(pictures):
    return pictures.var(0).mean() ** 0.5


def nearest(pictures, real):
    """Return the mean over pictures of the distance to the nearest real one."""
    a, b = (x.reshape(len(x), -1) for x in (pictures, real))
    squares = (a**2).sum(1)[:, None] + (b**2).sum(1) - 2 * a @ b.T
    return np.sqrt(np.maximum(squares.min(1), 0) / a.shape[1]).mean()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("networks", type=Path, nargs="+", help="what --config digits trained")
    parser.add_argument("--content", type=Path, required=True, help="mnist.npz, with x_test")
    parser.add_argument("--count", type=int, default=5000, help="of samples")
    parser.add_argument("--sure", type=float, default=0.9)
    parser.add_argument("--epochs", type=int, default=5, help="of the classifier")
    options = parser.parse_args()

    with np.load(options.content) as file:
        data = {name: file[name] for name in file}
    real, unseen = (np.float32(data[f"x_{part}"][..., None]) / 255 for part in ("train", "test"))
    model = classifier(real, data["y_train"], options.epochs)
    right = model.predict(unseen, batch_size=500, verbose=0).argmax(1) == data["y_test"]
    print(f"the classifier is right on {100 * right.mean():.1f} % of {len(unseen)} unseen digits")
    print(row("unseen digits", model, unseen, options.sure))
    noise = np.random.default_rng(0).random(unseen[:2000].shape, np.float32)
    print(row("noise", model, noise, options.sure))
    for path in options.networks:
        sampler = load_sampler(path)
        made = pictures_of(sampler, points(options.count, sampler.latent, seed=1))
        print(row(path.name, model, made, options.sure))
        copies = nearest(made[:500], real), nearest(unseen[:500], real)
        print(
            f"  spread {spread(made) / spread(unseen):.2f} of the digits'; to the nearest real "
            f"digit {copies[0]:.3f}, from unseen digits {copies[1]:.3f}"
        )
