"""What one sees of a run: progress, previews, an animation, a record."""

import contextlib
import importlib
import itertools
import json
import math
import os
import platform
import signal
import time
import warnings
from typing import Any

import keras
import numpy as np
from PIL import Image

from tfstyle.pictures import check_output_path, encode_gif, ffmpeg, resize, save_image, to_pil
from tfstyle.pictures.files import write, writing
from tfstyle.progress import Line, clock
from tfstyle.version import __version__


class StopOnNaN(keras.callbacks.Callback):
    """Stop a run whose loss is no longer a number, and say where and what helps.

    Raises:
        FloatingPointError: After the step.
    """

    def on_train_batch_end(self, batch, logs=None):
        loss = float(logs["loss"])
        if not math.isfinite(loss):
            raise FloatingPointError(
                f"The loss became {loss} at step {batch + 1}. Lower the learning rate or the "
                "weights, or compute in float32 (precision='float32')."
            )


@contextlib.contextmanager
def caught_signals(stop):
    """Call a function with the number of the first Ctrl-C (SIGINT) or SIGTERM in the block.

    What follows is as it was outside. To be used from the main thread.
    """

    def caught(number, frame):
        restore()
        stop(number)

    def restore():
        for number, handler in before.items():
            signal.signal(number, handler)

    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        for number in before:
            signal.signal(number, caught)
        yield
    finally:
        restore()


class StopOnInterrupt(keras.callbacks.Callback):
    """Let Ctrl-C and SIGTERM end a run after the step it is in, so that what it did is kept.

    A second one ends it at once. To be used from the main thread; as a context, around several
    `fit`s of one run.

    Attributes:
        interrupted: Whether one came.
        exit_code: What a process that was ended so exits with: 130, or 143 after SIGTERM.
    """

    def __init__(self):
        super().__init__()
        self.interrupted, self.exit_code = False, 128 + signal.SIGINT
        self._signals, self._held = contextlib.ExitStack(), False

    def __enter__(self):
        self._signals.enter_context(caught_signals(self._stop))
        self._held = True
        return self

    def __exit__(self, *error):
        self._held = False
        self._signals.close()

    def on_train_begin(self, logs=None):
        if not self._held:
            self._signals.enter_context(caught_signals(self._stop))
        if self.interrupted:  # before this `fit`
            self.model.stop_training = True

    def on_train_end(self, logs=None):
        if not self._held:
            self._signals.close()

    def _stop(self, number):
        self.interrupted, self.exit_code = True, 128 + number
        # Not by sys.stderr, in the middle of whose writing the signal may come.
        os.write(2, b"\nstopping after this step; once more ends at once\n")
        if self.model:
            self.model.stop_training = True


@contextlib.contextmanager
def held(callbacks):
    """Let those of some callbacks that stop at an interrupt do so between several `fit`s, too."""
    with contextlib.ExitStack() as stack:
        for callback in callbacks:
            if isinstance(callback, StopOnInterrupt):
                stack.enter_context(callback)
        yield


class _ByScale(keras.callbacks.Callback):
    """Know at which of the recipe's scales, counted from 1, a run stands."""

    scale = 0

    def on_train_begin(self, logs=None):
        self.scale = self.scale % len(self.model.recipe.scales) + 1

    def on_train_end(self, logs=None):
        if self.model.stop_training:
            self.scale = 0

    def share(self, step):
        """Return how much of a run is done after a step of this scale, from 0 to 1."""
        areas = [scale**2 for scale in self.model.recipe.scales]
        done = sum(areas[: self.scale - 1]) + areas[self.scale - 1] * step / self.params["steps"]
        return done / sum(areas)


class Watch(_ByScale):
    """Call a function at most once a second, which may end the run; what it did is kept.

    Args:
        function: Is called with the share of the run that is done, from 0 to 1, and a function that
            returns the picture so far, a float array; returns whether to go on.
    """

    def __init__(self, function):
        super().__init__()
        self.function, self._called = function, -math.inf

    def on_train_batch_end(self, batch, logs=None):
        if time.monotonic() - self._called < 1:
            return
        self._called = time.monotonic()
        if not self.function(self.share(batch + 1), self.model.stylizer.read):
            self.model.stop_training = True


class Progress(_ByScale):
    """Print a line that counts steps, with losses, steps per second and time left.

    Args:
        stream: Where to. On a terminal the line is overwritten, elsewhere one is added every
            10 seconds.
    """

    def __init__(self, stream=None):
        super().__init__()
        self.stream, self._losses = stream, {"loss": math.inf}

    def on_train_begin(self, logs=None):
        super().on_train_begin(logs)
        if self.scale == 1:
            self._started = time.monotonic()
        self._line = Line(self.stream)

    def on_train_batch_end(self, batch, logs=None):
        now, steps, step = time.monotonic(), self.params["steps"], batch + 1
        # L-BFGS keeps the best picture: what a trial of its line search has, nobody is to see.
        if (
            step == 1
            or self.model.recipe.optimizer != "lbfgs"
            or logs["loss"] < self._losses["loss"]
        ):
            self._losses = {name: float(value) for name, value in logs.items()}
        if step == 1:
            self._traced = now  # the first step of a scale says nothing of the others' speed
        if not self._line.due() and step != steps:
            return
        canvas, losses = self.model.stylizer, self._losses
        text = (
            f"{canvas.width}×{canvas.height} px  step {step}/{steps}  "
            f"loss {losses['loss']:.4g} (content {losses['content_loss']:.3g}, "
            f"style {losses['style_loss']:.3g})"
        )
        if step > 1:
            left = (now - self._started) * (1 / self.share(step) - 1)
            speed = (step - 1) / max(now - self._traced, 1e-9)
            text += f"  {speed:.2f} steps/s  {clock(left)} left"
        self._line.show(text)

    def on_train_end(self, logs=None):
        super().on_train_end(logs)
        self._line.end()


class Preview(keras.callbacks.Callback):
    """Save the picture at the start and every few steps, each time over the last; warn of what
    cannot be saved.

    Args:
        path: File; the suffix says which format.
        every: Steps between two previews.
    """

    def __init__(self, path, every=50):
        super().__init__()
        if every < 1:
            raise ValueError(f"`every` must be at least 1. Received: every={every}.")
        self.path, self.every = check_output_path(path), every

    def on_train_begin(self, logs=None):
        self._save()

    def on_train_batch_end(self, batch, logs=None):
        if (batch + 1) % self.every == 0:
            self._save()

    def _save(self):
        try:
            save_image(to_pil(self.model.stylizer.read()), self.path)
        except OSError as error:  # no reason to lose the run
            warnings.warn(f"There is no preview: {error}", stacklevel=3)


class Animation(_ByScale):
    """Save the run as a film: a frame at steps 1, 2, 4, 7, 11 …, where most things change.

    If the film cannot be written, the run is not lost: a warning says so.

    Args:
        path: A `.gif`, or a `.mp4` where imageio-ffmpeg is installed.
        size: Long side of the film in pixels.
        seconds: Length of the film; the last frame stays for another second.
        frames: Greatest number of frames.

    Attributes:
        error: The `OSError` of a film that could not be written, or None.
    """

    SUFFIXES = (".gif", ".mp4")

    def __init__(self, path, size=480, seconds=6.0, frames=60):
        super().__init__()
        self.path = check_output_path(path, self.SUFFIXES)
        self.size, self.seconds, self.frames, self.error = size, seconds, frames, None
        if self.path.suffix.lower() == ".mp4":
            ffmpeg.executable()  # if it is missing, that is said before the run

    def on_train_begin(self, logs=None):
        super().on_train_begin(logs)
        if self.scale == 1:
            self._pictures = []
        share, steps = max(2, self.frames // len(self.model.recipe.scales)), self.params["steps"]
        # Quadratic spacing: early steps change much, late ones little.
        self._steps = {round((i / share) ** 2 * (steps - 1)) for i in range(share)} | {steps - 1}

    def on_train_batch_end(self, batch, logs=None):
        if batch in self._steps:
            self._pictures.append(resize(self.model.stylizer.read(), self.size))

    def on_train_end(self, logs=None):
        last = self.scale == len(self.model.recipe.scales)
        super().on_train_end(logs)
        if self._pictures and (last or self.model.stop_training):
            try:
                self._write()
            except OSError as error:  # no reason to lose the run
                self.error = error
                warnings.warn(f"There is no animation: {error}", stacklevel=2)

    def _write(self):
        height, width = (side - side % 2 for side in self._pictures[-1].shape[:2])
        frames = [
            np.asarray(to_pil(resize(picture, (height, width)))) for picture in self._pictures
        ]
        fps = max(1, len(frames) / self.seconds)
        frames += [frames[-1]] * round(fps)
        if self.path.suffix.lower() == ".gif":
            images, durations = map(Image.fromarray, frames), itertools.repeat(1000 / fps)
            write(self.path, encode_gif(images, durations))
            return
        with writing(self.path) as temporary:
            ffmpeg.write(temporary, iter(frames), fps)
            ffmpeg.check_whole(temporary, len(frames))


class Record(keras.callbacks.Callback):
    """Keep what was set and what came of it.

    `record` is a dictionary ready for JSON: versions, the recipe, and for each scale its size and
    the losses and seconds of every step.
    """

    def __init__(self):
        super().__init__()
        self.record: dict[str, Any] = {"scales": []}

    def on_train_begin(self, logs=None):
        model, modules = self.model, ("keras", keras.backend.backend(), "numpy")
        self.record |= {
            "versions": {
                "tfstyle": __version__,
                "python": platform.python_version(),
                **{name: importlib.import_module(name).__version__ for name in modules},
            },
            "recipe": json.loads(model.recipe.to_json()),
            "precision": model.extractor.compute_dtype,
        }
        size = {"height": model.stylizer.height, "width": model.stylizer.width}
        self.record["scales"].append({**size, "seconds": [], "losses": {}})
        self._begun = time.monotonic()

    def on_train_batch_end(self, batch, logs=None):
        scale = self.record["scales"][-1]
        scale["seconds"].append(round(time.monotonic() - self._begun, 3))
        for name, value in logs.items():
            scale["losses"].setdefault(name, []).append(float(value))

    def save(self, path):
        """Write the record as JSON, whole or not at all."""
        write(path, json.dumps(self.record, indent=1))
