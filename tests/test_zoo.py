"""The styles that ship with the package: names, cards, files."""

import base64
import io
import os
import shutil
import subprocess
import sys
import zipfile

import keras
import numpy as np
import pytest
from PIL import Image

import tfstyle
from tfstyle.networks import Sampler
from tfstyle.networks.features import load_network
from tfstyle.painting import zoo

FOLDER = zoo.FOLDER
SHIPPED = sorted(path for path in FOLDER.glob("*.keras") if path != zoo.ANY)


def shipped(test):
    """Run a test for each network that ships with the package."""
    if not SHIPPED:
        return pytest.mark.skip(reason="no style is in tfstyle/styles yet")(test)
    return pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)(test)


def test_styles_lists_each_style_of_each_network(tiny_zoo):
    styles = zoo.styles()
    assert list(styles) == ["ripple", "calm", "storm"]
    storm = styles["storm"]
    assert (storm.name, storm.path, storm.index) == ("storm", tiny_zoo / "weather.keras", 1)
    assert storm.about == "about storm"
    assert [style["name"] for style in storm.card["styles"]] == ["calm", "storm"]


def test_styles_of_an_empty_folder_are_none(tmp_path, monkeypatch):
    monkeypatch.setattr(zoo, "FOLDER", tmp_path / "gone")
    assert zoo.styles.__wrapped__() == {}


@pytest.mark.usefixtures("tiny_zoo")
def test_find_takes_names_and_files(tiny_styles, tmp_path):
    assert zoo.find("storm") == zoo.styles()["storm"]
    shutil.copy(tiny_styles / "weather.keras", tmp_path / "own.keras")
    for path in (tmp_path / "own.keras", str(tmp_path / "own.keras")):
        found = zoo.find(path)
        assert (found.name, found.path, found.index) == ("calm", tmp_path / "own.keras", 0)


@pytest.mark.parametrize(
    "other", ["painting.jpg", "rippl", "", b"ripple", ["ripple"], None, np.zeros((16, 16, 3))]
)
@pytest.mark.usefixtures("tiny_zoo")
def test_find_leaves_paintings_alone(other):
    assert zoo.find(other) is None


def write_archive(path, text):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("config.json", text)


@pytest.mark.parametrize(
    ("write", "error", "text"),
    [
        (lambda path: None, FileNotFoundError, "own.keras"),
        (lambda path: path.mkdir(), ValueError, "own.keras', a folder"),
        (os.mkfifo, ValueError, "own.keras', a pipe"),
        (
            lambda path: path.write_text("a painting"),
            ValueError,
            "own.keras' does not hold a train",
        ),
        (lambda path: path.write_bytes(b""), ValueError, "does not hold a trained network of tfst"),
        (lambda path: write_archive(path, "{"), ValueError, "does not hold a trained network of"),
        (lambda path: write_archive(path, "[]"), ValueError, "does not hold a trained network of"),
        (
            lambda path: keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)]).save(path),
            ValueError,
            r"own.keras' does not hold a trained network of tfstyle\.",
        ),
        (
            lambda path: write_archive(path, '{"config": {"card": {"styles": []}}}'),
            ValueError,
            r"own.keras' holds a network whose card names no style\.",
        ),
    ],
)
def test_find_says_what_is_wrong_with_a_file(tmp_path, write, error, text):
    write(tmp_path / "own.keras")
    with pytest.raises(error, match=text):
        zoo.find(tmp_path / "own.keras")


# Loading


def test_a_network_whose_training_has_not_ended_is_told_from_one_that_never_was(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"There is no network '.*a\.keras'\.$"):
        zoo.find(tmp_path / "a.keras")
    (tmp_path / "a.training").mkdir()
    (tmp_path / "a.training" / "checkpoint.npz").touch()
    with pytest.raises(
        FileNotFoundError, match=r"a\.keras'\. Its training has not ended: the same"
    ):
        zoo.find(tmp_path / "a.keras")


def test_load_loads_a_file_once(tiny_styles, monkeypatch):
    network = zoo.load(tiny_styles / "ripple.keras")
    assert zoo.load(str(tiny_styles / "ripple.keras")) is network
    monkeypatch.chdir(tiny_styles)
    assert zoo.load("ripple.keras") is network


def test_load_sees_that_a_file_was_written_anew(tiny_painter, tmp_path):
    path = tmp_path / "own.keras"
    tiny_painter().save(path)
    assert zoo.load(path).num_styles == 1
    tiny_painter(names=("calm", "storm")).save(path)
    assert zoo.load(path).num_styles == 2


def test_load_takes_a_file_by_its_whole_path(tiny_painter, tmp_path, monkeypatch):
    for folder, names in (("one", ("ripple",)), ("two", ("calm", "storm"))):
        (tmp_path / folder).mkdir()
        monkeypatch.chdir(tmp_path / folder)
        tiny_painter(names=names).save("own.keras")
        assert zoo.load("own.keras").num_styles == len(names)


# What ships


@shipped
def test_shipped_style_loads_and_says_what_it_is(path):
    for style in zoo.styles_of(path):
        assert zoo.styles()[style.name] == style
        assert style.about
        with Image.open(
            io.BytesIO(base64.b64decode(style.card["styles"][style.index]["thumbnail"]))
        ) as thumbnail:
            assert thumbnail.format == "JPEG"
            assert 32 <= max(thumbnail.size) <= 256
    network = zoo.load(path)
    assert network.num_styles == len(zoo.styles_of(path))
    assert network.card == zoo.styles_of(path)[0].card
    image = np.random.default_rng(0).random((1, 33, 50, 3), np.float32)
    painted = np.asarray(network(image))
    assert painted.shape == image.shape
    assert np.isfinite(painted).all()
    assert painted.std() > 0.01


def test_shipped_styles_take_less_than_20_megabytes():
    assert sum(path.stat().st_size for path in FOLDER.rglob("*") if path.is_file()) < 20e6
    assert {path.suffix for path in FOLDER.iterdir()} <= {".keras"}


def test_shipped_styles_have_names_of_their_own():
    names = [style.name for path in SHIPPED for style in zoo.styles_of(path)]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("stom", r"no trained style of that name\. Did you mean 'storm'\? `tfstyle styles` lists"),
        ("nothing_like_it", r"no trained style of that name\. `tfstyle styles` lists them\."),
    ],
)
@pytest.mark.usefixtures("tiny_zoo")
def test_stylize_names_the_styles_that_are_near(name, text):
    with pytest.raises(FileNotFoundError, match=text):
        tfstyle.stylize("photo.jpg", name)


@pytest.mark.parametrize("named", ["storm", "any"])
@pytest.mark.usefixtures("tiny_zoo")
def test_stylize_takes_no_trained_style_among_several_paintings(named):
    with pytest.raises(ValueError, match=f"Received: '{named}', a trained network: give it alone"):
        tfstyle.stylize("photo.jpg", ["painting.jpg", named])


def test_a_process_forked_after_the_start_is_refused(tiny_styles, monkeypatch):
    network = zoo.load(tiny_styles / "ripple.keras")
    assert zoo.load(tiny_styles / "ripple.keras") is network
    monkeypatch.setattr("tfstyle.networks.process.os.getpid", lambda: -1)
    for load in (lambda: zoo.load(tiny_styles / "ripple.keras"), load_network):
        with pytest.raises(RuntimeError, match="forked off one in which TensorFlow had begun"):
            load()


def test_load_gives_a_network_of_ones_own(tiny_zoo):
    picture = np.random.default_rng(0).random((1, 32, 40, 3), np.float32)
    network, weather = tfstyle.load("storm"), tfstyle.load(tiny_zoo / "weather.keras")
    np.testing.assert_allclose(network(picture), weather(picture, np.float32([[0, 1]])), atol=1e-5)
    assert [style["name"] for style in network.card["styles"]] == ["storm"]
    network.trainable_variables[0].assign(0 * network.trainable_variables[0])
    np.testing.assert_allclose(
        tfstyle.load("storm")(picture), weather(picture, np.float32([[0, 1]])), atol=1e-5
    )
    assert tfstyle.load("any").encode(picture).shape == (1, 128)
    with pytest.raises(ValueError, match="`style` must be one of"):
        tfstyle.load("monet")


@pytest.mark.slow
def test_keras_loads_our_networks_once_tfstyle_is_imported():
    code = (
        "import keras, tfstyle, sys; network = keras.saving.load_model(sys.argv[1]); "
        "print(type(network).__name__)"
    )
    run = [sys.executable, "-c", code, FOLDER / "wave.keras"]
    assert subprocess.run(run, capture_output=True, text=True).stdout.strip() == "CrispNet"


def test_a_network_that_makes_digits_is_no_style(tmp_path):
    path = tmp_path / "digits.keras"
    Sampler(8, 4, (4, 4, 1)).save(path)
    with pytest.raises(ValueError, match=r"makes digits and paints no photographs\. Type tfstyle"):
        zoo.find(path)


def test_a_style_is_told_in_a_line():
    (style, *_) = zoo.styles().values()
    assert len(repr(style)) < 300


def test_json_that_is_no_network_is_said(tmp_path):
    path = tmp_path / "number.keras"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("config.json", "5")
    with pytest.raises(ValueError, match="does not hold a trained network"):
        zoo.find(path)
