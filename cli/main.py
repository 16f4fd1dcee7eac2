"""`tfstyle`: find the command, run it, turn errors into one line."""

import importlib
import os
import sys

from tfstyle.version import __version__

COMMANDS = {
    "stylize": "paint photographs in the style of a painting",
    "video": "paint a film with a trained style",
    "export": "export a trained style for TensorFlow Serving, LiteRT or Android",
    "verify": "compare an exported style with the network",
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
    if name not in COMMANDS:
        print(
            f"tfstyle: there is no command {name!r}. Commands: {', '.join(COMMANDS)}.",
            file=sys.stderr,
        )
        return 2
    command = importlib.import_module(f"tfstyle.cli.{name}")
    return report_errors(f"tfstyle {name}", command.run, arguments)


def report_errors(name, run, arguments):
    """Return `run(arguments)`, an exit code, and turn what it raises into one line on stderr."""
    try:
        code = run(arguments) or 0
        sys.stdout.flush()
        return code
    except BrokenPipeError:  # who read the output, such as `head`, has gone
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # for the flush at exit
        return 1
    except (ValueError, TypeError, OSError, ImportError, ArithmeticError) as error:
        if os.environ.get("TFSTYLE_TRACEBACK"):
            raise
        print(f"{name}: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"{name}: interrupted", file=sys.stderr)
        return 130
