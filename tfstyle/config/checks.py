"""Checks of settings: types, bounds, and what they say."""

import dataclasses
import math
import os
from typing import Any, Literal, get_args, get_origin, get_type_hints


def as_list(values):
    """Return a list of values; a single one, which cannot be gone through, alone."""
    return list(values) if hasattr(values, "__iter__") else [values]


def check_types(config):
    for field, hint in get_type_hints(type(config)).items():
        object.__setattr__(config, field, checked(field, getattr(config, field), hint))


def check_at_least_one(config, *fields):
    for field in fields:
        if getattr(config, field) < 1:
            raise ValueError(
                f"`{field}` must be at least 1. Received: {field}={getattr(config, field)}."
            )


def check_positive(config, *fields):
    for field in fields:
        value = getattr(config, field)
        if value is not None and value <= 0:
            raise ValueError(f"`{field}` must be positive. Received: {field}={value}.")


def with_fields(config, **fields: Any):
    """Return `config` with some fields replaced.

    Raises:
        TypeError: If there is no such field.
    """
    known = tuple(field.name for field in dataclasses.fields(config))
    for name in fields:
        if name not in known:
            raise TypeError(
                f"A {type(config).__name__} has no field {name!r}. Its fields: {', '.join(known)}."
            )
    return dataclasses.replace(config, **fields)


def checked(field, value, hint):
    """Return `value` as the type `hint`, or say why it is none; NumPy's scalars are Python's,
    paths are text."""
    if getattr(value, "shape", None) == ():
        value = value.item()
    if hint is str and isinstance(value, os.PathLike):
        value = os.fspath(value)
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"`{field}` must be finite. Received: {field}={value}.")
    choices = get_args(hint)
    if get_origin(hint) is Literal:
        if value in choices:
            return value
        raise ValueError(f"`{field}` must be one of {choices}. Received: {field}={value!r}.")
    if get_origin(hint) is tuple:
        if not isinstance(value, str):
            try:
                return tuple(checked(field, item, choices[0]) for item in value)
            except TypeError:
                pass  # not a sequence, or one of something else: reported below
        expected = f"a sequence of {choices[0].__name__}"
    elif choices:  # a union: the first member that takes the value
        for member in choices:
            try:
                return checked(field, value, member)
            except (TypeError, ValueError):
                continue
        expected = " or ".join(
            " or ".join(map(repr, get_args(member)))
            or {type(None): "None"}.get(member, getattr(member, "__name__", ""))
            for member in choices
        )
    else:
        if hint is float and isinstance(value, int) and not isinstance(value, bool):
            value = float(value)
        if isinstance(value, hint) and isinstance(value, bool) == (hint is bool):
            return value
        expected = hint.__name__
    raise TypeError(f"`{field}` must be {expected}. Received: {field}={value!r}.")
