"""`tfstyle export`: export a trained network for a server, a phone or a browser."""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from tfstyle.cli import flags
from tfstyle.cli.quiet import load_tensorflow, native_stderr_hidden
from tfstyle.export.config import ExportConfig
from tfstyle.painting.instant import style_for
from tfstyle.pictures import check_output_path
from tfstyle.pictures.files import check_folder_writable, check_writable


@dataclass(frozen=True, kw_only=True)
class Export:
    """Export a trained network, and prove that what was exported paints as the network does."""

    words: tyro.conf.Positional[tuple[str, ...]]
    """Name of a style (`tfstyle styles` lists them), or path of a network, .keras, or of a
    painting, which the network of any style then paints after for good; for the page several, or
    none: those that ship. Then the output, unless -o names it."""
    output: Annotated[Path | None, tyro.conf.arg(aliases=("-o",))] = None
    """For a SavedModel the folder of all its versions, such as models/wave; for LiteRT a file,
    .tflite; for ONNX a file, .onnx; for Android an app's src/main, or the assets in it, to which
    another export adds a style; for the page a folder, or a file, .html."""
    photographs: tuple[Path, ...] = ()
    """Photographs to compare on. Default: the one that ships with tfstyle."""
    calibration: tuple[Path, ...] = ()
    """Photographs, files or folders, that the ranges of int8 are taken from. Default: pieces of the
    pictures that ship with tfstyle."""
    settings: ExportConfig
    """What to export as."""


def run(arguments):
    """Export as `arguments` say; return the exit code: 1 if the export is not good enough."""
    options = flags.parse(Export, "tfstyle export", arguments, words="words")
    styles, output, config = [*options.words], options.output, options.settings
    if output is None:
        if not styles:
            raise ValueError("`output` must be given. Received: none. Name it with -o.")
        output = Path(styles.pop())
    if config.format != "web" and len(styles) != 1:
        raise ValueError(
            f"With format {config.format!r} one style is exported at a time. Received: "
            f"{', '.join(styles) or 'none'}. A page, of format 'web', takes several."
        )
    for style in styles:
        style_for(style)
    if config.format == "web" and output.suffix == ".html":
        check_writable(output)
    elif config.format == "litert":
        from tfstyle.export.litert import encoder_path

        encoder = encoder_path(output, config.sides)
        check_output_path(output, (".tflite",))
        for beside in (encoder, *map(output.with_suffix, (".json", ".parity.json"))):
            check_writable(beside)
    elif config.format == "onnx":
        check_output_path(output, (".onnx",))
    elif output.suffix or output.is_file():
        formats = {".tflite": "litert", ".onnx": "onnx", ".html": "web"}
        known = formats.get(output.suffix)
        hint = f" For a file add --format {known}." if known else ""
        raise ValueError(
            f"`output` must be a folder with format {config.format!r}. Received: '{output}'.{hint}"
        )
    else:
        check_folder_writable(output)
    load_tensorflow()
    from tfstyle.export.report import ParityError

    try:
        with native_stderr_hidden():  # converters talk much
            reports, written = _export(options, styles, output, config)
    except ParityError as error:
        print(error.report.to_text())
        print(f"tfstyle export: {error}", file=sys.stderr)
        return 1
    for report in reports:
        print(report.to_text())
    if config.format == "saved-model" and not all(report.warmup_requests for report in reports):
        print(
            "no warm-up requests: they need the package tensorflow-serving-api "
            "(pip install --no-deps tensorflow-serving-api)",
            file=sys.stderr,
        )
    print(*written, *_beside(reports, written, config), sep="\n")
    return 0


def _beside(reports, written, config):
    """Return the paths of what else there is to take along."""
    if config.format not in ("litert", "android"):
        return []
    from tfstyle.export.litert import encoder_path

    encoders = {
        encoder_path(path, report.metadata["size"])
        for path, report in zip(written, reports, strict=True)
        if report.metadata["painting"]
    }
    labels = {path.with_name("labels.json") for path in written if config.format == "android"}
    return [*encoders, *labels]


def _export(options, styles, output, config):
    """Export; return reports, and the paths of what was written."""
    if config.format == "web":
        from tfstyle.export.page import all_styles, publish_page

        styles = styles or all_styles()
        reports = publish_page(styles, output, config, photographs=options.photographs)
        return reports, [output]
    from tfstyle.export.publishing import publish

    given = {"photographs": options.photographs, "calibration": options.calibration}
    written = publish(*styles, output, config, **given)
    return [*written.values()], [*written]
