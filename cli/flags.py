"""What commands share: flags derived from configs, and checks."""

import ast
import contextlib
import dataclasses
import functools
import inspect
import io
import itertools
import re
import textwrap
from typing import Annotated, TypedDict, get_type_hints

import tyro

from tfstyle.config import with_fields
from tfstyle.painting import zoo


def read(kind, program, arguments, **options):
    """Return a `kind` read from `arguments` as `tyro.cli` reads it.

    Raises:
        ValueError: With what tyro would say in a box, in a line.
    """
    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said):
            return tyro.cli(
                kind, prog=program, args=arguments, config=(tyro.conf.OmitArgPrefixes,), **options
            )
    except SystemExit as end:
        if not end.code:  # of --help
            raise
        raise ValueError(_in_a_line(said.getvalue())) from end


def call(function, program, arguments):
    """Call a function with what is read from `arguments`, and return what it returns."""

    @functools.wraps(function)
    def later(*args, **kwargs):
        return functools.partial(function, *args, **kwargs)

    return read(later, program, arguments)()


def parse(kind, program, arguments, words=None):
    """Return a `kind` read from `arguments`.

    Args:
        kind: Dataclass of the command; fields without a default must be given. Of a config in
            `settings` the fields are flags, and its defaults theirs.
        program: The command as users type it.
        arguments: List of strings.
        words: Name of a positional field of many strings, whose words may stand anywhere among
            the flags, and after `--`.
    """
    if words is None:
        return read(kind, program, arguments)
    end = arguments.index("--") if "--" in arguments else len(arguments)
    options, loose = read(kind, program, arguments[:end], return_unknown_args=True)
    if any(word.startswith("-") for word in loose):
        read(kind, program, arguments[:end])  # which says what is wrong
    found = (*getattr(options, words), *loose, *arguments[end + 1 :])
    return dataclasses.replace(options, **{words: found})


def given(**configs):
    """Make a type of the fields of configs, each a flag: a dictionary of those that were given.

    Args:
        **configs: Configs by what their users know them as, `_` for a blank; where several have a
            field, type and help are those of the first.
    """
    fields = {}
    for config in reversed(configs.values()):
        docs = _docs(type(config))
        for name, hint in get_type_hints(type(config)).items():
            about = tyro.conf.arg(help=docs[name], help_behavior_hint=_defaults(name, configs))
            fields[name] = Annotated[hint, about]
    return TypedDict("Settings", fields, total=False)


def filled(config, fields, way, ways=None):
    """Return a config with the fields that flags were given for.

    Args:
        config: Config with the other fields' values.
        fields: Dictionary of values by name.
        way: What takes the config, for the message.
        ways: What `given` was given, where several ways have flags of their own.

    Raises:
        ValueError: If a flag is none of this config's, or a value cannot be used.
    """
    known = [field.name for field in dataclasses.fields(config)]
    wrong = [_flag(name) for name in fields if name not in known]
    if wrong:
        owners = [
            name.replace("_", " ")
            for name, other in (ways or {}).items()
            if all(hasattr(other, field) for field in fields if field not in known)
        ]
        here = f"Its flags: {', '.join(map(_flag, known))}."
        if owners:
            here = f"That is for painting {' or '.join(owners)}, see --help."
        raise ValueError(f"{way} takes no {', '.join(wrong)}. {here}")
    try:
        return with_fields(config, **fields)
    except TypeError as error:
        raise ValueError(error) from error


def trained_style(words, style=None):
    """Take the trained style out of words.

    Args:
        words: Sequence of strings.
        style: The style, where a flag names it.

    Returns:
        The other words as a list, and the style, or None.

    Raises:
        FileNotFoundError: If a word is no file, and could only be a style's name, but is none.
        ValueError: If several name a style.
    """
    words = list(words)
    if style is not None:
        return words, style
    names = (*zoo.styles(), "any")
    named = [word for word in words if word.endswith(".keras") or word in names]
    for word in words:
        if word not in named:
            zoo.refuse_unknown(word)
    if len(named) > 1:
        raise ValueError(
            f"A picture is painted in one trained style. Received: {', '.join(named)}. Styles "
            "that share a network blend by --style-weights; a file that is called as a style is "
            "reached by ./NAME."
        )
    return [word for word in words if word not in named], named[0] if named else None


@contextlib.contextmanager
def extra(name):
    """Say how to install what an import lacks: the extra of that name."""
    try:
        yield
    except ModuleNotFoundError as error:
        raise ImportError(f"{error}. Install it with: pip install 'tfstyle[{name}]'") from error


def check_quality(quality):
    """Check the quality of a JPEG or WebP.

    Raises:
        ValueError: If it is not from 1 to 100.
    """
    if not 1 <= quality <= 100:
        raise ValueError(f"`quality` must be 1 to 100. Received: quality={quality}.")


def _in_a_line(box):
    """Return what a box of tyro's says in a line, without the flags' help in it."""
    parts = [[]]
    for line in box.splitlines()[1:]:  # after the title
        if re.match(r"[╭╰]|[│ ] *[─-]{5}", line):  # a frame or a rule
            parts.append([])
        elif not re.match(r"[│ ] {9}", line):  # help stands farther in
            parts[-1].append(line.strip("│ "))
    said = [" ".join(part) for part in parts if part and part[0] != "Argument helptext:"]
    return ". ".join(text.rstrip(".") for text in said) + "."


def _docs(kind):
    """Return the docstring below each field of a config class."""
    docs = {}
    for cls in reversed(kind.__mro__[:-1]):
        (definition,) = ast.parse(textwrap.dedent(inspect.getsource(cls))).body
        for field, below in itertools.pairwise(definition.body):
            if isinstance(field, ast.AnnAssign) and isinstance(below, ast.Expr):
                docs[field.target.id] = " ".join(below.value.value.split())
    return docs


def _defaults(name, configs):
    """Say in whose hands a field has which value."""

    def text(value):
        return " ".join(map(str, value)) if isinstance(value, tuple) else str(value)

    values = [
        f"{way.replace('_', ' ')}: {text(getattr(config, name))}"
        for way, config in configs.items()
        if hasattr(config, name)
    ]
    return f"(default {'; '.join(values)})"


def _flag(name):
    return "--" + name.replace("_", "-")
