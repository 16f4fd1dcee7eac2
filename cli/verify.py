"""`tfstyle verify`: compare an exported network with the network."""

import sys
from dataclasses import dataclass
from pathlib import Path

import tyro

from tfstyle.cli import flags
from tfstyle.cli.quiet import load_tensorflow, native_stderr_hidden
from tfstyle.painting import zoo


@dataclass(frozen=True, kw_only=True)
class Verify:
    """Compare an exported network with the network it was made of."""

    path: tyro.conf.Positional[Path]
    """A LiteRT or ONNX file, a SavedModel, or the folder of its versions, whose newest is taken."""
    network: str | None = None
    """Name of a style, or path of a network, .keras, or of a painting. Default: the style that the
    export names."""
    photographs: tuple[Path, ...] = ()
    """Photographs to compare on. Default: the one that ships with tfstyle."""


def run(arguments):
    """Compare as `arguments` say; return the exit code: 1 if the export is not good enough."""
    options = flags.read(Verify, "tfstyle verify", arguments)
    if not options.path.exists():
        raise FileNotFoundError(f"There is no '{options.path}'.")
    load_tensorflow()
    from tfstyle.export.config import ExportConfig
    from tfstyle.export.parity import open_export, verify
    from tfstyle.export.publishing import find_network

    with native_stderr_hidden():
        painter = open_export(options.path)
        name = options.network or painter.metadata["styles"][0]["name"]
        if options.network is None and name not in (*zoo.styles(), "any"):
            raise ValueError(
                f"'{options.path}' holds the style {name!r}, which does not ship with tfstyle: "
                "let --network name its .keras file or its painting."
            )
        network, _ = find_network(name, ExportConfig())
        report = verify(options.path, network, options.photographs)
    print(report.to_text())
    if not report.passed and options.network is None:
        print(
            f"tfstyle verify: compared with {name!r}, which ships with tfstyle. If the export was "
            "made of another network or of a painting, let --network name it.",
            file=sys.stderr,
        )
    report.save(painter.path.with_name(f"{painter.path.stem}.parity.json"))
    return 0 if report.passed else 1
