"""`tfstyle client`: paint photographs on a server of styles."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from tfstyle.cli import flags, photos
from tfstyle.cli.output import deliver
from tfstyle.pictures import SAVE_SUFFIXES, read_image

ANY = "any"  # the model of any style


@dataclass(frozen=True, kw_only=True)
class Client:
    """Paint photographs on TF Serving or `tfstyle serve`."""

    content: tyro.conf.Positional[tuple[Path, ...]]
    """The photographs; of a folder, all in it."""
    style: str
    """Name of the model on the server; or a painting, which the model `any` paints after."""
    output: Annotated[Path, tyro.conf.arg(aliases=("-o",))]
    """Picture to write, for one photograph; or a folder, made if it does not exist, where each
    keeps its name."""
    server: str = "localhost:8500"
    """HOST or HOST:PORT of gRPC; dns:///HOST:PORT takes turns among a host's addresses, and
    unix:PATH is a socket."""
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
    """Photographs on their way at once."""
    timeout: float = 60.0
    """Longest time for a photograph in seconds."""
    retries: int = 4
    """How often to try again while the server is unavailable."""
    ssl: bool = False
    """Speak TLS."""
    ssl_root: Path | None = None
    """Certificates to trust, PEM. Turns TLS on."""
    ssl_pair: tuple[Path, Path] | None = None
    """Own private key and its certificate, PEM, where the server asks for one. Turns TLS on."""
    token_file: Path | None = None
    """File with a bearer token to send; demands TLS."""


def is_painting(style):
    """Tell a painting's path from the name of a model."""
    return Path(style).suffix.lower() in SAVE_SUFFIXES or Path(style).is_file()


def run(arguments):
    """Paint as `arguments` say; return the exit code: 1 if some photographs were left out."""
    options = flags.read(Client, "tfstyle client", arguments)
    painting = Path(options.style) if is_painting(options.style) else None
    if options.style == ANY:
        raise ValueError(f"The model {ANY!r} paints after a painting. Give it: --style PAINTING.")
    paintings = () if painting is None else (painting,)
    jobs, many, passed_over = photos.with_outputs(options.content, options.output, paintings)
    if painting is not None:
        read_image(painting)  # what is wrong is reported before a server is asked
    token = options.token_file and options.token_file.read_text().strip()
    with flags.extra("serving"):
        from tfstyle.serving.client import StyleClient

    left_out = 0
    with StyleClient(
        options.server,
        signature=options.signature,
        timeout_s=options.timeout,
        retries=options.retries,
        ssl=options.ssl,
        ssl_root=options.ssl_root,
        ssl_pair=options.ssl_pair or (),
        token=token,
    ) as client:
        results = client.stylize_many(
            [photo for photo, _ in jobs],
            options.style if painting is None else ANY,
            painting=painting,
            workers=options.workers,
            errors="return" if many else "raise",
            version=options.version,
            label=options.label,
            size=options.size,
            style_weights=options.style_weights or None,
        )
        for (photo, output), result in zip(jobs, results, strict=True):
            if isinstance(result, Exception):
                left_out += 1
                photos.leave_out(photo, result)
                continue
            deliver(result, output)
    return photos.exit_code(left_out, len(jobs), passed_over)
