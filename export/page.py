"""The page: styles in a browser, as a folder for any host or as one file that opens by itself.

Keras is loaded by what needs networks alone: a page that is there already opens at once."""

import base64
import dataclasses
import functools
import gzip
import hashlib
import json
import lzma
import re
import tarfile
import tempfile
from importlib.resources import files
from pathlib import Path
from typing import Any

from tfstyle.export.config import ExportConfig
from tfstyle.export.report import ParityError
from tfstyle.painting import zoo
from tfstyle.painting.instant import Paintings, style_for
from tfstyle.pictures.files import check_folder_writable, check_writable, write
from tfstyle.version import __version__

BUILT = Path(str(files("tfstyle.export"))) / "web" / "built"
PICTURES = Path(str(files("tfstyle"))) / "pictures"
PHOTOGRAPH, PAINTING = "lake.jpg", "brushwork.jpg"  # to begin with
LINKS = '<link rel="manifest" href="manifest.webmanifest"><link rel="icon" href="icon.svg">'
LICENCES = "LICENSES.txt"
LONE_BUILD = "compat"  # of LiteRT, which runs in every browser


def all_styles():
    """Return the names of the styles that a page has unless others are named."""
    return [*zoo.styles(), "any"]


def fingerprint(styles):
    """Return a name for the page with some styles, another one when anything in it changes."""
    found = [style_for(style) for style in styles]
    inside = [zoo.ANY, *sorted(BUILT.iterdir()), *(each.path for each in found)]
    named = [Path(style) for style in styles if Path(style).is_file()]
    names = " ".join([__version__, *styles])
    return _version([names.encode(), *map(Path.read_bytes, [*inside, *named])])


def publish_page(styles, output, config=None, *, photographs=()):
    """Write the page with some styles in it.

    Args:
        styles: Names of styles that ship with the package, "any" for a place to drop any painting,
            or paths of `.keras` files or of paintings.
        output: A folder, for any static host; or a file, `.html`, which opens by a double click and
            never connects.
        config: `ExportConfig` of format "web".
        photographs: Photographs to compare on, see `tfstyle.export.parity.verify`.

    Returns:
        A list of `Report`: how each network in the page compares with Keras.

    Raises:
        ParityError: If one differs from itself by more than its format should. Nothing is written.
        ValueError: If there is no such style, or the config names one.
        OSError: If the page cannot be written.
    """
    output, alone = Path(output), Path(output).suffix == ".html"
    config = config or ExportConfig(format="web")
    if config.style is not None or config.all_styles:
        raise ValueError(
            "A page has the styles that are named: neither `style` nor `all_styles` goes with it."
        )
    (check_writable if alone else check_folder_writable)(output)
    catalog, contents, reports = _painters(tuple(styles), config, tuple(photographs))
    contents = contents | _built(alone)
    page = contents.pop("index.html").decode()
    catalog = catalog | {"version": _version([page.encode(), *contents.values()])}
    if alone:
        icon = base64.b64encode(contents.pop("icon.svg")).decode()
        links = f'<link rel="icon" href="data:image/svg+xml;base64,{icon}">'
        page = page.replace("connect-src 'self'", "connect-src 'none'")
        write(output, _filled(page, links, catalog, contents))
        return reports
    contents["files.json"] = json.dumps(sorted(contents)).encode()
    _write_folder(output, _filled(page, LINKS, catalog), contents)
    return reports


def publish_app(styles, folder):
    """Write the page for `tfstyle.export.app`, but for its networks: `model_writer` has each made
    when it is asked for, so that nobody waits for all.

    Args:
        styles: As for `publish_page`.
        folder: The folder to write.
    """
    catalog, contents, _ = _parts(tuple(styles), ExportConfig(format="web"))
    contents = contents | _built(alone=False)
    page = contents.pop("index.html").decode()
    catalog = catalog | {"app": True, "version": fingerprint(styles)}
    _write_folder(Path(folder), _filled(page, LINKS, catalog), contents)


def model_writer(styles, folder):
    """Return a function that writes a network of a page that `publish_app` wrote, by what the page
    calls it, such as "models/wave.tflite". It isn't compared with Keras.

    Args:
        styles: Those that the page has.
        folder: The page's.
    """
    networks = functools.cache(lambda: _parts(tuple(styles), ExportConfig(format="web"))[2])

    def write_model(file):
        from tfstyle.export.litert import encoder_path, write_litert

        for name, (network, config) in networks().items():
            if file in (name, f"models/{encoder_path(Path(name)).name}"):
                (Path(folder) / "models").mkdir(exist_ok=True)
                write_litert(network, Path(folder) / name, config)

    return write_model


def _painters(styles, config, photographs):
    """Return the catalog of networks and styles, the files that they are, and reports."""
    from tfstyle.export.litert import encoder_path, write_litert
    from tfstyle.export.parity import verify

    catalog, contents, networks = _parts(styles, config)
    reports = []
    for file, (network, its_config) in networks.items():

        def check(path, file=file, network=network):
            report = dataclasses.replace(verify(path, network, photographs), export=file)
            if not report.passed:
                raise ParityError(report)
            reports.append(report)

        with tempfile.TemporaryDirectory() as folder:
            path = write_litert(network, Path(folder) / Path(file).name, its_config, check=check)
            for each in (path, encoder_path(path)):
                if each.exists():
                    contents[f"models/{each.name}"] = each.read_bytes()
    return catalog, contents, reports


def _parts(styles, config):
    """Return the catalog of networks and styles, the pictures to begin with, and
    `{file: (network, its config)}`."""
    from tfstyle.export.frozen import labels, style_input
    from tfstyle.export.litert import encoder_path
    from tfstyle.export.moments import moments_size

    catalog: dict[str, Any] = {"models": [], "styles": [], "app": False}
    catalog |= {"photograph": PHOTOGRAPH, "painting": None}
    contents, networks = {PHOTOGRAPH: (PICTURES / PHOTOGRAPH).read_bytes()}, {}
    for name, (network, chosen) in _networks(styles).items():
        file = f"models/{name}.tflite"
        several = len(chosen) > 1
        its_config = dataclasses.replace(
            config, all_styles=several, style=None if several else chosen[0]
        )
        networks[file] = network, its_config
        kind = style_input(network)
        takes = "code" if kind == "painting" else kind if several else None
        model = {
            "file": file,
            "encoder": f"models/{encoder_path(Path(file)).name}" if takes == "code" else None,
            "takes": takes,
            "points": network.num_styles if takes else 0,
            "multiple": network.multiple,
            "reach": network.reach,
            "moments": moments_size(network),
        }
        catalog["models"].append(model)
        if takes == "code":
            catalog["painting"] = PAINTING
            contents[PAINTING] = (PICTURES / PAINTING).read_bytes()
        else:
            catalog["styles"] += [
                _style(label, model) for label in labels(network) if label["name"] in chosen
            ]
    return catalog, contents, networks


def _networks(styles):
    """Return `{name: (network, names of its styles)}`: styles of one network stay together."""
    from tfstyle.export.frozen import labels
    from tfstyle.export.publishing import file_name

    networks = {}
    for style in styles:
        found = style_for(style)
        if isinstance(found, Paintings):
            name = file_name(Path(style).stem)
            network = found.network(name)
            names = [name]
        else:
            network, name = zoo.load(found.path), file_name(found.path.stem)
            whole = str(style) not in zoo.styles()  # a file stands for all its styles
            names = [label["name"] for label in labels(network)] if whole else [found.name]
        _, before = networks.get(name, (network, []))
        networks[name] = network, [*before, *(each for each in names if each not in before)]
    return networks


def _style(label, model):
    """Return what the page is told of a style."""
    count = model["points"]
    words = label["name"].replace("_", " ").split()
    numeral = re.compile("[ivx]+")  # as in Composition VII
    title = " ".join(w.upper() if numeral.fullmatch(w) else w.capitalize() for w in words)
    return {
        "title": title,
        "about": label.get("about", ""),
        "model": model["file"],
        "point": [float(index == label["index"]) for index in range(count)],
        "face": label.get("thumbnail"),
    }


def _built(alone):
    """Return the page's own files as they ship, `{name: bytes}`."""
    contents = {
        path.name: path.read_bytes()
        for path in sorted(BUILT.iterdir())
        if path.suffix != ".xz" and not (alone and path.name in ("sw.js", "manifest.webmanifest"))
    }
    with lzma.open(BUILT / "litert.tar.xz") as packed, tarfile.open(fileobj=packed) as archive:
        for entry in archive:
            if not alone or Path(entry.name).stem == LONE_BUILD:
                contents[entry.name] = archive.extractfile(entry).read()  # type: ignore[union-attr]
    return contents


def _write_folder(folder, page, contents):
    """Write a page and its files, the page last."""
    for name, data in contents.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        write(folder / name, data)
    write(folder / "index.html", page)


def _filled(page, links, catalog, contents=()):
    """Return the page with what it is told, and what it must not look for elsewhere, in it."""
    told = json.dumps(catalog, ensure_ascii=False).replace("<", "\\u003c")
    parts = [f'<script type="application/json" id="catalog">{told}</script>']
    for name in contents:
        if name == LICENCES:
            told = contents[name].decode().replace("<", "&lt;")
            parts.append(f'<script type="text/plain" id="{name}">\n{told}</script>')
            continue
        packed = base64.b64encode(gzip.compress(contents[name], mtime=0)).decode()
        parts.append(f'<script type="text/plain" id="asset:{name}">{packed}</script>')
    return page.replace("<!-- links -->", links).replace("<!-- assets -->", "\n".join(parts))


def _version(contents):
    """Return what changes with any of the files."""
    return hashlib.sha256(b"".join(hashlib.sha256(x).digest() for x in contents)).hexdigest()[:16]
