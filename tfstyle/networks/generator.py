"""Networks that paint any picture in one pass."""

import functools

import keras
import numpy as np
from keras import ops

from tfstyle.networks.layers import (
    CORING_REACH,
    Convolution,
    ResidualBlock,
    coring,
    space_to_depth,
)


class Generator(keras.Model):
    """A network that paints any picture in one pass: the common part of `GENERATORS`.

    A subclass makes its `stages`, layers that are called one after the other and tell their
    `convolutions`, and says of what
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

    Example:

    >>> LeanNet(width=0.25, blocks=1)(ops.ones((1, 18, 20, 3))).shape == (1, 18, 20, 3)
    True
    """

    def __init__(self, width=1.0, blocks=None, num_styles=1, card=None, **kwargs):
        # Without autocast, so that what comes before the first convolution is done in float32.
        super().__init__(autocast=False, **kwargs)
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
                style_weights = self.point()
            shape = tuple(style_weights.shape)
            if len(shape) > 2 or shape[-1] != self.num_styles:
                raise ValueError(
                    f"`style_weights` must be of shape (batch, {self.num_styles}): a weight for "
                    "each style, or of a network of any style the code that `encode` reads off a "
                    f"painting. Received: shape {shape}."
                )
            style_weights = ops.reshape(style_weights, (-1, self.num_styles))
            normalize = functools.partial(_blend, style_weights)
        x = images if self.fold == 1 else space_to_depth(images, self.fold)
        x = ops.cast(self.trunk(x, normalize), "float32")
        # A stretched sigmoid reaches black and white, which a sigmoid only nears.
        stylized = 1.1 * ops.sigmoid(x) - 0.05
        return stylized + self.leak * x if self.leak else stylized

    def trunk(self, x, normalize):
        """Call the stages one after the other; a subclass may let some pass beside others."""
        for stage in self.stages:
            x = stage(x, normalize=normalize)
        return x

    def convolutions(self):
        """Return the convolutions in the order in which they are called."""
        return [convolution for stage in self.stages for convolution in stage.convolutions()]

    def norms(self):
        """Return the instance norms in the order in which they are called."""
        return [convolution.norm for convolution in self.convolutions() if convolution.norm]

    def of_style(self, index, **settings):
        """Return the network of one of its styles, a copy.

        Args:
            index: Which.
            **settings: Of the copy, where they differ: `dtype`.
        """
        styles = self.card.get("styles")
        card = self.card | ({"styles": styles[index : index + 1]} if styles else {})
        copy = type(self).from_config(
            self.get_config() | settings | {"num_styles": 1, "card": card}
        )
        for new, value in zip(copy.weights, self.get_weights(), strict=True):
            new.assign(value if value.shape == new.shape else value[index : index + 1])
        return copy

    def start_from(self, network):
        """Take over the weights of a network.

        Args:
            network: Of the same class, width and number of styles. Where it has more residual
                blocks, as many are taken at even distances: each only adds to what it is given.

        Raises:
            ValueError: If it has another shape.
        """
        mine, blocks = (
            [stage for stage in each.stages if isinstance(stage, ResidualBlock)]
            for each in (self, network)
        )
        if not 0 < len(mine) < len(blocks):
            self.set_weights(network.get_weights())
            return
        kept = [blocks[round(place)] for place in np.linspace(0, len(blocks) - 1, len(mine))]
        stages = [stage for stage in network.stages if stage in kept or stage not in blocks]
        for new, old in zip(self.stages, stages, strict=True):
            new.set_weights(old.get_weights())

    def point(self, style_weights=None):
        """Return the point of style that weights of the network's styles stand for.

        Args:
            style_weights: A number of at least 0 for each style. Default: the first style alone.

        Returns:
            Float32 array `(1, num_styles)` that sums to 1.

        Raises:
            ValueError: If there is not one for each style, one is negative, or all are 0.
        """
        return blend(self.num_styles, style_weights)

    def at_strength(self, point, images, strength):
        """Return how to paint less than fully.

        Args:
            point: Point of style `(1, num_styles)`.
            images: The photographs, float array `(batch, height, width, 3)`.
            strength: From 0, the photograph, to 1, the painting.

        Returns:
            The points to paint with, `(1 or batch, num_styles)`, and how much of the painted
            pictures is laid over the photographs.
        """
        return point, strength

    @property
    def reach(self):
        """How many pixels away from a pixel the picture can matter to it, but for statistics."""
        cell, reach = self.fold, self.fold
        for stage in self.stages:
            for convolution in stage.convolutions():
                reach += convolution.reach * cell
                cell = round(cell * convolution.scale)
        return reach

    def export(self, *args, input_signature=None, **kwargs):
        """Export as `keras.Model.export` does, before a first call as well. `tfstyle export` gives
        more: files in and out, limits, and proof that the export paints the same."""
        if input_signature is None:
            shapes = [(None, None, None, 3), (None, self.num_styles)][: 1 + (self.num_styles > 1)]
            input_signature = [keras.InputSpec("float32", shape) for shape in shapes]
        return super().export(*args, input_signature=input_signature, **kwargs)

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


@keras.saving.register_keras_serializable("tfstyle")
class CrispNet(Generator):
    """A lean network that keeps edges where they are; `Generator` tells arguments and shapes.

    2×2 pixels are folded into channels, 3×3 to 24 channels, stride 2 to 64, three residual blocks,
    a doubling to 24 channels, to which the first 24 are added, a doubling with 5×5 to RGB.

    Args:
        calm: Whether a photograph's faint noise is taken away first (`coring`), of which a network
            can make strokes.
    """

    multiple, fold, default_blocks = 4, 2, 3
    leak = 0.02

    def __init__(self, width=1.0, blocks=None, num_styles=1, card=None, calm=False, **kwargs):
        super().__init__(width, blocks, num_styles, card, **kwargs)
        self.calm = calm

    def trunk(self, x, normalize):
        x = coring(x) if self.calm else x
        first, *middle, last = self.stages
        x = half = first(x, normalize=normalize)
        for stage in middle:
            x = stage(x, normalize=normalize)
        return last(x + half, normalize=normalize)

    def make_stages(self, convolution, residual):
        some, many = (max(1, round(self.width * filters)) for filters in (24, 64))
        return [
            convolution(some),
            convolution(many, strides=2),
            *(residual(many) for _ in range(self.blocks)),
            convolution(some, upsample=True),
            convolution(3, 5, upsample=True, num_styles=0, activation=False),
        ]

    @property
    def reach(self):
        return super().reach + (self.fold * CORING_REACH if self.calm else 0)

    def get_config(self):
        return super().get_config() | {"calm": self.calm}


def blend(num_styles, style_weights=None):
    """Return weights of styles as a float32 array `(1, num_styles)` that sums to 1.

    Args:
        num_styles: Number of styles.
        style_weights: A number of at least 0 for each. Default: the first style alone.

    Raises:
        ValueError: If there is not one for each style, one is negative, or all are 0.
    """
    if style_weights is None:
        return np.eye(1, num_styles, dtype=np.float32)
    weights = np.asarray(style_weights, np.float32).reshape(1, -1)
    if weights.size != num_styles or weights.min() < 0 or not 0 < weights.sum() < np.inf:
        raise ValueError(
            "`style_weights` must be a number of at least 0 for each of the network's "
            f"{num_styles} styles, one of them positive. Received: {style_weights}."
        )
    return weights / weights.sum()


def _blend(style_weights, norm, x):
    return norm(x, style_weights)


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
