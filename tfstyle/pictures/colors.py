"""Whose colors the result bears: the painting's or the photograph's."""

import numpy as np

# Luma of BT.601, as JPEG has it.
_LUMA = np.array([0.299, 0.587, 0.114], np.float32)


def keep_colors(stylized, content):
    """Return the luma of `stylized` with the chroma of `content`.

    Args:
        stylized: Float32 array `(height, width, 3)`, RGB, [0, 1].
        content: Float32 array of the same shape.

    Returns:
        Float32 array of that shape, clipped to [0, 1]; where nothing is clipped its chroma is
        exactly that of `content`.

    Source: Gatys et al. (2016), "Preserving color in neural artistic style transfer", section 4,
    https://arxiv.org/abs/1606.05897.
    """
    return np.clip(content + (stylized @ _LUMA - content @ _LUMA)[..., None], 0, 1)


def recolor(style, content):
    """Give a painting the color distribution of a photograph: its mean and covariance.

    Args:
        style: Float32 array `(height, width, 3)`, RGB, [0, 1].
        content: Float32 array `(height', width', 3)`.

    Returns:
        Float32 array of the shape of `style`, clipped to [0, 1].

    Source: Gatys et al. (2016), section 3 (linear transformation by principal axes),
    https://arxiv.org/abs/1606.05897.
    """
    # In float64: a float32 mean of a million pixels errs, and a flat painting magnifies it.
    pixels, target = (image.reshape(-1, 3).astype(np.float64) for image in (style, content))
    transform = _root(np.cov(target.T)) @ _root(np.cov(pixels.T), -0.5)
    matched = (pixels - pixels.mean(0)) @ transform.T + target.mean(0)
    return np.clip(matched, 0, 1).astype(np.float32).reshape(style.shape)


def _root(covariance, power=0.5):
    """Raise a covariance matrix to a power, small variances guarded."""
    values, vectors = np.linalg.eigh(covariance)
    return (vectors * np.maximum(values, 1e-6) ** power) @ vectors.T
