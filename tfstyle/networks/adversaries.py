"""Networks that play against each other: one makes pictures, one tells them from real ones."""

import keras
from keras import ops

LEAK = 0.2  # of LeakyReLU
# What PyTorch's dense layers begin with: uniform within ±1/√inputs.
_UNIFORM = {"scale": 1 / 3, "mode": "fan_in", "distribution": "uniform"}


def _dense(width):
    return keras.layers.Dense(
        width, kernel_initializer=keras.initializers.VarianceScaling(**_UNIFORM), dtype="float32"
    )


@keras.saving.register_keras_serializable("tfstyle")
class Sampler(keras.Model):
    """Make small pictures of points: the generator of the lesson.

    Args:
        latent: Numbers in a point.
        hidden: Width of both hidden layers.
        shape: Height, width and channels of a picture.
        card: What there is to know of the network, ready for JSON.

    Call arguments:
        points: Float tensor `(batch, latent)`, drawn from a normal distribution.

    Returns:
        Float32 tensor `(batch, *shape)` in [0, 1].

    Example:

    >>> tuple(Sampler(8, 16)(keras.ops.zeros((2, 8))).shape)
    (2, 28, 28, 1)
    """

    def __init__(self, latent=64, hidden=256, shape=(28, 28, 1), card=None, **kwargs):
        super().__init__(**kwargs)
        self.latent, self.hidden, self.shape = latent, hidden, tuple(shape)
        self.card = card or {}
        height, width, channels = self.shape
        self.stages = keras.Sequential(
            [
                keras.Input((latent,)),
                _dense(hidden),
                keras.layers.ReLU(),
                _dense(hidden),
                keras.layers.ReLU(),
                _dense(height * width * channels),
                keras.layers.Activation("sigmoid"),
                keras.layers.Reshape(self.shape),
            ]
        )
        self.built = True

    def call(self, points):
        return self.stages(points)

    def get_config(self):
        names = "latent hidden shape card".split()
        return super().get_config() | {name: getattr(self, name) for name in names}


def discriminator(hidden=256, shape=(28, 28, 1)):
    """Return the discriminator of the lesson.

    Args:
        hidden: Width of both hidden layers.
        shape: Height, width and channels of a picture.

    Returns:
        Keras model from pictures `(batch, *shape)` in [0, 1] to logits `(batch, 1)`, whose sigmoid
        says how real it takes a picture for.
    """
    return keras.Sequential(
        [
            keras.Input(shape),
            keras.layers.Flatten(),
            _dense(hidden),
            keras.layers.LeakyReLU(LEAK),
            _dense(hidden),
            keras.layers.LeakyReLU(LEAK),
            _dense(1),
        ]
    )


@keras.saving.register_keras_serializable("tfstyle")
class PatchCritic(keras.Model):
    """Tell paintings from what a network painted, patch by patch.

    Four convolutions of stride 2 without a border, so that each logit judges a patch of 46 px, and
    one that makes logits.

    Args:
        filters: Channels of the four convolutions.

    Call arguments:
        pictures: Float tensor `(batch, height, width, 3)`, RGB in [0, 1], at least 46 px a side.

    Returns:
        Float32 tensor `(batch, height', width', 1)` of logits.

    Source: Isola et al. (2017), https://arxiv.org/abs/1611.07004, of patches; Miyato et al. (2018),
    https://arxiv.org/abs/1802.05957, of `normalize`. Departs from them: kernels are themselves
    divided, after a step, where their norm is above 1.
    """

    def __init__(self, filters=(32, 64, 128, 128), **kwargs):
        kwargs.setdefault("dtype", "float32")
        super().__init__(**kwargs)
        self.filters = tuple(filters)
        self.stages, channels = [], 3
        for count in (*self.filters, 1):
            size, strides = (4, 2) if count > 1 else (1, 1)
            stage = keras.layers.Conv2D(count, size, strides, data_format="channels_last")
            stage.build((None, None, None, channels))
            self.stages.append(stage)
            channels = count
        self.directions = [
            self.add_weight(
                shape=(stage.filters,),
                initializer="random_normal",
                trainable=False,
                name="direction",
            )
            for stage in self.stages
        ]
        self.built = True

    def call(self, pictures):
        x = 2 * pictures - 1
        for stage in self.stages[:-1]:
            x = ops.leaky_relu(stage(x), LEAK)
        return self.stages[-1](x)

    def normalize(self):
        """Bring each kernel's spectral norm, as a matrix from patches to channels, to at most 1, by
        one more step of the power iteration: the critic then changes no faster than its picture."""
        for stage, direction in zip(self.stages, self.directions, strict=True):
            matrix = ops.reshape(stage.kernel, (-1, stage.filters))
            left = ops.matmul(matrix, ops.reshape(direction, (-1, 1)))
            left = left / ops.maximum(ops.norm(left), 1e-12)
            right = ops.matmul(ops.transpose(matrix), left)[:, 0]
            size = ops.norm(right)
            direction.assign(right / ops.maximum(size, 1e-12))
            stage.kernel.assign(stage.kernel / ops.maximum(size, 1))

    def get_config(self):
        return super().get_config() | {"filters": self.filters}
