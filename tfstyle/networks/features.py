"""The loss network: named layers of a VGG, frozen. Alone knows BGR and ImageNet's means."""

import contextlib
import functools
import os
import socket
import sys
import time
import zipfile
from pathlib import Path

import keras
from keras import ops

from tfstyle.config import LAYERS
from tfstyle.losses.gradients import with_gradient
from tfstyle.networks.process import refuse_fork

PATIENCE_S = 30
IMAGENET_MEAN_BGR = (103.939, 116.779, 123.68)  # of pixels in 0–255


class WeightsMissing(OSError):
    """The loss network's weights are not there, and cannot be downloaded."""


def load_network(name="vgg19", weights=None):
    """Load a VGG without its classifier.

    Args:
        name: `"vgg19"` or `"vgg16"`.
        weights: Path of a file in Keras' layout (`…_notop.h5` or `….weights.h5`). Default: the
            file that the environment variable `TFSTYLE_VGG19_WEIGHTS` (`TFSTYLE_VGG16_WEIGHTS`)
            names; where unset, Keras' own ImageNet weights, downloaded once (80 MB) and kept in
            `~/.keras/models`.

    Returns:
        A `keras.Model` of pictures of any size.

    Raises:
        ValueError: If `name` is unknown or the file does not hold that network.
        FileNotFoundError: If the file is missing.
        WeightsMissing: If the weights could not be downloaded.
        RuntimeError: In a process forked off one that had computed, see `refuse_fork`.

    Source: Simonyan and Zisserman (2014), https://arxiv.org/abs/1409.1556.
    """
    refuse_fork()
    if name not in LAYERS:
        raise ValueError(f"`network` must be one of {tuple(LAYERS)}. Received: {name!r}.")
    application = {"vgg16": keras.applications.VGG16, "vgg19": keras.applications.VGG19}[name]
    variable = f"TFSTYLE_{name.upper()}_WEIGHTS"
    path = weights or os.environ.get(variable)
    if not path:
        try:
            # Keras tells of a download on stdout, where a picture may be on its way.
            with channels_last(), contextlib.redirect_stdout(sys.stderr), _patience():
                return application(include_top=False, weights="imagenet")
        except Exception as error:  # Keras raises bare Exception when a download fails
            raise WeightsMissing(
                f"The ImageNet weights of {name} could not be downloaded ({error}). Save the file "
                f"{name}_weights_tf_dim_ordering_tf_kernels_notop.h5 from another machine in "
                f"~/.keras/models, or anywhere, and let {variable} name it."
            ) from error
    if not Path(path).is_file():
        origin = "" if weights else f" (named by {variable})"
        raise FileNotFoundError(f"There is no file {str(path)!r}{origin} with weights of {name}.")
    try:
        with channels_last():
            return application(include_top=False, weights=str(path))
    except (ValueError, OSError, zipfile.BadZipFile) as error:
        raise ValueError(
            f"{str(path)!r} does not hold {name} without its classifier in Keras' layout: {error}"
        ) from error


@contextlib.contextmanager
def _patience():
    """Give up on a server that says nothing, which Python would wait for without end."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(before or PATIENCE_S)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)


@contextlib.contextmanager
def channels_last():
    """Let Keras' own networks come in the layout of pictures here, whatever `keras.json` says."""
    before = keras.config.image_data_format()
    keras.config.set_image_data_format("channels_last")
    try:
        yield
    finally:
        keras.config.set_image_data_format(before)


@functools.cache
def fastest_precision():
    """Return the dtype policy in which this machine convolves fastest.

    Times a convolution in float32 and in bfloat16, for half a second, since no flag tells it:
    CPUs without bfloat16 arithmetic take several times longer in it, others half.

    Returns:
        `"mixed_bfloat16"` where that takes less than 3/4 of the time, else `"float32"`.
    """

    def seconds(x, kernel):
        begun = time.perf_counter()
        float(_convolution(x, kernel)[0, 0, 0, 0])
        return time.perf_counter() - begun

    operands = {
        dtype: (ops.ones((1, 48, 64, 256), dtype), ops.ones((3, 3, 256, 256), dtype))
        for dtype in ("float32", "bfloat16")
    }
    # In turn, so that whatever else the machine does meets both.
    rounds = [{dtype: seconds(*pair) for dtype, pair in operands.items()} for _ in range(10)]
    fastest = {dtype: min(times[dtype] for times in rounds) for dtype in operands}
    return "mixed_bfloat16" if fastest["bfloat16"] < 0.75 * fastest["float32"] else "float32"


class FeatureExtractor(keras.layers.Layer):
    """See a picture as a loss network does.

    Args:
        network: A VGG (`load_network`): a chain of 3×3 convolutions with ReLU and 2×2 poolings.
        layers: Names of layers whose features are wanted.
        pooling: `"max"` or `"average"`.
        dtype: Keras dtype policy of the convolutions, such as `"mixed_bfloat16"`.

    Call arguments:
        images: Float tensor `(batch, height, width, 3)`, RGB in [0, 1], at least 16 px a side.
        layers: Names of those of the layers that are wanted this time. Default: all.

    Returns:
        `{layer: features}` in the order of the network, `(batch, height', width', channels)` in
        the dtype of the convolutions. The network is computed no deeper than asked for.

    Raises:
        ValueError: If a layer's name is unknown; all names are listed.
    """

    def __init__(self, network, layers, pooling="max", **kwargs):
        kwargs.setdefault("dtype", "float32")
        # Without autocast, so that pictures are not rounded before the means are taken off.
        super().__init__(trainable=False, autocast=False, **kwargs)
        self.layers, self.pooling = tuple(dict.fromkeys(layers)), pooling
        names = [layer.name for layer in network.layers[1:]]
        if unknown := set(self.layers).difference(names):
            raise ValueError(
                f"The loss network has no layer {', '.join(sorted(unknown))}. "
                f"Its layers: {', '.join(names)}."
            )
        last = max((names.index(name) for name in self.layers), default=-1)
        self.strides, self._convolutions, stride = {}, {}, 1
        self.reach = 0  # how many pixels away from a pixel what matters to it can lie
        for layer in network.layers[1 : last + 2]:
            self.reach += stride
            if isinstance(layer, keras.layers.Conv2D):
                _check_convolution(layer)
                kernel, bias = layer.get_weights()
                turned = kernel[::-1, ::-1].swapaxes(2, 3)
                self._convolutions[layer.name] = tuple(
                    self.add_weight(
                        shape=value.shape,
                        initializer=lambda shape, dtype, value=value: ops.cast(value, dtype),
                        dtype=self.compute_dtype,
                        trainable=False,
                        autocast=False,
                        name=f"{layer.name}_{part}",
                    )
                    for part, value in (("kernel", kernel), ("bias", bias), ("turned", turned))
                )
            else:
                stride *= 2
            self.strides[layer.name] = stride
        self.built = True

    def call(self, images, layers=None):
        wanted = set(self.layers if layers is None else layers)
        features, x = {}, self._preprocess(images)
        for name in self.strides:
            if len(features) == len(wanted):
                break
            if name in self._convolutions:
                x = _frozen_convolution(x, *self._convolutions[name])
            elif self.pooling == "max":
                x = ops.max_pool(x, 2, 2, data_format="channels_last")
            else:
                x = ops.average_pool(x, 2, 2, data_format="channels_last")
            if name in wanted:
                features[name] = x
        return features

    def _preprocess(self, images):
        bgr = ops.cast(images, "float32")[..., ::-1] * 255
        return ops.cast(bgr - ops.convert_to_tensor(IMAGENET_MEAN_BGR), self.compute_dtype)


def _turned_convolution(upstream, y, x, kernel, bias, turned):
    """Return the gradient of `_frozen_convolution` to its input.

    It is again a forward convolution, with the kernel `turned` by 180° and its channels swapped:
    on a CPU this runs faster than the general gradient, and no gradient of the weights is ever
    prepared.
    """
    return _convolution(ops.where(y > 0, upstream, 0), turned)


@with_gradient(_turned_convolution)
def _frozen_convolution(x, kernel, bias, turned):
    """Convolve 3×3 with ReLU; its gradient reaches the features alone."""
    return ops.relu(_convolution(x, kernel) + bias)


def _convolution(x, kernel):
    return ops.conv(x, kernel, padding="same", data_format="channels_last")


def _check_convolution(layer):
    settings = (layer.kernel_size, layer.strides, layer.padding, layer.activation.__name__)
    if settings != ((3, 3), (1, 1), "same", "relu"):
        raise ValueError(
            f"A loss network must be made of 3×3 convolutions of stride 1 with ReLU. "
            f"Received: {layer.name} with {settings}."
        )
