"""A network that tells what it normalizes by and can be told, so that pieces paint as a whole."""

from keras import ops


def moments_size(frozen):
    """Return how many numbers a network normalizes by: mean and variance of every channel."""
    return sum(2 * norm.gamma.shape[-1] for norm in frozen.norms())


def paint_with_moments(frozen, image, point, moments, own):
    """Paint a picture, normalized by its own moments or by others.

    Args:
        frozen: What `tfstyle.export.frozen.freeze` returned.
        image: Float tensor `(1, height, width, 3)`.
        point: Float tensor `(1, num_styles)`, or None.
        moments: Float tensor `(1, 1, 1, moments_size)`, as such a call returned.
        own: Float tensor `(1, 1, 1, 1)`: 1, by the picture's own moments; 0, by `moments`.

    Returns:
        Tuple of the painted picture, not clipped, and the moments that it was normalized by.
    """
    used, begin = [], 0

    def normalize(norm, x):
        nonlocal begin
        pair = []
        for moment in norm.moments(x):
            end = begin + moment.shape[-1]
            told = moments[..., begin:end]
            pair.append(told + own * (moment - told))
            begin = end
        used.extend(pair)
        return norm(x, point, pair)

    stylized = frozen.paint(image, normalize=normalize)
    while len(used) > 1:  # by fives, which run everywhere
        used = [ops.concatenate(used[i : i + 5], -1) for i in range(0, len(used), 5)]
    return stylized, used[0]
