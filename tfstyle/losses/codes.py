"""Losses of codes, the points of style that a network of any style reads off paintings."""

from keras import ops


def contrast_loss(found, known, labels, sharpness=4.0):
    """Ask that each painted picture's code be nearest to that of its own painting.

    With d the mean squared distance of a found code to each known one, −4·d / mean(d) are the
    logits of a choice among all the known, and the loss is its cross-entropy.

    Args:
        found: Codes of painted pictures, float tensor `(batch, code_size)`.
        known: Codes to choose among, `(count, code_size)`.
        labels: For each painted picture the number of its own painting's code among the known,
            integers `(batch,)`.
        sharpness: The 4 in this.

    Returns:
        Float32 scalar, averaged over the batch: log(count) where all are equally far.

    Example:

    >>> codes = ops.eye(2)
    >>> round(float(contrast_loss(codes, codes, [0, 1])), 4)
    0.0003
    """
    found, known = ops.cast(found, "float32"), ops.cast(known, "float32")
    distance = ops.mean((found[:, None] - known[None]) ** 2, -1)
    scale = ops.stop_gradient(ops.mean(distance)) + 1e-6
    logits = ops.log_softmax(-sharpness * distance / scale, -1)
    own = ops.one_hot(labels, ops.shape(known)[0], dtype="float32")
    return -ops.mean(ops.sum(own * logits, -1))


def code_size(codes):
    """Return the mean square of codes, float tensor `(batch, code_size)`, as a float32 scalar.

    Example:

    >>> float(code_size(ops.ones((2, 4))))
    1.0
    """
    return ops.mean(ops.cast(codes, "float32") ** 2)
