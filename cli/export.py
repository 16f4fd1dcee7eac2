"""`tfstyle export`: export a trained network for a server or a phone."""

import sys
from dataclasses import dataclass
from pathlib import Path

import tyro

from tfstyle.cli import flags
from tfstyle.cli.quiet import load_tensorflow, native_stderr_hidden
from tfstyle.export.config import ExportConfig
from tfstyle.painting.instant import style_for
from tfstyle.pictures import check_output_path
from tfstyle.pictures.files import check_folder_writable


@dataclass(frozen=True, kw_only=True)
class Export:
    """Export a trained network, and prove that what was exported paints as the network does."""

    network: tyro.conf.Positional[str]
    """Name of a style (`tfstyle styles` lists them), or path of a network, .keras, or of a
    painting, which the network of any style then paints after for good."""
    output: tyro.conf.Positional[Path]
    """For a SavedModel the folder of all its versions, such as models/wave; for LiteRT a file,
    .tflite; for ONNX a file, .onnx; for Android a folder, to which another export adds a style."""
    photographs: tuple[Path, ...] = ()
    """Photographs to compare on. Default: the one that ships with tfstyle."""
    calibration: tuple[Path, ...] = ()
    """Photographs, files or folders, that the ranges of int8 are taken from. Default: pieces of the
    pictures that ship with tfstyle."""
    settings: ExportConfig
    """What to export as."""


def run(arguments):
    """Export as `arguments` say; return the exit code: 1 if the export is not good enough."""
    options = flags.parse(Export, "tfstyle export", arguments)
    config = options.settings
    style_for(options.network)
    if config.format == "litert":
        from tfstyle.export.litert import encoder_path

        encoder = encoder_path(options.output, config.sides)
        check_output_path(options.output, (".tflite",))
        for beside in (encoder, *map(options.output.with_suffix, (".json", ".parity.json"))):
            check_output_path(beside, (beside.suffix,))
    elif config.format == "onnx":
        check_output_path(options.output, (".onnx",))
    elif options.output.suffix or options.output.is_file():
        raise ValueError(f"`output` must be a folder. Received: '{options.output}'.")
    else:
        check_folder_writable(options.output)
    load_tensorflow()
    from tfstyle.export.publishing import publish
    from tfstyle.export.report import ParityError

    try:
        with native_stderr_hidden():  # converters talk much
            written = publish(
                options.network,
                options.output,
                config,
                photographs=options.photographs,
                calibration=options.calibration,
            )
    except ParityError as error:
        print(error.report.to_text())
        print(f"tfstyle export: {error}", file=sys.stderr)
        return 1
    for report in written.values():
        print(report.to_text())
    if config.format == "saved-model" and not all(r.warmup_requests for r in written.values()):
        print(
            "no warm-up requests: they need the package tensorflow-serving-api "
            "(pip install --no-deps tensorflow-serving-api)",
            file=sys.stderr,
        )
    print(*written, sep="\n")
    if config.format == "litert" and any(r.metadata["painting"] for r in written.values()):
        print(encoder)
    return 0
