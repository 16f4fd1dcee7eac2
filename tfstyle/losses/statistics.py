"""What is remembered of a painting: statistics of features that forget where things lie."""

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


def channel_moments(features, epsilon=1e-3):
    """Take each channel's mean and deviation over all positions.

    Args:
        features: Float tensor `(batch, height, width, channels)`, any range.
        epsilon: Added to the variance, where a deviation of zero would have no gradient.

    Returns:
        Means and deviations, float32 tensors `(batch, channels)`.

    Example:

    >>> mean, deviation = channel_moments(ops.ones((1, 4, 4, 2)), epsilon=0.25)
    >>> float(mean[0, 0]), float(deviation[0, 0])
    (1.0, 0.5)
    """
    batch, height, width, channels = ops.shape(features)
    flat = ops.reshape(features, (batch, height * width, channels))
    mean, square = ops.unstack(_means(flat))
    return mean, ops.sqrt(ops.maximum(square - mean**2, 0) + epsilon)


def _means_gradient(upstream, means, flat):
    """Return the gradient of `_means` in the features' dtype, as that of `_gram`."""
    upstream = upstream / ops.cast(ops.shape(flat)[1], "float32")
    of_mean, of_square = ops.cast(upstream[0], flat.dtype), ops.cast(2 * upstream[1], flat.dtype)
    return of_mean[:, None] + of_square[:, None] * flat


@with_gradient(_means_gradient)
def _means(flat):
    """Return means of flat features and of their squares, `(2, batch, channels)`."""
    precise = ops.cast(flat, "float32")
    return ops.stack([ops.mean(precise, 1), ops.mean(precise**2, 1)])
