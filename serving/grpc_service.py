"""TF Serving's gRPC services, and health."""

import contextlib
import functools
import math
import time

import grpc
import numpy as np
import tensorflow as tf
from tensorflow_serving.apis import (
    get_model_metadata_pb2,
    get_model_status_pb2,
    model_management_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
)

from tfstyle.serving.catalog import read_models_config
from tfstyle.serving.status import StatusError, as_status, invalid
from tfstyle.serving.wire import Tensor, write_tensor

TWICE_S = 60.0  # between two requests that empty the server
# Where TF Serving puts numbers that are not float32.
_FIELDS = dict.fromkeys(("int8", "int16", "int32", "uint8", "uint16"), "int_val")
_FIELDS |= {f"{kind}64": f"{kind}64_val" for kind in ("int", "uint")}
_FIELDS |= {"float64": "double_val", "bool": "bool_val", "uint32": "uint32_val"}


@contextlib.contextmanager
def answering(context, metrics):
    """Turn what goes wrong into the status of the call, and count the call.

    Args:
        context: `grpc.ServicerContext`.
        metrics: `Metrics`, or None for calls that are not counted.

    Yields:
        Dict that the handler writes the model's name into.
    """
    failed = None
    with metrics.request("GRPC") if metrics else contextlib.nullcontext({}) as facts:
        try:
            yield facts
        except Exception as error:
            failed = as_status(error)
            facts["status"] = failed.code
    if failed is not None:
        context.abort(grpc.StatusCode[failed.code], failed.message)


class PredictionService(prediction_service_pb2_grpc.PredictionServiceServicer):
    """Predict and GetModelMetadata; Classify, Regress and MultiInference are UNIMPLEMENTED.

    Args:
        predictor: `Predictor`.
    """

    def __init__(self, predictor):
        self._predictor = predictor

    def Classify(self, request, context):
        """Refuse: a style does nothing of the kind."""
        with answering(context, None):
            raise StatusError("UNIMPLEMENTED", "Only Predict runs the signatures of a style")

    Regress = MultiInference = Classify

    def Predict(self, request, context):
        """Run a signature."""
        predictor = self._predictor
        with answering(context, predictor.metrics) as facts:
            if not request.HasField("model_spec"):
                raise invalid("Missing ModelSpec")
            with predictor.servable(request.model_spec, facts) as servable:
                signature = servable.signature(request.model_spec.signature_name)
                feeds = predictor.read_tensors(signature, request.inputs)
                outputs = signature.choose_outputs(request.output_filter)
                arrays = predictor.predict(
                    servable,
                    signature,
                    feeds,
                    outputs,
                    timeout_s=context.time_remaining(),
                    on_task=functools.partial(self._cancel_with, context),
                )
                response = predict_pb2.PredictResponse()
                response.model_spec.name = servable.name
                response.model_spec.version.value = servable.version
                response.model_spec.signature_name = signature.name
                for name, value in arrays.items():
                    write_output(response.outputs[name], value, predictor.config.tensor_content)
                predictor.check_response(response.ByteSize())
                return response

    def _cancel_with(self, context, task):
        """Give a task up when its client goes away."""
        cancel = functools.partial(self._predictor.scheduler.cancel, task)
        if not context.add_callback(cancel):  # it has gone already
            cancel()

    def GetModelMetadata(self, request, context):
        """Tell the signatures of a model."""
        with answering(context, None) as facts:
            if not request.HasField("model_spec"):
                raise invalid("Missing ModelSpec")
            if not request.metadata_field:
                raise invalid("GetModelMetadataRequest must specify at least one metadata_field")
            for name in request.metadata_field:
                if name != "signature_def":
                    raise invalid(f"Metadata field {name} is not supported")
            with self._predictor.servable(request.model_spec, facts) as servable:
                return metadata_of(servable)


class ModelService(model_service_pb2_grpc.ModelServiceServicer):
    """GetModelStatus and HandleReloadConfigRequest.

    Args:
        store: `ModelStore`.
        roots: Folders, resolved, that a new configuration may take models from, and no others.
    """

    def __init__(self, store, roots):
        self._store, self._roots, self._emptied_at = store, roots, -math.inf

    def GetModelStatus(self, request, context):
        """Tell the versions of a model and whether they are available."""
        with answering(context, None):
            if not request.HasField("model_spec"):
                raise invalid("Missing ModelSpec")
            return status_of_model(self._store, request.model_spec)

    def HandleReloadConfigRequest(self, request, context):
        """Serve another configuration.

        Departs from TF Serving: only of the same folders; and a list without models, which would
        unload all, must be sent twice.
        """
        with answering(context, None):
            if request.config.WhichOneof("config") != "model_config_list":
                raise invalid("ReloadConfig must have a model_config_list")
            try:
                configs = read_models_config(request.config)
            except ValueError as error:
                raise invalid(str(error)) from error
            for name, config in configs.items():
                path = config.base_path.resolve()
                if not any(path.is_relative_to(root) for root in self._roots):
                    raise StatusError(
                        "PERMISSION_DENIED",
                        f"base_path of model {name} must lie in the served folder",
                    )
            if not configs and time.monotonic() > self._emptied_at + TWICE_S:
                self._emptied_at = time.monotonic()
                raise StatusError(
                    "FAILED_PRECONDITION",
                    "model_config_list is empty, and every model would be unloaded: send it again "
                    f"within {TWICE_S:.0f} s if that is meant",
                )
            self._store.reload(configs)
        return model_management_pb2.ReloadConfigResponse()


def write_output(proto, value, as_content):
    """Fill a `TensorProto` as TF Serving does: numbers one by one, unless `as_content` is set."""
    if isinstance(value, bytes) or value.dtype in (object, np.float32):  # faster than TensorFlow's
        tensor = Tensor()
        write_tensor(tensor, value, field="tensor_content" if as_content else "float_val")
        proto.MergeFromString(tensor.SerializeToString())
    elif as_content or value.dtype.name not in _FIELDS:
        proto.CopyFrom(tf.make_tensor_proto(value))
    else:
        proto.dtype = tf.as_dtype(value.dtype).as_datatype_enum
        proto.tensor_shape.CopyFrom(tf.TensorShape(value.shape).as_proto())
        getattr(proto, _FIELDS[value.dtype.name]).extend(np.ravel(value).tolist())


def metadata_of(servable):
    """Return the `GetModelMetadataResponse` of a servable."""
    response = get_model_metadata_pb2.GetModelMetadataResponse()
    response.model_spec.name = servable.name
    response.model_spec.version.value = servable.version
    definitions = get_model_metadata_pb2.SignatureDefMap()
    for key, definition in servable.definitions.items():
        definitions.signature_def[key].CopyFrom(definition)
    response.metadata["signature_def"].Pack(definitions)
    return response


def status_of_model(store, spec):
    """Return the `GetModelStatusResponse` of a model.

    Raises:
        StatusError: If there is no such model or version.
    """
    response = get_model_status_pb2.GetModelStatusResponse()
    for number, state, code, message in store.status(spec):
        row = response.model_version_status.add(version=number, state=state)
        row.status.error_code = code
        row.status.error_message = message
    return response
