"""The loss network against plain Keras, on pictures preprocessed by Keras."""

import socket
from types import SimpleNamespace

import h5py
import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import ops

from tfstyle.losses import gram_matrix
from tfstyle.networks import features
from tfstyle.networks.features import FeatureExtractor, fastest_precision, load_network
from tfstyle.pictures import read_image, resize

CONTENT = ("block2_conv2", "block4_pool", "block5_conv4")
STYLE = ("block1_conv1", "block3_conv1", "block5_conv1")
ALL = (*CONTENT, *STYLE)


def pictures(count=2, height=48, width=35, seed=0):
    return np.random.default_rng(seed).random((count, height, width, 3), np.float32)


def plain_keras(network, layers, pooling="max"):
    """A function from RGB pictures in [0, 1] to what `layers` of the network give, plain Keras."""

    def copy(layer):
        if isinstance(layer, keras.layers.MaxPooling2D) and pooling == "average":
            return keras.layers.AveragePooling2D(2, name=layer.name)
        return type(layer).from_config(layer.get_config())

    clone = keras.models.clone_model(network, clone_function=copy)
    clone.set_weights(network.get_weights())
    model = keras.Model(clone.input, {name: clone.get_layer(name).output for name in layers})
    return lambda images: model(keras.applications.vgg19.preprocess_input(images * 255))


def assert_close(got, expected, tolerance=1e-5):
    """Compare with a tolerance relative to the largest value."""
    got, expected = (ops.convert_to_numpy(ops.cast(x, "float32")) for x in (got, expected))
    scale = np.abs(expected).max()
    assert scale > 0
    np.testing.assert_allclose(got, expected, rtol=0, atol=tolerance * scale)


@pytest.fixture
def convolved(monkeypatch):
    """Channels of the input of every convolution that is computed."""
    channels, convolution = [], features._frozen_convolution

    def spy(x, *weights):
        channels.append(x.shape[-1])
        return convolution(x, *weights)

    monkeypatch.setattr(features, "_frozen_convolution", spy)
    return channels


# What it sees


@pytest.mark.parametrize("pooling", ["max", "average"])
def test_extractor_agrees_with_plain_keras(call, tiny_network, pooling):
    seen = call(FeatureExtractor(tiny_network, ALL, pooling), pictures())
    expected = plain_keras(tiny_network, ALL, pooling)(pictures())
    assert set(seen) == set(ALL)
    for name in ALL:
        assert_close(seen[name], expected[name])


@pytest.mark.parametrize("pooling", ["max", "average"])
def test_gradient_agrees_with_plain_keras(call, tiny_network, pooling):
    extractor = FeatureExtractor(tiny_network, ALL, pooling)
    plain = plain_keras(tiny_network, ALL, pooling)

    def loss(content, style):
        return sum(ops.mean(f**2) for f in content) + sum(ops.mean(g**2) for g in style) / 1e4

    def gradient(images):
        with tf.GradientTape() as tape:
            tape.watch(images)
            seen = extractor(images)
            value = loss([seen[n] for n in CONTENT], [gram_matrix(seen[n]) for n in STYLE])
        return tape.gradient(value, images)

    images = tf.constant(pictures())
    with tf.GradientTape() as tape:
        tape.watch(images)
        seen = plain(images)
        value = loss([seen[n] for n in CONTENT], [gram_matrix(seen[n]) for n in STYLE])
    assert_close(call(gradient, images), tape.gradient(value, images))


@pytest.mark.parametrize(
    ("rgb", "bgr"),
    [
        ((0, 0, 0), (-103.939, -116.779, -123.68)),
        ((1, 0, 0), (-103.939, -116.779, 255 - 123.68)),
        ((0, 0, 1), (255 - 103.939, -116.779, -123.68)),
    ],
)
def test_extractor_takes_the_means_off_blue_green_red(tiny_network, rgb, bgr):
    network = keras.models.clone_model(tiny_network)
    channels = np.zeros((3, 3, 3, 4), np.float32)
    channels[1, 1, range(3), range(3)] = 1
    # Filters that pass one channel each, lifted above ReLU.
    network.get_layer("block1_conv1").set_weights([channels, np.full(4, 200, np.float32)])
    picture = np.full((1, 16, 16, 3), rgb, np.float32)
    seen = FeatureExtractor(network, ["block1_conv1"])(picture)["block1_conv1"]
    np.testing.assert_allclose(seen[0, 5, 5, :3] - 200, bgr, atol=1e-4)


@pytest.mark.parametrize(
    ("asked", "convolved_channels"),
    [
        (None, [3, 4, 4, 6, 6]),  # to block3_conv1
        (["block1_conv1"], [3]),
        (["block3_conv1"], [3, 4, 4, 6, 6]),
        ([], []),
    ],
)
def test_extractor_returns_the_layers_asked_for_and_computes_no_deeper(
    tiny_network, convolved, asked, convolved_channels
):
    layers = ("block3_conv1", "block1_conv1")
    extractor = FeatureExtractor(tiny_network, layers)
    whole = extractor(pictures())
    convolved.clear()
    seen = extractor(pictures(), layers=asked)
    assert set(seen) == set(layers if asked is None else asked)
    assert convolved == convolved_channels
    for name in seen:
        np.testing.assert_array_equal(seen[name], whole[name])


def test_extractor_holds_no_deeper_layers_and_trains_none(tiny_network):
    extractor = FeatureExtractor(tiny_network, ["block2_conv1", "block1_conv1"])
    assert list(extractor.strides) == [
        "block1_conv1",
        "block1_conv2",
        "block1_pool",
        "block2_conv1",
    ]
    assert len(extractor.weights) == 3 * 3  # kernel, bias and turned kernel of each convolution
    assert extractor.trainable_weights == []


# Precision


def test_bfloat16_gives_float32_gram_matrices_near_those_of_float32(call, tiny_network):
    full = FeatureExtractor(tiny_network, STYLE)(pictures())
    half = call(FeatureExtractor(tiny_network, STYLE, dtype="mixed_bfloat16"), pictures())
    for name in STYLE:
        grams = [gram_matrix(seen[name]) for seen in (half, full)]
        assert grams[0].dtype == tf.float32
        assert_close(*grams, tolerance=0.03)
        assert np.abs(grams[0] - grams[1]).max() > 0  # bfloat16 indeed


def test_bfloat16_rounds_pictures_after_the_means_are_off(tiny_network):
    extractor = FeatureExtractor(tiny_network, ["block1_conv1"], dtype="mixed_bfloat16")
    kernel, bias = (ops.cast(w, "bfloat16") for w in tiny_network.layers[1].get_weights())
    x = ops.cast(keras.applications.vgg19.preprocess_input(pictures() * 255), "bfloat16")
    expected = ops.relu(ops.conv(x, kernel, padding="same") + bias)
    assert_close(extractor(pictures())["block1_conv1"], expected, tolerance=2**-10)


def test_extractor_is_float32_whatever_the_global_policy(tiny_network):
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        seen = FeatureExtractor(tiny_network, ["block1_conv1"])(pictures())
    finally:
        keras.config.set_dtype_policy(before)
    assert seen["block1_conv1"].dtype == tf.float32


@pytest.mark.parametrize(
    ("bfloat16_s", "float32_s", "expected"),
    [(0.7, 1.0, "mixed_bfloat16"), (0.8, 1.0, "float32"), (3.0, 1.0, "float32")],
)
def test_fastest_precision_wants_a_quarter_off(monkeypatch, bfloat16_s, float32_s, expected):
    disturbed = [0, float32_s, 0, 9]  # seconds between readings, of the round that traces
    clock = iter(np.cumsum(disturbed + [0, float32_s, 0, bfloat16_s] * 9))
    monkeypatch.setattr(features, "time", SimpleNamespace(perf_counter=lambda: next(clock)))
    monkeypatch.setattr(features, "_convolution", lambda x, kernel: x[:, :1, :1])
    assert fastest_precision.__wrapped__() == expected


# Errors


def test_extractor_lists_the_layers_where_one_is_unknown(tiny_network):
    text = r"no layer block4_conv9, relu4_2\. Its layers: block1_conv1, .*, block5_pool\.$"
    with pytest.raises(ValueError, match=text):
        FeatureExtractor(tiny_network, ("block1_conv1", "relu4_2", "block4_conv9"))


@pytest.mark.parametrize(
    "wrong",
    [
        {"kernel_size": 5},
        {"kernel_size": 3, "strides": 2},
        {"kernel_size": 3, "padding": "valid"},
        {"kernel_size": 3, "activation": "linear"},
    ],
)
def test_extractor_needs_convolutions_like_those_of_vgg(wrong):
    settings = {"padding": "same", "activation": "relu", "name": "odd"} | wrong
    network = keras.Sequential([keras.Input((None, None, 3)), keras.layers.Conv2D(4, **settings)])
    network = keras.Model(network.inputs, network.outputs)
    with pytest.raises(ValueError, match=r"made of 3×3 convolutions .*Received: odd with \(\("):
        FeatureExtractor(network, ["odd"])


# Weights


@pytest.fixture
def no_download(monkeypatch):
    """Let Keras note what it is asked for, and fail to download it."""
    asked = []

    def application(include_top, weights):
        asked.append((include_top, weights))
        print("Downloading data from nowhere")
        if weights == "imagenet":
            raise Exception("URL fetch failure")  # what Keras raises
        return "network"

    monkeypatch.setattr(keras.applications, "VGG19", application)
    monkeypatch.delenv("TFSTYLE_VGG19_WEIGHTS", raising=False)
    return asked


def test_load_network_rejects_an_unknown_name():
    with pytest.raises(ValueError, match=r"one of \('vgg16', 'vgg19'\)\. Received: 'vgg11'\."):
        load_network("vgg11")


def test_load_network_misses_a_file(monkeypatch, tmp_path):
    monkeypatch.setenv("TFSTYLE_VGG19_WEIGHTS", "elsewhere.h5")
    text = r"There is no file '.*none\.h5' with weights of vgg19\."
    with pytest.raises(FileNotFoundError, match=text):
        load_network("vgg19", tmp_path / "none.h5")


def test_load_network_names_the_variable_that_named_a_missing_file(monkeypatch):
    monkeypatch.setenv("TFSTYLE_VGG16_WEIGHTS", "none.h5")
    text = r"no file 'none\.h5' \(named by TFSTYLE_VGG16_WEIGHTS\) with weights of vgg16\."
    with pytest.raises(FileNotFoundError, match=text):
        load_network("vgg16")


@pytest.mark.parametrize("suffix", [".h5", ".weights.h5", ".keras", ".txt"])
def test_load_network_rejects_what_is_no_weights_file(tmp_path, suffix):
    path = tmp_path / f"vgg{suffix}"
    path.write_text("<html>404</html>")
    with pytest.raises(ValueError, match=r"does not hold vgg19 without its classifier in Keras'"):
        load_network("vgg19", path)


@pytest.mark.filterwarnings("ignore:Skipping nested container")  # Keras, before it fails
@pytest.mark.parametrize("suffix", [".h5", ".weights.h5"])
def test_load_network_rejects_weights_of_something_else(tmp_path, suffix):
    path = tmp_path / f"empty{suffix}"
    h5py.File(path, "w").close()
    with pytest.raises(ValueError, match=r"empty\S*' does not hold vgg19 without its classifier"):
        load_network("vgg19", path)


def test_load_network_is_channels_last_whatever_keras_json_says(tmp_path, monkeypatch):
    said = []
    monkeypatch.setattr(
        keras.applications, "VGG19", lambda **_: said.append(keras.config.image_data_format())
    )
    (tmp_path / "vgg.h5").touch()
    keras.config.set_image_data_format("channels_first")
    try:
        load_network("vgg19", tmp_path / "vgg.h5")
        assert keras.config.image_data_format() == "channels_first"  # as it was
    finally:
        keras.config.set_image_data_format("channels_last")
    assert said == ["channels_last"]


def test_load_network_says_where_to_put_what_cannot_be_downloaded(no_download, capsys):
    text = (
        r"vgg19 could not be downloaded \(URL fetch failure\)\. Save the file "
        r"vgg19_weights_tf_dim_ordering_tf_kernels_notop\.h5 .* ~/\.keras/models, .*"
        r"TFSTYLE_VGG19_WEIGHTS name it\."
    )
    with pytest.raises(OSError, match=text):
        load_network("vgg19")
    assert no_download == [(False, "imagenet")]
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", "Downloading data from nowhere\n")


def test_load_network_does_not_wait_for_a_silent_server_without_end(monkeypatch):
    limits = []

    def download(**options):
        limits.append(socket.getdefaulttimeout())
        raise TimeoutError("timed out")

    monkeypatch.delenv("TFSTYLE_VGG19_WEIGHTS", raising=False)
    monkeypatch.setattr(keras.applications, "VGG19", download)
    with pytest.raises(OSError, match=r"could not be downloaded \(timed out\)"):
        load_network("vgg19")
    assert limits == [30]
    assert socket.getdefaulttimeout() is None


def test_load_network_downloads_where_the_variable_is_empty(monkeypatch, no_download):
    monkeypatch.setenv("TFSTYLE_VGG19_WEIGHTS", "")
    with pytest.raises(OSError, match="could not be downloaded"):
        load_network("vgg19")


def test_load_network_prefers_its_argument_to_the_variable(monkeypatch, tmp_path, no_download):
    for name in ("argument.h5", "variable.h5"):
        (tmp_path / name).touch()
    monkeypatch.setenv("TFSTYLE_VGG19_WEIGHTS", str(tmp_path / "variable.h5"))
    assert load_network("vgg19", tmp_path / "argument.h5") == "network"
    assert load_network("vgg19") == "network"
    assert no_download == [(False, str(tmp_path / f"{n}.h5")) for n in ("argument", "variable")]


# The real network


@pytest.mark.vgg
@pytest.mark.parametrize("pooling", ["max", "average"])
def test_extractor_agrees_with_plain_keras_on_vgg(vgg, data, pooling):
    photo = resize(read_image(data / "content" / "city.jpg").rgb, 96)[None]
    seen = FeatureExtractor(vgg, ALL, pooling)(photo)
    expected = plain_keras(vgg, ALL, pooling)(photo)
    for name in ALL:
        assert_close(seen[name], expected[name])


@pytest.mark.vgg
@pytest.mark.slow
def test_vgg_has_the_mean_activations_of_imagenet_training(vgg, data):
    expected = {
        "block1_conv1": 21,
        "block2_conv1": 121,
        "block3_conv1": 125,
        "block4_conv1": 508,
        "block4_conv2": 333,
        "block5_conv1": 49,
    }
    extractor = FeatureExtractor(vgg, expected)
    paths = sorted((data / "photos" / "validation").iterdir())[:4]
    seen = [extractor(resize(read_image(path).rgb, 256)[None]) for path in paths]
    means = {name: np.mean([ops.mean(photo[name]) for photo in seen]) for name in expected}
    assert means == pytest.approx(expected, rel=0.25)
