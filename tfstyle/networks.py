"""Stylizers: layers and models that map content pictures to stylized ones."""

import functools

import keras
import numpy as np
from keras import ops

# Units of pixels: picture in [0, 1] = weight × deviation + mean, RGB.
PIXELS = {
    "unit": ((1.0, 1.0, 1.0), (0.0, 0.0, 0.0)),
    "imagenet": ((0.229, 0.224, 0.225), (0.485, 0.456, 0.406)),
    "caffe": ((1 / 255,) * 3, (123.68 / 255, 116.779 / 255, 103.939 / 255)),
}


@keras.saving.register_keras_serializable("tfstyle")
class Canvas(keras.layers.Layer):
    """A stylizer whose only weight is the picture itself.

    Args:
        height: Height in pixels.
        width: Width in pixels.
        pixels: Units of the weight, and so of an optimizer's step: `"unit"` [0, 1]; `"imagenet"`
            [0, 1] less ImageNet's mean, over its deviation; `"caffe"` 0–255 less ImageNet's mean.
        clip: Whether an optimizer's step ends with pixels clipped to [0, 1].

    Call arguments:
        content: Content pictures; only there to match other stylizers, not looked at.

    Returns:
        Float32 tensor `(1, height, width, 3)`, RGB, [0, 1] but for steps not clipped.

    Example:

    >>> canvas = Canvas(2, 2)
    >>> canvas.paint(ops.ones((1, 2, 2, 3)))
    >>> float(ops.max(canvas(None)))
    1.0
    """

    def __init__(self, height, width, pixels="unit", clip=True, **kwargs):
        kwargs.setdefault("dtype", "float32")
        super().__init__(**kwargs)
        if pixels not in PIXELS:
            raise ValueError(f"`pixels` must be one of {tuple(PIXELS)}. Received: {pixels!r}.")
        self.height, self.width, self.pixels, self.clip = height, width, pixels, clip
        self.deviation, self.mean = np.array(PIXELS[pixels], np.float32)
        self.bounds = -self.mean / self.deviation, (1 - self.mean) / self.deviation
        self.picture = self.add_weight(
            shape=(1, height, width, 3),
            initializer="zeros",
            constraint=(lambda weight: ops.clip(weight, *self.bounds)) if clip else None,
            name="picture",
        )
        self.built = True

    def call(self, content=None):
        return self.picture * self.deviation + self.mean

    def paint(self, image):
        """Show `image`, a float tensor `(1, height, width, 3)` in [0, 1]."""
        self.picture.assign((ops.convert_to_tensor(image) - self.mean) / self.deviation)

    def read(self):
        """Return the picture as a float32 array `(height, width, 3)`, clipped to [0, 1]."""
        return ops.convert_to_numpy(ops.clip(self(None), 0, 1))[0]

    def get_config(self):
        return super().get_config() | {
            "height": self.height,
            "width": self.width,
            "pixels": self.pixels,
            "clip": self.clip,
        }


@keras.saving.register_keras_serializable("tfstyle")
class InstanceNormalization(keras.layers.Layer):
    """Normalize each channel of each picture, then scale and shift it as a style wants.

    Args:
        num_styles: Number of styles, each with a scale and a shift of its own.
        epsilon: Added to the variance.

    Call arguments:
        x: Float tensor `(batch, height, width, channels)`.
        style_weights: Float tensor `(batch, num_styles)` that blends the styles' scales and
            shifts; needed if there are several.
        moments: Mean and variance to normalize by, each `(batch, 1, 1, channels)`. Default: those
            of `x`.

    Source: Ulyanov et al. (2016), https://arxiv.org/abs/1607.08022; several styles: Dumoulin et
    al. (2017), https://arxiv.org/abs/1610.07629.
    """

    def __init__(self, num_styles=1, epsilon=1e-5, **kwargs):
        super().__init__(**kwargs)
        self.num_styles, self.epsilon = num_styles, epsilon

    def build(self, shape):
        shape = (self.num_styles, shape[-1])
        own = {"dtype": "float32", "autocast": False}
        self.scale = self.add_weight(shape=shape, initializer="ones", name="scale", **own)
        self.shift = self.add_weight(shape=shape, initializer="zeros", name="shift", **own)

    def call(self, x, style_weights=None, moments=None):
        precise = ops.cast(x, "float32")
        mean, variance = self.moments(x) if moments is None else moments
        scale, shift = ops.convert_to_tensor(self.scale), ops.convert_to_tensor(self.shift)
        if self.num_styles > 1:
            scale, shift = (
                ops.expand_dims(ops.matmul(ops.cast(style_weights, "float32"), styles), (1, 2))
                for styles in (scale, shift)
            )
        scale = scale * ops.rsqrt(variance + self.epsilon)
        return ops.cast(precise * scale + (shift - mean * scale), x.dtype)

    @staticmethod
    def moments(x):
        """Return mean and variance of each channel of each picture, `(batch, 1, 1, channels)`."""
        x = ops.cast(x, "float32")
        mean = ops.mean(x, (1, 2), keepdims=True)
        square = ops.mean(x * x, (1, 2), keepdims=True)
        return mean, ops.maximum(square - mean * mean, 0)

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

    def build(self, shape):
        size = self.kernel_size
        self.kernel = self.add_weight(
            shape=(size, size, shape[-1], self.filters),
            initializer="glorot_uniform",
            name="kernel",
        )
        if self.norm:
            self.norm.build((None, None, None, self.filters))
        else:
            self.bias = self.add_weight(shape=(self.filters,), initializer="zeros", name="bias")

    def call(self, x, normalize=None):
        if self.upsample:
            x = ops.conv(_extend(x, 1, mirror=False), self.kernel_at_small_size())
            x = depth_to_space(x, 2)
        else:
            x = _extend(x, self.kernel_size // 2) if self.kernel_size > 1 else x
            x = ops.conv(x, self.kernel, self.strides)
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

    def build(self, shape):
        self.first.build(shape)
        self.second.build(shape)

    def call(self, x, normalize=None):
        return x + self.second(self.first(x, normalize=normalize), normalize=normalize)

    def get_config(self):
        return super().get_config() | {"filters": self.filters, "num_styles": self.num_styles}


class Generator(keras.Model):
    """A network that paints any picture in one pass: the common part of `GENERATORS`.

    A subclass makes its `stages`, layers that are called one after the other, and says of what
    `multiple` a picture's sides must be inside, how many pixels are folded into channels first
    (`fold`), and how much of what goes into the last sigmoid passes beside it (`leak`).

    Args:
        width: Factor of the number of channels everywhere.
        blocks: Number of residual blocks.
        num_styles: Number of styles in the one network. One costs nothing.
        card: Dictionary, ready for JSON, of what there is to know of the network: styles, licence,
            settings and losses of the training. Saved with it.

    Call arguments:
        images: Float tensor `(batch, height, width, 3)`, RGB in [0, 1], at least 16 px a side.
        style_weights: Float tensor `(batch, num_styles)` or `(num_styles,)`; rows should sum to 1.
            Default: the first style.
        normalize: Function of an `InstanceNormalization` and its input that stands in for calling
            it, for those who know the statistics better.

    Returns:
        Float32 tensor of the shape of `images`, in [0, 1]; in training a little beyond, where a
        gradient still leads back.
    """

    def __init__(self, width=1.0, blocks=None, num_styles=1, card=None, **kwargs):
        super().__init__(**kwargs)
        self.width, self.num_styles, self.card = width, num_styles, card or {}
        self.blocks = self.default_blocks if blocks is None else blocks
        if width <= 0 or self.blocks < 0 or num_styles < 1:
            raise ValueError(
                "A network must have a positive `width`, no negative number of `blocks` and at "
                f"least one style. Received: width={width}, blocks={blocks}, "
                f"num_styles={num_styles}."
            )
        convolution = functools.partial(Convolution, num_styles=num_styles, dtype=self.dtype_policy)
        residual = functools.partial(ResidualBlock, num_styles=num_styles, dtype=self.dtype_policy)
        self.stages = self.make_stages(convolution, residual)
        channels = 3 * self.fold**2
        for stage in self.stages:
            stage.build((None, None, None, channels))
            channels = stage.filters
        self.built = True

    def call(self, images, style_weights=None, training=None, normalize=None):
        height, width = ops.shape(images)[1:3]
        stylized = self.paint(_to_multiple(images, self.multiple), style_weights, normalize)
        stylized = stylized[:, :height, :width]
        return stylized if training else ops.clip(stylized, 0, 1)

    def paint(self, images, style_weights=None, normalize=None):
        """Paint pictures whose sides are multiples of `multiple`; nothing is clipped."""
        if normalize is None and self.num_styles > 1:
            if style_weights is None:
                style_weights = np.eye(1, self.num_styles, dtype=np.float32)
            style_weights = ops.reshape(style_weights, (-1, self.num_styles))
            normalize = functools.partial(_blend, style_weights)
        x = images if self.fold == 1 else space_to_depth(images, self.fold)
        for stage in self.stages:
            x = stage(x, normalize=normalize)
        x = ops.cast(x, "float32")
        # A stretched sigmoid reaches black and white, which a sigmoid only nears.
        stylized = 1.1 * ops.sigmoid(x) - 0.05
        return stylized + self.leak * x if self.leak else stylized

    @property
    def reach(self):
        """How many pixels away from a pixel the picture can matter to it, but for statistics."""
        cell, reach = self.fold, self.fold
        for stage in self.stages:
            if isinstance(stage, ResidualBlock):
                reach += 2 * cell
            elif stage.upsample:
                reach, cell = reach + cell, cell // 2
            else:
                reach, cell = reach + stage.kernel_size // 2 * cell, cell * stage.strides
        return reach

    def get_config(self):
        return super().get_config() | {
            "width": self.width,
            "blocks": self.blocks,
            "num_styles": self.num_styles,
            "card": self.card,
        }


@keras.saving.register_keras_serializable("tfstyle")
class TransformNet(Generator):
    """The residual network that the field compares with; `Generator` tells arguments and shapes.

    A convolution of 9×9 to 32 channels, two of stride 2 to 64 and 128, five residual blocks, two
    doublings back to 64 and 32, 9×9 to RGB.

    Source: Johnson et al. (2016), https://arxiv.org/abs/1603.08155.
    Departs from it: instance normalization, mirrored borders everywhere, resizing in place of
    transposed convolution, and an output that reaches black and white.
    """

    multiple, fold, default_blocks = 4, 1, 5
    leak = 0.02  # far out a sigmoid alone has no gradient: dark areas would stay black holes

    def make_stages(self, convolution, residual):
        few, some, many = (max(1, round(self.width * filters)) for filters in (32, 64, 128))
        return [
            convolution(few, 9),
            convolution(some, strides=2),
            convolution(many, strides=2),
            *(residual(many) for _ in range(self.blocks)),
            convolution(some, upsample=True),
            convolution(few, upsample=True),
            convolution(3, 9, num_styles=0, activation=False),
        ]


@keras.saving.register_keras_serializable("tfstyle")
class LeanNet(Generator):
    """A network for phones and CPUs; `Generator` tells arguments and shapes.

    Pixels are folded 4×4 into channels, so that no convolution runs at full size: 3×3 to 48
    channels, four residual blocks, a doubling to 24 channels, a doubling with 5×5 to RGB.
    """

    multiple, fold, default_blocks = 4, 4, 4
    leak = 0.0

    def make_stages(self, convolution, residual):
        many, few = (max(1, round(self.width * filters)) for filters in (48, 24))
        return [
            convolution(many),
            *(residual(many) for _ in range(self.blocks)),
            convolution(few, upsample=True),
            convolution(3, 5, upsample=True, num_styles=0, activation=False),
        ]


GENERATORS = {"lean": LeanNet, "full": TransformNet}


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


def _blend(style_weights, norm, x):
    return norm(x, style_weights)


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


def _to_multiple(images, multiple):
    """Extend pictures to the right and downwards, mirrored, until `multiple` divides the sides."""
    for axis in (1, 2):
        length = ops.shape(images)[axis]
        whole = (length + multiple - 1) // multiple * multiple  # -(-a // b) is lost in ONNX
        if isinstance(whole, int) and whole == length:
            continue
        index = ops.arange(whole)
        images = ops.take(images, ops.minimum(index, 2 * (length - 1) - index), axis=axis)
    return images
