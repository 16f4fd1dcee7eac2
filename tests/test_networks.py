"""The canvas: units, clipping, configuration."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfstyle.networks import PIXELS, Canvas


def picture(height=6, width=5):
    image = np.random.default_rng(0).random((1, height, width, 3), np.float32)
    image[0, 0, :2] = [[0, 0, 0], [1, 1, 1]]
    return image


def step(canvas, gradient, learning_rate=1.0):
    """Take one step of gradient descent."""
    optimizer = keras.optimizers.SGD(learning_rate)
    optimizer.apply([tf.fill(canvas.picture.shape, gradient)], canvas.trainable_weights)


@pytest.mark.parametrize("pixels", PIXELS)
def test_canvas_shows_what_was_painted(call, pixels):
    canvas = Canvas(6, 5, pixels)
    canvas.paint(picture())
    np.testing.assert_allclose(call(canvas, picture(2, 2)), picture(), atol=1e-6)
    read = canvas.read()
    assert read.dtype == np.float32
    assert read.shape == (6, 5, 3)
    assert (read.min(), read.max()) == (0, pytest.approx(1))


@pytest.mark.parametrize(
    ("pixels", "expected"),
    [
        ("unit", (1, 0.5, 0)),
        ("imagenet", ((1 - 0.485) / 0.229, (0.5 - 0.456) / 0.224, -0.406 / 0.225)),
        ("caffe", (255 - 123.68, 127.5 - 116.779, -103.939)),
    ],
)
def test_canvas_holds_pixels_in_their_units(pixels, expected):
    canvas = Canvas(1, 1, pixels)
    canvas.paint(np.float32([[[[1, 0.5, 0]]]]))
    np.testing.assert_allclose(canvas.picture[0, 0, 0], expected, rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("pixels", PIXELS)
def test_canvas_clips_after_every_step(pixels):
    canvas = Canvas(6, 5, pixels, clip=True)
    canvas.paint(picture())
    for gradient, end in ((-1e3, 1), (1e3, 0)):
        step(canvas, gradient)
        np.testing.assert_allclose(canvas(None), np.full((1, 6, 5, 3), end), atol=1e-6)


@pytest.mark.parametrize("pixels", PIXELS)
def test_canvas_without_clip_goes_beyond_and_clips_when_read(pixels):
    canvas = Canvas(6, 5, pixels, clip=False)
    canvas.paint(picture())
    before = canvas.picture.numpy()
    step(canvas, -1e3)
    np.testing.assert_allclose(canvas.picture, before + 1e3, rtol=1e-5)
    assert np.min(canvas(None)) > 1.5
    np.testing.assert_array_equal(canvas.read(), np.ones((6, 5, 3)))


def test_canvas_learns_its_picture_alone():
    canvas = Canvas(6, 5)
    assert [weight.path.split("/")[-1] for weight in canvas.trainable_weights] == ["picture"]
    assert canvas.weights == canvas.trainable_weights


def test_canvas_is_float32_whatever_the_global_policy():
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        canvas = Canvas(6, 5)
        canvas.paint(picture())
        np.testing.assert_allclose(canvas(None), picture(), atol=1e-6)
    finally:
        keras.config.set_dtype_policy(before)


# Keeping it

SETTINGS = {"height": 6, "width": 5, "pixels": "caffe", "clip": False}


def test_canvas_returns_every_argument_from_its_config():
    config = Canvas(**SETTINGS, name="sky").get_config()
    assert {**SETTINGS, "name": "sky"}.items() <= config.items()
    assert Canvas.from_config(config).get_config() == config


def test_canvas_can_be_serialized_by_keras():
    canvas = Canvas(**SETTINGS)
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(canvas))
    assert type(again) is Canvas
    assert again.get_config() == canvas.get_config()


def test_canvas_is_saved_with_its_picture(tmp_path):
    inputs = keras.Input((None, None, 3))
    model = keras.Model(inputs, Canvas(6, 5, "caffe", name="canvas")(inputs))
    model.get_layer("canvas").paint(picture())
    model.save(tmp_path / "canvas.keras")
    again = keras.saving.load_model(tmp_path / "canvas.keras").get_layer("canvas")
    np.testing.assert_array_equal(again.read(), model.get_layer("canvas").read())
    step(again, -1e3)
    assert np.max(again(None)) == pytest.approx(1)  # clips as before


def test_canvas_lists_the_units_where_one_is_unknown():
    text = r"`pixels` must be one of \('unit', 'imagenet', 'caffe'\)\. Received: 'bytes'\."
    with pytest.raises(ValueError, match=text):
        Canvas(2, 2, "bytes")
