"""`tfstyle`: find the command, run it, turn errors into one line."""

import contextlib
import errno
import importlib
import io
import os
import signal
import sys
import threading

from tfstyle.version import __version__

COMMANDS = {
    "stylize": "paint photographs in the style of a painting",
    "batch": "paint very many photographs on Apache Beam: Flink, Spark, Dataflow",
    "video": "paint a film in a trained style or that of a painting",
    "app": "paint in the browser, on this machine",
    "export": "export a trained style for a server, a phone or a browser",
    "verify": "compare an exported style with the network",
    "sample": "make pictures with a network of the lesson `digits`",
    "styles": "list the trained styles that ship with tfstyle",
    "shards": "copy photographs to train on into TFRecord files",
    "recipes": "list the recipes, or print one as JSON",
    "inspect": "look at a picture as the loss network does",
    "demo": "paint the photograph that ships with tfstyle",
    "serve": "serve exported styles over gRPC and REST",
    "client": "paint photographs on a server of styles",
}


def usage():
    """Return the text of `tfstyle --help`."""
    width = max(map(len, COMMANDS))
    lines = [f"  {name:<{width}}  {text}" for name, text in COMMANDS.items()]
    return "\n".join(
        [
            "usage: tfstyle COMMAND [ARGUMENTS]    (tfstyle COMMAND --help tells more)",
            "",
            *lines,
            "",
            "example: tfstyle stylize cat.jpg starry_night.jpg -o out.png",
            "Errors are told in a line; TFSTYLE_TRACEBACK=1 shows where they come from.",
        ]
    )


def main(argv=None):
    """Run `tfstyle` with `argv` (default: the process' own) and return the exit code.

    0 done, 2 something about the input was wrong (one line on stderr says what), 130 interrupted
    by Ctrl-C, 143 by SIGTERM.
    """
    argv = sys.argv[1:] if argv is None else list(argv)
    if not argv or argv[0] in ("-h", "--help"):
        print(usage())
        return 0
    if argv[0] == "--version":
        print(f"tfstyle {__version__}")
        return 0
    name, *arguments = argv
    if name.endswith(".keras"):  # a network alone: what it makes by itself
        name, arguments = "sample", argv
    if name not in COMMANDS:
        print(
            f"tfstyle: there is no command {name!r}. Commands: {', '.join(COMMANDS)}.",
            file=sys.stderr,
        )
        return 2
    return _run(f"tfstyle {name}", name, arguments)


def train():
    """Run `tfstyle-train` and return the exit code."""
    return _run("tfstyle-train", "train", sys.argv[1:])


def _run(program, command, arguments):
    """Run a command, and turn what it raises into one line on stderr; return the exit code."""
    if isinstance(sys.stdout, io.TextIOWrapper):  # file names may be of another encoding
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        # Only now, since all this takes a second in which Ctrl-C may come.
        from tfstyle.cli.quiet import warnings_in_lines

        with _cleaned_up(), warnings_in_lines(program):
            code = importlib.import_module(f"tfstyle.cli.{command}").run(arguments) or 0
        sys.stdout.flush()
        return code
    except BrokenPipeError:  # who read the output, such as `head`, has gone
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # for the flush at exit
        return 1
    except (KeyboardInterrupt, Exception) as error:
        if _is_interrupt(error):
            print(f"{program}: interrupted", file=sys.stderr)
            return 130
        text = None if os.environ.get("TFSTYLE_TRACEBACK") else _told(error)
        if text is None:
            raise
        print(f"{program}: {' '.join(text.split())}", file=sys.stderr)
        return 2


@contextlib.contextmanager
def _cleaned_up():
    """Let SIGTERM end what runs in the block as an exception, so that temporary files go."""

    def end(number, frame):
        raise SystemExit(128 + number)

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _is_interrupt(error):
    """Tell whether it is Ctrl-C, also where that fell into the loading of a library in C++, which
    calls it a failure."""
    if isinstance(error, ImportError):
        while error is not None and not isinstance(error, KeyboardInterrupt):
            error = error.__cause__ or error.__context__
    return isinstance(error, KeyboardInterrupt)


def _told(error):
    """Return what to tell of an error; None if it is a bug, whose traceback helps more."""
    if isinstance(error, MemoryError):
        return f"There is not enough memory for this; smaller pictures take less. {error}"
    if isinstance(error, OSError) and error.errno and error.filename:
        more = ". Make room; a training goes on from its last checkpoint then"
        return f"{error.strerror}: '{error.filename}'{more * (error.errno == errno.ENOSPC)}"
    if isinstance(error, (ValueError, OSError, ImportError, ArithmeticError)):
        return str(error)
    tensorflow = sys.modules.get("tensorflow")
    if tensorflow and isinstance(error, tensorflow.errors.OpError):
        from tfstyle.painting.hub import first_line

        return f"TensorFlow: {first_line(error)}"
    return None
