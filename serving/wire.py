"""The few messages of TF Serving that a client needs, without TensorFlow.

The generated stubs import TensorFlow, which takes seconds. On the wire a message has no name, only
numbered fields: these have the same ones. The tests hold them against the stubs.
"""

import numpy as np
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

PREDICT = "/tensorflow.serving.PredictionService/Predict"

DT_FLOAT, DT_STRING = 1, 7

_Field = descriptor_pb2.FieldDescriptorProto
_PACKAGE = "tfstyle.wire"
# name: {field: (number, type)}; "*" stands before what is repeated, "%" before a map from strings.
_MESSAGES = {
    "Int64Value": {"value": (1, "int64")},
    "ModelSpec": {
        "name": (1, "string"),
        "version": (2, "Int64Value"),
        "signature_name": (3, "string"),
        "version_label": (4, "string"),
    },
    "Dim": {"size": (1, "int64")},
    "TensorShape": {"dim": (2, "*Dim"), "unknown_rank": (3, "bool")},
    "Tensor": {
        "dtype": (1, "int32"),
        "tensor_shape": (2, "TensorShape"),
        "tensor_content": (4, "bytes"),
        "float_val": (5, "bytes"),  # packed floats are on the wire what they are in memory
        "string_val": (8, "*bytes"),
    },
    "PredictRequest": {
        "model_spec": (1, "ModelSpec"),
        "inputs": (2, "%Tensor"),
        "output_filter": (3, "*string"),
    },
    "PredictResponse": {"outputs": (1, "%Tensor"), "model_spec": (2, "ModelSpec")},
}


def _declare(field, number, kind):
    """Fill in a field's descriptor."""
    field.number = number
    field.label = _Field.LABEL_REPEATED if kind[0] in "*%" else _Field.LABEL_OPTIONAL
    kind = kind.lstrip("*%")
    if kind in _MESSAGES or kind.endswith("Entry"):
        field.type = _Field.TYPE_MESSAGE
        field.type_name = f".{_PACKAGE}.{kind}"
    else:
        field.type = getattr(_Field, f"TYPE_{kind.upper()}")


def _build():
    """Return the classes of `_MESSAGES` by name."""
    file = descriptor_pb2.FileDescriptorProto(
        name="tfstyle/wire.proto", package=_PACKAGE, syntax="proto3"
    )
    for name, fields in _MESSAGES.items():
        message = file.message_type.add(name=name)
        for field, (number, kind) in fields.items():
            if kind[0] == "%":
                entry = message.nested_type.add(name=f"{field.capitalize()}Entry")
                entry.options.map_entry = True
                _declare(entry.field.add(name="key"), 1, "string")
                _declare(entry.field.add(name="value"), 2, kind.lstrip("%"))
                kind = f"*{name}.{entry.name}"
            _declare(message.field.add(name=field), number, kind)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    find = pool.FindMessageTypeByName
    return {name: message_factory.GetMessageClass(find(f"{_PACKAGE}.{name}")) for name in _MESSAGES}


_CLASSES = _build()
PredictRequest, PredictResponse = _CLASSES["PredictRequest"], _CLASSES["PredictResponse"]
Tensor = _CLASSES["Tensor"]


def write_tensor(tensor, value, *, field="tensor_content"):
    """Fill a tensor message with bytes, a list or an array of them, or with float32 in `field`;
    `float_val`, as TF Serving answers, is for messages of this module alone."""
    value = np.asarray(value, object if isinstance(value, (bytes, list)) else None)
    if value.dtype == object:
        tensor.dtype = DT_STRING
        tensor.string_val.extend(value.ravel().tolist())
    else:
        tensor.dtype = DT_FLOAT
        setattr(tensor, field, np.ascontiguousarray(value, "<f4").tobytes())
    for size in value.shape:
        tensor.tensor_shape.dim.add(size=size)


def read_tensor(tensor):
    """Return the array of float32, or the list of bytes, that a tensor message holds.

    Raises:
        ValueError: If it holds something else, or not as much as its shape says.
    """
    if tensor.dtype == DT_STRING:
        return list(tensor.string_val)
    if tensor.dtype != DT_FLOAT:
        raise ValueError(
            f"A tensor must hold floats (1) or strings (7). Received: type {tensor.dtype}."
        )
    # TF Serving sends `float_val` unless told otherwise.
    values = np.frombuffer(tensor.tensor_content or tensor.float_val, "<f4")
    return values.reshape([dim.size for dim in tensor.tensor_shape.dim])
