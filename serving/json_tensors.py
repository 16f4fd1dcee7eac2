"""TF Serving's JSON: from the body of a request to arrays, and from arrays to the answer."""

import base64
import binascii
import json
import math
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from tfstyle.serving.status import StatusError

MAX_DEPTH = 32  # axes of a tensor; NumPy takes up to 64


class JsonRequest(NamedTuple):
    """A request as JSON spelled it.

    Attributes:
        signature: `Signature` that it asks for.
        feeds: Dict of arrays, checked against the signature.
        row_format: Whether it came as "instances", so that "predictions" go back.
    """

    signature: object
    feeds: dict
    row_format: bool


def read_request(body, servable, *, max_elements):
    """Read the body of `:predict`.

    Args:
        body: Bytes.
        servable: `Servable` that is to answer.
        max_elements: Most numbers in a tensor.

    Returns:
        `JsonRequest`.

    Raises:
        StatusError: INVALID_ARGUMENT, in TF Serving's words where it has some.
    """
    document = _parse(body)
    name = document.get("signature_name", "")
    if not isinstance(name, str):
        raise _invalid("'signature_name' key must be a string value.")
    try:
        signature = servable.signature(name)
    except StatusError:
        key = name or "serving_default"
        raise _invalid(f'Serving signature name: "{key}" not found in signature def') from None
    if "instances" in document and "inputs" in document:
        raise _invalid(
            "Not formatted correctly expecting only one of 'inputs' or 'instances' keys to exist"
        )
    if "instances" in document:
        values = _columns(document["instances"], signature)
    elif "inputs" in document:
        values = _named(document["inputs"], signature)
    else:
        raise _invalid("Missing 'inputs' or 'instances' key")
    feeds = {
        key: _to_array(value, signature.inputs[key].dtype, key, max_elements)
        for key, value in values.items()
    }
    for key, value in feeds.items():
        signature.check_tensor(key, signature.inputs[key].dtype, value.shape)
    return JsonRequest(signature, feeds, "instances" in document)


def write_response(arrays, row_format):
    """Write outputs as TF Serving does.

    Args:
        arrays: Dict of arrays by output. Strings of an output named `…_bytes` are wrapped in
            `{"b64": ...}`; others must be UTF-8.
        row_format: Whether to answer with "predictions", a row for each instance.

    Returns:
        Bytes of JSON; as in TF Serving they may hold NaN and Infinity.

    Raises:
        StatusError: INVALID_ARGUMENT if the outputs have no common batch axis, or a string that is
            not UTF-8.
    """
    values = {name: _to_json(name, np.asarray(value)) for name, value in arrays.items()}
    single = next(iter(values.values())) if len(values) == 1 else None
    if not row_format:
        return json.dumps({"outputs": values if single is None else single}).encode()
    lengths = {np.shape(value)[:1] for value in arrays.values()}
    if len(lengths) != 1 or () in lengths:
        raise _invalid("Tensors have no common batch size, as 'instances' need: send 'inputs'")
    rows = single
    if single is None:
        rows = [dict(zip(values, row, strict=True)) for row in zip(*values.values(), strict=True)]
    return json.dumps({"predictions": rows}).encode()


def _parse(body):
    """Parse a JSON object."""
    if not body:
        raise _invalid("JSON Parse error: The document is empty")
    try:
        document = json.loads(body)
    except RecursionError:
        raise _invalid("JSON Parse error: nested too deep") from None
    except ValueError as error:  # UnicodeDecodeError and numbers of thousands of digits, too
        raise _invalid(f"JSON Parse error: {error}") from error
    if not isinstance(document, dict):
        raise _invalid("JSON Value: Is not object")
    return document


def _is_base64(value):
    return isinstance(value, dict) and value.keys() == {"b64"} and isinstance(value["b64"], str)


def _columns(instances, signature):
    """Gather "instances", a value or an object for each picture, by input."""
    if not isinstance(instances, list):
        raise _invalid("Excepting 'instances' to be an list/array")
    if not instances:
        raise _invalid("No values in 'instances' array")
    as_objects = isinstance(instances[0], dict) and not _is_base64(instances[0])
    if not as_objects and len(signature.inputs) > 1:
        raise _invalid(
            "instances is a plain list, but expecting list of objects as multiple input tensors "
            "required as per tensorinfo_map"
        )
    for position, item in enumerate(instances):
        if (isinstance(item, dict) and not _is_base64(item)) != as_objects:
            raise _invalid(
                f"Expecting {'object' if as_objects else 'value/list'} but got "
                f"{'list' if as_objects else 'object'} at item {position} of input list"
            )
        if as_objects and item.keys() != signature.inputs.keys():
            raise _invalid(
                f"Failed to process element: {position} of 'instances' list. JSON object keys "
                f"must be equal to: {','.join(sorted(signature.inputs))}"
            )
    if as_objects:
        return {key: [item[key] for item in instances] for key in signature.inputs}
    return {next(iter(signature.inputs)): instances}


def _named(inputs, signature):
    """Gather "inputs": a value for each input by name, or the value of the only one."""
    if not isinstance(inputs, dict) or _is_base64(inputs):
        if len(signature.inputs) > 1:
            raise _invalid(
                "inputs is a plain value/list, but expecting an object as multiple input tensors "
                "required as per tensorinfo_map"
            )
        return {next(iter(signature.inputs)): inputs}
    for key in sorted(signature.inputs):
        if key not in inputs:
            raise _invalid(f"Missing named input: {key} in 'inputs' object.")
    return {key: inputs[key] for key in signature.inputs}


def _to_array(value, dtype, name, max_elements):
    """Turn nested lists into an array of TensorFlow's `dtype`."""
    shape, leaf = [], value
    while isinstance(leaf, list):
        shape.append(len(leaf))
        if not leaf:
            break
        leaf = leaf[0]
    if len(shape) > MAX_DEPTH:
        raise _invalid("JSON Parse error: nested too deep")
    if math.prod(shape) > max_elements:
        raise _invalid(f"input tensor {name} must have at most {max_elements} values")
    leaves = []
    _flatten(value, 0, shape, leaves)
    dtype = tf.dtypes.as_dtype(dtype)
    if dtype == tf.string:
        flat = np.empty(len(leaves), object)
        flat[:] = [_to_bytes(leaf) for leaf in leaves]
        return flat.reshape(shape)
    kinds = (bool,) if dtype == tf.bool else (int,) if dtype.is_integer else (int, float)
    for leaf in leaves:
        if not isinstance(leaf, kinds) or (dtype != tf.bool and isinstance(leaf, bool)):
            raise _invalid(
                f"JSON Value: {json.dumps(leaf)[:100]} Type: {type(leaf).__name__} is not of "
                f"expected type: {dtype.name}"
            )
    try:
        with np.errstate(over="raise"):
            return np.array(leaves, dtype.as_numpy_dtype).reshape(shape)
    except (OverflowError, FloatingPointError, ValueError, TypeError) as error:
        raise _invalid(f"Cannot convert JSON value to {dtype.name}: {error}") from error


def _flatten(value, level, shape, leaves):
    """Append the values of nested lists that fill `shape`."""
    if not isinstance(value, list):
        if level != len(shape):
            raise _invalid(
                f"JSON Value: {json.dumps(value)[:100]} found at incorrect level: {level + 1} in "
                f"the JSON DOM. Expected at level: {len(shape)}"
            )
        leaves.append(value)
        return
    if level >= len(shape):
        raise _invalid(f"Encountered list at unexpected level: {level} expected < {len(shape)}")
    if len(value) != shape[level]:
        raise _invalid(
            f"Encountered list at unexpected size: {len(value)} at level: {level} expected size: "
            f"{shape[level]}"
        )
    for item in value:
        _flatten(item, level + 1, shape, leaves)


def _to_bytes(value):
    """Read a string or `{"b64": ...}`."""
    if isinstance(value, str):
        try:
            return value.encode()
        except UnicodeEncodeError as error:  # half of a surrogate pair
            raise _invalid(f"JSON Value is no valid UTF-8: {error}") from error
    if not _is_base64(value):
        raise _invalid(f"JSON Value: {json.dumps(value)[:100]} is not of expected type: string")
    try:
        return base64.b64decode(value["b64"], validate=True)
    except (binascii.Error, ValueError) as error:
        raise _invalid("Unable to base64 decode") from error


def _to_json(name, value):
    """Turn an array into what JSON can hold."""
    if value.dtype != object:
        return value.tolist()
    wrap = name.endswith("_bytes")
    try:
        leaves = [
            {"b64": base64.b64encode(leaf).decode()} if wrap else leaf.decode()
            for leaf in value.ravel()
        ]
    except UnicodeDecodeError as error:
        raise _invalid(f"output {name} is not UTF-8; name it {name}_bytes") from error
    flat = np.empty(len(leaves), object)
    flat[:] = leaves
    return flat.reshape(value.shape).tolist()


def _invalid(message):
    return StatusError("INVALID_ARGUMENT", message)
