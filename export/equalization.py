"""Make the channels of a network alike in size, so that 8 bits serve all of them."""

import numpy as np
from keras import ops

from tfstyle.networks import ResidualBlock


def equalize_channels(frozen, examples):
    """Scale convolutions so that their channels have the same largest value; change nothing else.

    All channels that a convolution returns share the 256 levels of int8. An instance norm after it
    makes a channel that uses few of them as large as the others, and its error with it. But it
    also undoes any factor that a channel was scaled with before, so that the factor is free.

    Args:
        frozen: What `tfstyle.export.frozen.freeze` returned; its kernels are changed.
        examples: Iterable of pictures to find the largest values with: tuples of float32 arrays
            `(1, height, width, 3)` and of style weights `(1, number of styles)`.
    """
    largest = {}

    def normalize_with(style_weights):
        def normalize(norm, x):
            found = np.max(np.abs(ops.convert_to_numpy(x)), (0, 1, 2))
            largest[norm] = np.maximum(largest.get(norm, 0), found)
            return norm(x, style_weights)

        return normalize

    for image, style_weights in examples:
        frozen.paint(image, normalize=normalize_with(style_weights))
    for convolution in _convolutions(frozen):
        if convolution.norm is not None:
            factor = np.maximum(largest[convolution.norm], 1e-6)  # of a channel that is always 0
            kernel = ops.convert_to_numpy(convolution.kernel)
            convolution.kernel.assign(kernel * (factor.mean() / factor))


def _convolutions(frozen):
    for stage in frozen.stages:
        yield from (stage.first, stage.second) if isinstance(stage, ResidualBlock) else (stage,)
