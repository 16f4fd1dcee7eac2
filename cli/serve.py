"""`tfstyle serve`: serve exported styles as TF Serving does, or write its configuration."""

import logging
import os
import sys
from dataclasses import dataclass
from pathlib import Path

import tyro

from tfstyle.cli import flags
from tfstyle.cli.quiet import load_tensorflow
from tfstyle.pictures import is_same_file
from tfstyle.pictures.files import write
from tfstyle.serving.config import ServeConfig


@dataclass(frozen=True, kw_only=True)
class Serve:
    """Serve exported styles over gRPC and REST. SIGTERM and Ctrl-C finish what is begun."""

    models: tyro.conf.Positional[Path]
    """Folder with NAME/VERSION/saved_model.pb, or a models.config of TF Serving."""
    print_config: bool = False
    """Print TF Serving's configuration and deployment files for these models, and end."""
    write_config: Path | None = None
    """Write them into this folder instead, and end."""
    settings: ServeConfig
    """Ports and limits."""


def parse(arguments):
    """Return `Serve` from `arguments`."""
    return flags.parse(Serve, "tfstyle serve", arguments)


def run(arguments):
    """Serve as `arguments` say; return the exit code."""
    options = parse(arguments)
    if not options.models.exists():
        raise FileNotFoundError(f"`models` must exist. Received: '{options.models}'.")
    if options.print_config or options.write_config is not None:
        return _write_config(options)
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING, format="%(asctime)s %(message)s")
    logging.getLogger("tfstyle").setLevel(logging.INFO)
    logging.getLogger("tensorflow").setLevel(logging.ERROR)  # its advice is for us, not for users
    load_tensorflow()
    with flags.extra("serving"):
        from tfstyle.serving.server import StyleServer

    server = StyleServer(options.models, options.settings)
    rest = "" if server.rest_port is None else f", REST on port {server.rest_port}"
    print(f"serving {', '.join(server.store.names())}: gRPC on port {server.port}{rest}")
    sys.stdout.flush()
    server.serve_until_signal()
    logging.shutdown()
    sys.stdout.flush()
    os._exit(0)  # a model that still runs, or loads, would keep the process beyond the drain


def _write_config(options):
    from tfstyle.serving.deployment import deployment_files

    folder = options.write_config
    files = deployment_files(options.models, options.settings, folder=folder)
    if folder and any(is_same_file(folder / name, options.models) for name in files):
        raise ValueError(
            f"`write_config` must be another folder than that of '{options.models}', which would "
            f"be replaced. Received: '{folder}'."
        )
    for name, text in files.items():
        if folder is None:
            print(f"# ---- {name}\n{text}")
        else:
            folder.mkdir(parents=True, exist_ok=True)
            write(folder / name, text)
            print(folder / name)
    return 0
