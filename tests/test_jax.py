"""The same recipes run where Keras computes with JAX and there is no TensorFlow."""

import importlib.util
import os
import subprocess
import sys

import pytest

SCRIPT = """
import sys
sys.modules["tensorflow"] = None  # as if it were not installed
import keras, numpy as np
import tfstyle
from tfstyle import optimize

x = inputs = keras.Input((None, None, 3))
keras.utils.set_random_seed(0)
for block in range(1, 6):
    for i in (1, 2):
        conv = keras.layers.Conv2D(4, 3, padding="same", activation="relu",
                                   name=f"block{block}_conv{i}")
        x = conv(x)
    x = keras.layers.MaxPooling2D(name=f"block{block}_pool")(x)
network = keras.Model(inputs, x)
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
print(keras.backend.backend())
"""


def test_recipes_run_on_jax_without_tensorflow():
    if importlib.util.find_spec("jax") is None:
        pytest.skip("JAX is not installed")
    environment = os.environ | {"KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu"}
    run = subprocess.run(
        [sys.executable, "-c", SCRIPT], env=environment, capture_output=True, text=True
    )
    assert run.stdout.strip() == "jax", run.stderr
