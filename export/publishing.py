"""Export a network: write it, compare it with the network, and only then let it be found."""

import dataclasses
import json
import re
from pathlib import Path

from tfstyle.export.config import ExportConfig
from tfstyle.export.frozen import freeze, labels, style_index, thumbnails
from tfstyle.export.parity import verify
from tfstyle.export.report import ParityError
from tfstyle.painting import zoo
from tfstyle.painting.instant import Paintings, style_for
from tfstyle.pictures.files import check_folder_writable, check_record, check_writable, write

ANDROID_SIZES = (256, 512)


def publish(style, output, config=None, *, photographs=(), calibration=()):
    """Export a trained network.

    Args:
        style: Name of a style that ships with the package, or path of a `.keras` file or of a
            painting, in whose style the network of any style then paints for good.
        output: Folder of all versions of a SavedModel; `.tflite` or `.onnx` file for LiteRT and
            ONNX; for Android the folder whose `assets` an app takes, or that one, which may hold
            other styles already.
        config: `ExportConfig`.
        photographs: Photographs to compare on, see `tfstyle.export.parity.verify`.
        calibration: Photographs, files or folders, that the ranges of int8 are taken from. Default:
            pieces of the pictures that ship with the package.

    Returns:
        `{path: Report}` of what was written. Each report lies as `….parity.json` beside it.

    Raises:
        ParityError: If an export differs from the network by more than its format should. It is
            not kept.
        ValueError: If something cannot be exported so.
        OSError: If it cannot be written.
    """
    network, config = find_network(style, config or ExportConfig())
    output, written, reports = Path(output), {}, []
    if config.format == "android" and output.name == "assets":  # the app's folder of that name
        output = output.absolute().parent
    folder = config.format in ("saved-model", "android")
    (check_folder_writable if folder else check_writable)(output)
    if config.format == "litert":
        check_record(output.with_suffix(".json"), {"format", "styles"})

    def check(path):
        report = verify(path, network, photographs)
        if not report.passed:
            raise ParityError(dataclasses.replace(report, export=str(output)))
        reports.append(report)

    def written_to(path, reports_folder):
        written[path] = dataclasses.replace(reports[-1], export=str(path))
        written[path].save(reports_folder / f"{path.stem}.parity.json")

    if config.format == "saved-model":
        from tfstyle.export.saved_model import write_saved_model

        written_to(write_saved_model(network, output, config, check=check), output)
        return written
    if config.format == "onnx":
        from tfstyle.export.onnx import write_onnx

        written_to(write_onnx(network, output, config, check=check), output.parent)
        return written
    from tfstyle.export.litert import write_litert

    paths = {output: config}
    if config.format == "android":
        paths = _android_paths(network, output, config)
    for path, its_config in paths.items():
        write_litert(network, path, its_config, calibration=calibration, check=check)
        written_to(path, output if config.format == "android" else output.parent)
    if config.format == "android":
        _write_labels(network, output, config, written)
    return written


def find_network(style, config):
    """Return the network that a style stands for, and the config, with that style's name in it
    unless the config says which.

    Args:
        style: Name of a style that ships, path of a `.keras` file, or path of a painting, which
            becomes the one style of a network made of the one of any style.
        config: `ExportConfig`.

    Raises:
        ValueError: If there is no such style, or the format cannot hold the network of any style.
        FileNotFoundError: If there is no such file.
    """
    found = style_for(style)
    if isinstance(found, Paintings):
        network, name = found.network(Path(style).stem), Path(style).stem
    elif zoo.paints_any(found.path) and config.format == "onnx":
        raise ValueError(
            f"'{found.name}' takes a painting beside the photograph, which no ONNX file of tfstyle "
            "does. Export a painting: tfstyle export painting.jpg OUTPUT --format onnx."
        )
    else:
        network, name = zoo.load(found.path), found.name
    if config.style is None and not config.all_styles:
        config = dataclasses.replace(config, style=name)
    return network, config


def _android_paths(network, output, config):
    """Return `{path: config}` of the files that an app ships."""
    assets = output / "assets"
    assets.mkdir(parents=True, exist_ok=True)
    name = file_name(config.style)
    sizes = [config.size] if config.size else ANDROID_SIZES
    return {
        assets / f"{name}_{size}.tflite": dataclasses.replace(config, size=size) for size in sizes
    }


def _write_labels(network, output, config, written):
    """Say in an app's assets which styles there are, besides those that it has already. What
    paints in the style of any painting is the last, and names the file that reads paintings."""
    from tfstyle.export.litert import encoder_path

    assets = output / "assets"
    label = labels(network)[style_index(network, config.style)]
    entry = {"name": label["name"], "about": label.get("about", ""), "thumbnail": None}
    for thumbnail in thumbnails(freeze(network, config)).values():
        entry["thumbnail"] = f"{file_name(config.style)}.jpg"
        write(assets / entry["thumbnail"], thumbnail)
    path, report = next(iter(written.items()))
    takes_painting = report.metadata["painting"] is not None
    entry["encoder"] = encoder_path(path, report.metadata["size"]).name if takes_painting else None
    entry["models"] = [
        {"file": path.name, "size": report.metadata["size"], "bytes": report.file_bytes}
        for path, report in written.items()
    ]
    path = assets / "labels.json"
    before = json.loads(path.read_text("utf-8"))["styles"] if path.is_file() else []
    styles = [other for other in before if other["name"] != entry["name"]] + [entry]
    styles.sort(key=lambda style: style.get("encoder") is not None)
    write(path, json.dumps({"styles": styles}, indent=2, ensure_ascii=False))


def file_name(style):
    """Return a style's name as a part of a file's."""
    return re.sub(r"[^\w-]+", "_", style)
