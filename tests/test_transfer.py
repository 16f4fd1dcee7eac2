import io

import keras
import numpy as np
import pytest
from PIL import Image

import tfstyle
from tfstyle.config import PaintConfig
from tfstyle.losses.terms import PictureTerm
from tfstyle.networks.features import WeightsMissing
from tfstyle.painting import zoo
from tfstyle.painting.doors import paint_photos
from tfstyle.painting.sizes import paint
from tfstyle.pictures import read_image, resize, to_pil
from tfstyle.pictures.colors import keep_colors

FAST = {"size": 40, "steps": 2, "scales": (1.0,), "precision": "float32"}


@pytest.fixture
def photo(tmp_path):
    path = tmp_path / "photo.png"
    Image.effect_noise((48, 36), 80).convert("RGB").save(path)
    return path


@pytest.fixture
def painting():
    return Image.radial_gradient("L").convert("RGB").resize((64, 50))


@pytest.mark.usefixtures("fake_vgg", "tiny_zoo")
@pytest.mark.parametrize("form", ["path", "text", "bytes", "file", "pil", "array", "picture"])
def test_stylize_takes_every_form_of_picture(photo, form):
    forms = {
        "path": lambda: photo,
        "text": lambda: str(photo),
        "bytes": photo.read_bytes,
        "file": lambda: io.BytesIO(photo.read_bytes()),
        "pil": lambda: Image.open(photo),
        "array": lambda: np.asarray(Image.open(photo)),
        "picture": lambda: read_image(photo),
    }
    result = tfstyle.stylize(forms[form](), "ripple", size=40)
    assert (result.mode, result.size) == ("RGB", (40, 30))
    assert result.tobytes() == tfstyle.stylize(photo, "ripple", size=40).tobytes()


@pytest.mark.usefixtures("fake_vgg")
def test_stylize_takes_photograph_and_painting_in_any_form(photo, painting):
    result = tfstyle.stylize(Image.open(photo), np.asarray(painting), **FAST)
    assert (result.mode, result.size) == ("RGB", (40, 30))
    assert result.tobytes() == tfstyle.stylize(str(photo), painting, **FAST).tobytes()


@pytest.mark.usefixtures("fake_vgg")
@pytest.mark.slow
def test_stylize_with_size_none_keeps_the_photographs_size(photo, painting):
    assert tfstyle.stylize(photo, painting, **(FAST | {"size": None})).size == (48, 36)


@pytest.mark.usefixtures("fake_vgg")
@pytest.mark.slow
def test_stylize_takes_one_callback_and_one_term_alone(photo, painting):
    losses = []
    watch = keras.callbacks.LambdaCallback(
        on_train_batch_end=lambda batch, logs: losses.append(logs["darkness"])
    )
    darkness = PictureTerm("darkness", 1.0, keras.ops.mean)
    tfstyle.stylize(photo, painting, callbacks=watch, terms=darkness, **FAST)
    assert len(losses) == FAST["steps"]


@pytest.mark.usefixtures("fake_vgg")
@pytest.mark.slow
def test_stylize_puts_transparency_back(painting):
    photo = Image.effect_noise((40, 30), 80).convert("RGBA")
    mask = Image.linear_gradient("L").resize((40, 30))
    photo.putalpha(mask)
    result = tfstyle.stylize(photo, painting, **FAST)
    assert result.mode == "RGBA"
    np.testing.assert_allclose(np.asarray(result)[..., 3], np.asarray(mask), atol=1)


@pytest.mark.usefixtures("fake_vgg")
@pytest.mark.slow
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
@pytest.mark.slow
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
@pytest.mark.slow
def test_color_recolor_paints_with_a_recolored_painting(photo, painting):
    from tfstyle.pictures.colors import recolor

    rgb = resize(read_image(photo).rgb, FAST["size"])
    recolored = recolor(read_image(painting).rgb, rgb)
    result = tfstyle.stylize(photo, painting, color="recolor", **FAST)
    assert result.tobytes() == tfstyle.stylize(photo, recolored, **FAST).tobytes()


@pytest.mark.usefixtures("fake_vgg")
def test_default_starts_from_what_the_network_of_any_style_paints(photo, painting, monkeypatch):
    def keep_start(rgb, paintings, recipe, *, start_from, **options):
        return start_from

    monkeypatch.setattr("tfstyle.optimize.picture.optimize_image", keep_start)
    size = {"size": 40}
    started = tfstyle.stylize(photo, [painting, photo], style_weights=[3, 1], **size)
    expected = tfstyle.stylize(
        photo, [painting, photo], "instant", style_weights=[3, 1], stroke_size=0.1, **size
    )
    np.testing.assert_allclose(np.asarray(started), np.asarray(expected), atol=1)
    given = tfstyle.stylize(photo, painting, start_from=resize(read_image(photo).rgb, 40), **size)
    assert given.tobytes() == to_pil(resize(read_image(photo).rgb, 40)).tobytes()


@pytest.mark.slow
def test_without_the_loss_networks_weights_default_paints_in_one_pass(photo, painting, monkeypatch):
    def missing(*args):
        raise WeightsMissing("no weights")

    monkeypatch.setattr("tfstyle.optimize.picture.load_network", missing)
    with pytest.warns(UserWarning, match="^painted in one pass, not refined: no weights$"):
        result = tfstyle.stylize(photo, painting, size=40)
    expected = tfstyle.stylize(photo, painting, "instant", size=40, stroke_size=0.1)
    np.testing.assert_allclose(np.asarray(result), np.asarray(expected), atol=1)
    with pytest.raises(OSError, match="no weights"):
        tfstyle.stylize(photo, painting, "tutorial", size=40)
    with pytest.raises(OSError, match="no weights"):
        tfstyle.stylize(photo, painting, size=40, start_from=photo)


@pytest.mark.parametrize(
    ("arguments", "error", "text"),
    [
        ({"recipe": "monet"}, ValueError, r"`recipe` must be one of \('default', 'tutorial'"),
        ({"recipe": 3}, TypeError, "a name or a Recipe"),
        ({"stpes": 3}, TypeError, "no field 'stpes'. Its fields: network,"),
        ({"steps": 0}, ValueError, "`steps` must be at least 1. Received: steps=0"),
        ({"style": []}, ValueError, "`style` must hold at least one painting"),
        ({"style_weights": [1, 2]}, ValueError, "positive number for each painting, .* are 1\\."),
        ({"style_weights": [0]}, ValueError, r"Received: style_weights=\[0\]"),
        ({"style": "missing.jpg"}, FileNotFoundError, "missing.jpg"),
        ({"start_from": "missing.jpg"}, FileNotFoundError, "missing.jpg"),
    ],
)
def test_stylize_refuses_bad_input(photo, painting, arguments, error, text, monkeypatch):
    def too_late(*args, **kwargs):
        raise AssertionError("the loss network was loaded before the input was checked")

    monkeypatch.setattr("tfstyle.networks.features.load_network", too_late)
    with pytest.raises(error, match=text):
        tfstyle.stylize(photo, **({"style": painting} | arguments))


@pytest.fixture(params=["channels_first", "float16"])
def keras_json(request):
    """Function that lets Keras' settings be what a user may have in keras.json."""
    layout, floats = keras.config.image_data_format(), keras.config.floatx()

    def set_to(layout="channels_last", floats="float32"):
        keras.config.set_image_data_format(layout)
        keras.config.set_floatx(floats)
        zoo._load.cache_clear()

    yield lambda: set_to(**{"layout" if "_" in request.param else "floats": request.param})
    set_to(layout, floats)


@pytest.mark.usefixtures("fake_vgg", "tiny_zoo")
@pytest.mark.parametrize(
    ("style", "options"),
    [
        ("ripple", {}),
        (None, FAST),
        (None, FAST | {"recipe": "tutorial", "pooling": "average", "style_weight": 1e4}),
    ],
)
@pytest.mark.slow
def test_stylize_paints_the_same_whatever_keras_json_says(
    photo, painting, keras_json, style, options
):
    expected = tfstyle.stylize(photo, style or painting, **options)
    keras_json()
    result = tfstyle.stylize(photo, style or painting, **options)
    np.testing.assert_allclose(np.float32(result), np.float32(expected), atol=1)


# Trained styles


def assert_alike(picture, other):
    """Compare two pictures, give or take a level: what is added in another order can round so."""
    assert (picture.mode, picture.size) == (other.mode, other.size)
    np.testing.assert_allclose(np.float32(picture), np.float32(other), atol=1)


@pytest.mark.parametrize("form", ["name", "path", "text"])
def test_stylize_takes_a_trained_style_by_name_or_file(photo, tiny_zoo, form):
    path = tiny_zoo / "ripple.keras"
    style = {"name": "ripple", "path": path, "text": str(path)}[form]
    result = tfstyle.stylize(photo, style)
    expected = to_pil(paint(zoo.load(path), read_image(photo).rgb))
    assert_alike(result, expected)
    assert np.abs(np.float32(result) - np.float32(Image.open(photo))).mean() > 10


@pytest.mark.usefixtures("tiny_zoo")
@pytest.mark.parametrize("size", [(49, 37), (37, 49), (16, 70), (64, 64)])
def test_stylize_with_a_trained_style_keeps_the_photographs_size(size):
    photo = Image.effect_noise(size, 80).convert("RGB")
    assert tfstyle.stylize(photo, "ripple").size == size
    assert tfstyle.stylize(photo, "ripple", size=None).size == size


@pytest.mark.usefixtures("tiny_zoo")
def test_stylize_with_a_trained_style_paints_at_the_size_given(photo):
    result = tfstyle.stylize(photo, "ripple", size=24)
    assert result.size == (24, 18)
    assert_alike(result, tfstyle.stylize(resize(read_image(photo).rgb, 24), "ripple"))
    assert tfstyle.stylize(photo, "ripple", size=96).size == (96, 72)


@pytest.mark.usefixtures("tiny_zoo")
@pytest.mark.parametrize("size", [None, 20])
def test_stylize_with_a_trained_style_puts_transparency_back(size):
    photo = Image.effect_noise((40, 30), 80).convert("RGBA")
    mask = Image.linear_gradient("L").resize((40, 30))
    photo.putalpha(mask)
    result = tfstyle.stylize(photo, "ripple", size=size)
    assert (result.mode, result.size) == ("RGBA", (size or 40, (size or 40) * 3 // 4))
    expected = mask.resize(result.size, Image.Resampling.LANCZOS)
    np.testing.assert_allclose(np.asarray(result)[..., 3], np.asarray(expected), atol=1)


def test_color_content_keeps_the_chroma_with_a_trained_style(tiny_zoo):
    photo = np.random.default_rng(0).random((33, 40, 3), np.float32)
    result = tfstyle.stylize(photo, "ripple", color="content")
    painted = paint(zoo.load(tiny_zoo / "ripple.keras"), photo)
    assert_alike(result, to_pil(keep_colors(painted, photo)))


@pytest.mark.usefixtures("tiny_zoo")
def test_strength_of_a_trained_style_goes_from_photograph_to_painting(photo):
    none, half, full = (tfstyle.stylize(photo, "ripple", strength=s) for s in (0, 0.5, 1))
    assert none.tobytes() == Image.open(photo).tobytes()
    middle = (np.float32(none) + np.float32(full)) / 2
    np.testing.assert_allclose(np.float32(half), middle, atol=1.5)


def test_stylize_takes_the_style_named_of_a_network_of_several(photo, tiny_zoo):
    weather = tiny_zoo / "weather.keras"
    calm, storm = (tfstyle.stylize(photo, name) for name in ("calm", "storm"))
    assert_alike(calm, tfstyle.stylize(photo, weather))
    assert_alike(storm, tfstyle.stylize(photo, weather, style_weights=[0, 2]))
    both = tfstyle.stylize(photo, "calm", style_weights=(1, 1))
    for alone in (calm, storm):
        assert np.abs(np.float32(both) - np.float32(alone)).mean() > 2


def test_paint_photo_paints_as_stylize_does(photo, tiny_zoo):
    style = zoo.find(tiny_zoo / "weather.keras")
    config = PaintConfig(size=32, stroke_size=2, strength=0.5)
    (result,) = paint_photos([read_image(photo)], style, config)
    assert_alike(result, tfstyle.stylize(photo, "calm", size=32, stroke_size=2, strength=0.5))


@pytest.mark.usefixtures("tiny_zoo")
@pytest.mark.parametrize(
    ("arguments", "error", "text"),
    [
        ({"recipe": "tutorial"}, TypeError, "Painting in one pass takes no `recipe`"),
        ({"start_from": "photo.png"}, TypeError, "takes no `recipe` but .*`start_from`"),
        ({"steps": 3}, TypeError, "A PaintConfig has no field 'steps'. Its fields: size, strength"),
        ({"size": 15}, ValueError, "`size` must be at least 16 px. Received: size=15"),
        ({"strength": 2}, ValueError, "`strength` must lie between 0 and 1"),
        ({"style_weights": [1, 2]}, ValueError, "each of the network's 1 styles"),
        ({"style": "gone.keras"}, FileNotFoundError, "gone.keras"),
    ],
)
def test_stylize_with_a_trained_style_refuses_bad_input(photo, arguments, error, text):
    with pytest.raises(error, match=text):
        tfstyle.stylize(photo, **({"style": "ripple"} | arguments))


@pytest.mark.usefixtures("tiny_zoo")
def test_stylize_with_a_trained_style_refuses_a_missing_photograph(monkeypatch):
    monkeypatch.setattr(zoo, "load", lambda path: pytest.fail("too late"))
    with pytest.raises(FileNotFoundError, match=r"gone\.png"):
        tfstyle.stylize("gone.png", "ripple")
