"""Networks that play against each other: one makes pictures, one tells them from real ones."""

import keras

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
