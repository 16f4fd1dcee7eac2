"""Predict: from a request to outputs, for gRPC and REST alike."""

import contextlib
import math
import time

import numpy as np
import tensorflow as tf

from tfstyle.export.picture_headers import declared_pixels
from tfstyle.serving.batching import Scheduler, Task
from tfstyle.serving.metrics import Metrics
from tfstyle.serving.status import StatusError, invalid
from tfstyle.serving.wire import DT_STRING


class Predictor:
    """Answers requests with the models of a store.

    Args:
        store: `ModelStore`.
        config: `ServeConfig`.
    """

    def __init__(self, store, config):
        self.store, self.config, self.metrics = store, config, Metrics()
        self.scheduler = Scheduler(
            workers=config.workers,
            max_batch_size=config.max_batch_size,
            batch_timeout_s=config.batch_timeout_ms / 1000,
            max_queue=config.max_queue,
            max_pixels=config.max_pixels,
            on_batch=self.metrics.batch,
        )
        self.metrics.watch_queue(self.scheduler.depth)

    @contextlib.contextmanager
    def servable(self, spec, facts):
        """Hold the servable that a `ModelSpec` asks for; `facts` get its name and version."""
        servable = self.store.acquire(spec)
        facts["model"], facts["version"] = servable.name, servable.version
        try:
            with self.metrics.in_flight(servable):
                yield servable
        finally:
            servable.release()

    def read_tensors(self, signature, protos):
        """Return the arrays of a request's `TensorProto`s, checked before memory is taken.

        Raises:
            StatusError: INVALID_ARGUMENT if they do not fit the signature or the limits.
        """
        signature.check_names(protos)
        feeds = {}
        for name, proto in protos.items():
            try:
                feeds[name] = self._read_tensor(signature, name, proto)
            except (ValueError, TypeError, OverflowError) as error:
                raise invalid(f"tensor parsing error: {name}") from error
        return feeds

    def _read_tensor(self, signature, name, proto):
        """Return the array of a `TensorProto`: files and pictures faster than TensorFlow does."""
        shape = tuple([dim.size for dim in proto.tensor_shape.dim])
        if proto.tensor_shape.unknown_rank or min(shape, default=0) < 0:
            raise ValueError("a tensor without a shape")
        signature.check_tensor(name, proto.dtype, shape)
        elements = math.prod(shape)
        # A proto may name one value for a shape of terabytes.
        self.check_pixels(elements // 3)
        if proto.dtype == DT_STRING:
            # Departs from TF Serving: a file is never repeated, or a tiny request would have
            # millions of them looked at.
            return np.array(list(proto.string_val), object).reshape(shape)
        if proto.tensor_content:
            dtype = tf.as_dtype(proto.dtype).as_numpy_dtype
            return np.frombuffer(proto.tensor_content, dtype).reshape(shape)
        array = tf.make_ndarray(proto)
        if array.shape != shape:
            raise ValueError("a tensor of another shape than it says")
        return array

    def check_pixels(self, pixels):
        """Raise `StatusError` if a request of so many pixels is too large."""
        if pixels > self.config.max_pixels:
            raise invalid(
                f"a request must have at most {self.config.max_pixels} pixels. "
                f"Received: {pixels}. Scale the picture down first"
            )

    def check_response(self, size):
        """Raise `StatusError` if a response of so many bytes is too large."""
        limit = self.config.max_message_bytes
        if size > limit:
            raise StatusError(
                "RESOURCE_EXHAUSTED", f"the response of {size} bytes is larger than {limit}"
            )

    def predict(self, servable, signature, feeds, outputs, *, timeout_s=None, on_task=None):
        """Run a signature on checked arrays.

        Args:
            servable: `Servable`, held by the caller.
            signature: `Signature` of it.
            feeds: Dict of arrays by input.
            outputs: Names of the outputs.
            timeout_s: Seconds that the client waits; None for as long as the server allows.
            on_task: Function that gets the `Task` before it is queued, to cancel it later.

        Returns:
            Dict of arrays by output.

        Raises:
            StatusError: What went wrong.
        """
        limit_s = self.config.request_timeout_s
        deadline = time.monotonic() + min(limit_s, limit_s if timeout_s is None else timeout_s)
        pixels = count_pixels(feeds)
        self.check_pixels(pixels)
        task = Task(
            servable=servable,
            signature=signature,
            feeds=feeds,
            outputs=outputs,
            pixels=pixels,
            deadline=deadline,
        )
        if on_task is not None:
            on_task(task)
        return self.scheduler.run(task)


def count_pixels(feeds):
    """Return how many pixels a request holds.

    Args:
        feeds: Dict of arrays: pictures as numbers, or as files in inputs named `…image_bytes`.

    Returns:
        Integer. Of files only the headers are read, so a decompression bomb does no harm.

    Raises:
        StatusError: If a file is no picture, or costs far more than its pixels.
    """
    total = 0
    for name, value in feeds.items():
        if value.dtype != object:
            total += value.size // 3
        elif name.endswith("image_bytes"):
            total += sum(map(_pixels_of_file, value.ravel()))
    return total


def _pixels_of_file(content):
    """Read off a file's headers how many pixels it holds."""
    try:
        return declared_pixels(content)
    except ValueError as error:
        raise invalid(str(error)) from error
