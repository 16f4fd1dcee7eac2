"""Which versions of which models are served: loading, swapping and unloading them."""

import logging
import threading
import time
from dataclasses import dataclass

from tensorflow_serving.apis import get_model_status_pb2

from tfstyle.serving.servable import Servable
from tfstyle.serving.status import CODES, StatusError, as_status, invalid

log = logging.getLogger(__name__)

State = get_model_status_pb2.ModelVersionStatus.State
_RETRY_S = (1, 60)  # the first and the longest wait before a version that failed is tried again


@dataclass
class _Version:
    """A version's state; `servable` while it is available."""

    state: int = State.LOADING
    error: StatusError | None = None
    servable: Servable | None = None
    retry_at: float = 0.0
    retry_s: float = _RETRY_S[0]


class ModelStore:
    """The models being served.

    A version is loaded before the one it replaces is let go; that one answers what it has begun and
    then gives its memory back. A version that does not load leaves the old one in place, and is
    tried again after a while.

    Args:
        find_configs: Function that returns `{name: ModelConfig}`; asked at every poll.
        timeout_s: Seconds after which a run of a model is broken off.
    """

    def __init__(self, find_configs, *, timeout_s):
        self._timeout_s = timeout_s
        self._find_configs, self._reloaded, self._hidden = find_configs, {}, frozenset()
        self._configs, self._versions = {}, {}
        self._lock = threading.Lock()
        self._poll_lock = threading.Lock()
        self._closing = threading.Event()
        self._thread = None

    def poll(self):
        """Look at the folders once: load what is new, let go of what is no longer wanted."""
        with self._poll_lock:
            found = self._find_configs()
            kept = {name: found[name] for name in found if name not in self._hidden}
            configs = kept | self._reloaded
            with self._lock:
                self._configs = configs
                names = [*configs, *(name for name in self._versions if name not in configs)]
            for name in names:
                if self._closing.is_set():
                    return
                wanted = configs[name].wanted() if name in configs else {}
                self._load(name, wanted)
                self._unload(name, wanted)

    def start_polling(self, every_s):
        """Poll every `every_s` seconds in a thread, until `close`."""

        def work():
            while not self._closing.wait(every_s):
                try:
                    self.poll()
                except Exception as error:  # a folder that cannot be read now may be later
                    log.error("looking for new versions failed: %s", error)

        self._thread = threading.Thread(target=work, name="tfstyle-poll", daemon=True)
        self._thread.start()

    def reload(self, configs):
        """Serve `configs` from now on, in place of what was served.

        Models that are found later, in the folder that is watched, are served besides.

        Raises:
            StatusError: FAILED_PRECONDITION if a label names a version that is then not available;
                all else is done.
        """
        with self._poll_lock:
            self._reloaded, self._hidden = configs, frozenset(self._find_configs())
        self.poll()
        for name, config in configs.items():
            for version in (config.labels or {}).values():
                if version not in self.available(name):
                    raise StatusError(
                        "FAILED_PRECONDITION",
                        f"Request to assign label to version {version} of model {name}, which is "
                        "not currently available for inference",
                    )

    def close(self, timeout_s):
        """Stop polling and let go of every version, unless one is loading for `timeout_s` more."""
        self._closing.set()
        if not self._poll_lock.acquire(timeout=timeout_s):
            return
        try:
            for name in list(self._versions):
                self._unload(name, {})
        finally:
            self._poll_lock.release()

    def names(self):
        """Return the names of the models that are wanted."""
        with self._lock:
            return tuple(self._configs)

    def ready(self):
        """Return whether there are models, and each has a version available."""
        with self._lock:
            return bool(self._configs) and all(map(self._available, self._configs))

    def available(self, name):
        """Return the numbers of the versions of a model that are available."""
        with self._lock:
            return self._available(name)

    def acquire(self, spec):
        """Return the `Servable` that a `ModelSpec` asks for, retained: release it when done.

        Raises:
            StatusError: INVALID_ARGUMENT or NOT_FOUND, with TF Serving's words.
        """
        if not spec.name:
            raise invalid("ModelSpec has no name specified.")
        with self._lock:
            number = self._number(spec)
            available = self._available(spec.name)
            asked = f"Latest({spec.name})" if number is None else f"Specific({spec.name}, {number})"
            if number is None and available:
                number = max(available)
            if number not in available:
                raise StatusError("NOT_FOUND", f"Servable not found for request: {asked}")
            servable = self._versions[spec.name][number].servable
            servable.retain()  # within the lock: _unload retires only what no one can find
            return servable

    def status(self, spec):
        """Return a list of `(version, state, code, message)`, the newest first, of a `ModelSpec`.

        Raises:
            StatusError: INVALID_ARGUMENT or NOT_FOUND, with TF Serving's words.

        Departs from TF Serving: a label is looked up; there it is as if none was given.
        """
        with self._lock:
            number = self._number(spec)
            versions = self._versions.get(spec.name, {})
            if number is not None:
                versions = {key: value for key, value in versions.items() if key == number}
            if not versions:
                which = "any versions" if number is None else f"version {number}"
                raise StatusError("NOT_FOUND", f"Could not find {which} of model {spec.name}")
            rows = []
            for key in sorted(versions, reverse=True):
                error = versions[key].error
                code, message = (error.code, error.message) if error else ("OK", "")
                rows.append((key, versions[key].state, CODES.index(code), message))
            return rows

    def _number(self, spec):
        """Version that a `ModelSpec` asks for by number or label, or None for the newest."""
        choice = spec.WhichOneof("version_choice")
        if choice == "version":
            return spec.version.value
        if choice == "version_label":
            labels = self._labels(spec.name)
            if spec.version_label not in labels:
                raise invalid(f"Unrecognized servable version label: {spec.version_label}")
            return labels[spec.version_label]
        return None

    def _labels(self, name):
        """Dict of a model's versions by label; the lock is held."""
        config, available = self._configs.get(name), self._available(name)
        if config is None or config.labels is not None or not available:
            return (config and config.labels) or {}
        return {"stable": min(available), "canary": max(available)}

    def _available(self, name):
        versions = self._versions.get(name, {})
        return {key for key, value in versions.items() if value.state == State.AVAILABLE}

    def _load(self, name, wanted):
        """Load the wanted versions that are not there; the poll lock is held."""
        for number, path in wanted.items():
            with self._lock:
                versions = self._versions.setdefault(name, {})
                version = versions.get(number)
                if version is not None and version.state != State.END:
                    continue
                failed = version is not None and version.error is not None
                if failed and time.monotonic() < version.retry_at:
                    continue
                if not failed:
                    version = _Version()
                versions[number] = version
                version.state = State.LOADING
            self._load_version(name, number, path, version)

    def _load_version(self, name, number, path, version):
        def closed():
            version.state = State.END
            log.info("unloaded %s version %s", name, number)

        try:
            servable = Servable(name, number, path, timeout_s=self._timeout_s, on_close=closed)
        except Exception as error:  # whatever lies in the folder must not end the server
            log.error("%s version %s did not load: %s", name, number, error)
            with self._lock:
                version.error = as_status(error)
                version.state = State.END
                version.retry_at = time.monotonic() + version.retry_s
                version.retry_s = min(2 * version.retry_s, _RETRY_S[1])
            return
        with self._lock:
            version.servable, version.error = servable, None
            version.state = State.AVAILABLE
        log.info("loaded %s version %s from %s", name, number, path)

    def _unload(self, name, wanted):
        """Let go of versions that are not wanted, once a wanted one is there; poll lock held."""
        retired = []
        with self._lock:
            versions = self._versions.get(name, {})
            available = self._available(name)
            if wanted and not available & wanted.keys():
                return
            for number in available - wanted.keys():
                versions[number].state = State.UNLOADING
                retired.append(versions[number].servable)
                versions[number].servable = None
            ended = [key for key, value in versions.items() if value.state == State.END]
            for number in sorted(set(ended) - wanted.keys())[:-8]:
                del versions[number]
        for servable in retired:
            servable.retire()
