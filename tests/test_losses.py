"""Losses against the published formulas, in NumPy's float64 and unnormalized Gram matrices."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import ops

from tfstyle.losses import (
    CONTENT_NORMS,
    STYLE_NORMS,
    TV_NORMS,
    content_loss,
    detail_kept,
    gram_matrix,
    grid_variation,
    octave_noise,
    stability_loss,
    style_loss,
    total_variation,
)


def noise(*shape, seed=0, scale=1.0):
    return (np.random.default_rng(seed).normal(size=shape) * scale).astype(np.float32)


def summed_gram(features):
    """G of one picture, `(height, width, channels)`: no division."""
    return np.einsum("ijc,ijd->cd", features, features)


# METHODS.md; F, T: features; N: positions; C: channels. "relative" is ours: see the docstring.
CONTENT = {
    "mean": lambda F, T, N, C: np.mean((F - T) ** 2),
    "half_mean": lambda F, T, N, C: np.sum((F - T) ** 2) / (2 * N * C),
    "sum": lambda F, T, N, C: np.sum((F - T) ** 2),
    "half_sum": lambda F, T, N, C: np.sum((F - T) ** 2) / 2,
    "relative": lambda F, T, N, C: np.sum((F - T) ** 2) / np.sum(T**2),
    "scaled": lambda F, T, N, C: np.sum((F - T) ** 2) / np.sum(abs(F - T)),
}
# G, H: Gram matrices that sum over positions; P: pixels of the picture.
STYLE = {
    "mean": lambda G, H, N, C, P: np.mean((G / N - H / N) ** 2),
    "gatys": lambda G, H, N, C, P: np.sum((G - H) ** 2) / (4 * C**2 * N**2),
    "pixels": lambda G, H, N, C, P: np.sum((G - H) ** 2) / (4 * 3**2 * P**2),
    "channels": lambda G, H, N, C, P: np.mean((G - H) ** 2) / (C * N),
    "relative": lambda G, H, N, C, P: np.sum((G - H) ** 2) / np.sum(H**2),
}


def absolute(image):
    height, width, _ = image.shape
    down = sum(abs(image[y + 1, x] - image[y, x]) for y in range(height - 1) for x in range(width))
    right = sum(abs(image[y, x + 1] - image[y, x]) for y in range(height) for x in range(width - 1))
    return np.sum(down + right)


def power(image):
    height, width, _ = image.shape
    levels = image * 255
    return sum(
        np.sum(
            ((levels[y, x + 1] - levels[y, x]) ** 2 + (levels[y + 1, x] - levels[y, x]) ** 2)
            ** 1.25
        )
        for y in range(height - 1)
        for x in range(width - 1)
    )


def smooth(image):
    height, width, _ = image.shape
    total = 0
    for dy, dx, weight in ((0, 1, 1 / 3), (1, 0, 1 / 3), (1, 1, 1 / 12), (1, -1, 1 / 12)):
        squares = [
            (image[y + dy, x + dx] - image[y, x]) ** 2
            for y in range(height - dy)
            for x in range(width)
            if 0 <= x + dx < width
        ]
        total += weight * np.mean(squares)
    return total


VARIATION = {"absolute": absolute, "power": power, "smooth": smooth}


# The formulas


@pytest.mark.parametrize("norm", CONTENT_NORMS)
def test_content_loss_follows_its_formula(call, norm):
    features, target = noise(1, 6, 5, 3), noise(1, 6, 5, 3, seed=1)
    got = call(lambda f, t: content_loss(f, t, norm), features, target)
    expected = CONTENT[norm](features.astype(float), target.astype(float), 6 * 5, 3)
    np.testing.assert_allclose(got, expected, rtol=1e-5)


@pytest.mark.parametrize("norm", STYLE_NORMS)
def test_style_loss_follows_its_formula(call, norm):
    features, target = noise(1, 6, 5, 3), noise(1, 6, 5, 3, seed=1)

    def loss(features, target):
        height, width = ops.shape(features)[1:3]
        return style_loss(
            gram_matrix(features),
            gram_matrix(target),
            norm,
            positions=height * width,
            pixels=16 * height * width,
        )

    grams = (summed_gram(f.astype(float)) for f in (features[0], target[0]))
    expected = STYLE[norm](*grams, 6 * 5, 3, 16 * 6 * 5)
    np.testing.assert_allclose(call(loss, features, target), expected, rtol=1e-5)


@pytest.mark.parametrize("norm", TV_NORMS)
def test_total_variation_follows_its_formula(call, norm):
    image = np.random.default_rng(0).random((1, 6, 5, 3), np.float32)
    got = call(lambda image: total_variation(image, norm), image)
    np.testing.assert_allclose(got, VARIATION[norm](image[0].astype(float)), rtol=1e-5)


def test_total_variation_equals_tensorflow(call):
    image = np.random.default_rng(0).random((1, 16, 9, 3), np.float32)
    expected = tf.image.total_variation(tf.constant(image))[0]
    np.testing.assert_allclose(call(total_variation, image), expected, rtol=1e-6)


@pytest.mark.parametrize("turn", [lambda i: i[:, ::-1], lambda i: np.swapaxes(i, 1, 2)])
@pytest.mark.parametrize("norm", ["absolute", "smooth"])
def test_total_variation_prefers_no_direction(norm, turn):
    image = np.random.default_rng(0).random((1, 8, 6, 3), np.float32)
    got = total_variation(turn(image), norm)
    np.testing.assert_allclose(got, total_variation(image, norm), rtol=1e-5)


def test_gram_matrix_is_a_mean_over_positions(call):
    features = noise(2, 6, 5, 3)
    expected = [summed_gram(f) / (6 * 5) for f in features]
    np.testing.assert_allclose(call(gram_matrix, features), expected, rtol=1e-5, atol=1e-6)


# Invariants


def test_gram_matrix_ignores_position(call):
    features = noise(1, 6, 5, 3)
    shuffled = np.random.default_rng(1).permutation(features.reshape(30, 3)).reshape(1, 6, 5, 3)
    assert np.abs(shuffled - features).max() > 0.1
    got = call(gram_matrix, shuffled)
    np.testing.assert_allclose(got, gram_matrix(features), rtol=1e-5, atol=1e-6)


def test_gram_matrix_ignores_size(call):
    features = noise(1, 6, 5, 3)
    got = call(gram_matrix, np.tile(features, (1, 2, 2, 1)))
    np.testing.assert_allclose(got, gram_matrix(features), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("norm", ["mean", "gatys", "relative"])
def test_style_loss_compares_paintings_of_any_size(norm):
    gram = gram_matrix(noise(1, 6, 5, 3))
    small, large = noise(1, 4, 4, 3, seed=1), np.tile(noise(1, 4, 4, 3, seed=1), (1, 3, 2, 1))
    losses = [style_loss(gram, gram_matrix(f), norm, positions=30) for f in (small, large)]
    np.testing.assert_allclose(*losses, rtol=1e-5)


@pytest.mark.parametrize("scale", [1e-3, 1e3])
def test_relative_losses_ignore_scale(scale):
    features, target = noise(1, 6, 5, 3), noise(1, 6, 5, 3, seed=1)
    grams, scaled = (
        [gram_matrix(s * f) for f in (features, target)] for s in (1, np.float32(scale))
    )
    np.testing.assert_allclose(
        [
            content_loss(scale * features, scale * target, "relative"),
            style_loss(*scaled, "relative"),
        ],
        [content_loss(features, target, "relative"), style_loss(*grams, "relative")],
        rtol=1e-4,
    )


# Batches: each loss is the mean over pictures, as its docstring says


@pytest.mark.parametrize("norm", CONTENT_NORMS)
def test_content_loss_averages_over_the_batch(call, norm):
    features, target = noise(2, 6, 5, 3), noise(2, 6, 5, 3, seed=1)
    target[1] *= 10  # so that a ratio of sums is not the mean of ratios
    got = call(lambda f, t: content_loss(f, t, norm), features, target)
    singles = [content_loss(features[i : i + 1], target[i : i + 1], norm) for i in range(2)]
    np.testing.assert_allclose(got, np.mean(singles), rtol=1e-5)


@pytest.mark.parametrize("targets", [1, 2])
@pytest.mark.parametrize("norm", STYLE_NORMS)
def test_style_loss_averages_over_the_batch(call, norm, targets):
    gram, target = gram_matrix(noise(2, 6, 5, 3)), gram_matrix(noise(targets, 6, 5, 3, seed=1))
    target = target * np.float32([[[1]], [[10]]])[:targets]
    known = {"positions": 30, "pixels": 480}
    got = call(lambda g, t: style_loss(g, t, norm, **known), gram, target)
    singles = [
        style_loss(gram[i : i + 1], target[i % targets, None], norm, **known) for i in (0, 1)
    ]
    np.testing.assert_allclose(got, np.mean(singles), rtol=1e-5)


@pytest.mark.parametrize("norm", TV_NORMS)
def test_total_variation_averages_over_the_batch(call, norm):
    images = np.random.default_rng(0).random((2, 6, 5, 3), np.float32)
    images[1] /= 10
    got = call(lambda image: total_variation(image, norm), images)
    singles = [total_variation(image[None], norm) for image in images]
    np.testing.assert_allclose(got, np.mean(singles), rtol=1e-5)


# Numbers: float32 throughout, finite everywhere


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_gram_matrix_is_float32_of_half_precision(call, dtype):
    features = ops.cast(np.full((1, 64, 64, 2), 300, np.float32), dtype)  # 300² > 65504
    got = call(gram_matrix, features)
    assert got.dtype == tf.float32
    np.testing.assert_allclose(got, np.full((1, 2, 2), 300.0**2), rtol=1e-6)


@pytest.mark.parametrize("norm", CONTENT_NORMS)
@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_content_loss_is_float32_of_half_precision(call, dtype, norm):
    features, target = np.full((1, 64, 64, 2), 300.0), np.full((1, 64, 64, 2), 3.0)
    halves = [ops.cast(x, dtype) for x in (features, target)]
    got = call(lambda f, t: content_loss(f, t, norm), *halves)
    assert got.dtype == tf.float32
    np.testing.assert_allclose(got, CONTENT[norm](features, target, 64**2, 2), rtol=1e-5)


@pytest.mark.parametrize("norm", STYLE_NORMS)
@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_style_loss_is_float32_of_half_precision(call, dtype, norm):
    gram, target = np.full((1, 2, 2), 304.0), np.full((1, 2, 2), 4.0)
    halves = [ops.cast(x, dtype) for x in (gram, target)]
    got = call(lambda g, t: style_loss(g, t, norm, positions=64**2, pixels=1024**2), *halves)
    assert got.dtype == tf.float32
    expected = STYLE[norm](64**2 * gram, 64**2 * target, 64**2, 2, 1024**2)
    np.testing.assert_allclose(got, expected, rtol=1e-5)


@pytest.mark.parametrize("norm", TV_NORMS)
@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_total_variation_is_float32_of_half_precision(call, dtype, norm):
    checkerboard = (np.indices((64, 64)).sum(0) % 2)[None, :, :, None] * np.ones(3)
    got = call(lambda image: total_variation(image, norm), ops.cast(checkerboard, dtype))
    assert got.dtype == tf.float32
    np.testing.assert_allclose(got, VARIATION[norm](checkerboard[0]), rtol=1e-5)


def gradient(function, x):
    x = tf.convert_to_tensor(x)
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = function(x)
    return tape.gradient(y, x)


@pytest.mark.parametrize("norm", TV_NORMS)
def test_total_variation_of_a_constant_picture_is_zero_with_a_gradient_of_zero(call, norm):
    image = np.full((1, 6, 5, 3), 0.3, np.float32)
    slope = call(lambda image: gradient(lambda i: total_variation(i, norm), image), image)
    assert total_variation(image, norm) == 0
    np.testing.assert_array_equal(slope, np.zeros_like(image))


@pytest.mark.parametrize("norm", CONTENT_NORMS)
@pytest.mark.parametrize("level", [0.0, 2.0])
def test_content_loss_has_a_finite_gradient_for_a_black_target(norm, level):
    features = np.full((1, 4, 4, 2), level, np.float32)
    slope = gradient(lambda f: content_loss(f, np.zeros_like(features), norm), features)
    assert np.isfinite(slope).all()
    assert (slope == 0).numpy().all() == (level == 0)


@pytest.mark.parametrize("norm", STYLE_NORMS)
@pytest.mark.parametrize("level", [0.0, 2.0])
def test_style_loss_has_a_finite_gradient_for_a_black_target(norm, level):
    features = np.full((1, 4, 4, 2), level, np.float32)
    zero = np.zeros((1, 2, 2), np.float32)
    slope = gradient(lambda f: style_loss(gram_matrix(f), zero, norm, 16, 16), features)
    assert np.isfinite(slope).all()
    assert (slope == 0).numpy().all() == (level == 0)


# Errors


@pytest.mark.parametrize(
    ("loss", "norms"),
    [
        (lambda n: content_loss(noise(1, 4, 4, 2), noise(1, 4, 4, 2), n), CONTENT_NORMS),
        (lambda n: style_loss(noise(1, 2, 2), noise(1, 2, 2), n), STYLE_NORMS),
        (lambda n: total_variation(noise(1, 4, 4, 3), n), TV_NORMS),
    ],
)
def test_losses_list_the_norms_where_one_is_unknown(loss, norms):
    choices = ", ".join(map(repr, norms))
    with pytest.raises(ValueError, match=rf"`norm` must be one of \({choices}\)\. .*norm='l3'\."):
        loss("l3")


@pytest.mark.parametrize("shape", [(4, 4, 2), (1, 4, 2, 2, 2)])
def test_gram_matrix_needs_four_axes(shape):
    with pytest.raises(ValueError, match=r"axes \(batch, height, width, channels\)\. .*shape=\("):
        gram_matrix(keras.ops.ones(shape))


def test_grid_variation_follows_its_formula(call):
    image = noise(2, 70, 130, 3, scale=0.1)
    expected = []
    for batch, top, left in np.ndindex(2, 2, 4):
        window = image[batch, 32 * top : 32 * top + 32, 32 * left : 32 * left + 32].astype(float)
        cell = window.reshape(8, 4, 8, 4, 3).mean((0, 2))
        cell -= cell.mean((0, 1))
        place = np.array([-1.5, -0.5, 0.5, 1.5]) / 31
        cell -= (window[-1] - window[0]).mean(0) * place[:, None, None]
        cell -= (window[:, -1] - window[:, 0]).mean(0) * place[:, None]
        expected.append(np.mean(cell**2))
    np.testing.assert_allclose(call(grid_variation, image), np.mean(expected), rtol=1e-4)


def test_grid_variation_sees_cells_and_steps_and_no_slope():
    y, x = np.mgrid[:64, :96]

    def levels(brightness):
        return 255 * float(grid_variation(np.stack([brightness / 255] * 3, -1)[None])) ** 0.5

    assert levels(0.5 * x + 0.2 * y) < 1e-3
    assert levels(0.5 * (x // 4 * 4)) > 0.4
    assert levels(2.0 * ((x // 2 + y // 2) % 2)) == pytest.approx(1)
    assert levels(2.0 * ((x // 8 + y // 8) % 2)) < 1e-3


def test_octave_noise_is_of_pixels_and_of_blocks_and_the_same_each_time(call):
    def made(x):
        return octave_noise(*ops.shape(x)[1:3], 0.1, (1, 4))

    found = call(made, np.zeros((2, 260, 41, 3)))
    assert found.shape == (1, 260, 41, 3)
    np.testing.assert_allclose(np.var(found), 2 * 0.1**2, rtol=0.1)
    np.testing.assert_array_equal(found, octave_noise(260, 41, 0.1, (1, 4)))
    np.testing.assert_array_equal(found[:, 256:], found[:, :4])
    blocks = np.asarray(octave_noise(260, 41, 0.1, (4,)))
    np.testing.assert_array_equal(blocks[:, 4:8, 40:], np.repeat(blocks[:, 4:5, 40:], 4, 1))
    neighbors = np.corrcoef(np.ravel(blocks[0, ::4, 3:39]), np.ravel(blocks[0, ::4, 4:40]))[0, 1]
    assert 0.6 < neighbors < 0.85  # three of four are of the same block


def test_stability_loss_is_the_change_beside_the_noise(call):
    before, after = noise(2, 6, 7, 3, scale=0.1) + 0.5, noise(2, 6, 7, 3, seed=1) + 0.5
    change = np.clip(after, 0, 1) - before
    got = call(stability_loss, before, after, noise(2, 6, 7, 3, seed=2, scale=0.1))
    expected = np.mean(change**2) / np.mean(noise(2, 6, 7, 3, seed=2, scale=0.1) ** 2)
    np.testing.assert_allclose(got, expected, rtol=1e-4)


def correlation(painting, photograph):
    """Mean size of the correlation of brightness in windows of 8 px, every 4 px, weighed by the
    photograph's deviation."""
    x, y = (np.float64(p) @ [0.299, 0.587, 0.114] for p in (painting, photograph))
    found, weights = [], []
    for top in range(0, x.shape[0] - 7, 4):
        for left in range(0, x.shape[1] - 7, 4):
            one, other = (p[top : top + 8, left : left + 8].ravel() for p in (x, y))
            found.append(abs(np.corrcoef(one, other)[0, 1]))
            weights.append(other.std())
    return np.average(found, weights=weights)


def test_detail_kept_is_the_correlation_of_brightness_in_windows(call):
    photo = np.random.default_rng(0).random((1, 38, 33, 3), np.float32)
    painting = 0.5 * photo + 0.5 * np.random.default_rng(1).random(photo.shape, np.float32)
    got = call(lambda x, y: detail_kept(x, y, scales=1), painting, photo)
    assert float(got) == pytest.approx(correlation(painting[0], photo[0]), abs=1e-3)
    halves = [p[:, :, :32].reshape(1, 19, 2, 16, 2, 3).mean((2, 4)) for p in (painting, photo)]
    both = (got + detail_kept(*halves, scales=1)) / 2
    np.testing.assert_allclose(detail_kept(painting, photo, scales=2), both, atol=1e-5)


def test_detail_kept_is_all_of_it_inverted_less_blurred_and_little_shuffled():
    photo = np.random.default_rng(0).random((1, 64, 64, 3), np.float32)
    blurred = (photo + np.roll(photo, 1, 1) + np.roll(photo, 1, 2)) / 3
    kept = [float(detail_kept(x, photo)) for x in (1 - photo, blurred, photo[:, ::-1])]
    assert kept[0] > 0.99 > kept[1] > 0.5 > 0.3 > kept[2]
    flat = np.full_like(photo, 0.5)
    assert (float(detail_kept(flat, photo)), float(detail_kept(photo, flat))) == (0, 0)
