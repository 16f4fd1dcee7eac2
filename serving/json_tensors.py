"""TF Serving's JSON: from the body of a request to arrays, and from arrays to the answer.

ijson tells a document's events one by one, so that its depth and its number of values are bounded
before they take memory; numbers lie side by side, 8 bytes each.
"""

import array
import base64
import binascii
import itertools
import json
from typing import NamedTuple

import ijson
import numpy as np
import tensorflow as tf

from tfstyle.serving.status import StatusError, invalid

MAX_DEPTH = 32  # axes of a tensor; NumPy takes up to 64
MAX_INPUTS = 100  # in an object
EXACT = 2**53  # integers that a double holds


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
        body: Binary file.
        servable: `Servable` that is to answer.
        max_elements: Most values in the body, lists counted as well.

    Returns:
        `JsonRequest`.

    Raises:
        StatusError: INVALID_ARGUMENT, in TF Serving's words where it has some.

    Departs from TF Serving: NaN, Infinity and integers beyond 2**53 are refused.
    """
    try:
        document = _Reader(body, max_elements).document()
    except (ijson.JSONError, OverflowError, UnicodeError) as error:
        text = str(error).split("\n")[0] if body.tell() else "The document is empty"
        raise invalid(f"JSON Parse error: {text}") from error
    name = document.get("signature_name", "")
    try:
        signature = servable.signature(name)
    except StatusError:
        key = name or "serving_default"
        raise invalid(f'Serving signature name: "{key}" not found in signature def') from None
    keys = document.keys() & {"instances", "inputs"}
    if len(keys) != 1:
        raise invalid(
            "Not formatted correctly expecting only one of 'inputs' or 'instances' keys to exist"
            if keys
            else "Missing 'inputs' or 'instances' key"
        )
    values, needed = document[keys.pop()], sorted(signature.inputs)
    if isinstance(values, _Values):
        if len(needed) > 1:
            raise invalid(f"must be an object of: {','.join(needed)}. Received a plain value/list")
        values = {needed[0]: values}
    if not values.keys() >= signature.inputs.keys():
        raise invalid(f"Missing named input: JSON object keys must be {','.join(needed)}")
    feeds = {}
    for key in needed:
        info = signature.inputs[key]
        feeds[key] = values[key].to_array(tf.dtypes.as_dtype(info.dtype))
        signature.check_tensor(key, info.dtype, feeds[key].shape)
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
        raise invalid("Tensors have no common batch size, as 'instances' need: send 'inputs'")
    rows = single
    if single is None:
        rows = [dict(zip(values, row, strict=True)) for row in zip(*values.values(), strict=True)]
    return json.dumps({"predictions": rows}).encode()


class _Values:
    """A value of JSON, or nested lists of them: flat, with the shape that they had."""

    def __init__(self, shape=()):
        self.shape, self.kinds = list(shape), set()
        self.numbers, self.strings = array.array("d"), []

    def append(self, leaf):
        if leaf is None:
            raise invalid("JSON Value: null is not of any expected type")
        self.kinds.add(type(leaf))
        (self.strings if isinstance(leaf, (str, bytes)) else self.numbers).append(leaf)

    def extend(self, other):
        """Add a row of the same shape."""
        if other.shape != self.shape[1:]:
            raise invalid(f"Encountered list at unexpected size: {other.shape}")
        self.shape[0] += 1
        self.numbers.extend(other.numbers)
        self.strings.extend(other.strings)
        self.kinds |= other.kinds

    def to_array(self, dtype):
        """Return them as an array of TensorFlow's `dtype`, or raise `StatusError`."""
        text, whole = dtype == tf.string, dtype.is_integer
        fits: set[type] = {str, bytes} if text else {bool} if dtype == tf.bool else {int}
        fits |= {float} if dtype.is_floating else set()
        if self.kinds - fits:
            sent = ", ".join(sorted(kind.__name__ for kind in self.kinds - fits))
            raise invalid(f"JSON Value Type: {sent} is not of expected type: {dtype.name}")
        if text:
            leaves = [s.encode() if isinstance(s, str) else s for s in self.strings]
            return np.array(leaves, object).reshape(self.shape)
        flat = np.frombuffer(self.numbers, np.float64)
        if whole and flat.size and max(-flat.min(), flat.max()) > min(EXACT, dtype.max):
            raise invalid(f"Cannot convert JSON value to {dtype.name}: too large")
        try:
            with np.errstate(over="raise", invalid="raise"):
                return flat.astype(dtype.as_numpy_dtype).reshape(self.shape)
        except (FloatingPointError, TypeError) as error:
            raise invalid(f"Cannot convert JSON value to {dtype.name}: {error}") from error


class _Reader:
    """Reads a document, in one pass, into `_Values`."""

    def __init__(self, body, max_values):
        self._events = ijson.basic_parse(body, use_float=True, buf_size=2**14)
        self._left, self._most = max_values, max_values

    def document(self):
        """Return the object of a request as a dict."""
        if next(self._events)[0] != "start_map":
            raise invalid("JSON Value: Is not object")
        found = {}
        for key in self._keys():
            if key == "signature_name":
                kind, found[key] = next(self._events)
                if kind != "string":
                    raise invalid("'signature_name' key must be a string value.")
            elif key == "instances":
                found[key] = self._rows()
            else:
                found[key] = self._object_or_values(next(self._events))
        next(self._events, None)  # parses to the end: nothing may follow
        return found

    def _keys(self):
        """Give the keys of an object that has begun; the caller reads each one's value."""
        for kind, key in self._events:
            if kind == "end_map":
                return
            yield key

    def _rows(self):
        """Read "instances": `_Values` of them all, or a dict of such, where they are objects."""
        if next(self._events)[0] != "start_array":
            raise invalid("Excepting 'instances' to be an list/array")
        columns = None
        for kind, value in self._events:
            if kind == "end_array":
                break
            row = self._object_or_values((kind, value)) if kind == "start_map" else None
            if columns is None:
                if not isinstance(row, dict):
                    first = ("bytes", row.strings[0]) if row else (kind, value)
                    return self._values(("start_array", None), first)
                columns = {key: _Values([0, *column.shape]) for key, column in row.items()}
            if not isinstance(row, dict) or row.keys() != columns.keys():
                raise invalid(
                    "Expecting objects of the same keys but got another value in 'instances'"
                )
            for key, column in row.items():
                columns[key].extend(column)
        if not columns:
            raise invalid("No values in 'instances' array")
        return columns

    def _object_or_values(self, event):
        """Read what begins with `event`: an object of inputs as a dict, all else as `_Values`."""
        if event[0] != "start_map":
            return self._values(event)
        fields = {}
        for key in self._keys():
            fields[key] = self._values(next(self._events))
            if len(fields) > MAX_INPUTS:
                raise invalid(f"An object must hold at most {MAX_INPUTS} inputs")
        if fields.keys() != {"b64"} or fields["b64"].kinds != {str} or fields["b64"].shape:
            return fields
        decoded = _Values()
        decoded.append(_decode(fields["b64"].strings[0]))
        return decoded

    def _values(self, *pending):
        """Read the value or the nested lists that begin with the events `pending`."""
        values, open_lists, shape_known = _Values(), [], False
        shape = values.shape
        for kind, value in itertools.chain(pending, self._events):
            if kind == "start_array":
                level = len(open_lists)
                if not shape_known:
                    shape.append(None)
                elif level >= len(shape):
                    raise invalid(
                        f"Encountered list at unexpected level: {level} expected < {len(shape)}"
                    )
                if level >= MAX_DEPTH:
                    raise invalid("JSON Parse error: nested too deep")
                open_lists.append(0)
                continue
            if kind == "end_array":
                count, level, shape_known = open_lists.pop(), len(open_lists), True
                if shape[level] is None:
                    shape[level] = count
                elif shape[level] != count:
                    raise invalid(
                        f"Encountered list at unexpected size: {count} at level: {level} "
                        f"expected size: {shape[level]}"
                    )
            elif len(open_lists) != len(shape):
                raise invalid(
                    f"JSON Value found at incorrect level: {len(open_lists) + 1} in the JSON DOM. "
                    f"Expected at level: {len(shape)}"
                )
            else:
                shape_known = True
                values.append(self._base64() if kind == "start_map" else value)
            self._left -= 1
            if self._left < 0:
                raise invalid(f"a request must have at most {self._most} values")
            if not open_lists:
                break
            open_lists[-1] += 1
        return values

    def _base64(self):
        """Read the rest of `{"b64": ...}`."""
        (_, key), (kind, value), (end, _) = itertools.islice(self._events, 3)
        if (key, kind, end) != ("b64", "string", "end_map"):
            raise invalid('JSON Value: object is not of expected type: {"b64": string}')
        return _decode(value)


def _decode(text):
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise invalid("Unable to base64 decode") from error


def _to_json(name, value):
    """Turn an array into what JSON can hold."""
    if value.dtype != object:
        return value.tolist()
    wrap = name.endswith("_bytes")
    spell = (lambda leaf: {"b64": base64.b64encode(leaf).decode()}) if wrap else bytes.decode
    try:
        return np.vectorize(spell, otypes=[object])(value).tolist()
    except UnicodeDecodeError as error:
        raise invalid(f"output {name} is not UTF-8; name it {name}_bytes") from error
