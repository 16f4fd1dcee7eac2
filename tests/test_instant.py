"""Any painting in one pass: the network that ships, codes of paintings, strength, errors."""

import numpy as np
import pytest
from PIL import Image

import tfstyle
from tfstyle.cli.main import main
from tfstyle.networks import AnyNet
from tfstyle.painting import zoo
from tfstyle.painting.instant import Paintings, style_for


@pytest.fixture(scope="module")
def pictures():
    """A photograph and two paintings of different colors, PIL images."""
    y, x = np.mgrid[:48, :64] / 64
    photo = np.stack([x, y, 1 - x], -1)
    noise = np.random.default_rng(0).random((40, 52, 1))
    red, blue = noise * [1, 0.2, 0.1], noise * [0.1, 0.3, 1]
    return [Image.fromarray((255 * array).astype(np.uint8)) for array in (photo, red, blue)]


def test_the_network_of_any_style_ships_in_three_megabytes():
    assert zoo.ANY.stat().st_size < 3_000_000
    assert zoo.paints_any(zoo.ANY)
    assert "any" not in zoo.styles()
    assert zoo.find("any").path == zoo.ANY
    losses = zoo.find("any").card["losses"]
    assert losses["seen"]["style_loss"] * 1.25 >= losses["unseen"]["style_loss"]


def test_stylize_instant_takes_the_colors_of_the_painting(pictures):
    photo, red, blue = pictures
    as_red, as_blue = (
        np.asarray(tfstyle.stylize(photo, painting, "instant"), float) for painting in (red, blue)
    )
    assert as_red.shape == (48, 64, 3)
    assert as_red[..., 0].mean() > as_red[..., 2].mean()
    assert as_blue[..., 2].mean() > as_blue[..., 0].mean()


def test_stylize_instant_at_no_strength_is_the_photograph(pictures):
    photo, red, _ = pictures
    weak = [
        np.asarray(tfstyle.stylize(photo, red, "instant", strength=strength), float)
        for strength in (0.0, 0.1, 0.5, 1.0)
    ]
    np.testing.assert_allclose(weak[0], np.asarray(photo), atol=1)
    far = [np.abs(picture - weak[0]).mean() for picture in weak]
    assert far == sorted(far)


@pytest.mark.parametrize("size", [(20, 24), (600, 16), (16, 16)])
def test_small_pictures_have_codes(pictures, size):
    small = [picture.resize(size) for picture in pictures[:2]]
    painted = np.asarray(tfstyle.stylize(*small, "instant", strength=0.5), float)
    assert painted.shape == (*size[::-1], 3)
    assert np.abs(painted - np.asarray(small[0])).max() > 8


def test_codes_of_paintings_are_blended_by_weight(pictures):
    _, red, blue = pictures
    network = zoo.load(zoo.ANY)
    one, other = (Paintings(painting).point(network) for painting in (red, blue))
    both = Paintings([red, blue]).point(network, [1, 3])
    np.testing.assert_allclose(both, 0.25 * one + 0.75 * other, atol=1e-5)


def test_a_painting_is_read_once(pictures, monkeypatch):
    network, calls = zoo.load(zoo.ANY), []
    monkeypatch.setattr(network, "encode", lambda x: calls.append(x) or np.ones((1, 128)))
    painting = Paintings(pictures[1])
    painting.point(network)
    painting.point(network)
    assert len(calls) == 1


@pytest.mark.slow
def test_large_pictures_in_pieces_equal_the_whole(pictures, monkeypatch):
    from tfstyle.painting import sizes

    photo, red, _ = pictures
    whole = tfstyle.stylize(photo, red, "instant", size=160, statistics="whole")
    monkeypatch.setattr(sizes, "TILE", 64)
    pieces = tfstyle.stylize(photo, red, "instant", size=160, statistics="exact")
    np.testing.assert_allclose(np.asarray(pieces, float), np.asarray(whole, float), atol=1)


@pytest.mark.parametrize(
    ("arguments", "error", "text"),
    [
        ({"style": []}, ValueError, "at least one painting. Received: an empty list"),
        ({"style_weights": [1, 2]}, ValueError, "positive number for each painting, .* are 1\\."),
        ({"style_weights": [-1]}, ValueError, r"Received: style_weights=\[-1\]"),
        ({"style_weights": [np.inf]}, ValueError, r"Received: style_weights=\[inf\]"),
        ({"steps": 3}, TypeError, "A PaintConfig has no field 'steps'"),
        ({"start_from": "photo.png"}, TypeError, "no `start_from`"),
    ],
)
def test_stylize_instant_refuses_bad_input(pictures, arguments, error, text):
    with pytest.raises(error, match=text):
        tfstyle.stylize(
            **{"content": pictures[0], "style": pictures[1], "recipe": "instant"} | arguments
        )


def test_any_without_a_painting_says_what_it_needs(pictures):
    with pytest.raises(ValueError, match="paints after a painting: name the painting as the style"):
        tfstyle.stylize(pictures[0], "any")


def test_a_network_of_its_own_styles_takes_no_painting(pictures, tiny_styles):
    with pytest.raises(ValueError, match="a network of styles of its own, which takes no painting"):
        Paintings(pictures[1], tiny_styles / "ripple.keras")


def test_style_for_names_the_styles_that_there_are():
    with pytest.raises(ValueError, match=r"`style` must be one of .*'wave'.*Received: 'wvae'"):
        style_for("wvae")
    assert style_for("wave").name == "wave"


def test_the_network_of_any_style_alone_is_no_style(pictures, tmp_path, capsys):
    pictures[0].save(tmp_path / "photo.png")
    photo, out = str(tmp_path / "photo.png"), str(tmp_path / "out.png")
    for arguments in ([photo, "any"], [photo, str(zoo.ANY)], [photo, photo, "--style", "any"]):
        assert main(["stylize", *arguments, "-o", out]) == 2
        assert "'any' is a network of any style, which paints after" in capsys.readouterr().err


@pytest.mark.parametrize("words", [[], ["any"], ["--masks", "red.png", "--recipe", "instant"]])
def test_style_masks_that_nothing_looks_at_are_refused_in_a_line(words, pictures, tmp_path, capsys):
    for picture, name in zip(pictures, ("photo.png", "red.png"), strict=False):
        picture.save(tmp_path / name)
    photo, red, out = (str(tmp_path / name) for name in ("photo.png", "red.png", "out.png"))
    words = [red if word == "red.png" else word for word in words]
    assert main(["stylize", photo, red, *words, "--style-masks", red, "-o", out]) == 2
    assert "`style_masks` go with `masks`, and with painting by" in capsys.readouterr().err


@pytest.mark.slow
def test_a_network_of_any_style_among_the_words_paints_after_the_painting(pictures, tmp_path):
    files = [str(tmp_path / name) for name in ("photo.png", "red.png", "out.png")]
    for picture, file in zip(pictures[:2], files[:2], strict=True):
        picture.save(file)
    expected = np.asarray(tfstyle.stylize(*pictures[:2], "instant"))
    Image.new("L", (64, 48), 255).save(tmp_path / "mask.png")
    masks = ["--masks", str(tmp_path / "mask.png")]
    for words in (["any"], [str(zoo.ANY)], ["any", *masks], ["--recipe", "any"]):
        assert main(["stylize", *files[:2], *words, "-o", files[2]]) == 0
        with Image.open(files[2]) as painted:
            np.testing.assert_array_equal(np.asarray(painted), expected)


@pytest.mark.slow
def test_tfstyle_stylize_paints_a_folder_in_the_style_of_a_painting(pictures, tmp_path, capsys):
    photos, painting = tmp_path / "photos", tmp_path / "red.png"
    photos.mkdir()
    for number in range(2):
        pictures[0].save(photos / f"{number}.png")
    pictures[1].save(painting)
    output = tmp_path / "painted"
    assert main(["stylize", str(photos), str(painting), "-o", str(output)]) == 0
    expected = np.asarray(tfstyle.stylize(pictures[0], pictures[1], "instant"), float)
    for number in range(2):
        with Image.open(output / f"{number}.png") as painted:
            np.testing.assert_allclose(np.asarray(painted, float), expected, atol=1)


@pytest.mark.slow
def test_tfstyle_stylize_instant_blends_paintings(pictures, tmp_path):
    files = [tmp_path / f"{name}.png" for name in ("photo", "red", "blue")]
    for picture, file in zip(pictures, files, strict=True):
        picture.save(file)
    photo, *paintings = map(str, files)
    output = tmp_path / "out.png"
    flags = ["--recipe", "instant", "--style-weights", "1", "3", "--size", "32"]
    assert main(["stylize", photo, *paintings, "-o", str(output), *flags]) == 0
    expected = tfstyle.stylize(*files[:1], files[1:], "instant", style_weights=[1, 3], size=32)
    with Image.open(output) as painted:
        np.testing.assert_array_equal(np.asarray(painted), np.asarray(expected))


@pytest.mark.slow
def test_a_gif_is_painted_in_the_style_of_a_painting(pictures, tmp_path):
    film, painting, output = (tmp_path / name for name in ("in.gif", "red.png", "out.gif"))
    frames = [pictures[0].rotate(angle) for angle in (0, 10, 20)]
    frames[0].save(film, save_all=True, append_images=frames[1:], duration=100)
    pictures[1].save(painting)
    assert main(["video", str(film), str(painting), "-o", str(output)]) == 0
    with Image.open(output) as painted:
        assert painted.n_frames == 3
        first = np.asarray(painted.convert("RGB"), float)
    assert first[..., 0].mean() > first[..., 2].mean()


@pytest.mark.slow
def test_a_network_of_one_painting_paints_as_the_network_of_any(pictures):
    photo, red, _ = pictures
    image = np.float32(photo)[None] / 255
    network, paintings = zoo.load(zoo.ANY), Paintings(red)
    fixed = paintings.network("red")
    np.testing.assert_allclose(fixed(image), network(image, paintings.point(network)), atol=1e-4)
    assert fixed.num_styles == 1
    assert fixed.count_params() < network.count_params() / 2
    assert [style["name"] for style in fixed.card["styles"]] == ["red"]


@pytest.mark.slow
def test_tfstyle_exports_a_painting_and_verifies_it(pictures, tmp_path, capsys):
    painting, output = str(tmp_path / "red.png"), str(tmp_path / "red.tflite")
    pictures[1].save(painting)
    assert main(["export", painting, output, "--format", "litert"]) == 0
    assert main(["verify", output]) == 2
    assert "let --network name its .keras file or its painting" in capsys.readouterr().err
    assert main(["verify", output, "--network", painting]) == 0


@pytest.mark.slow
def test_recipe_may_be_another_network_of_any_style(pictures, tmp_path, capsys):
    photo, red, _ = pictures
    own = AnyNet(0.25, 1, card={"styles": [{"name": "any", "about": ""}]})
    own.save(tmp_path / "own.keras")
    for name, picture in (("photo", photo), ("red", red)):
        picture.save(tmp_path / f"{name}.png")
    painted = tfstyle.stylize(photo, red, tmp_path / "own.keras")
    assert painted.tobytes() != tfstyle.stylize(photo, red, "instant").tobytes()
    words = ["photo.png", "red.png", "-o", "out.png", "--recipe", "own.keras"]
    words = [str(tmp_path / word) if "." in word else word for word in words]
    assert main(["stylize", *words]) == 0
    assert Image.open(tmp_path / "out.png").tobytes() == painted.tobytes()
    with pytest.raises(ValueError, match="a network of styles of its own, which takes no painting"):
        tfstyle.stylize(photo, red, zoo.FOLDER / "wave.keras")
    with pytest.raises(ValueError, match="does not hold a trained network"):
        tfstyle.stylize(photo, red, _broken(tmp_path / "broken.keras"))


def _broken(path):
    path.write_bytes(b"no network")
    return path
