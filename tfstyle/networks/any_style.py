"""A network that paints in the style of any painting, which its encoder turns into a code."""

import keras
import numpy as np
from keras import ops

from tfstyle.networks.generator import CrispNet
from tfstyle.networks.layers import Convolution, InstanceNormalization

CODE_SIZE = 128


@keras.saving.register_keras_serializable("tfstyle")
class StyleEncoder(keras.layers.Layer):
    """Turn a painting into a code.

    Five convolutions of stride 2; of what each sees, the mean and the deviation of every channel
    over the painting are kept, and two dense layers make the code of them all.

    Args:
        code_size: Numbers in a code. The first is always 1, so that whatever is linear in a code
            has an offset, and codes blended with weights that sum to 1 are codes.
        filters: Channels of the convolutions.
        hidden: Width of the dense layer between statistics and code.

    Call arguments:
        paintings: Float tensor `(batch, height, width, 3)`, RGB in [0, 1], at least 32 px a side.

    Returns:
        Float32 tensor `(batch, code_size)`.
    """

    def __init__(self, code_size=CODE_SIZE, filters=(32, 64, 128, 160, 160), hidden=192, **kwargs):
        super().__init__(**kwargs)
        self.code_size, self.filters, self.hidden = code_size, tuple(filters), hidden
        self.convolutions = [
            Convolution(channels, 3 if i else 5, strides=2, num_styles=0, dtype=self.dtype_policy)
            for i, channels in enumerate(filters)
        ]
        self.dense = [
            Convolution(hidden, 1, num_styles=0, dtype="float32"),
            Convolution(code_size - 1, 1, num_styles=0, activation=False, dtype="float32"),
        ]

    def build(self, input_shape):
        channels = input_shape[-1]
        for convolution in self.convolutions:
            convolution.build((None, None, None, channels))
            channels = convolution.filters
        channels = 2 * sum(self.filters)
        for dense in self.dense:
            dense.build((None, 1, 1, channels))
            channels = dense.filters

    def call(self, paintings):
        x, statistics = paintings * 4 - 2, []
        for convolution in self.convolutions:
            x = convolution(x)
            mean, variance = InstanceNormalization.moments(x)
            statistics += [mean, ops.sqrt(variance + 1e-4)]
        code = ops.concatenate(statistics, -1)
        for dense in self.dense:
            code = dense(code)
        code = code[:, 0, 0]
        return ops.concatenate([ops.ones_like(code[:, :1]), code], -1)

    def get_config(self):
        names = "code_size filters hidden".split()
        return super().get_config() | {name: getattr(self, name) for name in names}


@keras.saving.register_keras_serializable("tfstyle")
class AnyNet(CrispNet):
    """A network of any style; `Generator` tells arguments and shapes.

    It paints as `CrispNet` does, with five blocks. Its point of style is a code, in which the
    scales and shifts of all norms are linear: `encode` reads it off a painting.

    Source of scales and shifts predicted from a painting: Ghiasi et al. (2017),
    https://arxiv.org/abs/1705.06830. Departs from it: a small encoder of its own, trained along,
    which looks at means and deviations; a lean trunk.
    """

    default_blocks = 5

    def __init__(
        self, width=1.0, blocks=None, num_styles=CODE_SIZE, card=None, calm=True, **kwargs
    ):
        super().__init__(width, blocks, num_styles, card, calm, **kwargs)
        self.encoder = StyleEncoder(num_styles, dtype=self.dtype_policy)
        self.encoder.build((None, None, None, 3))
        for norm in self.norms():
            # Styles differ from the first step on: of equal ones none would be told from another.
            scale, shift = keras.random.normal((2, *norm.gamma.shape), stddev=0.05)
            first = np.eye(1, num_styles).T
            norm.gamma.assign(scale * (1 - first) + first)
            norm.beta.assign(shift * (1 - first))

    @classmethod
    def from_config(cls, config):
        return super().from_config({"calm": False} | config)  # files from before there was coring

    def encode(self, paintings):
        """Return the codes `(batch, num_styles)` of paintings, as `StyleEncoder` takes them."""
        return self.encoder(paintings)

    def of_style(self, index, **settings):
        """Refuse: it has no styles that are numbered.

        Raises:
            ValueError: Always.
        """
        raise ValueError(
            "A network of any style has none of its own: `fixed` makes the network of some codes. "
            f"Received: style {index}."
        )

    def start_from(self, network):
        super().start_from(network)
        self.encoder.set_weights(network.encoder.get_weights())

    def point(self, style_weights=None):
        """Return a code as a float32 array `(1, num_styles)`.

        Args:
            style_weights: The code.

        Raises:
            ValueError: If there is none, or it has another size.
        """
        if style_weights is None or np.size(style_weights) != self.num_styles:
            raise ValueError(
                "A network of any style needs the code of a painting, of "
                f"{self.num_styles} numbers: `encode` reads it. Received: "
                f"{'none' if style_weights is None else np.shape(style_weights)}."
            )
        return np.asarray(style_weights, np.float32).reshape(1, -1)

    def at_strength(self, point, images, strength):
        """Move the code towards those of the photographs, so that the strokes themselves grow
        weaker; only below a quarter are pictures laid over each other. See `Generator`."""
        own = np.asarray(self.encode(images))
        return own + np.float32(strength) * (point - own), min(1.0, 4 * strength)

    def fixed(self, codes, card=None):
        """Return the network of the styles that this one is for some codes.

        Args:
            codes: Float array `(styles, num_styles)`.
            card: Its card.

        Returns:
            A `CrispNet`, which needs no painting and no encoder.
        """
        settings = self.get_config()
        names = "width blocks calm dtype".split()
        settings = {name: settings[name] for name in names}
        network = CrispNet(**settings, num_styles=len(codes), card=card)
        for new, old in zip(network.norms(), self.norms(), strict=True):
            new.gamma.assign(ops.matmul(codes, old.gamma))
            new.beta.assign(ops.matmul(codes, old.beta))
        for new, old in zip(network.convolutions(), self.convolutions(), strict=True):
            new.kernel.assign(old.kernel)
            if old.norm is None:
                new.bias.assign(old.bias)
        return network
