"""The lesson's generative adversarial network: a run of it, and what one sees of that."""

import dataclasses
import hashlib
import math
import time
import warnings
from typing import Any

import keras
import numpy as np

from tfstyle.config import DigitsConfig, with_fields
from tfstyle.config.checks import as_list
from tfstyle.networks import Sampler, discriminator
from tfstyle.optimize.callbacks import held
from tfstyle.painting.samples import pictures_of, points, sheet
from tfstyle.pictures import check_output_path, save_image
from tfstyle.pictures.files import check_folder_writable, writing
from tfstyle.progress import Line, clock
from tfstyle.training.adversarial import Adversarial
from tfstyle.training.digits import read_digits
from tfstyle.training.run import alone, folder_of, restore_state, save_state
from tfstyle.version import __version__

SHOWN = 64  # samples on a sheet
COLLAPSED = 0.3  # spread of samples, beside that of the pictures, below which they are all alike
SURE = 0.99  # a discriminator that is right so surely over an epoch teaches nothing
EARLY = 10_000  # steps in which samples have no form yet, and the discriminator is far ahead
TOGETHER = 32  # steps between two looks at what happens


def train_digits(output, content=None, config=None, *, callbacks=(), **fields):
    """Train a network that makes pictures of nothing but chance, as in the lesson.

    Called again with the same arguments after an interruption, a run goes on from the last whole
    epoch, which lies with sheets of samples in the folder `OUTPUT.training`, and ends with the
    weights that it would have had without.

    Args:
        output: Path of the network to write, ending in `.keras`.
        content: Pictures: what `tfstyle.training.digits.read_digits` takes.
        config: `DigitsConfig`. Default: the lesson's.
        callbacks: Keras callbacks, or one.
        **fields: Fields of `DigitsConfig` by name.

    Returns:
        The `Sampler`; `card["training"]` tells of how many `epochs` how many are done. Where a
        callback set `model.stop_training`, of the epochs that are not, `output` is not written.

    Raises:
        FileNotFoundError: If a file is missing.
        ValueError: If a value cannot be used, or the folder holds a run of other settings.
        BlockingIOError: If another training with this output is under way.
        OSError: If MNIST cannot be downloaded, or something cannot be written.
        FloatingPointError: If a loss stops being a number; the last checkpoint is kept.

    Example:

    ```python
    sampler = train_digits("digits.keras", "mnist.npz", epochs=20)
    made = sampler(np.random.default_rng(0).standard_normal((5, 64)))  # (5, 28, 28, 1) in [0, 1]
    ```
    """
    config = with_fields(config or DigitsConfig(), **fields)
    output = check_output_path(output, (".keras",), inputs=[content])
    folder = folder_of(output)
    check_folder_writable(folder)
    images = read_digits(content, config.side)
    if len(images) < config.batch_size:
        raise ValueError(
            f"There must be at least as many pictures as in a step, batch_size="
            f"{config.batch_size}. Received: {len(images)}."
        )
    identity = dataclasses.asdict(config) | {
        "content": hashlib.sha256(images.tobytes()).hexdigest()[:16]
    }
    del identity["epochs"]  # more of them go on
    steps = len(images) // config.batch_size
    with alone(folder):
        keras.utils.set_random_seed(config.seed)
        shape = images.shape[1:]
        sampler = Sampler(config.latent, config.hidden, shape)
        model = Adversarial(sampler, discriminator(config.hidden, shape), config.seed)
        model.compile(
            *(keras.optimizers.Adam(config.learning_rate, epsilon=1e-8) for _ in range(2)),
            steps_per_execution=min(TOGETHER, steps),
        )
        found = restore_state(folder, model.state, identity) or {"epoch": 0}
        done, watch = found["epoch"], Watch(config, images, folder)
        watch.latest = found.get("latest", {})
        watchers = [*as_list(callbacks), watch]
        with held(watchers):
            while done < config.epochs and not model.stop_training:
                order = np.random.default_rng((config.seed, done)).permutation(len(images))
                model.fit(
                    images[order[: steps * config.batch_size]],
                    batch_size=config.batch_size,
                    initial_epoch=done,
                    epochs=done + 1,
                    shuffle=False,
                    verbose=0,
                    callbacks=watchers,
                )
                if model.stop_training:  # the epoch is broken off: it is begun anew
                    break
                done += 1
                save_state(folder, model.state, identity, {"epoch": done, "latest": watch.latest})
        sampler.card = {
            "training": dataclasses.asdict(config) | {"pictures": len(images), "epochs_done": done},
            "losses": {name: float(f"{value:.4g}") for name, value in watch.latest.items()},
            "versions": {"tfstyle": __version__, "keras": keras.__version__},
        }
        if done == config.epochs:
            with writing(output) as temporary:
                sampler.save(temporary)
    return sampler


class Watch(keras.callbacks.Callback):
    """Say how two networks do, save sheets of samples, notice a game that is lost.

    Args:
        config: `DigitsConfig`.
        images: The pictures that are learned from, uint8.
        folder: Where sheets go, `epoch-020.png` and so on.
        stream: Where to. On a terminal the line is overwritten, elsewhere one is added every
            30 seconds.

    Attributes:
        latest: The metrics of the last epoch, and `spread`: how much samples differ from one
            another, 1 where they do as the pictures do.

    Raises:
        FloatingPointError: After a step whose losses are no longer numbers.
    """

    def __init__(self, config, images, folder, stream=None):
        super().__init__()
        self.config, self.folder, self._line = config, folder, Line(stream, every_s=30)
        self.points = points(SHOWN, config.latent, config.seed)
        self.latest, self._warned, self._steps = {}, None, len(images) // config.batch_size
        self._spread = _spread(np.float32(images[:10_000]) / 255)
        self._begun: Any = None

    def on_train_batch_end(self, batch, logs=None):
        lost = [float(logs[name]) for name in ("discriminator_loss", "generator_loss")]
        if not all(map(math.isfinite, lost)):
            raise FloatingPointError(
                f"The losses became {lost[0]} (discriminator) and {lost[1]} (generator). Lower "
                "`learning_rate`. The checkpoint of the last epoch is kept."
            )
        self._batch = min(batch + 1, self._steps)  # the last steps taken together may be fewer
        if self._begun is None:  # the first steps are compiled
            self._begun = time.monotonic()
            self._first = (self._epoch - 1) * self._steps + self._batch
        if self._line.due():
            self._tell(logs)

    def on_epoch_begin(self, epoch, logs=None):
        self._epoch = epoch + 1

    def on_epoch_end(self, epoch, logs=None):
        if self.model.stop_training:
            return
        samples = pictures_of(self.model.sampler, self.points)
        self.latest = {name: float(value) for name, value in logs.items()}
        self.latest["spread"] = _spread(samples) / max(self._spread, 1e-9)
        last = self._epoch == self.config.epochs
        if self._epoch % self.config.sheet_epochs == 0 or last:
            self._tell(logs)
            self._save(sheet(samples, 2))
        if last:
            self._line.end()
        self._warn()

    def _tell(self, logs):
        whole = self.config.epochs * self._steps
        done = (self._epoch - 1) * self._steps + self._batch
        speed = (done - self._first) / max(time.monotonic() - self._begun, 1e-9)
        spread = f"  spread {self.latest['spread']:.2f}" if self.latest else ""
        text = (
            f"epoch {self._epoch}/{self.config.epochs}  step {self._batch}/{self._steps}  "
            f"D(x) {float(logs['D(x)']):.2f}  D(G(z)) {float(logs['D(G(z))']):.2f}  "
            f"losses {float(logs['discriminator_loss']):.3g} (discriminator), "
            f"{float(logs['generator_loss']):.3g} (generator){spread}"
        )
        if speed:
            text += f"  {speed:.0f} steps/s  {clock((whole - done) / speed)} left"
        self._line.show(text)

    def _save(self, image):
        try:
            save_image(image, self.folder / f"epoch-{self._epoch:03}.png")
        except OSError as error:  # no reason to lose the run
            warnings.warn(f"There is no sheet: {error}", stacklevel=2)

    def _warn(self):
        """Tell of a game that is lost, once as long as it is."""
        latest, found = self.latest, None
        if self._epoch * self._steps < EARLY:
            return
        if latest["D(x)"] > SURE and latest["D(G(z))"] < 1 - SURE:
            found = (
                "the discriminator tells every sample from a picture "
                f"(D(x) {latest['D(x)']:.3f}, D(G(z)) {latest['D(G(z))']:.3f}), and the generator "
                "learns no more"
            )
        elif latest["spread"] < COLLAPSED:
            found = (
                f"the samples are all but one picture (they differ {latest['spread']:.2f} times "
                "as much as the pictures do): the generator has collapsed"
            )
        if found and found[:20] != self._warned:
            warnings.warn(
                f"Epoch {self._epoch}: {found}. If it stays so, lower `learning_rate` or begin "
                "anew with another `seed`.",
                stacklevel=2,
            )
        self._warned = found and found[:20]


def _spread(pictures):
    """Return how much pictures `(count, …)` differ from their mean: a root mean square."""
    return float(np.sqrt(pictures.var(0).mean()))
