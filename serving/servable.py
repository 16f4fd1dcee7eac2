"""One loaded version of a model: its signatures, what they accept, and running them."""

import logging
import threading
from pathlib import Path

import tensorflow as tf
from tensorflow.core.protobuf import config_pb2
from tensorflow_serving.apis import prediction_log_pb2

from tfstyle.serving.status import CODES, StatusError, invalid

log = logging.getLogger(__name__)

WARMUP_FILE = "assets.extra/tf_serving_warmup_requests"
_METHODS = ("tensorflow/serving/predict", "")


class Signature:
    """A signature and its checks; messages are TF Serving's, so that clients need not care.

    Args:
        name: Key of the signature.
        definition: `SignatureDef` of the SavedModel.
    """

    def __init__(self, name, definition):
        self.name = name
        self.inputs = dict(definition.inputs)
        self.outputs = dict(definition.outputs)
        self.batches = all(
            not info.tensor_shape.unknown_rank
            and info.tensor_shape.dim
            and info.tensor_shape.dim[0].size == -1
            for info in (*self.inputs.values(), *self.outputs.values())
        )

    def check_names(self, names):
        """Raise `StatusError` unless `names` are just the inputs."""
        sent, needed = set(names), set(self.inputs)
        if len(sent) != len(needed):
            join = lambda some: ",".join(sorted(some))  # noqa: E731
            raise invalid(
                f"input size does not match signature: {len(sent)}!={len(needed)} "
                f"len({{{join(sent)}}}) != len({{{join(needed)}}}). Sent extra: "
                f"{{{join(sent - needed)}}}. Missing but required: {{{join(needed - sent)}}}."
            )
        for name in sorted(sent - needed):
            raise invalid(
                f"input tensor alias not found in signature: {name}. Inputs expected to be in "
                f"the set {{{','.join(sorted(needed))}}}."
            )

    def check_tensor(self, name, dtype, shape):
        """Raise `StatusError` unless enum `dtype` and tuple `shape` fit input `name`."""
        info = self.inputs[name]
        if dtype != info.dtype:
            raise invalid(
                f"Expects arg[{sorted(self.inputs).index(name)}] to be "
                f"{_dtype_name(info.dtype)} but {_dtype_name(dtype)} is provided"
            )
        if info.tensor_shape.unknown_rank:
            return
        needed = [dim.size for dim in info.tensor_shape.dim]
        fits = len(shape) == len(needed) and all(
            want in (-1, got) for want, got in zip(needed, shape, strict=True)
        )
        if not fits:
            wanted = ",".join("?" if size < 0 else str(size) for size in needed)
            raise invalid(
                f'input tensor "{name}" must have shape [{wanted}]. '
                f"Received: [{','.join(map(str, shape))}]"
            )

    def choose_outputs(self, wanted):
        """Return the names of the outputs to fetch; `wanted` is the request's filter."""
        seen = set()
        for name in wanted:
            if name not in self.outputs:
                raise invalid(
                    f"output tensor alias not found in signature: {name} Outputs expected to be "
                    f"in the set {{{','.join(sorted(self.outputs))}}}."
                )
            if name in seen:
                raise invalid(f"duplicate output tensor alias: {name}")
            seen.add(name)
        return tuple(wanted) or tuple(sorted(self.outputs))


class Servable:
    """A version of a model, loaded as TF Serving loads it: a graph in a session.

    Count its users with `retain` and `release`: after `retire` it closes with the last of them.

    Args:
        name: Name of the model.
        version: Number of the version.
        path: Folder of the SavedModel.
        timeout_s: Seconds after which a run is broken off.
        on_close: Function called once its memory is given back.

    Raises:
        OSError: If there is no SavedModel.
        StatusError: If the SavedModel does not load, or a warm-up request fails.
    """

    def __init__(self, name, version, path, *, timeout_s, on_close=lambda: None):
        self.name, self.version = name, version
        self._timeout_s, self._on_close = timeout_s, on_close
        self._callables, self._building = {}, threading.Lock()
        self._users, self._retired = 0, False
        self._lock = threading.Lock()
        graph = tf.Graph()
        self._session = tf.compat.v1.Session(graph=graph)
        try:
            with graph.as_default():
                meta = tf.compat.v1.saved_model.load(self._session, ["serve"], str(path))
            self.definitions = meta.signature_def
            self.signatures = {
                key: Signature(key, definition)
                for key, definition in meta.signature_def.items()
                if definition.method_name in _METHODS and definition.inputs
            }
            self._warm_up(Path(path) / WARMUP_FILE)
        except tf.errors.OpError as error:
            self._session.close()
            raise status_of(error) from error
        except BaseException:
            self._session.close()
            raise

    def signature(self, name):
        """Return the `Signature` of that name; "" stands for serving_default."""
        name = name or "serving_default"
        if name not in self.signatures:
            raise StatusError("FAILED_PRECONDITION", f'Serving signature key "{name}" not found.')
        return self.signatures[name]

    def run(self, signature, feeds, outputs):
        """Run a signature.

        Args:
            signature: `Signature` of this servable.
            feeds: Dict of arrays, checked.
            outputs: Names of the outputs.

        Returns:
            Dict of arrays by output name.

        Raises:
            StatusError: With TensorFlow's own code and message.
        """
        names, outputs = sorted(signature.inputs), sorted(outputs)
        try:
            call = self._callable(signature, names, outputs)
            return dict(zip(outputs, call(*(feeds[name] for name in names)), strict=True))
        except tf.errors.OpError as error:
            raise status_of(error) from error
        except (ValueError, TypeError, RuntimeError) as error:  # the conversion of the arrays
            raise invalid(str(error)) from error

    def _callable(self, signature, names, outputs):
        """Return the function of a signature's inputs that gives these outputs.

        `Session.run` would be the public way, but looks its arguments up in Python at each call: a
        third of a millisecond among convolutions, where a small picture takes twelve.
        """
        key = (signature.name, *outputs)
        if key not in self._callables:
            with self._building:
                if key not in self._callables:
                    options = config_pb2.CallableOptions(
                        feed=[signature.inputs[name].name for name in names],
                        fetch=[signature.outputs[name].name for name in outputs],
                        run_options={"timeout_in_ms": max(1, round(1000 * self._timeout_s))},
                    )
                    self._callables[key] = self._session._make_callable_from_options(options)
        return self._callables[key]

    def retain(self):
        """Count a user; return False if the servable is closed. Who holds it may hold it again."""
        with self._lock:
            if self._retired and not self._users:
                return False
            self._users += 1
            return True

    def release(self):
        """Count a user off."""
        with self._lock:
            self._users -= 1
            last = self._retired and self._users == 0
        if last:
            self._close()

    def retire(self):
        """Take no more users, and give the memory back once the last is done."""
        with self._lock:
            first, self._retired = not self._retired, True
            unused = first and self._users == 0
        if unused:
            self._close()

    def interrupt(self):
        """Break off what runs; nothing runs afterwards."""
        session = self._session
        if session is not None:  # closed by its last user
            session.close()

    def _close(self):
        self._session.close()
        self._callables.clear()  # they hold the session
        self._session = None
        self._on_close()

    def _warm_up(self, path):
        """Run the requests of the SavedModel's warm-up file: no client waits for the first."""
        if not path.is_file():
            return
        for record in tf.data.TFRecordDataset(str(path)).take(1000).as_numpy_iterator():
            request = prediction_log_pb2.PredictionLog.FromString(record).predict_log.request
            signature = self.signature(request.model_spec.signature_name)
            feeds = {key: tf.make_ndarray(value) for key, value in request.inputs.items()}
            outputs = signature.choose_outputs(list(request.output_filter))
            try:
                self.run(signature, feeds, outputs)
            except StatusError as error:
                if error.code != "DEADLINE_EXCEEDED":
                    raise
                log.warning("%s version %s: a warm-up took too long", self.name, self.version)


def status_of(error):
    """Return the `StatusError` of a TensorFlow error, without Python's stack trace."""
    code = CODES[error.error_code] if error.error_code < len(CODES) else "UNKNOWN"
    return StatusError(code, error.message.split("\n\nOriginal stack trace")[0])


def _dtype_name(enum):
    try:
        return tf.dtypes.as_dtype(enum).name
    except TypeError:
        return f"type {enum}"
