"""Where a training run stands, and the checkpoint from which it goes on."""

import json
import math
import time
import zipfile

import keras
import numpy as np

from tfstyle.pictures.files import writing
from tfstyle.training.devices import writes_files


class Run(keras.callbacks.Callback):
    """Where a training run stands, and its checkpoint.

    Attributes:
        step: Steps done.
        phases: For each of the config's sizes, the size and the step it ends at.
        losses: Moving averages of the losses, by name.
        validation: `{kind of painting: {name: loss}}`, of a network of any style.
        folder: Folder of what is kept beside the output.
    """

    def __init__(self, model, photos, config, output, identity, minutes):
        super().__init__()
        self.step, self.photos, self.config, self.identity = 0, photos, config, identity
        self.folder = output.with_suffix(".training")
        self.losses, self.validation = {}, {}
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

    def _variables(self):
        model = self.model  # Keras' property, which fetches the weights where JAX holds them
        return [*model.stylizer.variables, *model.optimizer.variables]

    def save(self):
        """Write the checkpoint, whole or not at all."""
        self._saved = time.monotonic()
        if not self.writes:
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        arrays = {
            str(i): keras.ops.convert_to_numpy(value) for i, value in enumerate(self._variables())
        }
        state = {"step": self.step, "losses": self.losses, "identity": self.identity}
        state["bad"] = dict(self.photos.bad)
        with writing(self.folder / "checkpoint.npz") as temporary:
            np.savez(temporary, state=json.dumps(state), **arrays)

    def restore(self):
        """Go on from the checkpoint, if there is one.

        Raises:
            ValueError: If it is of a run with other settings, or damaged.
        """
        path = self.folder / "checkpoint.npz"
        if not path.exists():
            return
        try:
            with np.load(path) as file:
                arrays = dict(file)
            state = json.loads(str(arrays["state"]))
        except (EOFError, OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
            raise ValueError(f"'{path}' is damaged ({error}). Delete it to begin anew.") from error
        differing = [
            f"{name}={self.identity[name]!r} (there: {value!r})"
            for name, value in state["identity"].items()
            if value != self.identity.get(name)
        ]
        if differing:
            raise ValueError(
                f"'{self.folder}' holds a run of other settings: {', '.join(differing)}. "
                "Delete it, choose another output, or start from the earlier network by init."
            )
        for i, variable in enumerate(self._variables()):
            variable.assign(arrays[str(i)])
        self.step, self.losses = state["step"], state["losses"]
        self.photos.bad.update(state.get("bad", {}))


def _phases(config):
    """Yield each size and the step it ends at: all sizes see as many pixels."""
    areas = [size**-2 for size in config.sizes]
    for i, size in enumerate(config.sizes, 1):
        yield size, round(config.steps * sum(areas[:i]) / sum(areas))
