import io

import numpy as np
import pytest
from PIL import Image

import tfstyle
from tfstyle.images import read_image

FAST = {"size": 40, "steps": 2, "scales": (1.0,), "precision": "float32"}


@pytest.fixture
def photo(tmp_path):
    path = tmp_path / "photo.png"
    Image.effect_noise((48, 36), 80).convert("RGB").save(path)
    return path


@pytest.fixture
def painting():
    return Image.radial_gradient("L").convert("RGB").resize((64, 50))


@pytest.mark.usefixtures("fake_vgg")
@pytest.mark.parametrize("form", ["path", "text", "bytes", "file", "pil", "array", "picture"])
def test_stylize_takes_every_form_of_picture(photo, painting, form):
    source = {
        "path": lambda: photo,
        "text": lambda: str(photo),
        "bytes": photo.read_bytes,
        "file": lambda: io.BytesIO(photo.read_bytes()),
        "pil": lambda: Image.open(photo),
        "array": lambda: np.asarray(Image.open(photo)),
        "picture": lambda: read_image(photo),
    }[form]()
    result = tfstyle.stylize(source, painting, **FAST)
    assert (result.mode, result.size) == ("RGB", (40, 30))
    assert result.tobytes() == tfstyle.stylize(photo, painting, **FAST).tobytes()


@pytest.mark.usefixtures("fake_vgg")
def test_stylize_with_size_none_keeps_the_photographs_size(photo, painting):
    assert tfstyle.stylize(photo, painting, **(FAST | {"size": None})).size == (48, 36)


@pytest.mark.usefixtures("fake_vgg")
def test_stylize_puts_transparency_back(painting):
    photo = Image.effect_noise((40, 30), 80).convert("RGBA")
    mask = Image.linear_gradient("L").resize((40, 30))
    photo.putalpha(mask)
    result = tfstyle.stylize(photo, painting, **FAST)
    assert result.mode == "RGBA"
    np.testing.assert_allclose(np.asarray(result)[..., 3], np.asarray(mask), atol=1)


@pytest.mark.usefixtures("fake_vgg")
def test_stylize_mixes_paintings_by_weight(photo, painting):
    other = Image.linear_gradient("L").convert("RGB")
    options = FAST | {"steps": 4}

    def paint(style, weights=None):
        result = tfstyle.stylize(photo, style, style_weights=weights, **options)
        return np.asarray(result).astype(int)

    first, second = paint(painting), paint(other)
    assert np.array_equal(paint([painting]), first)
    assert np.abs(first - second).max() > 0
    nearly_first = paint([painting, other], [1.0, 1e-6])
    assert np.abs(nearly_first - first).mean() < np.abs(second - first).mean()


@pytest.mark.usefixtures("fake_vgg")
def test_color_content_keeps_the_photographs_chroma(painting):
    photo = np.full((32, 40, 3), (0.5, 0.45, 0.4), np.float32)
    photo[8:20, 10:30] = (0.4, 0.5, 0.45)
    result = tfstyle.stylize(photo, painting, color="content", **FAST)
    result = np.asarray(result) / 255
    inside = ((result > 0.01) & (result < 0.99)).all(-1)
    assert inside.mean() > 0.9
    for a, b in ((0, 1), (1, 2)):  # chroma: the differences between channels
        np.testing.assert_allclose(
            (result[..., a] - result[..., b])[inside],
            (photo[..., a] - photo[..., b])[inside],
            atol=1.01 / 255,
        )


@pytest.mark.usefixtures("fake_vgg")
def test_color_recolor_paints_with_a_recolored_painting(photo, painting):
    from tfstyle.colors import recolor
    from tfstyle.images import resize

    rgb = resize(read_image(photo).rgb, FAST["size"])
    recolored = recolor(read_image(painting).rgb, rgb)
    result = tfstyle.stylize(photo, painting, color="recolor", **FAST)
    assert result.tobytes() == tfstyle.stylize(photo, recolored, **FAST).tobytes()


@pytest.mark.parametrize(
    ("arguments", "error", "text"),
    [
        ({"recipe": "monet"}, ValueError, r"`recipe` must be one of \('default', 'tutorial'"),
        ({"recipe": 3}, TypeError, "a name or a Recipe"),
        ({"stpes": 3}, TypeError, "no field 'stpes'. Its fields: network,"),
        ({"steps": 0}, ValueError, "`steps` must be at least 1. Received: steps=0"),
        ({"style": []}, ValueError, "`style` must hold at least one painting"),
        ({"style_weights": [1, 2]}, ValueError, "positive number for each of 1 paintings"),
        ({"style_weights": [0]}, ValueError, r"Received: style_weights=\[0\]"),
        ({"style": "missing.jpg"}, FileNotFoundError, "missing.jpg"),
        ({"start_from": "missing.jpg"}, FileNotFoundError, "missing.jpg"),
    ],
)
def test_stylize_refuses_bad_input(photo, painting, arguments, error, text, monkeypatch):
    def too_late(*args, **kwargs):
        raise AssertionError("the loss network was loaded before the input was checked")

    monkeypatch.setattr("tfstyle.features.load_network", too_late)
    with pytest.raises(error, match=text):
        tfstyle.stylize(photo, **({"style": painting} | arguments))
