"""A stylizer whose only weight is the picture itself."""

import keras
import numpy as np
from keras import ops

# Units of pixels: picture in [0, 1] = weight × deviation + mean, RGB.
PIXELS = {
    "unit": ((1.0, 1.0, 1.0), (0.0, 0.0, 0.0)),
    "imagenet": ((0.229, 0.224, 0.225), (0.485, 0.456, 0.406)),
    "caffe": ((1 / 255,) * 3, (123.68 / 255, 116.779 / 255, 103.939 / 255)),
}


class _Within(keras.constraints.Constraint):
    """Keep a weight within bounds, arrays that broadcast."""

    def __init__(self, low, high):
        self._bounds = low, high

    def __call__(self, weight):
        return ops.clip(weight, *self._bounds)


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
            constraint=_Within(*self.bounds) if clip else None,
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
