"""Losses of a picture, as pure functions of features: one equation each, float32 throughout."""

import functools

import numpy as np
from keras import ops

from tfstyle.losses.norms import CONTENT_NORMS, STYLE_NORMS, TV_NORMS, relative_square

NOISE_SIDE = 256  # pixels until `octave_noise` repeats


def content_loss(features, target, norm="mean"):
    """Compare two feature maps place by place.

    Args:
        features: Float tensor `(batch, height, width, channels)`.
        target: Float tensor of the same shape.
        norm: A key of `CONTENT_NORMS`, which says what each is.

    Returns:
        Float32 scalar.

    Raises:
        ValueError: If `norm` is unknown.

    Example:

    >>> float(content_loss(ops.ones((1, 2, 2, 3)), ops.zeros((1, 2, 2, 3)), "sum"))
    12.0
    """
    _check_norm(norm, CONTENT_NORMS)
    features, target = ops.cast(features, "float32"), ops.cast(target, "float32")
    return CONTENT_NORMS[norm](features - target, target)


def normed_content_loss(features, target, epsilon=1.0):
    """Compare two feature maps whose channels have mean 0 and variance 1, place by place.

    What is kept so is where things are and how they stand out, whatever the painting's colors and
    contrasts do to their features.

    Args:
        features: Float tensor `(batch, height, width, channels)`.
        target: Float tensor of the same shape.
        epsilon: Added to the variance, so that channels that hardly fire do not count.

    Returns:
        Float32 scalar Σ(F − F')² / ΣF'², averaged over the batch.

    Example:

    >>> x = ops.reshape(ops.arange(8.0), (1, 2, 2, 2))
    >>> float(normed_content_loss(x + 5, x))
    0.0
    """
    features, target = _normed(features, epsilon), _normed(target, epsilon)
    return relative_square(features - target, target)


def style_loss(gram, target, norm="mean", positions=1, pixels=1):
    """Compare two Gram matrices.

    Args:
        gram: Float tensor `(batch, channels, channels)`, a mean over positions (`gram_matrix`).
        target: Float tensor of that shape, or with a batch of 1.
        norm: A key of `STYLE_NORMS`, which says what each is.
        positions: Height × width of the feature map; used by `"pixels"` and `"channels"`.
        pixels: Height × width of the picture; used by `"pixels"`.

    Returns:
        Float32 scalar, averaged over the batch.

    Raises:
        ValueError: If `norm` is unknown.

    Example:

    >>> float(style_loss(ops.ones((1, 2, 2)), ops.zeros((1, 2, 2)), "gatys"))
    0.25
    """
    _check_norm(norm, STYLE_NORMS)
    gram, target = ops.cast(gram, "float32"), ops.cast(target, "float32")
    positions, pixels = ops.cast(positions, "float32"), ops.cast(pixels, "float32")
    return STYLE_NORMS[norm](gram - target, target, positions, pixels)


def moments_loss(moments, target):
    """Compare means and deviations of channels.

    Args:
        moments: Means and deviations, float tensors `(batch, channels)`, see `channel_moments`.
        target: The same of the painting, or with a batch of 1.

    Returns:
        Float32 scalar: Σ(μ − μ')² / Σμ'² + Σ(σ − σ')² / Σσ'², averaged over the batch.

    Example:

    >>> ones = ops.ones((1, 2))
    >>> float(moments_loss((ones, 2 * ones), (ones, ones)))
    1.0

    Source: Huang and Belongie (2017), https://arxiv.org/abs/1703.06868.
    Departs from it: errors are relative, so that layers need no weights of their own.
    """
    return sum(
        relative_square(ops.cast(mine, "float32") - theirs, ops.cast(theirs, "float32"))
        for mine, theirs in zip(moments, target, strict=True)
    )


def total_variation(image, norm="absolute"):
    """Measure how much neighboring pixels differ.

    Args:
        image: Float tensor `(batch, height, width, 3)`, [0, 1].
        norm: A key of `TV_NORMS`, which says what each is.

    Returns:
        Float32 scalar, averaged over the batch.

    Raises:
        ValueError: If `norm` is unknown.

    Example:

    >>> float(total_variation(ops.ones((1, 4, 4, 3))))
    0.0
    """
    _check_norm(norm, TV_NORMS)
    return TV_NORMS[norm](ops.cast(image, "float32"))


def grid_variation(image, period=4, window=32):
    """Measure how much of a picture repeats with the grid that a network computes on.

    A network that works at a quarter of the size paints on flat areas what depends on a pixel's
    place in its 4×4 cell: a fine checkerboard, or steps in place of a slope. Over each window the
    mean of every place in the cell is taken, less what a slope across the window makes of it;
    strokes average out, a grid does not.

    Args:
        image: Float tensor `(batch, height, width, 3)`, [0, 1], at least `window` a side.
        period: Side of a cell in pixels.
        window: Side of a window in pixels, a multiple of `period`; what is left over at the right
            and below is not looked at.

    Returns:
        Float32 scalar: the variance of these means, averaged over windows, batch and colors.

    Example:

    >>> float(grid_variation(ops.ones((1, 32, 32, 3))))
    0.0
    """
    image = ops.cast(image, "float32")
    height, width = (side // window for side in ops.shape(image)[1:3])
    cells = window // period
    image = image[:, : height * window, : width * window]
    # First over cells below one another, then over cells beside one another: with a long last axis
    # thirty times as fast on a CPU.
    means = ops.mean(ops.reshape(image, (-1, cells, period * width * window * 3)), 1)
    means = ops.mean(ops.reshape(means, (-1, cells, period * 3)), 1)
    means = ops.reshape(means, (-1, period, width, period, 3))
    means = means - ops.mean(means, (1, 3), keepdims=True)
    # Of each window's borders the means, and so the slopes across it.
    rows = ops.reshape(image, (-1, window, width, window, 3))
    down = ops.mean(rows[:, -1] - rows[:, 0], 2)[:, None, :, None]
    right = ops.mean(rows[:, :, :, -1] - rows[:, :, :, 0], 1)[:, None, :, None]
    place = (ops.arange(period, dtype="float32") - (period - 1) / 2) / (window - 1)
    slope = down * place[:, None, None, None] + right * place[:, None]
    return ops.mean((means - slope) ** 2)


def detail_kept(pictures, photographs, scales=3, window=8):
    """Measure how much of photographs' detail is still to be seen in their paintings.

    In each window brightness is compared: how far what is bright and dark in the painting goes
    with what is in the photograph, or against it, as a stroke may. Windows count by how much there
    is to be seen in them: eyes and letters much, skies little. Of noise it is 0.1, of another
    photograph 0.2 to 0.3.

    Args:
        pictures: Float tensor `(batch, height, width, 3)`, [0, 1], at least `window` times
            2^(`scales` - 1) a side.
        photographs: Float tensor of that shape.
        scales: At how many sizes of the pictures it is measured, each half the one before.
        window: Side of a window in pixels.

    Returns:
        Float32 scalar in [0, 1]: the correlation's size, averaged over windows, sizes and batch.

    Example:

    >>> x = np.random.default_rng(0).random((1, 32, 32, 3))
    >>> round(float(detail_kept(1 - x, x)), 2)
    1.0
    """
    brightness = ops.convert_to_tensor([[0.299], [0.587], [0.114]], "float32")
    pair = [ops.matmul(ops.cast(x, "float32"), brightness) for x in (pictures, photographs)]
    kept = 0.0
    for scale in range(scales):
        if scale:
            pair = [_means(x, 2, 2) for x in pair]
        x, y = pair
        mean_x, mean_y, xx, yy, xy = (
            _means(each, window, window // 2) for each in (x, y, x * x, y * y, x * y)
        )
        spread_x, spread_y = ops.maximum(xx - mean_x**2, 0), ops.maximum(yy - mean_y**2, 0)
        both = ops.sqrt((spread_x + 1e-6) * (spread_y + 1e-6))
        weight = ops.sqrt(spread_y)
        kept += ops.sum(weight * ops.minimum(abs(xy - mean_x * mean_y) / both, 1)) / (
            ops.sum(weight) + 1e-6
        )
    return kept / scales


def _means(x, window, stride):
    return ops.average_pool(x, window, stride, data_format="channels_last")


def octave_noise(height, width, deviation=0.015, cells=(1, 2, 4, 8)):
    """Return noise as photographs have it: of pixels, as a camera's, and of blocks, as a JPEG's.

    Args:
        height: Height in pixels.
        width: Width in pixels.
        deviation: Standard deviation of the noise of each size, of pixels in [0, 1].
        cells: Sides in pixels of the squares in which a noise is the same, powers of 2 below 512.

    Returns:
        Float32 tensor `(1, height, width, 3)`: Gaussian noises of all sizes, summed. The same each
        time and everywhere; it repeats every 256 pixels.

    Example:

    >>> octave_noise(20, 30).shape == (1, 20, 30, 3)
    True
    """
    noise = ops.convert_to_tensor(deviation * _octaves(tuple(cells)), "float32")
    rows, columns = (ops.arange(length) % NOISE_SIDE for length in (height, width))
    return ops.take(ops.take(noise, rows, 0), columns, 1)[None]


@functools.cache
def _octaves(cells):
    """Return noises of deviation 1 whose sides are `cells`, summed."""
    total = 0.0
    for seed, cell in enumerate(cells):
        side = NOISE_SIDE // cell
        noise = np.random.default_rng(seed).standard_normal((side, side, 3))
        total = total + noise.repeat(cell, 0).repeat(cell, 1)
    return total


def stability_loss(pictures, again, noise):
    """Measure how much noise in photographs changes what is painted of them.

    What a network of any style makes of noise is alike in many styles: a weave on flat areas.

    Args:
        pictures: Float tensor `(batch, height, width, 3)`; what is beyond [0, 1] is cut off.
        again: What was painted of the same photographs with `noise` added to them.
        noise: Float tensor of their shape, or with another batch.

    Returns:
        Float32 scalar: mean square of the change over that of the noise. Of a network that paints
        photographs as they are it is 1.

    Example:

    >>> x = ops.zeros((1, 2, 2, 3))
    >>> float(stability_loss(x, x + 0.5, x + 0.25))
    4.0
    """
    before, after = (ops.clip(ops.cast(x, "float32"), 0, 1) for x in (pictures, again))
    return ops.mean((after - before) ** 2) / ops.mean(noise**2)


def _normed(features, epsilon):
    features = ops.cast(features, "float32")
    features = features - ops.mean(features, (1, 2), keepdims=True)
    return features * ops.rsqrt(ops.mean(features**2, (1, 2), keepdims=True) + epsilon)


def _check_norm(norm, norms):
    if norm not in norms:
        raise ValueError(f"`norm` must be one of {tuple(norms)}. Received: norm={norm!r}.")
