"""`tfstyle stylize` with a trained style: one photograph or many."""

import sys
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from tfstyle import zoo
from tfstyle.cli import flags
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
    """Return the place of the argument that is a trained style or the flag of one, or None."""
    for place, argument in enumerate(arguments):
        if argument.split("=")[0] == "--style":
            return place
    for place, (before, argument) in enumerate(zip(["", *arguments], arguments, strict=False)):
        if not before.startswith("-") and (argument.endswith(".keras") or argument in zoo.styles()):
            return place
    return None


def with_style_flag(arguments):
    """Return arguments in which the trained style, if there is one, stands behind its flag."""
    place = trained_style(arguments)
    if place is None or arguments[place].startswith("--style"):
        return arguments
    return [*arguments[:place], *arguments[place + 1 :], "--style", arguments[place]]


def run(arguments):
    """Paint as `arguments` say; return the exit code: 1 if some photographs were left out."""
    options = parse(arguments)
    style = zoo.require(options.style, "style")
    flags.check_quality(options.quality)
    photos = list(_photos(options.content))
    if not photos:
        raise ValueError(
            "`content` must name a photograph, or a folder with some. "
            f"Received: {' '.join(map(str, options.content)) or 'nothing'}."
        )
    to_folder = not options.output.suffix or options.output.is_dir()
    many = len(photos) > 1 or options.content[0].is_dir() or to_folder
    outputs = [options.output]
    if many:
        outputs = [options.output / name for name in _names(photos)]
        if {output.resolve() for output in outputs} & {photo.resolve() for photo in photos}:
            raise ValueError(
                "`output` must be another folder than that of the photographs, which would be "
                f"overwritten. Received: '{options.output}'."
            )
        options.output.mkdir(parents=True, exist_ok=True)
    else:
        check_output_path(options.output)
        read_image(photos[0])  # a bad file is reported before the network is loaded
    load_tensorflow()
    if options.style_weights:
        from tfstyle.painting import checked_weights

        checked_weights(zoo.load(style.path), options.style_weights)
    failed, begun = 0, time.monotonic()
    for done, (photo, output) in enumerate(zip(photos, outputs, strict=True), 1):
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
    return flags.parse(Paint, "tfstyle stylize", with_style_flag(arguments), PaintConfig())


def _photos(paths):
    for path in paths:
        if path.is_dir():
            yield from sorted(
                file for file in path.rglob("*") if file.suffix.lower() in SAVE_SUFFIXES
            )
        else:
            yield path


def _names(photos):
    """Return a name for each photograph: its own, with its folder or a number where taken."""
    same, names = Counter(photo.name for photo in photos), {}
    for photo in photos:
        name = photo.name
        if same[name] > 1:
            name = f"{photo.resolve().parent.name}_{name}"
        if photo.suffix.lower() not in SAVE_SUFFIXES:
            name += ".png"
        free, number = name, 1
        while free in names:
            number += 1
            free = f"{Path(name).stem}_{number}{Path(name).suffix}"
        names[free] = photo
    return list(names)
