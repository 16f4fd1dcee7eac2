"""Colors kept and colors matched."""

import numpy as np
import pytest

from tfstyle.pictures.colors import keep_colors, recolor

LUMA = (0.299, 0.587, 0.114)


def picture(height=32, width=24, seed=0, low=0.0, high=1.0):
    return np.random.default_rng(seed).uniform(low, high, (height, width, 3)).astype(np.float32)


def correlated(seed, mean, spread):
    """A picture whose channels go together, all within [0, 1]."""
    random = np.random.default_rng(seed)
    mixed = random.uniform(-1, 1, (40, 30, 3)) @ random.uniform(-1, 1, (3, 3))
    return (np.array(mean) + spread * mixed).astype(np.float32)


def luma(image):
    return sum(weight * image[..., i].astype(float) for i, weight in enumerate(LUMA))


def chroma(image):
    """Blue and red less luma, which Cb and Cr are multiples of."""
    return image[..., [2, 0]].astype(float) - luma(image)[..., None]


def test_keep_colors_takes_luma_from_one_and_chroma_from_the_other():
    stylized, content = picture(low=0.4, high=0.6), picture(seed=1, low=0.4, high=0.6)
    result = keep_colors(stylized, content)
    assert 0 < result.min() < result.max() < 1  # nothing was clipped
    np.testing.assert_allclose(luma(result), luma(stylized), atol=1e-6)
    np.testing.assert_allclose(chroma(result), chroma(content), atol=1e-6)


def test_keep_colors_of_the_content_itself_changes_nothing():
    np.testing.assert_allclose(keep_colors(picture(), picture()), picture(), atol=1e-6)


def test_keep_colors_stays_in_range():
    red, white = np.float32([[[1, 0, 0]]]), np.float32([[[1, 1, 1]]])
    np.testing.assert_allclose(keep_colors(white, red), [[[1, 0.701, 0.701]]], atol=1e-6)


def test_recolor_matches_mean_and_covariance():
    style, content = correlated(0, (0.3, 0.6, 0.5), 0.1), correlated(1, (0.5, 0.4, 0.6), 0.08)
    result = recolor(style, content[:20])
    assert result.shape == style.shape
    assert 0 < result.min() < result.max() < 1  # nothing was clipped
    pixels, target = result.reshape(-1, 3), content[:20].reshape(-1, 3)
    np.testing.assert_allclose(pixels.mean(0), target.mean(0), atol=1e-5)
    np.testing.assert_allclose(np.cov(pixels.T), np.cov(target.T), atol=1e-5)
    assert np.abs(np.cov(target.T)).max() > 1e-3


def test_recolor_with_its_own_colors_changes_nothing():
    style = correlated(0, (0.3, 0.6, 0.5), 0.1)
    np.testing.assert_allclose(recolor(style, style), style, atol=1e-5)


def test_recolor_leaves_a_flat_painting_flat():
    # So large that a mean in float32 is off, and by whitening far off.
    result = recolor(np.full((1024, 1024, 3), 0.3, np.float32), picture())
    expected = picture().mean((0, 1), dtype=float)
    np.testing.assert_allclose(result, np.broadcast_to(expected, result.shape), atol=1e-4)


def test_recolor_takes_the_colors_of_a_flat_photograph():
    result = recolor(picture(), np.full((8, 8, 3), 0.3, np.float32))
    np.testing.assert_allclose(result, np.full_like(result, 0.3), atol=0.01)


def test_recolor_stays_in_range():
    content = np.where(picture() > 0.5, np.float32(1), np.float32(0))
    result = recolor(picture(seed=1), content)
    assert (result.min(), result.max()) == (0, 1)


@pytest.mark.parametrize("function", [keep_colors, recolor])
def test_colors_are_float32(function):
    assert function(picture(), picture(seed=1)).dtype == np.float32
