"""Where a training run stands, and the checkpoint from which it goes on."""

import contextlib
import json
import math
import os
import time
import zipfile

import keras
import numpy as np

from tfstyle.pictures.files import write, writing
from tfstyle.training.devices import writes_files

try:
    import fcntl
except ImportError:  # Windows, where nothing holds a second training off
    fcntl = None  # type: ignore[assignment]

SHOWN = 3  # settings that a run differs in
INSTEAD = (
    "Delete it, choose another output, or, where that run has ended, let `init` name its network."
)
CHECKPOINT = "checkpoint.npz"  # in the folder of a run


def folder_of(output):
    """Return the folder of what a run keeps beside its output."""
    return output.with_suffix(".training")


@contextlib.contextmanager
def alone(folder):
    """Hold a run's folder, made if it does not exist, against a second run.

    The lock is the system's: of a process that is killed it goes.

    Raises:
        BlockingIOError: If another run holds it.
    """
    if not writes_files():
        yield
        return
    folder.mkdir(parents=True, exist_ok=True)
    handle = os.open(folder, os.O_RDONLY) if fcntl else None
    try:
        if handle is not None:
            _lock(handle, folder)
        yield
    finally:
        if handle is not None:
            os.close(handle)
        with contextlib.suppress(OSError):  # unless something was written
            folder.rmdir()


def _lock(handle, folder):
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise BlockingIOError(
            f"Another training writes to '{folder}'. Let it end, end it, or choose another output."
        ) from error
    except OSError:  # the file system knows no locks
        return


def keep_to_records(seen, folder):
    """Let a run that goes on see the photographs and paintings that it began with.

    Args:
        seen: `{name: Photos}`, each recorded in a file NAME.json.
        folder: The run's.

    Raises:
        ValueError: If there are others.
    """
    for name, photos in seen.items():
        path = folder / f"{name}.json"
        if not (folder / CHECKPOINT).exists() or not path.exists():
            continue
        try:
            photos.keep_to(json.loads(path.read_text()))
        except ValueError as error:
            raise ValueError(
                f"'{folder}' holds a run on other {name}. {error} {INSTEAD}"
            ) from error


def save_state(folder, variables, identity, state):
    """Write a checkpoint into a run's folder, whole or not at all.

    Args:
        folder: The run's.
        variables: List of variables to keep.
        identity: What must be equal for the run to go on, a dictionary ready for JSON.
        state: Where the run stands, a dictionary ready for JSON.
    """
    arrays = {str(i): keras.ops.convert_to_numpy(value) for i, value in enumerate(variables)}
    with writing(folder / CHECKPOINT) as temporary:
        np.savez(temporary, state=json.dumps(state | {"identity": identity}), **arrays)


def precision_of(folder):
    """Return the precision of the run whose checkpoint lies in a folder; None if there is none."""
    try:
        with np.load(folder / CHECKPOINT) as file:
            return json.loads(str(file["state"]))["identity"]["precision"]
    except (EOFError, OSError, ValueError, KeyError, zipfile.BadZipFile):
        return None  # what is wrong with a file that is there, `restore_state` says


def restore_state(folder, variables, identity):
    """Give variables the values of a checkpoint; return its `state`, or None if there is none.

    Raises:
        ValueError: If it is of a run with another identity, or damaged.
    """
    path = folder / CHECKPOINT
    if not path.exists():
        return None
    try:
        with np.load(path) as file:
            arrays = dict(file)
        state = json.loads(str(arrays["state"]))
    except (EOFError, OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        reason = str(error).partition(". ")[0].rstrip(".")
        raise ValueError(f"'{path}' is damaged ({reason}). Delete it to begin anew.") from error
    differing = [
        f"{name}={identity.get(name)!r} (there: {value!r})"
        for name, value in state["identity"].items()
        if value != identity.get(name)
    ]
    if len(differing) > SHOWN:
        differing[SHOWN:] = [f"and {len(differing) - SHOWN} more"]
    if differing:
        raise ValueError(
            f"'{folder}' holds a run of other settings: {', '.join(differing)}. {INSTEAD}"
        )
    for i, variable in enumerate(variables):
        variable.assign(arrays[str(i)])
    return state


class Run(keras.callbacks.Callback):
    """Where a training run stands, and its checkpoint.

    Attributes:
        step: Steps done.
        phases: For each of the config's sizes, the size and the step it ends at.
        losses: Moving averages of the losses, by name.
        validation: `{name: figure}` of what is held out, by what it is of: the sheet; of a network
            of any style, paintings `seen` and `unseen`.
        folder: Folder of what is kept beside the output.
    """

    def __init__(self, model, seen, config, output, identity, minutes):
        super().__init__()
        self.step, self.seen, self.config, self.identity = 0, seen, config, identity
        self.photos = seen["photographs"]
        self.folder = folder_of(output)
        self.losses, self.validation, self._recorded = {}, {}, False
        self._model, self._every, self._saved = model, 60 * minutes, time.monotonic()
        self.phases = list(_phases(config))

    @property
    def done(self):
        return self.step >= self.config.steps

    @property
    def size(self):
        """Side of the crops at the step under way."""
        return next((size for size, last in self.phases if self.step < last), self.phases[-1][0])

    @property
    def writes(self):
        """Whether this process is the one of a cluster that writes files."""
        return writes_files()

    def on_train_batch_end(self, batch, logs=None):
        self.step += 1
        if not math.isfinite(float(logs["loss"])):
            return  # the weights may be spoiled: no checkpoint
        # A moving average, since a batch's losses say little.
        share = 1 / min(self.step, 100)
        for name in logs:
            if "/" not in name:  # of one layer
                new = float(logs[name])
                old = self.losses.get(name, new)
                self.losses[name] = old + share * (new - old)
        if time.monotonic() - self._saved > self._every:
            self.save()

    def save(self):
        """Write the checkpoint, whole or not at all."""
        self._saved = time.monotonic()
        if not self.writes:
            return
        state = {
            "step": self.step,
            "losses": self.losses,
            "validation": self.validation,
            "bad": dict(self.photos.bad),
        }
        # Keras' property `model` fetches the weights where JAX holds them.
        save_state(self.folder, self.model.state, self.identity, state)
        if not self._recorded:
            for name, photos in self.seen.items():
                write(self.folder / f"{name}.json", json.dumps(photos.record()))
            self._recorded = True

    def on_train_end(self, logs=None):
        if self.model.stop_training:  # before the sheet, which takes longer than patience may last
            self.save()

    def restore(self):
        """Go on from the checkpoint, if there is one.

        Raises:
            ValueError: If it is of a run with other settings, or damaged.
        """
        state = restore_state(self.folder, self.model.state, self.identity)
        if state is None:
            return
        self.step, self.losses = state["step"], state["losses"]
        self.validation = state.get("validation", {})
        self.photos.bad.update(state.get("bad", {}))


def _phases(config):
    """Yield each size and the step it ends at: all sizes see as many pixels."""
    areas = [size**-2 for size in config.sizes]
    for i, size in enumerate(config.sizes, 1):
        yield size, round(config.steps * sum(areas[:i]) / sum(areas))
