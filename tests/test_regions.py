"""Several styles in one picture, each where its mask says: in one pass, by optimization."""

import numpy as np
import pytest
from PIL import Image

import tfstyle
from tfstyle.cli.main import main
from tfstyle.config import recipe_with
from tfstyle.losses import Seen, gram_matrix, in_regions, style_loss, terms_of
from tfstyle.losses.terms import gram_where
from tfstyle.painting.regions import compose, read_masks, regions

FAST = {"size": 48, "steps": 2, "precision": "float32"}
LEFT = np.zeros((36, 48), np.float32)
LEFT[:, :24] = 1
RIGHT = 1 - LEFT


def noise(seed, height=36, width=48):
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)
    return Image.fromarray(pixels).resize((width, height))


@pytest.fixture
def files(tmp_path, monkeypatch):
    """photo.png, one.png, two.png, left.png and right.png in the current folder."""
    monkeypatch.chdir(tmp_path)
    for seed, name in enumerate(("photo", "one", "two")):
        noise(seed).save(f"{name}.png")
    for name, mask in (("left", LEFT), ("right", RIGHT)):
        Image.fromarray(np.uint8(255 * mask)).save(f"{name}.png")
    return tmp_path


# Masks


def test_masks_are_scaled_where_they_sum_to_more_than_one():
    grey, white = np.full((8, 8), 0.5, np.float32), np.ones((4, 4), np.float32)
    scaled = regions([grey, white], (16, 12))
    assert scaled.shape == (2, 16, 12)
    np.testing.assert_allclose(scaled[:, 0, 0], [1 / 3, 2 / 3], atol=1e-6)
    np.testing.assert_allclose(regions([grey], (16, 12)), 0.5, atol=1e-6)


def test_masks_must_be_as_many_as_styles(files):
    assert len(read_masks("left.png", 1)) == 1
    with pytest.raises(ValueError, match=r"`masks` must be one for each of 2 styles\. Received: 1"):
        read_masks(["left.png"], 2)


def test_outside_all_masks_is_the_photograph():
    photo, white = np.random.default_rng(0).random((6, 8, 3)), np.ones((6, 8, 3))
    masks = np.zeros((2, 6, 8))
    masks[0, :, :2], masks[1, :, 2:4] = 1, 0.5
    composed = compose(photo, [white, 0 * white], masks)
    np.testing.assert_array_equal(composed[:, 4:], np.float32(photo[:, 4:]))
    np.testing.assert_allclose(composed[:, :2], 1)
    np.testing.assert_allclose(composed[:, 2:4], photo[:, 2:4] / 2, rtol=1e-6)


# The term


def test_gram_where_is_the_gram_matrix_of_what_the_mask_shows():
    features = np.random.default_rng(0).random((1, 6, 8, 3), np.float32)
    mask = np.zeros((6, 8), np.float32)
    mask[:, :3] = 1
    np.testing.assert_allclose(
        gram_where(features, mask), gram_matrix(features[:, :, :3]), rtol=1e-5
    )
    large = mask.repeat(4, 0).repeat(4, 1)
    expected = gram_matrix(features[:, :, :2])  # well inside, apart from the soft edge
    assert (
        np.abs(gram_where(features, large) - gram_matrix(features[:, :, :3])).max()
        < np.abs(expected - gram_matrix(features)).max()
    )


def test_a_region_is_compared_with_its_own_painting():
    (term,) = (
        term
        for term in in_regions(terms_of(recipe_with("tutorial")), [LEFT, RIGHT])
        if term.name == "style_loss"
    )
    random = np.random.default_rng(0)
    one, two, seen = (
        {layer: random.random((1, 36, 48, 2), np.float32) for layer in term.layers}
        for _ in range(3)
    )
    target = term.blend([term.summary(one), term.summary(two)], [0.5, 0.5])
    losses = term.losses(Seen(pictures=np.zeros((1, 36, 48, 3)), features=seen), target)
    for layer, share in term.layers.items():
        halves = [
            style_loss(gram_matrix(seen[layer][:, :, half]), gram_matrix(painting[layer]), "mean")
            for painting, half in ((one, slice(24)), (two, slice(24, 48)))
        ]
        assert float(losses[f"style_loss/{layer}"]) == pytest.approx(np.mean(halves), rel=1e-4)
        assert share == pytest.approx(0.2)


def test_a_style_mask_chooses_what_of_a_painting_counts():
    terms = terms_of(recipe_with("tutorial"))
    term = in_regions(terms, [LEFT], [LEFT])[1]
    features = np.random.default_rng(0).random((1, 36, 48, 2), np.float32)
    (target,) = term.blend([dict.fromkeys(term.layers, features)], [1.0])
    for gram in target.values():
        np.testing.assert_allclose(gram, gram_matrix(features[:, :, :24]), rtol=1e-4)


def test_regions_are_refused_where_another_term_looks_at_paintings():
    with pytest.raises(ValueError, match="the term 'moments', too: set its weight to 0"):
        in_regions(terms_of(recipe_with("default", moments_weight=1)), [LEFT])


# From the photograph to the picture


@pytest.mark.usefixtures("tiny_zoo")
@pytest.mark.slow
def test_in_one_pass_each_style_is_where_its_mask_says(files):
    styles, masks = ["one.png", "ripple"], ["left.png", "right.png"]
    both = np.asarray(tfstyle.stylize("photo.png", styles, masks=masks))
    one = np.asarray(tfstyle.stylize("photo.png", "one.png", "instant"))
    ripple = np.asarray(tfstyle.stylize("photo.png", "ripple"))
    np.testing.assert_array_equal(both[:, :24], one[:, :24])
    np.testing.assert_array_equal(both[:, 24:], ripple[:, 24:])
    half = np.asarray(tfstyle.stylize("photo.png", "ripple", masks=LEFT))
    np.testing.assert_array_equal(half[:, 24:], np.asarray(Image.open("photo.png"))[:, 24:])


@pytest.mark.usefixtures("fake_vgg")
@pytest.mark.parametrize("recipe", ["default", "tutorial"])
@pytest.mark.slow
def test_by_optimization_a_region_has_its_painting_and_the_rest_stays(files, recipe):
    left = LEFT.copy()
    left[:, 12:] = 0
    picture = tfstyle.stylize(
        "photo.png", ["one.png", "two.png"], recipe, masks=[left, RIGHT], **FAST
    )
    picture, photo = np.asarray(picture, int), np.asarray(Image.open("photo.png"), int)
    np.testing.assert_array_equal(picture[:, 12:24], photo[:, 12:24])
    assert np.abs(picture - photo)[:, :12].mean() > 1
    other = tfstyle.stylize(
        "photo.png", ["two.png", "one.png"], recipe, masks=[left, RIGHT], **FAST
    )
    assert np.abs(picture - np.asarray(other, int))[:, 24:].mean() > 0.5


@pytest.mark.slow
@pytest.mark.usefixtures("fake_vgg", "tiny_zoo")
def test_the_command_takes_masks(files, capsys):
    end = ["-o", "out.png", "--masks", "left.png"]
    assert main(["stylize", "photo.png", "one.png", *end, "--steps", "2", "--size", "48"]) == 0
    optimized = Image.open("out.png").tobytes()
    assert main(["stylize", "photo.png", "one.png", *end, "--recipe", "instant"]) == 0
    assert Image.open("out.png").tobytes() != optimized
    assert main(["stylize", "photo.png", "ripple", *end]) == 0
    photo = np.asarray(Image.open("photo.png"))
    np.testing.assert_array_equal(np.asarray(Image.open("out.png"))[:, 24:], photo[:, 24:])
    assert main(["stylize", "photo.png", "one.png", "-o", "left.png", *end[2:]]) == 2
    assert main(["stylize", "photo.png", "one.png", "two.png", *end]) == 2
    assert "`masks` must be one for each of 2 styles" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "error", "text"),
    [
        ({"style_masks": [LEFT]}, TypeError, "`style_masks` go with `masks`"),
        ({"masks": [LEFT], "style_weights": [1]}, TypeError, "neither with `style_weights`"),
        ({"masks": [LEFT], "model": "models/any"}, TypeError, "nor with a `model`"),
        (
            {"masks": [LEFT], "style_masks": [LEFT], "recipe": "instant"},
            TypeError,
            "one pass takes no `style_masks`",
        ),
        ({"masks": [LEFT, RIGHT]}, ValueError, "one for each of 1 styles. Received: 2"),
    ],
)
def test_stylize_refuses(files, arguments, error, text):
    with pytest.raises(error, match=text):
        tfstyle.stylize("photo.png", "one.png", **arguments)
