"""Style as a distribution of features: how far one is from another."""

from keras import ops

from tfstyle.losses.norms import relative_square
from tfstyle.losses.statistics import gram_matrix

ROOT_STEPS = 20  # what is under a ten-millionth of a matrix is not resolved by float32
QUANTILES = 256


def gaussian(features):
    """Take what tells the Gaussian that features are like.

    Args:
        features: Float tensor `(batch, height, width, channels)`, any range.

    Returns:
        Means `(batch, channels)` and mean products `(batch, channels, channels)`, float32: unlike
        covariances they can be averaged over paintings.
    """
    return ops.mean(ops.cast(features, "float32"), (1, 2)), gram_matrix(features)


def wasserstein_loss(moments, target, norm="relative", epsilon=1e-4):
    """Measure how far one Gaussian has to be moved to become another.

    Args:
        moments: Means and mean products, see `gaussian`.
        target: The same of the painting, or with a batch of 1.
        norm: "relative", or any other: the mean over channels.
        epsilon: Share of the mean variance that is added to each, since where fewer places than
            channels are seen a covariance has no inverse.

    Returns:
        Float32 scalar: the squared 2-Wasserstein distance |μ − μ'|² + tr Σ + tr Σ'
        − 2·tr (Σ'^½·Σ·Σ'^½)^½, divided by |μ'|² + tr Σ' or by the number of channels, averaged over
        the batch.

    Example:

    >>> x = ops.reshape(ops.arange(8.0), (1, 2, 2, 2))
    >>> round(float(wasserstein_loss(gaussian(x + 3), gaussian(x), norm="mean")), 2)
    9.0

    Source: crowsonkb/style-transfer-pytorch, which takes the mean over channels.
    Departs from it: the relative form, so that layers need no weights of their own; an `epsilon`
    in the features' own units; the root's trace alone is differentiated, which needs no equation
    to be solved.
    """
    (mean, products), (to_mean, to_products) = moments, target
    covariance = _covariance(mean, products, epsilon)
    to_covariance = _covariance(to_mean, to_products, epsilon)
    root, _ = _roots(to_covariance)
    between = _trace_of_root(ops.matmul(ops.matmul(root, covariance), root))
    spread = _trace(covariance) + _trace(to_covariance) - 2 * between
    distance = ops.sum((mean - to_mean) ** 2, -1) + spread
    whole = _trace(to_products) if norm == "relative" else ops.cast(mean.shape[-1], "float32")
    return ops.mean(distance / ops.maximum(whole, 1e-12))


def quantiles(features, count=QUANTILES):
    """Sort the values of each channel, forgetting where they were.

    Args:
        features: Float tensor `(batch, height, width, channels)`, any range.
        count: How many are returned; they are resampled as the rows of a picture are.

    Returns:
        Float32 tensor `(batch, count, channels)`, ascending.

    Example:

    >>> quantiles(ops.reshape(ops.array([3.0, 1.0]), (1, 1, 2, 1)), 2)[0, :, 0].numpy().tolist()
    [1.0, 3.0]
    """
    batch, height, width, channels = ops.shape(features)
    flat = ops.reshape(ops.cast(features, "float32"), (batch, height * width, channels))
    rows = ops.expand_dims(ops.sort(flat, 1), 2)
    rows = ops.image.resize(rows, (count, 1), antialias=True, data_format="channels_last")
    return ops.squeeze(rows, 2)


def sorted_loss(values, target):
    """Compare the sorted values of channels: all of their distribution, but each channel alone.

    Args:
        values: Float tensor `(batch, count, channels)`, see `quantiles`.
        target: The same of the painting, or with a batch of 1.

    Returns:
        Float32 scalar Σ(q − q')² / Σq'², averaged over the batch.

    Example:

    >>> float(sorted_loss(ops.ones((1, 4, 2)), 2 * ops.ones((1, 4, 2))))
    0.25

    Source: exact matching of histograms as in Zhang et al. (2022),
    https://arxiv.org/abs/2203.07740, here as a loss.
    """
    return relative_square(values - target, target)


def _covariance(mean, products, epsilon):
    """Return Σ + ε·(tr Σ / C)·I, `(batch, channels, channels)`."""
    covariance = products - ops.expand_dims(mean, -1) * ops.expand_dims(mean, -2)
    variance = ops.mean(ops.diagonal(covariance, axis1=-2, axis2=-1), -1)[:, None, None]
    return covariance + (epsilon * variance + 1e-6) * ops.eye(mean.shape[-1])


def _trace(matrices):
    return ops.sum(ops.diagonal(matrices, axis1=-2, axis2=-1), -1)


def _trace_of_root(matrices):
    """Return tr M^½, whose gradient is M^-½ / 2."""
    fixed = ops.stop_gradient(matrices)
    root, inverse = _roots(fixed)
    return _trace(root) + ops.sum(inverse * (matrices - fixed), (-2, -1)) / 2


def _roots(matrices):
    """Return M^½ and M^-½ of symmetric positive matrices by Newton's and Schulz's iteration.

    Source: Higham (2008), "Functions of matrices", eq. 6.35.
    """
    size = matrices.shape[-1]
    scale = ops.sqrt(ops.sum(matrices**2, (-2, -1), keepdims=True))
    unit = ops.eye(size)
    root, inverse = matrices / scale, ops.broadcast_to(unit, ops.shape(matrices))
    for _ in range(ROOT_STEPS):
        step = 1.5 * unit - 0.5 * ops.matmul(inverse, root)
        root, inverse = ops.matmul(root, step), ops.matmul(step, inverse)
    return root * ops.sqrt(scale), inverse / ops.sqrt(scale)
