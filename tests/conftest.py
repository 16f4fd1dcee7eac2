"""Fixtures: networks of a few filters, the real loss network, and the folder of test data."""

import base64
import errno
import functools
import gc
import importlib.util
import io
import os
import subprocess
import sys
import textwrap
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # before anything loads TensorFlow
# Servers of some tests would otherwise reach into the ffmpeg processes of others.
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

import tfstyle
from tfstyle.networks import GENERATORS
from tfstyle.networks.features import load_network
from tfstyle.painting import zoo
from tfstyle.pictures import files

ROOT = Path(__file__).parents[1]
# After a plain install, `python -m pytest` finds the checkout's tfstyle/, where no cli/ is.
if importlib.util.find_spec("tfstyle.cli") is None:
    tfstyle.__path__.append(str(ROOT))


def pytest_addoption(parser):
    parser.addoption("--slow", action="store_true", help="run the tests that take long, too")
    parser.addoption("--page", action="store_true", help="run the tests that need a browser, too")


def pytest_collection_finish():
    # All that was imported is looked at no more: a tenth of the time goes to collecting garbage.
    gc.collect()
    gc.freeze()


def pytest_collection_modifyitems(config, items):
    reasons = {"slow": "runs for long", "page": "needs a browser"}
    for kind, reason in reasons.items():
        if config.getoption(kind):
            continue
        skip = pytest.mark.skip(reason=f"{reason}; give --{kind} to run it")
        for item in items:
            if item.get_closest_marker(kind):  # not its keywords: folders' names are among them
                item.add_marker(skip)


@pytest.fixture(scope="session")
def tiny_network():
    """VGG-19 in layers and names, with 4 to 8 random filters that keep activations at 10 to 100."""
    random = np.random.default_rng(0)
    x = inputs = keras.Input((None, None, 3))
    for block, (filters, count) in enumerate(zip((4, 6, 8, 8, 8), (2, 2, 4, 4, 4), strict=True), 1):
        for i in range(1, count + 1):
            name = f"block{block}_conv{i}"
            layer = keras.layers.Conv2D(filters, 3, padding="same", activation="relu", name=name)
            x = layer(x)
            scale = np.sqrt(2 / np.prod(layer.kernel.shape[:3]))
            layer.set_weights(
                [random.normal(0, scale, layer.kernel.shape), random.normal(0, 1, filters)]
            )
        x = keras.layers.MaxPooling2D(name=f"block{block}_pool")(x)
    return keras.Model(inputs, x, name="tiny_vgg19")


@pytest.fixture
def fake_vgg(monkeypatch, tiny_network):
    """Let every loss network that is loaded be the tiny one."""
    for module in ("networks", "networks.features", "optimize.picture", "training.feed_forward"):
        monkeypatch.setattr(f"tfstyle.{module}.load_network", lambda *args, **kwargs: tiny_network)
    return tiny_network


@pytest.fixture(scope="session")
def tiny_painter():
    """Function that makes a `Generator` of a few filters, the same one each time; every weight is
    random, so that styles, borders and biases show."""

    @functools.cache
    def make(architecture="lean", names=("ripple",)):
        thumbnail = io.BytesIO()
        Image.radial_gradient("L").resize((24, 16)).save(thumbnail, "JPEG")
        thumbnail = base64.b64encode(thumbnail.getvalue()).decode()
        card = [{"name": n, "about": f"about {n}", "thumbnail": thumbnail} for n in names]
        network = GENERATORS[architecture](
            {"lean": 0.25, "crisp": 0.25, "full": 0.125}[architecture],
            1,
            num_styles=len(names),
            card={"styles": card},
        )
        random = np.random.default_rng(0)
        for weight in network.weights:
            if weight.path.endswith("kernel"):
                deviation = np.sqrt(2 / np.prod(weight.shape[:-1]))
                weight.assign(random.normal(0, deviation, weight.shape))
            elif weight.path.endswith("gamma"):
                weight.assign(random.uniform(0.5, 1.5, weight.shape))
            else:
                weight.assign(random.normal(0, 0.5, weight.shape))
        return network

    return make


@pytest.fixture(scope="session")
def tiny_styles(tiny_painter, tmp_path_factory):
    """Folder of two trained networks: ripple.keras of one style, weather.keras of two."""
    folder = tmp_path_factory.mktemp("styles")
    tiny_painter().save(folder / "ripple.keras")
    tiny_painter(names=("calm", "storm")).save(folder / "weather.keras")
    return folder


@pytest.fixture
def tiny_zoo(tiny_styles, monkeypatch):
    """Let the tiny networks be those that ship with the package."""
    monkeypatch.setattr(zoo, "FOLDER", tiny_styles)
    zoo.styles.cache_clear()
    yield tiny_styles
    zoo.styles.cache_clear()


@pytest.fixture(scope="session")
def saved_styles(tmp_path_factory):
    """Folder with the SavedModels 1, 2 and 3 of a style, which inverts a picture and then takes
    a tenth of their number off; its signature `slow` keeps a core busy for some seconds."""

    class Style(tf.Module):
        def __init__(self, number):
            super().__init__()
            self.tenths = tf.Variable(number / 10)

        def paint(self, image):
            return tf.clip_by_value(1 - image - self.tenths, 0, 1)

        @tf.function(input_signature=[tf.TensorSpec([None, None, None, 3], name="image")])
        def stylize(self, image):
            return {"stylized": self.paint(image)}

        @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="image_bytes")])
        def stylize_bytes(self, image_bytes):
            def one(content):
                pixels = tf.io.decode_image(content, 3, tf.float32, expand_animations=False)
                return tf.io.encode_png(tf.cast(tf.round(255 * self.paint(pixels)), tf.uint8))

            return {"stylized_bytes": tf.map_fn(one, image_bytes)}

        @tf.function(input_signature=[tf.TensorSpec([None], tf.float64, name="seconds")])
        def slow(self, seconds):
            end = tf.timestamp() + tf.reduce_max(seconds)
            (now,) = tf.while_loop(lambda now: now < end, lambda now: [tf.timestamp()], [end - 1])
            return {"seconds": seconds + 0 * now}

    folder = tmp_path_factory.mktemp("saved_styles")
    for number in (1, 2, 3):
        style = Style(number)
        signatures = {
            "serving_default": style.stylize,
            "stylize_bytes": style.stylize_bytes,
            "slow": style.slow,
        }
        tf.saved_model.save(style, str(folder / str(number)), signatures)
    return folder


@pytest.fixture(scope="session")
def run_without_tensorflow():
    """Function that runs code in a process of its own and returns what it printed; the code must
    end well, say nothing on stderr, and load neither TensorFlow nor what loads it."""
    check = "loaded = {'jax', 'keras', 'scipy', 'tensorflow'} & {*sys.modules}"

    def run(code):
        code = textwrap.indent(textwrap.dedent(code), "    ")
        code = f"import sys\ntry:\n{code}\nfinally:\n    {check}\n    assert not loaded, loaded"
        process = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
        assert (process.returncode, process.stderr) == (0, "")
        return process.stdout

    return run


@pytest.fixture(scope="session")
def data():
    """Folder of weights and pictures, which are no part of the project."""
    folder = Path(os.environ.get("TFSTYLE_TEST_DATA") or ROOT.parent / "shared" / "data")
    if not folder.is_dir():
        pytest.skip(f"there is no test data in {folder}; let TFSTYLE_TEST_DATA name its folder")
    return folder


@pytest.fixture(scope="session")
def vgg(data):
    """VGG-19 with its real weights."""
    return load_network("vgg19", data / "weights" / "vgg19_notop.weights.h5")


@pytest.fixture
def full_disk(monkeypatch):
    """Function that fills the disk that a folder lies on: what is written there does not fit."""

    def fill(folder):
        def sync(path):
            if Path(folder).resolve() in path.parents:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            sync_really(path)

        monkeypatch.setattr(files, "sync", sync)

    sync_really = files.sync
    return fill


@pytest.fixture(params=["eager", pytest.param("graph", marks=pytest.mark.slow)])
def call(request):
    """Call a function of tensors: eagerly, then in a graph that knows no size but the last."""

    def eagerly(function, *tensors):
        return function(*map(tf.convert_to_tensor, tensors))

    def in_graph(function, *tensors):
        tensors = [tf.convert_to_tensor(tensor) for tensor in tensors]
        unknown = [tf.TensorSpec([*[None] * (t.ndim - 1), t.shape[-1]], t.dtype) for t in tensors]
        return tf.function(function, input_signature=unknown)(*tensors)

    return {"eager": eagerly, "graph": in_graph}[request.param]


@pytest.fixture(scope="session")
def wait_until():
    """Wait until a function says that something is true."""

    def wait(fact, timeout_s=15):
        end = time.monotonic() + timeout_s
        while not fact():
            assert time.monotonic() < end, "it never came true"
            time.sleep(0.005)

    return wait
