"""What commands share: flags derived from a dataclass with a config in `settings`, and checks."""

import contextlib
import dataclasses

import tyro


def parse(kind, program, arguments, settings):
    """Return a `kind` read from `arguments`.

    Args:
        kind: Dataclass of the command; fields without a default must be given.
        program: The command as users type it.
        arguments: List of strings.
        settings: Config whose values are the defaults of its own flags.
    """
    missing = {
        field.name: tyro.MISSING
        for field in dataclasses.fields(kind)
        if field.default is dataclasses.MISSING
    }
    return tyro.cli(
        kind,
        default=kind(**missing | {"settings": settings}),
        prog=program,
        args=arguments,
        config=(tyro.conf.OmitArgPrefixes,),
    )


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


def value(flag, arguments, default):
    """Return what `arguments` say after a flag, before they are parsed."""
    for argument, following in zip(arguments, [*arguments[1:], None], strict=True):
        if argument == flag and following is not None:
            default = following
        elif argument.startswith(f"{flag}="):
            default = argument.removeprefix(f"{flag}=")
    return default
