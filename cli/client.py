"""`tfstyle client`: paint photographs on a server of styles."""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from tfstyle.images import SAVE_SUFFIXES, check_output_path, save_image


@dataclass(frozen=True, kw_only=True)
class Client:
    """Paint a photograph, or a folder of them, on TF Serving or `tfstyle serve`."""

    photo: tyro.conf.Positional[Path]
    """The photograph, or a folder of photographs."""
    style: str
    """Name of the model on the server."""
    output: Annotated[Path, tyro.conf.arg(aliases=("-o",))]
    """Picture to write; for a folder, the folder to write PNG files in."""
    server: str = "localhost:8500"
    """HOST or HOST:PORT of gRPC."""
    version: int | None = None
    """Version of the model. Default: the newest."""
    label: str | None = None
    """Label of the version instead, such as stable."""
    size: int | None = None
    """Long side in pixels to reduce larger photographs to first."""
    style_weights: tuple[float, ...] = ()
    """A weight for each style of a model that was exported with several."""
    signature: Literal["stylize_bytes", "serving_default"] = "stylize_bytes"
    """stylize_bytes sends files; serving_default sends floats, which are larger but exact."""
    workers: int = 4
    """Photographs of a folder on their way at once."""
    timeout: float = 60.0
    """Longest time for a photograph in seconds."""
    retries: int = 4
    """How often to try again while the server is unavailable."""
    ssl: bool = False
    """Speak TLS."""
    ssl_root: Path | None = None
    """Certificates to trust, PEM. Turns TLS on."""
    token_file: Path | None = None
    """File with a bearer token to send; demands TLS."""


def run(arguments):
    """Paint as `arguments` say; return the exit code."""
    options = tyro.cli(Client, prog="tfstyle client", args=arguments)
    pairs = _pairs(options)
    token = options.token_file and options.token_file.read_text().strip()
    try:
        from tfstyle.serving.client import StyleClient
    except ModuleNotFoundError as error:
        raise ImportError(f"{error}. Install it with: pip install 'tfstyle[serving]'") from error

    failed = 0
    with StyleClient(
        options.server,
        signature=options.signature,
        timeout_s=options.timeout,
        retries=options.retries,
        ssl=options.ssl,
        ssl_root=options.ssl_root,
        token=token,
    ) as client:
        results = client.stylize_many(
            [source for source, _ in pairs],
            options.style,
            workers=options.workers,
            errors="return",
            version=options.version,
            label=options.label,
            size=options.size,
            style_weights=options.style_weights or None,
        )
        for (source, target), result in zip(pairs, results, strict=True):
            if isinstance(result, Exception):
                if not options.photo.is_dir():
                    raise result
                failed += 1
                text = " ".join(str(result).split())
                print(f"tfstyle client: '{source}' was left out: {text}", file=sys.stderr)
                continue
            target.parent.mkdir(exist_ok=True)
            save_image(result, target)
            print(target)
    return 2 if failed else 0


def _pairs(options):
    """Return what to read and where to write it."""
    if not options.photo.is_dir():
        check_output_path(options.output)
        return [(options.photo, options.output)]
    sources = [p for p in sorted(options.photo.iterdir()) if p.suffix.lower() in SAVE_SUFFIXES]
    if not sources:
        raise ValueError(f"The folder must hold pictures. Received: '{options.photo}'.")
    if options.output.is_file():
        raise ValueError(f"The output of a folder must be a folder. Received: '{options.output}'.")
    pairs = [(source, options.output / f"{source.stem}.png") for source in sources]
    names = [target.name for _, target in pairs]
    return [
        (s, t if names.count(t.name) == 1 else options.output / f"{s.name}.png") for s, t in pairs
    ]
