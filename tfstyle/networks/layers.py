"""Layers that networks are made of."""

import keras
import numpy as np
from keras import ops


@keras.saving.register_keras_serializable("tfstyle")
class InstanceNormalization(keras.layers.Layer):
    """Normalize each channel of each picture, then scale and shift it as a style wants.

    Args:
        num_styles: Number of styles, each with a `gamma` and a `beta` of its own.
        epsilon: Added to the variance.

    Call arguments:
        x: Float tensor `(batch, height, width, channels)`.
        style_weights: Float tensor `(batch, num_styles)` that blends the styles' `gamma`
            and `beta`; needed if there are several.
        moments: Mean and variance to normalize by, each `(batch, 1, 1, channels)`. Default: those
            of `x`.

    Source: Ulyanov et al. (2016), https://arxiv.org/abs/1607.08022; several styles: Dumoulin et
    al. (2017), https://arxiv.org/abs/1610.07629.
    """

    def __init__(self, num_styles=1, epsilon=1e-5, **kwargs):
        super().__init__(**kwargs)
        self.num_styles, self.epsilon = num_styles, epsilon

    def build(self, input_shape):
        shape = (self.num_styles, input_shape[-1])
        own = {"dtype": "float32", "autocast": False}
        self.gamma = self.add_weight(shape=shape, initializer="ones", name="gamma", **own)
        self.beta = self.add_weight(shape=shape, initializer="zeros", name="beta", **own)

    def call(self, x, style_weights=None, moments=None):
        precise = ops.cast(x, "float32")
        mean, variance = self.moments(x) if moments is None else moments
        gamma, beta = ops.convert_to_tensor(self.gamma), ops.convert_to_tensor(self.beta)
        if self.num_styles > 1:
            gamma, beta = (
                ops.expand_dims(ops.matmul(ops.cast(style_weights, "float32"), styles), (1, 2))
                for styles in (gamma, beta)
            )
        scale = gamma * ops.rsqrt(variance + self.epsilon)
        return ops.cast(precise * scale + (beta - mean * scale), x.dtype)

    @staticmethod
    def moments(x):
        """Return mean and variance of each channel of each picture, `(batch, 1, 1, channels)`."""
        x = ops.cast(x, "float32")
        mean = ops.mean(x, (1, 2), keepdims=True)
        square = ops.mean(x * x, (1, 2), keepdims=True)
        return mean, ops.maximum(square - mean * mean, 0)

    def save_own_variables(self, store):
        _store(self.variables, store)

    def get_config(self):
        return super().get_config() | {"num_styles": self.num_styles, "epsilon": self.epsilon}


@keras.saving.register_keras_serializable("tfstyle")
class Convolution(keras.layers.Layer):
    """Mirror the borders, convolve, normalize, rectify.

    Args:
        filters: Number of channels returned.
        kernel_size: Odd side of the kernel.
        strides: 1 or 2.
        upsample: Whether pixels are doubled before: nearest-neighbor resizing, then convolution.
            Both are computed as one convolution at the small size, which has the same result for
            less work: a pixel's neighbors are often copies of one another, so their weights add.
        num_styles: See `InstanceNormalization`. 0: no normalization, but a bias.
        activation: Whether to end with ReLU.

    Call arguments:
        x: Float tensor `(batch, height, width, channels)`.
        normalize: Function of an `InstanceNormalization` and its input. Default: call it.

    Source of resizing before the convolution: Odena et al. (2016),
    https://distill.pub/2016/deconv-checkerboard.
    """

    def __init__(
        self,
        filters,
        kernel_size=3,
        *,
        strides=1,
        upsample=False,
        num_styles=1,
        activation=True,
        **kwargs,
    ):
        super().__init__(**kwargs)
        if kernel_size % 2 == 0 or (upsample and kernel_size > 5):
            raise ValueError(
                "`kernel_size` must be odd, and at most 5 where pixels are doubled. "
                f"Received: kernel_size={kernel_size}."
            )
        self.filters, self.kernel_size, self.strides = filters, kernel_size, strides
        self.upsample, self.num_styles, self.activation = upsample, num_styles, activation
        self.norm = (
            InstanceNormalization(num_styles, dtype=self.dtype_policy) if num_styles else None
        )

    def convolutions(self):
        """Return the convolutions of this stage of a network: itself."""
        return (self,)

    @property
    def reach(self):
        """How many pixels of what comes in matter to a pixel, on each side."""
        return 1 if self.upsample else self.kernel_size // 2

    @property
    def scale(self):
        """How large a pixel that is returned is, in those that come in."""
        return 0.5 if self.upsample else self.strides

    def build(self, input_shape):
        size = self.kernel_size
        self.kernel = self.add_weight(
            shape=(size, size, input_shape[-1], self.filters),
            initializer="glorot_uniform",
            name="kernel",
        )
        if self.norm:
            self.norm.build((None, None, None, self.filters))
        else:
            self.bias = self.add_weight(shape=(self.filters,), initializer="zeros", name="bias")

    def call(self, x, normalize=None):
        if self.upsample:
            kernel = self.kernel_at_small_size()
            x = ops.conv(_extend(x, 1, mirror=False), kernel, data_format="channels_last")
            x = depth_to_space(x, 2)
        else:
            x = _extend(x, self.kernel_size // 2) if self.kernel_size > 1 else x
            x = ops.conv(x, self.kernel, self.strides, data_format="channels_last")
        if self.norm is None:
            x = x + self.bias
        else:
            x = normalize(self.norm, x) if normalize else self.norm(x)
        return ops.relu(x) if self.activation else x

    def kernel_at_small_size(self):
        """Return the kernel `(3, 3, channels, 4·filters)` that acts before pixels are doubled."""
        size, (channels, filters) = self.kernel_size, self.kernel.shape[2:]
        # Tap `t` of a doubled pixel of phase `a` falls on the small pixel (a + t − size//2) // 2.
        taps = np.zeros((3, 2, size), np.float32)
        for phase in range(2):
            for tap in range(size):
                taps[(phase + tap - size // 2) // 2 + 1, phase, tap] = 1
        spread = np.einsum("yas,xbt->yxabst", taps, taps).reshape(36, size * size)
        spread = ops.cast(spread, self.kernel.dtype)
        kernel = ops.matmul(spread, ops.reshape(self.kernel, (size * size, channels * filters)))
        kernel = ops.reshape(kernel, (3, 3, 4, channels, filters))
        kernel = ops.transpose(kernel, (0, 1, 3, 2, 4))
        return ops.reshape(kernel, (3, 3, channels, 4 * filters))

    def save_own_variables(self, store):
        own = (self.kernel, self.bias) if self.norm is None else (self.kernel,)
        _store(own, store)

    def get_config(self):
        names = "filters kernel_size strides upsample num_styles activation".split()
        return super().get_config() | {name: getattr(self, name) for name in names}


@keras.saving.register_keras_serializable("tfstyle")
class ResidualBlock(keras.layers.Layer):
    """Two convolutions beside an open way.

    Source: Johnson et al. (2016), https://arxiv.org/abs/1603.08155, with instance normalization.
    Departs from it: mirrored borders in place of a way cropped by two pixels.
    """

    def __init__(self, filters, num_styles=1, **kwargs):
        super().__init__(**kwargs)
        self.filters, self.num_styles = filters, num_styles
        self.first = Convolution(filters, num_styles=num_styles, dtype=self.dtype_policy)
        self.second = Convolution(
            filters, num_styles=num_styles, activation=False, dtype=self.dtype_policy
        )

    def convolutions(self):
        """Return the convolutions in the order in which they are called."""
        return self.first, self.second

    def build(self, input_shape):
        self.first.build(input_shape)
        self.second.build(input_shape)

    def call(self, x, normalize=None):
        return x + self.second(self.first(x, normalize=normalize), normalize=normalize)

    def get_config(self):
        return super().get_config() | {"filters": self.filters, "num_styles": self.num_styles}


# Of `coring`: sides of the squares, in folded pixels, and what is faint within each band, of 255.
SQUARES, FAINT = (3, 5, 9, 17), (8, 6, 4, 3, 3)
# How many folded pixels away what matters can lie: of averages, of neighbors, of what is between.
CORING_REACH = sum(side // 2 for side in SQUARES) + 1 + 1


def coring(x):
    """Take away what is fainter than the noise of a camera.

    A picture is the sum of what single pixels, then squares of growing size, add to the average
    over a larger square. Of each of these bands, what stays below a threshold at a pixel and its
    neighbors goes, and from twice the threshold on all stays.

    Args:
        x: Float tensor `(batch, height, width, 12)`: pictures in [0, 1], 2×2 pixels folded into
            channels.

    Returns:
        Float tensor of the shape of `x`.

    Source of the method: J. P. Rossi (1978), Digital techniques for reducing television noise.
    """
    mean = sum(x[..., start : start + 3] for start in range(0, 12, 3)) / 4
    fine = _above(FAINT[0], x - _between(mean))
    bands = []
    for side, faint in zip(SQUARES, FAINT[1:], strict=True):
        smooth = _slopes_on(_slopes_on(mean, side // 2, 1), side // 2, 2)
        for window in ((side, 1), (1, side)):
            smooth = ops.average_pool(smooth, window, 1, data_format="channels_last")
        bands.append(_above(faint, mean - smooth))
        mean = smooth
    return fine + _between(sum(bands, mean))


def _slopes_on(x, border, axis):
    """Extend pictures by `border` pixels on both sides of an axis, each border's slope going on, so
    that an average there is no other on a slope."""
    first, inner, near, last = (
        x[:, place] if axis == 1 else x[:, :, place]
        for place in (slice(1), slice(3, 4), slice(-4, -3), slice(-1, None))
    )
    away = np.arange(1, border + 1, dtype=np.float32).reshape([-1] + [1] * (3 - axis)) / 3
    before = first + (first - inner) * away[::-1]
    return ops.concatenate([before, x, last + (last - near) * away], axis)


def _above(faint, band):
    strength = ops.max_pool(ops.abs(band), 3, 1, "same", data_format="channels_last")
    return band * ops.clip(strength * (255 / faint) - 1, 0, 1)


def _between(x):
    """Return the four pixels inside each, `(batch, height, width, 4·channels)`, bilinearly."""
    x = _extend(x, 1, mirror=False)
    rows = [0.75 * x[:, 1:-1] + 0.25 * other for other in (x[:, :-2], x[:, 2:])]
    return ops.concatenate(
        [
            0.75 * row[:, :, 1:-1] + 0.25 * other
            for row in rows
            for other in (row[:, :, :-2], row[:, :, 2:])
        ],
        -1,
    )


def space_to_depth(x, block):
    """Fold `block`×`block` pixels into channels: `(batch, height, width, channels)` in, sides
    divided by `block` and channels times `block`² out."""
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        return tf.nn.space_to_depth(x, block)
    batch, height, width, channels = ops.shape(x)
    x = ops.reshape(x, (batch, height // block, block, width // block, block, channels))
    x = ops.transpose(x, (0, 1, 3, 2, 4, 5))
    return ops.reshape(x, (batch, height // block, width // block, block**2 * channels))


def depth_to_space(x, block):
    """Unfold channels into `block`×`block` pixels: the inverse of `space_to_depth`."""
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        return tf.nn.depth_to_space(x, block)
    batch, height, width, channels = ops.shape(x)
    channels //= block**2
    x = ops.reshape(x, (batch, height, width, block, block, channels))
    x = ops.transpose(x, (0, 1, 3, 2, 4, 5))
    return ops.reshape(x, (batch, height * block, width * block, channels))


def _extend(x, border, mirror=True):
    """Extend pictures by `border` pixels on each side, mirrored at the border pixel or repeated.

    Made of slices and concatenations of at most five pieces, which run everywhere: a mirroring
    pad falls out of LiteRT's fast path and splits the graph.
    """
    for axis in (1, 2):

        def piece(start, axis=axis, x=x):
            pixel = slice(start, start + 1 or None)
            return x[:, pixel] if axis == 1 else x[:, :, pixel]

        near, far = list(range(border, 0, -1)), list(range(-2, -2 - border, -1))
        if not mirror:
            near, far = [0] * border, [-1] * border
        x = ops.concatenate(
            [_join([piece(i) for i in near], axis), x, _join([piece(i) for i in far], axis)], axis
        )
    return x


def _join(pieces, axis):
    return pieces[0] if len(pieces) == 1 else ops.concatenate(pieces, axis)


def _store(variables, store):
    """Write weights under Keras' names: those that float16 holds exactly, at half the size."""
    for number, variable in enumerate(variables):
        value = ops.convert_to_numpy(variable)
        short = value.astype(np.float16)
        store[str(number)] = short if np.array_equal(short, value) else value
