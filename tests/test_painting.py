"""Painting with trained networks: pieces that nobody can tell from the whole, settings, files."""

import keras
import numpy as np
import pytest

from tfstyle.config import PaintConfig
from tfstyle.networks import GENERATORS
from tfstyle.painting import sizes as painting
from tfstyle.painting.sizes import (
    exact_moments,
    load_painter,
    paint,
    paint_batch,
    sampled_moments,
    whole_moments,
)
from tfstyle.pictures import resize

ONE = np.ones((1, 1), np.float32)
NEUTRAL = np.zeros((1, 1, 1, 1), np.float32), np.ones((1, 1, 1, 1), np.float32)
WHOLE = PaintConfig(statistics="whole")


def photograph(height, width, seed=0):
    """A ramp, a bright half and noise: statistics that no part has alone."""
    random = np.random.default_rng(seed)
    image = random.random((height, width, 3)) * 0.4 + np.linspace(0, 0.3, width)[:, None]
    image[: height // 2] += 0.3
    return image.astype(np.float32)


def assert_near(image, expected):
    """What is computed in another order differs in the last digits."""
    np.testing.assert_allclose(image, expected, atol=1e-5)


@pytest.fixture
def small_tiles(monkeypatch):
    monkeypatch.setattr(painting, "TILE", 64)


# Pieces


@pytest.mark.usefixtures("small_tiles")
@pytest.mark.parametrize(
    ("architecture", "size"),
    [("lean", (131, 85)), ("full", (128, 128))],
)
@pytest.mark.slow
def test_exact_statistics_are_those_of_the_whole(tiny_painter, architecture, size):
    network, image = tiny_painter(architecture, ("calm", "storm")), photograph(*size)
    weights = np.float32([[0.25, 0.75]])
    found = exact_moments(network, image, weights)
    expected = whole_moments(network, image, weights)
    assert len(found) == len(expected) == {"lean": 4, "full": 7}[architecture]
    for number, (pair, expected_pair) in enumerate(zip(found, expected, strict=True)):
        np.testing.assert_allclose(pair, np.stack(expected_pair), rtol=1e-4, atol=1e-5)
        # Each pass is compiled no more than thrice, however many sizes pieces have.
        assert painting._looking(network, number).experimental_get_tracing_count() <= 3
    whole = paint(network, image, WHOLE, style_weights=weights)
    pieces = paint(network, image, PaintConfig(statistics="exact"), style_weights=weights)
    assert whole.shape == image.shape
    assert whole.std() > 0.05
    np.testing.assert_allclose(pieces, whole, atol=0.1 / 255)


@pytest.mark.usefixtures("small_tiles")
@pytest.mark.parametrize("size", [(64, 65), (129, 63), (131, 203), (16, 128)])
@pytest.mark.parametrize("architecture", ["lean", "crisp", "full"])
def test_paint_in_pieces_with_the_wholes_moments_gives_the_whole(tiny_painter, architecture, size):
    network, image = tiny_painter(architecture), photograph(*size)
    padded = np.pad(image, [*((0, -side % 4) for side in size), (0, 0)], "reflect")
    moments = whole_moments(network, padded, ONE)
    np.testing.assert_allclose(
        paint(network, image, moments=moments), paint(network, image, WHOLE), atol=1e-4
    )


@pytest.mark.parametrize("architecture", ["lean", "crisp", "full"])
def test_paint_with_sampled_statistics_has_no_seams(tiny_painter, architecture, monkeypatch):
    network, image = tiny_painter(architecture), photograph(131, 203)
    sampled = PaintConfig(statistics="sampled")
    at_once = paint(network, image, sampled)
    monkeypatch.setattr(painting, "TILE", 64)
    in_pieces = paint(network, image, sampled)
    np.testing.assert_allclose(in_pieces, at_once, atol=1e-4)
    for axis, length in ((0, 131), (1, 203)):
        steps = np.abs(np.diff(in_pieces, axis=axis)).mean((1 - axis, 2))
        seams = [seam - 1 for seam in range(64, length, 64)]
        others = np.delete(steps, seams)
        assert steps[seams].max() < others.mean() + 4 * others.std()


@pytest.mark.parametrize("blocks", [0, 1, 3])
@pytest.mark.parametrize("architecture", ["lean", "crisp", "full"])
def test_reach_is_how_far_a_pixel_matters(architecture, blocks):
    network = GENERATORS[architecture](0.125, blocks)
    for weight in network.weights:
        if weight.path.endswith("kernel"):  # positive, so that nothing is lost on the way
            weight.assign(np.full(weight.shape, 1 / np.prod(weight.shape[:-1])))
    side = 2 * network.reach + 40
    side -= side % 4
    farthest = 0
    for place in range(side // 2, side // 2 + network.multiple):
        image = np.zeros((1, side, side, 3), np.float32)
        image[:, place, place] = 1e6
        painted = network.paint(image, normalize=lambda norm, x: norm(x, moments=NEUTRAL))
        rows, columns = np.nonzero(np.asarray(painted)[0, ..., 0] != np.float32(0.5))
        farthest = max(farthest, *np.abs(rows - place), *np.abs(columns - place))
    assert network.reach - network.multiple <= farthest <= network.reach


# Statistics


def test_sampled_moments_of_one_piece_are_the_wholes(tiny_painter):
    image = photograph(48, 48)
    sampled, whole = (find(tiny_painter(), image, ONE) for find in (sampled_moments, whole_moments))
    for pair, expected in zip(sampled, whole, strict=True):
        np.testing.assert_allclose(pair, np.stack(expected), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("size", [(200, 160), (16, 400), (401, 19)])
def test_sampled_moments_are_near_the_wholes_where_a_picture_is_alike_all_over(
    tiny_painter, monkeypatch, size
):
    monkeypatch.setattr(painting, "SAMPLE", 32)
    image = np.random.default_rng(0).random((*size, 3), np.float32)
    sampled, whole = (find(tiny_painter(), image, ONE) for find in (sampled_moments, whole_moments))
    for (mean, variance), (expected_mean, expected_variance) in zip(sampled, whole, strict=True):
        deviation = np.sqrt(expected_variance)
        np.testing.assert_array_less(np.abs(mean - expected_mean), 0.5 * deviation + 1e-3)
        np.testing.assert_allclose(np.sqrt(variance), deviation, rtol=0.5, atol=1e-3)


def test_statistics_auto_is_whole_up_to_a_limit(tiny_painter, monkeypatch):
    monkeypatch.setattr(painting, "WHOLE_PIXELS", 60 * 48)
    monkeypatch.setattr(painting, "SAMPLE", 32)
    network = tiny_painter()

    def painted(image, statistics, stroke_size=1.0):
        config = PaintConfig(statistics=statistics, stroke_size=stroke_size)
        return paint(network, image, config)

    small, large = photograph(60, 48), photograph(60, 49)
    assert_near(painted(small, "auto"), painted(small, "whole"))
    assert_near(painted(large, "auto"), painted(large, "sampled"))
    assert np.abs(painted(large, "auto") - painted(large, "whole")).max() > 1 / 255
    # What counts is the size at which it is painted.
    assert_near(painted(large, "auto", 2), painted(large, "whole", 2))


# Settings


def test_strength_goes_from_photograph_to_painting(tiny_painter):
    network, image = tiny_painter(), photograph(33, 50)
    none, half, full = (paint(network, image, PaintConfig(strength=s)) for s in (0, 0.5, 1))
    np.testing.assert_array_equal(none, image)
    np.testing.assert_allclose(half, (image + full) / 2, atol=1e-6)
    assert_near(full, paint(network, image))


@pytest.mark.parametrize("stroke_size", [0.1, 0.7, 2, 10])
def test_stroke_size_keeps_the_size(tiny_painter, stroke_size):
    image = photograph(20, 31)
    painted = paint(tiny_painter(), image, PaintConfig(stroke_size=stroke_size))
    assert painted.shape == image.shape
    assert painted.dtype == np.float32
    assert (painted.min() >= 0) & (painted.max() <= 1)


@pytest.mark.parametrize(
    "config",
    [
        PaintConfig(),
        PaintConfig(strength=0.5, stroke_size=1.5),
        PaintConfig(statistics="sampled"),
    ],
)
def test_a_batch_is_painted_as_its_pictures_alone(tiny_painter, config):
    network, images = (
        tiny_painter(names=("calm", "storm")),
        [photograph(40, 33, seed) for seed in range(3)],
    )
    weights = [1, 3]
    batch = paint_batch(network, images, config, style_weights=weights)
    assert len(batch) == 3
    for image, painted in zip(images, batch, strict=True):
        assert_near(painted, paint(network, image, config, style_weights=weights))


def test_stroke_size_paints_a_smaller_picture(tiny_painter):
    network, image = tiny_painter(), photograph(40, 60)
    expected = resize(paint(network, resize(image, (20, 30))), (40, 60))
    painted = paint(network, image, PaintConfig(stroke_size=2))
    assert_near(painted, expected)


def test_paint_with_the_first_style_by_default_and_blends_by_weight(tiny_painter):
    network, image = tiny_painter(names=("calm", "storm")), photograph(32, 40)

    def painted(weights=None):
        return paint(network, image, style_weights=weights)

    assert_near(painted(), painted([1, 0]))
    assert_near(painted([1, 3]), painted([0.25, 0.75]))
    calm, storm, both = painted([1, 0]), painted([0, 1]), painted([1, 1])
    assert np.abs(calm - storm).mean() > 0.02
    assert np.abs(both - calm).mean() > 0.01
    assert np.abs(both - storm).mean() > 0.01


@pytest.mark.parametrize("statistics", ["whole", "sampled"])
def test_paint_with_each_style_as_a_network_of_that_style_alone_would(tiny_painter, statistics):
    both, image = tiny_painter(names=("calm", "storm")), photograph(32, 40)
    alone = type(both)(both.width, both.blocks)
    for weight, source in zip(alone.weights, both.weights, strict=True):
        styles = weight.path.endswith(("gamma", "beta"))
        weight.assign(source.numpy()[1].reshape(weight.shape) if styles else source.numpy())
    config = PaintConfig(statistics=statistics)
    np.testing.assert_allclose(
        paint(both, image, config, style_weights=[0, 1]), paint(alone, image, config), atol=1e-5
    )


@pytest.mark.parametrize("weights", [[1], [1, 2, 3], [1, -1], [0, 0], [np.nan, 1], [np.inf, 1], []])
def test_paint_refuses_style_weights_that_do_not_fit(tiny_painter, weights):
    network = tiny_painter(names=("calm", "storm"))
    text = r"`style_weights` must be .* network's 2 styles, one of them positive\. Received: \["
    with pytest.raises(ValueError, match=text):
        paint(network, photograph(16, 16), style_weights=weights)


def test_style_weights_sum_to_one(tiny_painter):
    network = tiny_painter(names=("calm", "storm"))
    np.testing.assert_array_equal(network.point((1, 3)), [[0.25, 0.75]])
    np.testing.assert_array_equal(network.point(), [[1, 0]])


# Files


def test_load_painter_paints_as_before(tiny_painter, tiny_styles):
    network, image = load_painter(tiny_styles / "ripple.keras"), photograph(21, 34)
    assert network.card == tiny_painter().card
    assert_near(paint(network, image), paint(tiny_painter(), image))


@pytest.mark.parametrize(
    ("name", "error", "text"),
    [
        ("gone.keras", FileNotFoundError, "There is no network '.*gone.keras'"),
        ("text.keras", ValueError, "'.*text.keras' does not hold a network of tfstyle"),
        ("text.txt", ValueError, "'.*text.txt' does not hold a network of tfstyle"),
        ("cut.keras", ValueError, "'.*cut.keras' does not hold a network of tfstyle"),
        ("harmed.keras", ValueError, "'.*harmed.keras' does not hold a network of tfstyle"),
        ("dense.keras", ValueError, r"'.*dense.keras' holds a Sequential, no network of tfstyle\."),
    ],
)
def test_load_painter_says_what_is_wrong_with_a_file(tmp_path, tiny_styles, name, error, text):
    (tmp_path / "text.keras").write_text("a painting")
    (tmp_path / "text.txt").write_text("a painting")
    whole = (tiny_styles / "ripple.keras").read_bytes()
    (tmp_path / "cut.keras").write_bytes(whole[: len(whole) // 2])
    middle = len(whole) // 2
    harmed = whole[:middle] + bytes([whole[middle] ^ 255]) + whole[middle + 1 :]
    (tmp_path / "harmed.keras").write_bytes(harmed)
    keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)]).save(tmp_path / "dense.keras")
    with pytest.raises(error, match=text):
        load_painter(tmp_path / name)
