"""Sheets and walks of a sampler, and the command that makes them."""

import numpy as np
import pytest
from PIL import Image

from tfstyle.cli.main import main
from tfstyle.networks import Sampler
from tfstyle.painting.samples import points, sheet, walk


@pytest.fixture
def network(tmp_path, monkeypatch):
    """digits.keras in the current folder, and wave.keras, which paints."""
    monkeypatch.chdir(tmp_path)
    Sampler(3, 8, (6, 5, 1)).save("digits.keras")
    return "digits.keras"


def test_sheet_lays_pictures_out_in_rows():
    pictures = np.arange(5, dtype=np.float32).reshape(5, 1, 1, 1) / 5 * np.ones((5, 2, 3, 1))
    grey = np.asarray(sheet(pictures))
    assert grey.shape == (2 * 4 + 2, 3 * 5 + 2)
    assert grey[2:4, 2:5].max() == 0
    assert (grey[2:4, 7:10] == 51).all()
    assert (grey[6:8, 7:10] == 204).all()
    assert grey[6:8, 12:].max() == 0  # no sixth
    assert sheet(np.ones((1, 2, 2, 3)), 3).size == (18, 18)


def test_a_walk_passes_its_stops_and_keeps_to_the_sphere():
    stops = np.float32([[[3, 0], [0, 2]], [[0, 3], [2, 0]], [[-3, 0], [0, -2]]])
    found = np.stack(list(walk(stops, 4)))
    assert found.shape == (12, 2, 2)
    np.testing.assert_allclose(found[::4], stops, atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(found[:8], axis=-1), [[3, 2]] * 8, rtol=1e-5)
    half = np.sqrt(0.5)
    np.testing.assert_allclose(found[2, 0], [3 * half, 3 * half], rtol=1e-5)


def test_fewer_points_are_the_first_of_more():
    np.testing.assert_array_equal(points(3, 8), points(7, 8)[:3])


@pytest.mark.parametrize("command", [["digits.keras"], ["sample", "digits.keras"]])
def test_a_network_alone_makes_a_sheet(network, capsys, command):
    assert main(command) == 0
    assert capsys.readouterr().out == "digits_samples.png\n"
    with Image.open("digits_samples.png") as picture:
        assert picture.size == (2 * (8 * 7 + 2), 2 * (8 * 8 + 2))


def test_a_gif_is_a_walk(network):
    assert main([network, "-o", "walk.gif", "--count", "4", "--seconds", "1", "--stops", "2"]) == 0
    with Image.open("walk.gif") as film:
        assert film.size == (2 * 16, 2 * 18)
        assert film.n_frames > 10
        assert film.info["loop"] == 0


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["gone.keras"], "There is no network 'gone.keras'."),
        (["broken.keras"], "'broken.keras' does not hold a network of Keras."),
        (["ripple.keras"], "holds a LeanNet, which makes no pictures of its own"),
        (["digits.keras", "--count", "0"], "`count` must be at least 1. Received: count=0."),
        (["digits.keras", "--seconds", "0"], "`seconds` must be 0.1 to 600."),
        (["digits.keras", "-o", "digits.keras"], "The output path must end in one of"),
        (["digits.keras", "-o", "no/sheet.png"], "Create the folder 'no' first."),
    ],
)
def test_sample_refuses_in_a_line(network, tiny_styles, tmp_path, capsys, arguments, text):
    (tmp_path / "ripple.keras").write_bytes((tiny_styles / "ripple.keras").read_bytes())
    (tmp_path / "broken.keras").write_bytes(b"no network")
    assert main(arguments) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert text in said
