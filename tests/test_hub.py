"""SavedModels with Magenta's signature, our exports, TensorFlow Hub's cache, what is refused."""

import os
import re
import shutil
import socket
import sys

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

import tfstyle
from tfstyle.cli import main as cli
from tfstyle.export.config import ExportConfig
from tfstyle.export.saved_model import write_saved_model
from tfstyle.painting import hub
from tfstyle.pictures import resize, to_pil
from tfstyle.pictures.colors import keep_colors

PICTURE = tf.TensorSpec([None, None, None, 3], tf.float32)


class Tint(tf.Module):
    """Mixes a photograph with a color that tells the painting's red, height and width, and pads it
    with black to whole multiples of 4, as Magenta's network rounds up."""

    def __init__(self):
        super().__init__()
        self.share = tf.Variable(0.5)

    @tf.function(input_signature=[PICTURE, PICTURE])
    def __call__(self, content, style):
        height, width = tf.shape(content)[1], tf.shape(content)[2]
        padded = tf.pad(content, [[0, 0], [0, -height % 4], [0, -width % 4], [0, 0]])
        sides = tf.cast(tf.shape(style)[1:3], tf.float32) / 512
        color = tf.concat([[tf.reduce_mean(style[..., 0])], sides], 0)
        return [(1 - self.share) * padded + self.share * color]


def tinted(photo, painting, style_size=256):
    painting = resize(painting, style_size)
    color = [painting[..., 0].mean(), *np.divide(painting.shape[:2], 512)]
    return (photo + np.array(color)) / 2


def save(folder, function, *specs):
    """Save a function as a SavedModel that cannot be called, and whose signature names its inputs
    as Magenta's does."""
    names = [f"placeholder_{place}" if place else "placeholder" for place in range(len(specs))]
    named = {n: tf.TensorSpec(s.shape, s.dtype, n) for n, s in zip(names, specs, strict=True)}
    module = tf.Module()
    module.kept = function  # and its variables

    def serve(**given):
        return {"output_0": tf.nest.flatten(function(*(given[name] for name in names)))[0]}

    signature = tf.function(serve, autograph=False).get_concrete_function(**named)
    tf.saved_model.save(module, str(folder), {"serving_default": signature})
    return folder


@pytest.fixture(scope="module")
def tints(tmp_path_factory):
    """SavedModels of two pictures: one that can be called, one with a signature alone."""
    folder = tmp_path_factory.mktemp("tints")
    tf.saved_model.save(Tint(), str(folder / "callable"), signatures={})
    save(folder / "signature", Tint(), PICTURE, PICTURE)
    return folder


@pytest.fixture(scope="module")
def ripple(tiny_painter, tmp_path_factory):
    """Our export of one style: the folder of its versions."""
    return write_saved_model(tiny_painter(), tmp_path_factory.mktemp("models") / "ripple").parent


@pytest.fixture
def photo():
    return np.random.default_rng(0).random((37, 50, 3), np.float32)


@pytest.fixture
def painting():
    return np.random.default_rng(1).random((30, 40, 3), np.float32)


def assert_alike(picture, other):
    assert (picture.mode, picture.size) == (other.mode, other.size)
    np.testing.assert_allclose(np.float32(picture), np.float32(other), atol=1)


# Two pictures


@pytest.mark.parametrize("kind", ["callable", "signature"])
def test_a_model_of_two_pictures_paints_photograph_with_painting(kind, tints, photo, painting):
    result = tfstyle.stylize(photo, painting, model=tints / kind)
    assert_alike(result, to_pil(tinted(photo, painting)))
    assert_alike(tfstyle.stylize(photo, [painting], model=str(tints / kind)), result)


def test_size_and_style_size_are_long_sides(tints, photo, painting):
    result = tfstyle.stylize(photo, painting, model=tints / "callable", size=30, style_size=64)
    assert result.size == (30, 22)
    assert_alike(result, to_pil(tinted(resize(photo, 30), painting, 64)))


def test_strength_and_color_hold_for_a_model(tints, photo, painting):
    half = tfstyle.stylize(photo, painting, model=tints / "callable", strength=0.5)
    full = tinted(photo, painting)
    assert_alike(half, to_pil((photo + full) / 2))
    colored = tfstyle.stylize(photo, painting, model=tints / "callable", color="content")
    assert_alike(colored, to_pil(keep_colors(np.float32(full), photo)))


@pytest.mark.parametrize("size", [None, 20])
def test_a_model_leaves_the_photograph_its_transparency(size, tints, painting):
    photo = Image.effect_noise((40, 30), 80).convert("RGBA")
    mask = Image.linear_gradient("L").resize((40, 30))
    photo.putalpha(mask)
    result = tfstyle.stylize(photo, painting, model=tints / "callable", size=size)
    assert (result.mode, result.size) == ("RGBA", (size or 40, (size or 40) * 3 // 4))
    expected = mask.resize(result.size, Image.Resampling.LANCZOS)
    np.testing.assert_allclose(np.asarray(result)[..., 3], np.asarray(expected), atol=1)


# One picture


@pytest.mark.usefixtures("tiny_zoo")
@pytest.mark.parametrize("size", [(50, 37), (100, 16)])
def test_our_export_paints_as_the_style_it_came_from(size, ripple):
    photo = Image.effect_noise(size, 80).convert("RGB")
    for model in (ripple, ripple / "1"):
        result = tfstyle.stylize(photo, model=model, size=40)  # of 100 × 16: 6 px high
        assert_alike(result, tfstyle.stylize(photo, "ripple", size=40))


@pytest.mark.slow
def test_our_export_of_several_styles_takes_their_weights(photo, tiny_painter, tmp_path):
    network = tiny_painter(names=("calm", "storm"))
    write_saved_model(network, tmp_path, ExportConfig(all_styles=True))
    for weights, shares in ((None, [1, 0]), ([0, 2], [0, 1]), ([1, 3], [0.25, 0.75])):
        result = tfstyle.stylize(photo, model=tmp_path, style_weights=weights)
        assert_alike(result, to_pil(network(photo[None], np.float32(shares))))
    with pytest.raises(ValueError, match="each of the network's 2 styles"):
        tfstyle.stylize(photo, model=tmp_path, style_weights=[1])


def test_the_newest_version_of_a_model_paints(photo, tmp_path):
    save(tmp_path / "9", lambda image: image / 3, PICTURE)
    save(tmp_path / "10", lambda image: 1 - image, PICTURE)
    assert_alike(tfstyle.stylize(photo, model=tmp_path), to_pil(1 - photo))


def test_a_result_of_another_size_is_resized(photo, tmp_path):
    def double(image):
        return tf.repeat(tf.repeat(image, 2, 1), 2, 2)

    result = tfstyle.stylize(photo, model=save(tmp_path, double, PICTURE))
    assert_alike(result, to_pil(resize(photo.repeat(2, 0).repeat(2, 1), (37, 50))))


# Loading


def test_a_model_is_loaded_once_until_it_changes(photo, tmp_path, monkeypatch):
    loads, load = [], tf.saved_model.load
    monkeypatch.setattr(tf.saved_model, "load", lambda path: loads.append(path) or load(path))
    save(tmp_path, lambda image: 1 - image, PICTURE)
    for _ in range(3):
        assert_alike(tfstyle.stylize(photo, model=tmp_path), to_pil(1 - photo))
    assert len(loads) == 1
    save(tmp_path, lambda image: image / 2, PICTURE)
    assert_alike(tfstyle.stylize(photo, model=str(tmp_path)), to_pil(photo / 2))
    assert len(loads) == 2


def test_an_address_without_network_is_found_in_the_cache_or_refused(
    photo, ripple, tmp_path, monkeypatch
):
    pytest.importorskip("tensorflow_hub", exc_type=ImportError)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setenv("TFHUB_CACHE_DIR", str(tmp_path / "cache"))
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))  # but does not listen
        address = f"http://127.0.0.1:{closed.getsockname()[1]}/ripple/1"
        with pytest.raises(OSError, match=r"could not be .*TFHUB_CACHE_DIR") as caught:
            tfstyle.stylize(photo, model=address)
        message = str(caught.value)
        assert address in message
        assert "\n" not in message
        (folder,) = re.findall(r"Unpack it to '(.*?)'", message)
        shutil.copytree(ripple / "1", folder)
        result = tfstyle.stylize(photo, model=address)
    assert_alike(result, tfstyle.stylize(photo, model=ripple))


def test_only_an_address_needs_tensorflow_hub(photo, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorflow_hub", None)  # import raises ImportError
    model = save(tmp_path, lambda image: 1 - image, PICTURE)
    assert_alike(tfstyle.stylize(photo, model=model), to_pil(1 - photo))
    with pytest.raises(ImportError, match=r"cannot be imported .* pip install 'tfstyle\[hub\]'"):
        tfstyle.stylize(photo, model="https://tfhub.dev/any/1")


# What is refused


@pytest.mark.usefixtures("tiny_zoo")
@pytest.mark.parametrize(
    ("arguments", "error", "text"),
    [
        (
            {"recipe": "tutorial"},
            TypeError,
            "A `model` takes no `recipe`, `start_from`, `terms` or",
        ),
        ({"start_from": "photo.png"}, TypeError, "A `model` takes no `recipe`"),
        ({"callbacks": [print]}, TypeError, "A `model` takes no `recipe`"),
        ({"steps": 3}, TypeError, "A HubConfig has no field 'steps'"),
        ({"stroke_size": 2}, TypeError, "A HubConfig has no field 'stroke_size'"),
        ({"style_size": 15}, ValueError, r"`style_size` must be at least 16 px.*style_size=15\."),
        ({"size": 15}, ValueError, "`size` must be at least 16 px"),
        ({"style": ["a.png", "b.png"]}, ValueError, "one painting. Received: 2 in `style`"),
        ({"style": []}, ValueError, "one painting. Received: 0 in `style`"),
        ({"style": "ripple"}, ValueError, "must be a painting. Received: 'ripple', a trained"),
        ({"style_weights": [1]}, ValueError, "give a painting as `style` or `style_weights`, not"),
        ({"model": 3}, TypeError, "`model` must be an address or a folder. Received: model=3"),
        ({"model": "ripple"}, FileNotFoundError, "'ripple', where there is none. A trained style"),
        ({"model": os.curdir}, FileNotFoundError, r"with a saved_model\.pb"),
        ({"content": "gone.png"}, FileNotFoundError, r"gone\.png"),
        ({"style": "gone.png"}, FileNotFoundError, r"gone\.png"),
    ],
)
def test_stylize_refuses_before_it_loads_a_model(
    arguments, error, text, photo, painting, tints, monkeypatch
):
    monkeypatch.setattr(hub, "_load", lambda *args: pytest.fail("loaded too early"))
    given = {"content": photo, "style": painting, "model": tints / "callable"} | arguments
    with pytest.raises(error, match=text):
        tfstyle.stylize(**given)


def test_stylize_refuses_a_model_of_another_number_of_pictures(photo, painting, tints, ripple):
    text = r"takes a photograph and a painting\. Received: no painting\. Give one as `style`"
    with pytest.raises(ValueError, match=text):
        tfstyle.stylize(photo, model=tints / "callable")
    text = r"takes a photograph alone\. Received: a painting, too\. Leave `style` out"
    with pytest.raises(ValueError, match=text):
        tfstyle.stylize(photo, painting, model=ripple)
    with pytest.raises(ValueError, match="each of the network's 1 styles"):
        tfstyle.stylize(photo, model=ripple, style_weights=[1, 2])


def test_stylize_needs_a_style_or_a_model(photo):
    with pytest.raises(TypeError, match="`style` must be a painting or a trained style"):
        tfstyle.stylize(photo)


@pytest.mark.parametrize(
    ("function", "specs", "text"),
    [
        (lambda a, b, c: a, [PICTURE] * 3, r"takes float32 \(None, None, None, 3\), .*, float32"),
        (
            lambda a: tf.cast(a, tf.float32),
            [tf.TensorSpec([None, None, None, 3], tf.uint8)],
            r"float32 pictures .* takes uint8 \(None, None, None, 3\)",
        ),
        (lambda a: a, [tf.TensorSpec([None, 8])], r"takes float32 \(None, 8\)\."),
        (
            lambda a: a,
            [tf.TensorSpec([1, 32, 32, 3])],
            r"of shape \(1, 32, 32, 3\)\. Received: \(1, 37, 50, 3\)",
        ),
        (
            lambda a: tf.reshape(a, [1, 16, -1, 3]),
            [PICTURE],
            "cannot paint these pictures: Input to reshape is a tensor with 5550 values",
        ),
        (tf.reduce_mean, [PICTURE], r"must return a picture .* Received: shape \(\)"),
    ],
    ids=["three pictures", "integers", "vectors", "one size", "fails", "returns no picture"],
)
def test_stylize_refuses_a_model_that_is_no_painter(function, specs, text, photo, tmp_path):
    with pytest.raises(ValueError, match=text):
        tfstyle.stylize(photo, model=save(tmp_path, function, *specs))


def test_stylize_refuses_a_saved_model_that_cannot_be_used(photo, tmp_path):
    tf.saved_model.save(tf.Module(), str(tmp_path), signatures={})
    with pytest.raises(ValueError, match="which takes nothing in either way"):
        tfstyle.stylize(photo, model=tmp_path)
    (tmp_path / "saved_model.pb").write_bytes(b"damaged")
    with pytest.raises(ValueError, match="cannot be loaded: Cannot parse file"):
        tfstyle.stylize(photo, model=tmp_path)


# The command


def test_the_command_paints_with_a_model(tints, photo, painting, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    to_pil(photo).save("photo.png")
    to_pil(painting).save("painting.png")
    model = str(tints / "callable")
    arguments = ["photo.png", "painting.png", "--model", model, "-o", "out.png"]
    assert cli.main(["stylize", *arguments, "--size", "30", "--style-size", "64"]) == 0
    assert capsys.readouterr().out == "out.png\n"
    expected = tfstyle.stylize("photo.png", "painting.png", model=model, size=30, style_size=64)
    assert_alike(Image.open("out.png"), expected)


def test_the_command_refuses_a_missing_model_in_one_line(photo, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    to_pil(photo).save("photo.png")
    assert cli.main(["stylize", "photo.png", "--model", "gone", "-o", "out.png"]) == 2
    error = capsys.readouterr().err
    assert error.startswith("tfstyle stylize: `model` must be an address, or a folder")
    assert error.count("\n") == 1
    assert not (tmp_path / "out.png").exists()
