"""Losses of a picture, as pure functions of features: one equation each, float32 throughout."""

from keras import ops

from tfstyle.losses.gradients import with_gradient


def gram_matrix(features):
    """Correlate the channels of a feature map, forgetting where they fired.

    Args:
        features: Float tensor `(batch, height, width, channels)`, any range.

    Returns:
        Float32 tensor `(batch, channels, channels)`: a mean over positions, so that pictures of
        any size compare.

    Raises:
        ValueError: If `features` does not have four axes.

    Example:

    >>> tuple(gram_matrix(ops.ones((1, 4, 4, 2))).shape)
    (1, 2, 2)

    Source: Gatys et al. (2015), eq. 3, https://arxiv.org/abs/1508.06576.
    Departs from it: a mean over positions, where the paper sums.
    """
    if len(features.shape) != 4:
        raise ValueError(
            "`features` must have the axes (batch, height, width, channels). "
            f"Received: shape={tuple(features.shape)}."
        )
    batch, height, width, channels = ops.shape(features)
    flat = ops.reshape(features, (batch, height * width, channels))
    return _gram(flat, ops.cast(height * width, "float32"))


def _gram_gradient(upstream, gram, flat, positions):
    """Return the gradient of `_gram`, F(S + Sᵀ)/N, in the features' dtype: the general one would
    carry float32 copies of half-precision features back and take four times as long."""
    both = (upstream + ops.transpose(upstream, (0, 2, 1))) / positions
    return ops.matmul(flat, ops.cast(both, flat.dtype))


@with_gradient(_gram_gradient)
def _gram(flat, positions):
    """Correlate the channels of flat features `(batch, positions, channels)`."""
    precise = ops.cast(flat, "float32")
    return ops.matmul(ops.transpose(precise, (0, 2, 1)), precise) / positions


CONTENT_NORMS = {
    "mean": lambda difference, target: ops.mean(difference**2),
    "half_mean": lambda difference, target: ops.mean(difference**2) / 2,
    "sum": lambda difference, target: _sum_per_picture(difference**2),
    "half_sum": lambda difference, target: _sum_per_picture(difference**2) / 2,
    "relative": lambda difference, target: ops.mean(
        ops.sum(difference**2, axis=(1, 2, 3)) / _guarded(ops.sum(target**2, axis=(1, 2, 3)))
    ),
}


def content_loss(features, target, norm="mean"):
    """Compare two feature maps place by place.

    With F the features and F' the target's, of N positions and C channels, averaged over the
    batch: `"mean"` Σ(F − F')² / (N·C), the TensorFlow tutorial's; `"half_mean"` the half of it,
    StyleFusion's; `"sum"` Σ(F − F')², early Keras'; `"half_sum"` the half of it, Gatys' 2016;
    `"relative"` Σ(F − F')² / ΣF'², which needs no weight of its own for each layer.

    Args:
        features: Float tensor `(batch, height, width, channels)`.
        target: Float tensor of the same shape.
        norm: A key of `CONTENT_NORMS`.

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


STYLE_NORMS = {
    "mean": lambda d, target, c, n, p: ops.mean(d**2),
    "gatys": lambda d, target, c, n, p: _sum_per_picture(d**2) / (4 * c**2),
    "pixels": lambda d, target, c, n, p: _sum_per_picture(d**2) * n**2 / (4 * 3**2 * p**2),
    "channels": lambda d, target, c, n, p: ops.mean(d**2) * n / c,
    "relative": lambda d, target, c, n, p: ops.mean(
        ops.sum(d**2, axis=(1, 2)) / _guarded(ops.sum(target**2, axis=(1, 2)))
    ),
}


def style_loss(gram, target, norm="mean", positions=1, pixels=1):
    """Compare two Gram matrices.

    With A and A' the matrices (means over positions, see `gram_matrix`), C their channels, N the
    positions they were taken over and P the pixels of the picture; published forms that sum over
    positions, G = N·A, are written in A, so that a painting may have a size of its own:

    - `"mean"`: mean (A − A')², the TensorFlow tutorial's;
    - `"gatys"`: Σ(G − G')² / (4·N²·C²), of Gatys et al. and StyleFusion;
    - `"pixels"`: Σ(G − G')² / (4·3²·P²), early Keras';
    - `"channels"`: mean (G − G')² / (C·N), the five-layer lesson's;
    - `"relative"`: Σ(A − A')² / ΣA'², which needs no weight of its own for each layer.

    Args:
        gram: Float tensor `(batch, channels, channels)`.
        target: Float tensor of that shape, or with a batch of 1.
        norm: A key of `STYLE_NORMS`.
        positions: N, height × width of the feature map; used by `"pixels"` and `"channels"`.
        pixels: P, height × width of the picture; used by `"pixels"`.

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
    return STYLE_NORMS[norm](gram - target, target, gram.shape[-1], positions, pixels)


TV_NORMS = {
    "absolute": lambda image: (
        _sum_per_picture(ops.abs(_down(image))) + _sum_per_picture(ops.abs(_right(image)))
    ),
    "power": lambda image: _sum_per_picture(
        (_down(image * 255)[:, :, :-1] ** 2 + _right(image * 255)[:, :-1] ** 2) ** 1.25
    ),
    "smooth": lambda image: sum(
        weight * ops.mean(difference**2)
        for weight, difference in (
            (1 / 3, _down(image)),
            (1 / 3, _right(image)),
            (1 / 12, _down(image)[:, :, :-1] + _right(image)[:, 1:]),
            (1 / 12, _down(image)[:, :, :-1] - _right(image)[:, :-1]),
        )
    ),
}


def total_variation(image, norm="absolute"):
    """Measure how much neighboring pixels differ.

    With dx and dy the differences to the right and lower neighbor: `"absolute"` Σ|dx| + Σ|dy|,
    as `tf.image.total_variation` sums it; `"power"` Σ(dx² + dy²)^1.25 of pixels in 0–255, early
    Keras'; `"smooth"` the mean square of dx, dy and both diagonal differences, weighted 4 to 1
    (1/3 and 1/12) as in the nine-point Laplacian, so that no direction is preferred.

    Args:
        image: Float tensor `(batch, height, width, 3)`, [0, 1].
        norm: A key of `TV_NORMS`.

    Returns:
        Float32 scalar, averaged over the batch.

    Raises:
        ValueError: If `norm` is unknown.

    Example:

    >>> float(total_variation(ops.ones((1, 4, 4, 3))))
    0.0

    Source of `"smooth"`: the nine-point stencil of crowsonkb/style-transfer-pytorch.
    Departs from it: each neighbor is counted once.
    """
    _check_norm(norm, TV_NORMS)
    return TV_NORMS[norm](ops.cast(image, "float32"))


def grid_variation(image, period=4, window=32):
    """Measure how much of a picture repeats with the grid that a network computes on.

    A network that works at a quarter of the size paints on flat areas what depends on a pixel's
    place in its 4×4 cell: a fine checkerboard. Over each window the mean of every place in the
    cell is taken; strokes average out, a grid does not.

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
    image = ops.reshape(image, (-1, height, cells, period, width, cells, period, 3))
    means = ops.mean(image, (2, 5))  # (batch, height, period, width, period, 3)
    return ops.mean((means - ops.mean(means, (2, 4), keepdims=True)) ** 2)


def _down(image):
    return image[:, 1:] - image[:, :-1]


def _right(image):
    return image[:, :, 1:] - image[:, :, :-1]


def _sum_per_picture(values):
    return ops.sum(values) / ops.cast(ops.shape(values)[0], "float32")


def _guarded(denominator):
    """Keep a division by an all-zero target finite."""
    return ops.maximum(denominator, 1e-12)


def _check_norm(norm, norms):
    if norm not in norms:
        raise ValueError(f"`norm` must be one of {tuple(norms)}. Received: norm={norm!r}.")
