"""`tfstyle stylize` with a trained style: one photograph or many."""

import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from tfstyle import zoo
from tfstyle.cli.quiet import load_tensorflow
from tfstyle.config import PaintConfig
from tfstyle.images import SAVE_SUFFIXES, check_output_path, read_image, save_image
from tfstyle.transfer import paint_photo


@dataclass(frozen=True, kw_only=True)
class Paint:
    """Paint photographs with a trained style."""

    content: tyro.conf.Positional[tuple[Path, ...]]
    """The photographs; of a folder, all in it."""
    style: str
    """Name of a style (`tfstyle styles` lists them) or path of a network, .keras."""
    output: Annotated[Path, tyro.conf.arg(aliases=("-o",))]
    """Picture to write, for one photograph; or a folder, made if it does not exist, where each
    keeps its name."""
    style_weights: tuple[float, ...] = ()
    """A weight for each style of a network of several."""
    quality: int = 95
    """Quality of a JPEG or WebP, 1 to 100."""
    settings: PaintConfig
    """How to paint."""


def trained_style(arguments):
    """Return the argument that names a trained style, or None."""
    for before, argument in zip(["", *arguments], arguments, strict=False):
        if before == "--style":
            return argument
        if argument.startswith("--style="):
            return argument.removeprefix("--style=")
        if not before.startswith("-") and (argument.endswith(".keras") or argument in zoo.styles()):
            return argument
    return None


def run(arguments):
    """Paint as `arguments` say; return the exit code: 1 if some photographs were left out."""
    options = parse(arguments)
    style = zoo.find(options.style)
    if style is None:
        raise ValueError(
            f"`style` must be one of {tuple(zoo.styles())} or a .keras file. "
            f"Received: {options.style!r}."
        )
    if not 1 <= options.quality <= 100:
        raise ValueError(f"`quality` must be 1 to 100. Received: quality={options.quality}.")
    photos = list(_photos(options.content))
    many = len(photos) != 1 or options.content[0].is_dir() or not options.output.suffix
    if many:
        options.output.mkdir(parents=True, exist_ok=True)
    else:
        check_output_path(options.output)
        read_image(photos[0])  # a bad file is reported before the network is loaded
    load_tensorflow()
    failed, begun = 0, time.monotonic()
    for done, photo in enumerate(photos, 1):
        output = options.output / _name(photo, photos) if many else options.output
        try:
            picture = paint_photo(
                read_image(photo),
                style,
                options.settings,
                style_weights=options.style_weights or None,
            )
        except (ValueError, OSError) as error:
            if not many:
                raise
            failed += 1
            print(f"{photo}: {' '.join(str(error).split())}", file=sys.stderr)
            continue
        save_image(picture, output, quality=options.quality)
        print(output, flush=True)
        if many and sys.stderr.isatty():
            left = (time.monotonic() - begun) / done * (len(photos) - done)
            print(f"{done}/{len(photos)}  {left:.0f} s left", end="\r", file=sys.stderr)
    if failed:
        print(f"{failed} of {len(photos)} photographs were left out", file=sys.stderr)
    return 1 if failed else 0


def parse(arguments):
    """Return `Paint` from `arguments`; the style may stand without its flag."""
    name = trained_style(arguments)
    if not any(argument.split("=")[0] == "--style" for argument in arguments):
        place = arguments.index(name)
        arguments = [*arguments[:place], *arguments[place + 1 :], "--style", name]
    missing = tyro.MISSING
    return tyro.cli(
        Paint,
        default=Paint(content=missing, style=missing, output=missing, settings=PaintConfig()),
        prog="tfstyle stylize",
        args=arguments,
        config=(tyro.conf.OmitArgPrefixes,),
    )


def _photos(paths):
    for path in paths:
        if path.is_dir():
            yield from sorted(
                file for file in path.rglob("*") if file.suffix.lower() in SAVE_SUFFIXES
            )
        else:
            yield path


def _name(photo, photos):
    """Return the photograph's name, with its folder where another one bears the same name."""
    same = [other for other in photos if other.name == photo.name]
    name = photo.name if len(same) == 1 else f"{photo.parent.name}_{photo.name}"
    return name if photo.suffix.lower() in SAVE_SUFFIXES else f"{name}.png"
