"""Pictures too large to be looked at as a whole: piece by piece, with the sums of the whole."""

import contextlib
import itertools
import math
from pathlib import Path
from typing import NamedTuple

import keras
import numpy as np
from keras import ops

from tfstyle.losses import Seen, gram_matrix
from tfstyle.losses.terms import GramTerm
from tfstyle.model import StyleContentModel
from tfstyle.networks.graphs import compiled

GB_A_MEGAPIXEL = 3.0  # that loss and gradient of a whole picture take
GB_TO_START = 1.0  # TensorFlow, the loss network and what else there is
GB_TO_REMEMBER = 0.33  # a megapixel: the steps of L-BFGS, and content
LEAST_PIECE = 0.1  # megapixels


def free_memory_gb():
    """Return how much memory this process can still have, infinite where nothing tells."""
    free = [math.inf]
    with contextlib.suppress(OSError):
        lines = Path("/proc/meminfo").read_text().splitlines()
        free += [int(line.split()[1]) / 1e6 for line in lines if line.startswith("MemAvailable:")]
    with contextlib.suppress(OSError, ValueError):  # "max": no limit
        group = Path("/sys/fs/cgroup")
        limit, used = (int((group / f"memory.{name}").read_text()) for name in ("max", "current"))
        free.append((limit - used) / 1e9)
    return min(free)


def piece_size(shape, memory_gb):
    """Return the megapixels of a piece, or None where memory does for the whole picture.

    Args:
        shape: Height and width of the picture.
        memory_gb: Memory to do with.
    """
    if keras.backend.backend() != "tensorflow":
        return None
    megapixels = math.prod(shape) / 1e6
    left = memory_gb - GB_TO_START - GB_TO_REMEMBER * megapixels
    if GB_A_MEGAPIXEL * megapixels <= left:
        return None
    return max(LEAST_PIECE, left / GB_A_MEGAPIXEL)


class PiecewiseModel(StyleContentModel):
    """A `StyleContentModel` whose `Canvas` is too large to be looked at as a whole.

    Loss and gradient are those of the whole picture, up to rounding: a Gram matrix is a mean over
    positions, to which each piece adds its own, and pieces are seen with as much around them as
    matters to them. The features that other terms look at are put together; they should be of deep
    layers. In TensorFlow.

    Args:
        megapixels: Size of a piece with what lies around it.
    """

    def __init__(self, *args, megapixels, **kwargs):
        super().__init__(*args, **kwargs)
        self.megapixels = megapixels
        # Pieces differ in shape: one graph for all.
        self._look = compiled(self._look_at, any_size=True)
        self._pull = compiled(self._pull_at, any_size=True)

    def compile(self, *args, **kwargs):
        super().compile(*args, **kwargs, run_eagerly=True)
        self._evaluate = self.loss_and_gradient()

    def train_step(self, *args):
        losses, gradient = self._evaluate(None)
        self._apply(self.optimizer, [gradient], self.trainable_variables)
        self._report(losses)
        return self.get_metrics_result()

    def set_content(self, image):
        self.photographs = image
        _, self.content_targets = self._seen(image, (), self._layers_of("content"))

    def summaries(self, images):
        summed, kept = self._layers_by_kind("style")
        grams, features = self._seen(images, summed, kept)
        return {
            term.name: {layer: grams[layer] for layer in term.layers}
            if type(term) is GramTerm
            else term.summary(features)
            for term in self.terms
            if term.against == "style"
        }

    def loss_and_gradient(self):
        import tensorflow as tf

        variable, judge = self.stylizer.trainable_variables[0], compiled(self._judge)
        summed, kept = self._layers_by_kind()

        def evaluate(content):
            with tf.GradientTape() as tape:
                picture = self.stylizer(content)
            grams, features = self._seen(picture, summed, kept)
            losses, (direct, to_grams, to_features) = judge(picture, grams, features)
            gradient = np.array(direct)
            for rows, columns, pixels, box in self._pieces(picture):
                at = {
                    layer: to_features[layer][:, rows.at(stride), columns.at(stride)]
                    for layer, stride in self.extractor.strides.items()
                    if layer in kept
                }
                gradient[:, rows.outer, columns.outer] += self._pull(pixels, box, to_grams, at)
            return losses, tape.gradient(picture, variable, tf.convert_to_tensor(gradient))

        return evaluate

    def _layers_by_kind(self, against=None):
        """Return the layers of Gram matrices, and those that other terms look at."""
        terms = [term for term in self.terms if against in (None, term.against)]
        kinds = [[], []]
        for term in terms:
            kinds[type(term) is not GramTerm].extend(term.layers)
        return tuple(tuple(dict.fromkeys(kind)) for kind in kinds)

    def _positions(self, picture, layer):
        """Return at how many positions a layer sees a picture."""
        height, width = (side // self.extractor.strides[layer] for side in picture.shape[1:3])
        return height * width

    def _pieces(self, picture):
        """Give rows, columns, pixels and the core's place among them of each piece."""
        unit = max(self.extractor.strides.values(), default=1)
        reach = -(-self.extractor.reach // unit) * unit
        side = max(unit, math.sqrt(1e6 * self.megapixels) - 2 * reach)
        axes = [spans(length, side, reach, unit) for length in picture.shape[1:3]]
        for rows, columns in itertools.product(*axes):
            pixels = ops.convert_to_tensor(picture[:, rows.outer, columns.outer])
            box = ops.convert_to_tensor([*rows.inside, *columns.inside], "int32")
            yield rows, columns, pixels, box

    def _seen(self, picture, summed, kept):
        """Return the Gram matrices of some layers and the features of others, by layer."""
        strides, (height, width) = self.extractor.strides, picture.shape[1:3]
        grams, features = dict.fromkeys(summed, 0.0), {}
        for rows, columns, pixels, box in self._pieces(picture):
            sums, cores = self._look(pixels, box, summed, kept)
            grams = {layer: grams[layer] + sums[layer] for layer in summed}
            for layer, core in cores.items():
                core = ops.convert_to_numpy(core)
                if layer not in features:
                    shape = height // strides[layer], width // strides[layer], core.shape[-1]
                    features[layer] = np.empty((1, *shape), core.dtype)
                features[layer][:, rows.at(strides[layer]), columns.at(strides[layer])] = core
        return (
            {layer: gram / self._positions(picture, layer) for layer, gram in grams.items()},
            keras.tree.map_structure(ops.convert_to_tensor, features),
        )

    def _cores(self, pixels, box, layers):
        """Return what the extractor sees of a piece, without what lies around it."""
        top, bottom, left, right = ops.unstack(box, 4)
        cores = {}
        for layer, features in self.extractor(pixels, layers=layers).items():
            stride = self.extractor.strides[layer]
            cores[layer] = features[
                :, top // stride : bottom // stride, left // stride : right // stride
            ]
        return cores

    def _look_at(self, pixels, box, summed, kept):
        cores = self._cores(pixels, box, (*summed, *kept))
        return (
            {layer: _gram_sum(cores[layer]) for layer in summed},
            {layer: cores[layer] for layer in kept},
        )

    def _judge(self, picture, grams, features):
        """Return the losses and the gradients of their sum to all three."""
        import tensorflow as tf

        positions = {layer: self._positions(picture, layer) for layer in grams}
        with tf.GradientTape() as tape:
            tape.watch((picture, grams, features))
            seen = Seen(
                pictures=picture,
                photographs=self.photographs,
                features=features,
                grams={layer: (gram, positions[layer]) for layer, gram in grams.items()},
            )
            losses = self._sum(seen, self.content_targets, self.style_targets)
        to_picture, to_grams, to_features = tape.gradient(
            losses["loss"], (picture, grams, features), unconnected_gradients="zero"
        )
        to_grams = {layer: pull / positions[layer] for layer, pull in to_grams.items()}
        return losses, (to_picture, to_grams, to_features)

    def _pull_at(self, pixels, box, to_grams, to_features):
        """Return the gradient of the losses to a piece's pixels."""
        import tensorflow as tf

        with tf.GradientTape() as tape:
            tape.watch(pixels)
            cores = self._cores(pixels, box, (*to_grams, *to_features))
            pulls = [ops.sum(pull * _gram_sum(cores[n])) for n, pull in to_grams.items()]
            pulls += [
                ops.sum(ops.cast(pull, "float32") * ops.cast(cores[n], "float32"))
                for n, pull in to_features.items()
            ]
            pulled = sum(pulls)
        return tape.gradient(pulled, pixels)


class Span(NamedTuple):
    """Rows or columns of a piece: its core, and the core with what lies around it."""

    core: slice
    outer: slice

    @property
    def inside(self):
        """Where the core begins and ends in what lies around it."""
        return self.core.start - self.outer.start, self.core.stop - self.outer.start

    def at(self, stride):
        """Return the core in a layer of that stride."""
        return slice(self.core.start // stride, self.core.stop // stride)


def spans(length, side, reach, unit):
    """Return the `Span`s of an axis.

    Args:
        length: Length of the axis.
        side: Length of a core at most, but for the last, which takes what is left.
        reach: How far around a core what matters to it lies.
        unit: Of what all but the last length are multiples.
    """
    side = max(unit, int(side) // unit * unit)
    side = -(-length // -(-length // side) // unit) * unit  # all about as long
    starts = list(range(0, max(1, length - unit + 1), side))
    return [
        Span(slice(start, stop), slice(max(0, start - reach), min(length, stop + reach)))
        for start, stop in zip(starts, [*starts[1:], length], strict=True)
    ]


def _gram_sum(features):
    """Return the sum over positions that a Gram matrix is the mean of."""
    height, width = ops.shape(features)[1:3]
    return gram_matrix(features) * ops.cast(height * width, "float32")
