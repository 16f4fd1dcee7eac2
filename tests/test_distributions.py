"""Style as a distribution of features, against formulas in NumPy's float64 and SciPy."""

import numpy as np
import pytest
import scipy.linalg
import tensorflow as tf
from keras import ops

from tfstyle.config import RECIPES, recipe_with
from tfstyle.losses import (
    Seen,
    gaussian,
    quantiles,
    sorted_loss,
    terms_of,
    wasserstein_loss,
)


def features(channels=6, side=9, seed=0, batch=1):
    """Correlated, rectified, of very different strength, as those of a loss network are."""
    random = np.random.default_rng(seed)
    mixing = random.normal(size=(channels, channels)) / np.arange(1, channels + 1)
    values = random.normal(size=(batch, side, side, channels)) @ mixing
    return np.float32(100 * np.maximum(values + random.normal(size=channels), 0))


def wasserstein(x, y, epsilon=1e-4):
    """|μ − μ'|² + tr(Σ + Σ' − 2·(Σ'^½·Σ·Σ'^½)^½), and |μ'|² + tr Σ'."""

    def moments(x):
        x = np.float64(x).reshape(-1, x.shape[-1])
        covariance = np.atleast_2d(np.cov(x.T, bias=True))
        share = epsilon * np.trace(covariance) / len(covariance)
        return x.mean(0), covariance + share * np.eye(len(covariance)), np.mean(np.sum(x**2, -1))

    (mean, covariance, _), (to_mean, to_covariance, whole) = moments(x), moments(y)
    root = scipy.linalg.sqrtm(to_covariance).real
    between = scipy.linalg.sqrtm(root @ covariance @ root).real
    moved = np.sum((mean - to_mean) ** 2)
    return moved + np.trace(covariance + to_covariance - 2 * between), whole


@pytest.mark.parametrize(("channels", "side"), [(1, 4), (6, 9), (64, 5)])
def test_wasserstein_loss_follows_its_formula(call, channels, side):
    x, y = features(channels, side), features(channels, side + 3, seed=1)
    distance, whole = wasserstein(x, y)
    got = call(lambda x, y: wasserstein_loss(gaussian(x), gaussian(y)), x, y)
    np.testing.assert_allclose(got, distance / whole, rtol=5e-3)
    got = call(lambda x, y: wasserstein_loss(gaussian(x), gaussian(y), "mean"), x, y)
    np.testing.assert_allclose(got, distance / channels, rtol=5e-3)


def test_wasserstein_loss_of_several_pictures_is_their_mean(call):
    x, y = features(batch=3), features(seed=1)
    expected = np.mean([np.divide(*wasserstein(one[None], y)) for one in x])
    got = call(lambda x, y: wasserstein_loss(gaussian(x), gaussian(y)), x, y)
    np.testing.assert_allclose(got, expected, rtol=5e-3)


def test_gradient_of_wasserstein_loss_is_its_slope():
    x, y = features(4, 6), features(4, 7, seed=1)
    way = np.random.default_rng(2).normal(size=x.shape)
    variable = tf.Variable(x)
    with tf.GradientTape() as tape:
        loss = wasserstein_loss(gaussian(variable), gaussian(y))
    gradient = np.float64(tape.gradient(loss, variable))
    step = 1e-3
    (high, whole), (low, _) = (wasserstein(x + sign * step * way, y) for sign in (1, -1))
    slope = (high - low) / whole / (2 * step)
    assert np.sum(gradient * way) == pytest.approx(slope, rel=5e-3)


def test_wasserstein_loss_falls_to_nothing_at_the_painting():
    x, y = features(64, 5), features(64, 5, seed=1)
    assert float(wasserstein_loss(gaussian(x), gaussian(x))) < 2e-3
    assert float(wasserstein_loss(gaussian(x), gaussian(y))) > 0.1


def test_nothing_seen_has_a_finite_loss_and_gradient():
    x = tf.Variable(tf.zeros((1, 4, 4, 3)))
    for statistic, loss in ((gaussian, wasserstein_loss), (quantiles, sorted_loss)):
        with tf.GradientTape() as tape:
            value = loss(statistic(x), statistic(tf.zeros((1, 5, 5, 3))))
        assert np.isfinite(value)
        assert np.all(np.isfinite(tape.gradient(value, x)))


def test_sorted_loss_follows_its_formula(call):
    x, y = features(5, 16), features(5, 16, seed=1)  # as many places as quantiles: not resampled
    a, b = (np.sort(np.float64(z).reshape(-1, 5), 0) for z in (x, y))
    got = call(lambda x, y: sorted_loss(quantiles(x), quantiles(y)), x, y)
    np.testing.assert_allclose(got, np.sum((a - b) ** 2) / np.sum(b**2), rtol=1e-5)


def test_quantiles_ignore_place_and_hardly_see_size(call):
    x = features(3, 16)
    shuffled = np.random.default_rng(1).permutation(x.reshape(256, 3)).reshape(x.shape)
    np.testing.assert_allclose(call(quantiles, shuffled), call(quantiles, x), rtol=1e-5, atol=1e-4)
    larger = call(quantiles, np.tile(x, (1, 2, 2, 1)))
    assert larger.shape == (1, 256, 3)
    assert np.abs(larger - call(quantiles, x)).max() < 0.05 * np.max(x)


@pytest.mark.parametrize("name", ["wasserstein", "sorted"])
def test_a_weight_makes_the_term_and_its_target(name):
    recipe = recipe_with("default", style_weight=0, **{f"{name}_weight": 2})
    (term,) = [term for term in terms_of(recipe) if term.name == name]
    assert term.weight == 2
    seen = {layer: ops.convert_to_tensor(features(4, 6)) for layer in recipe.style_layers}
    other = {layer: ops.convert_to_tensor(features(4, 7, seed=1)) for layer in recipe.style_layers}
    looked = Seen(pictures=None, features=seen)
    near = float(term(looked, term.blend([term.summary(seen)], [1.0])))
    far = float(term(looked, term.blend([term.summary(other)], [1.0])))
    assert abs(near) < 2e-3 < 0.05 < far


def test_crowsonkb_looks_at_the_mean_over_channels():
    recipe = RECIPES["crowsonkb"]
    (term,) = [term for term in terms_of(recipe) if term.name == "wasserstein"]
    seen, painting = features(4, 6), features(4, 7, seed=1)
    distance, _ = wasserstein(seen, painting)
    got = term(
        Seen(pictures=None, features=dict.fromkeys(term.layers, ops.convert_to_tensor(seen))),
        term.summary(dict.fromkeys(term.layers, ops.convert_to_tensor(painting))),
    )
    # Five layers whose weights sum to 1; torchvision's activations are 57 times as small.
    assert float(term.weight * got) == pytest.approx(distance / 4 / 57**2, rel=5e-3)
