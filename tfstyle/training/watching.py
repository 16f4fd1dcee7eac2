"""What one sees of a training run: progress, a sheet of examples, TensorBoard, a NaN's cause."""

import math
import sys
import time
import warnings
from pathlib import Path

import keras
import numpy as np
from PIL import Image

from tfstyle.losses import detail_kept
from tfstyle.pictures import read_small, save_image, to_pil
from tfstyle.progress import Line, clock
from tfstyle.training.run import CHECKPOINT

NAN_STEPS = 20  # that loss scaling may skip in a row before a run is given up

CRITIC_STEPS, WON = 300, 0.8  # steps before a critic is looked at; scores, of ±1, of one that won


class BatchNaN(keras.callbacks.Callback):
    """Stop a run whose loss is no longer a number, and name the photographs.

    With loss scaling a step may overflow: it changes nothing and the scale is lowered. Only
    `NAN_STEPS` of them in a row stop the run.

    Args:
        run: `Run`.
        photos: `Photos` that the batches are made of.

    Raises:
        FloatingPointError: After the step.
    """

    def __init__(self, run, photos):
        super().__init__()
        self.run, self.photos, self._in_a_row = run, photos, 0

    def on_train_batch_end(self, batch, logs=None):
        loss, config = float(logs["loss"]), self.run.config
        self._in_a_row = 0 if math.isfinite(loss) else self._in_a_row + 1
        scaled = isinstance(self.model.optimizer, keras.optimizers.LossScaleOptimizer)
        none_finite = self.run.done and not self.run.losses
        if self._in_a_row < (NAN_STEPS if scaled else 1) and not none_finite:
            return
        first = (self.run.step - 1) * config.batch_size
        names = [
            self.photos.names[self.photos.number(position, config.seed)]
            for position in range(first, first + config.batch_size)
        ]
        cures = ["Lower `learning_rate` or the weights of losses", "look at these photographs"]
        if self.run.identity.get("precision") != "float32":
            cures.append("compute in float32 (precision='float32')")
        kept = " The last checkpoint is kept." * (self.run.folder / CHECKPOINT).exists()
        raise FloatingPointError(
            f"The loss became {loss} at step {self.run.step}, on {', '.join(names)}. "
            f"{', or '.join(cures)}.{kept}"
        )


class TrainingProgress(keras.callbacks.Callback):
    """Print a line that counts steps, with losses, pictures per second and time left.

    Args:
        run: `Run`.
        stream: Where to. On a terminal the line is overwritten, elsewhere one is added every
            30 seconds.
    """

    def __init__(self, run, stream=None):
        super().__init__()
        self.run, self.stream = run, stream

    def on_train_begin(self, logs=None):
        self._begun, self._first = None, self.run.step
        self._line = Line(self.stream, every_s=30)

    def on_train_batch_end(self, batch, logs=None):
        now, run = time.monotonic(), self.run
        if self._begun is None:  # the first step of a size is compiled
            self._begun, self._first = now, run.step
            if not run.done:
                return
        if not run.losses or (not self._line.due() and not run.done):
            return
        speed = (run.step - self._first) / max(now - self._begun, 1e-9)
        critic = ""
        if "critic_real" in run.losses:
            critic = "critic {critic_real:.2f} / {critic_fake:.2f}  ".format(**run.losses)
        text = (
            f"{run.size} px  step {run.step}/{run.config.steps}  loss {run.losses['loss']:.4g} "
            f"(content {run.losses['content_loss']:.3g}, style {run.losses['style_loss']:.3g})  "
            f"{critic}{speed * run.config.batch_size:.1f} pictures/s  "
            f"{clock(self._left(speed))} left"
        )
        self._line.show(text)

    def _left(self, speed):
        """Estimate seconds left, a step taking as long as it has pixels."""
        pixels, before = 0, self.run.step
        for size, last in self.run.phases:
            pixels += max(0, last - before) * (size / self.run.size) ** 2
            before = max(before, last)
        return pixels / max(speed, 1e-9)

    def on_train_end(self, logs=None):
        self._line.end()


class CriticWon(keras.callbacks.Callback):
    """Say, once, that a critic has won: that it tells every painting from what the network paints.

    Args:
        run: `Run`, whose moving averages are looked at.
    """

    def __init__(self, run):
        super().__init__()
        self.run, self._told = run, False

    def on_train_batch_end(self, batch, logs=None):
        scores = [self.run.losses.get(name, 0.0) for name in ("critic_real", "critic_fake")]
        won = self.run.step >= CRITIC_STEPS and scores[0] > WON and scores[1] < -WON
        if won and not self._told:
            warnings.warn(
                f"Step {self.run.step}: the critic tells paintings ({scores[0]:.2f}) from what the "
                f"network paints ({scores[1]:.2f}) nearly always, and has little left to teach. "
                "Lower `critic_learning_rate`, or give it more paintings.",
                stacklevel=2,
            )
        self._told = self._told or won


class Sheet(keras.callbacks.Callback):
    """Paint a few photographs every few minutes, and at the end: `sheet.png` in the run's folder.

    How much of their detail is kept is printed, and is `run.validation["sheet"]["detail_kept"]`:
    see `tfstyle.losses.detail_kept`.

    Args:
        run: `Run`.
        photos: `Photos`, of which the first `columns` are taken.
        minutes: Time between two sheets.
        size: Short side of each picture in pixels.
        columns: Number of photographs; below each is its painting in every style.
        stream: Where to print to. Default: standard error.

    Raises:
        ValueError: If none of `photos` can be used.
    """

    def __init__(self, run, photos, minutes=5.0, size=256, columns=4, stream=None):
        super().__init__()
        self.run, self.minutes, self.size = run, minutes, size
        self.stream = stream or sys.stderr
        self.pictures = examples(photos.reads, columns, size)
        if not self.pictures:
            raise ValueError(f"No photograph of '{photos.source}' can be used.")

    def on_train_begin(self, logs=None):
        self._painted = time.monotonic()

    def on_train_batch_end(self, batch, logs=None):
        if time.monotonic() - self._painted > 60 * self.minutes:
            self.paint()
            self._painted = time.monotonic()

    def on_train_end(self, logs=None):
        self.paint()

    def rows(self):
        """Return the sheet's rows, lists of pictures: photographs, then their paintings."""
        generator = self.model.stylizer
        rows = [self.pictures]
        for style_weights in np.eye(generator.num_styles, dtype=np.float32):
            rows.append(
                [np.asarray(generator(photo[None], style_weights))[0] for photo in self.pictures]
            )
        return rows

    def paint(self):
        """Paint the sheet, save it and return it as a PIL image."""
        rows = self.rows()
        kept = np.mean(
            [
                detail_kept(np.clip(painting, 0, 1)[None], photo[None])
                for row in rows[1:]
                for photo, painting in zip(self.pictures, row[-len(self.pictures) :], strict=True)
            ]
        )
        self.run.validation["sheet"] = {"detail_kept": float(kept)}
        self.stream.write(f"sheet: {kept:.3f} of the photographs' detail kept\n")
        widths = [picture.shape[1] for picture in rows[0]]
        height = max(picture.shape[0] for picture in rows[0])
        sheet = Image.new("RGB", (sum(widths), height * len(rows)), "white")
        for i, row in enumerate(rows):
            for j, picture in enumerate(row):
                sheet.paste(to_pil(picture), (sum(widths[:j]), i * height))
        if self.run.writes:
            try:
                self.run.folder.mkdir(parents=True, exist_ok=True)
                save_image(sheet, self.run.folder / "sheet.png")
            except OSError as error:  # no reason to lose the run
                warnings.warn(f"There is no sheet: {error}", stacklevel=2)
        return sheet


def examples(reads, count, size):
    """Return the first few pictures that can be used.

    Args:
        reads: Functions that return a picture's path or bytes.
        count: How many, at most.
        size: Short side in pixels that larger ones are reduced to.

    Returns:
        List of float32 arrays `(height, width, 3)` in [0, 1].
    """
    pictures = []
    for read in reads:
        try:
            image = read_small(read(), size)
        except Exception:  # As in `Photos.crop`; the run will name it.
            continue
        if min(image.size) >= 32:
            pictures.append(np.asarray(image, np.float32) / 255)
        if len(pictures) == count:
            break
    return pictures


class TensorBoard(keras.callbacks.Callback):
    """Write losses, style losses of each layer, learning rate and speed for TensorBoard.

    Args:
        run: `Run`.
        folder: Folder of the events.
        every: Steps between two writings.
    """

    def __init__(self, run, folder, every=25):
        super().__init__()
        self.run, self.folder, self.every = run, Path(folder), every

    def on_train_begin(self, logs=None):
        import tensorflow as tf

        self._writer = (
            tf.summary.create_file_writer(str(self.folder))
            if self.run.writes
            else tf.summary.create_noop_writer()
        )
        self._last = self.run.step, time.monotonic()

    def on_train_batch_end(self, batch, logs=None):
        step = self.run.step
        if step % self.every:
            return
        (before, then), now = self._last, time.monotonic()
        self._last = step, now
        with self._writer.as_default(step=step):
            for name in sorted(logs, key=lambda name: ("/" in name, name)):
                _summarize("scalars", name, float(logs[name]))
            _summarize("scalars", "learning_rate", float(self.model.optimizer.learning_rate))
            for kind, losses in self.run.validation.items():
                for name, loss in losses.items():
                    _summarize("scalars", f"{kind}/{name}", loss)
            speed = (step - before) * self.run.config.batch_size / (now - then)
            _summarize("scalars", "pictures_per_second", speed)

    def on_train_end(self, logs=None):
        sheet = self.run.folder / "sheet.png"
        if sheet.exists():
            with self._writer.as_default(step=self.run.step), Image.open(sheet) as picture:
                sides = [str(side).encode() for side in picture.size]
                _summarize("images", "sheet", [*sides, sheet.read_bytes()])
        self._writer.close()


def _summarize(plugin, name, value):
    """Write a value for one of TensorBoard's plugins, which `tf.summary` needs installed."""
    import tensorflow as tf

    metadata = tf.compat.v1.SummaryMetadata(plugin_data={"plugin_name": plugin})
    tf.summary.write(name, tf.convert_to_tensor(value), metadata=metadata)
