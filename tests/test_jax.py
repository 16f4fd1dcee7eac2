"""Keras computes with JAX: recipes where there is no TensorFlow, and training."""

import importlib.util
import os
import subprocess
import sys

import pytest
from PIL import Image

NETWORK = """
import keras, numpy as np

x = inputs = keras.Input((None, None, 3))
keras.utils.set_random_seed(0)
for block in range(1, 6):
    for i in (1, 2, 3):
        conv = keras.layers.Conv2D(4, 3, padding="same", activation="relu",
                                   name=f"block{block}_conv{i}")
        x = conv(x)
    x = keras.layers.MaxPooling2D(name=f"block{block}_pool")(x)
network = keras.Model(inputs, x)
"""

OPTIMIZE = """
import sys
sys.modules["tensorflow"] = None  # as if it were not installed
{network}
import tfstyle
from tfstyle.optimize import picture as optimize

optimize.load_network = lambda *args: network
photo, painting = np.random.default_rng(0).random((2, 32, 40, 3), np.float32)
for recipe in ("default", "tutorial"):
    losses = []
    watch = keras.callbacks.LambdaCallback(
        on_train_batch_end=lambda batch, logs: losses.append(float(logs["loss"]))
    )
    picture = tfstyle.stylize(photo, painting, recipe, size=40, steps=8, scales=(1.0,),
                              start="noise", callbacks=[watch])
    assert picture.size == (40, 32), picture.size
    assert len(losses) == 8 and min(losses) < 0.95 * losses[0], losses
"""

TRAIN = """
{network}
from tfstyle.training import feed_forward as training

class Stop(keras.callbacks.Callback):
    def on_train_batch_end(self, batch, logs=None):
        self.model.stop_training = batch == 2

training.load_network = lambda *args: network
def run(name, *callbacks):
    return training.train(
        "painting.png", ".", name, callbacks=callbacks, precision="float32", width=0.25, blocks=1,
        sizes=(32,), content_size=(32, 40), style_size=32, batch_size=2, steps=6,
    ).get_weights()
whole = run("whole.keras")
run("broken.keras", Stop())
for weight, expected in zip(run("broken.keras"), whole, strict=True):
    np.testing.assert_allclose(weight, expected, atol=1e-5)
"""


TRAIN_ANY = TRAIN.replace('"painting.png", ".", name', '".", ".", name, "any"').replace(
    "style_size=32", "painting_size=(32, 40)"
)

TRAIN_HAND = (
    TRAIN.replace('"painting.png", ".", name', '".", ".", name, "collection"')
    .replace("style_size=32", "painting_size=(48, 52)")
    .replace("sizes=(32,), content_size=(32, 40)", "sizes=(48,), content_size=(48, 50)")
)

TRAIN_DIGITS = """
import keras, numpy as np
from tfstyle.training.lesson import train_digits

class Stop(keras.callbacks.Callback):
    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch
    def on_train_batch_end(self, batch, logs=None):
        self.model.stop_training = self.epoch == 1

random = np.random.default_rng(0)
np.savez("mnist.npz", x_train=random.integers(0, 256, (40, 6, 6), dtype=np.uint8))
def run(name, *callbacks):
    return train_digits(name, "mnist.npz", callbacks=callbacks, epochs=3, batch_size=4)
whole = run("whole.keras")
assert 0 < whole.card["losses"]["D(x)"] < 1, whole.card
run("broken.keras", Stop())
for weight, expected in zip(run("broken.keras").get_weights(), whole.get_weights(), strict=True):
    np.testing.assert_allclose(weight, expected, atol=1e-6)
"""

SCRIPTS = {"optimize": OPTIMIZE, "train": TRAIN, "any": TRAIN_ANY}
SCRIPTS |= {"hand": TRAIN_HAND, "digits": TRAIN_DIGITS}


@pytest.mark.parametrize("script", SCRIPTS.values(), ids=SCRIPTS)
def test_jax(script, tmp_path):
    """Training reads photographs through TensorFlow, and goes on where it was stopped."""
    if importlib.util.find_spec("jax") is None:
        pytest.skip("JAX is not installed")
    for name in ("painting", "one", "two"):
        Image.effect_noise((48, 40), 80).convert("RGB").save(tmp_path / f"{name}.png")
    environment = os.environ | {"KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu"}
    run = subprocess.run(
        [sys.executable, "-c", script.format(network=NETWORK) + "print(keras.backend.backend())"],
        env=environment,
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert run.stdout.splitlines()[-1:] == ["jax"], run.stderr
