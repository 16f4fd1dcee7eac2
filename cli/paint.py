"""`tfstyle stylize` with a trained style: one photograph or many."""

import sys
import time
import warnings
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro
from PIL import ExifTags, Image

from tfstyle import zoo
from tfstyle.cli import flags
from tfstyle.cli.quiet import load_tensorflow
from tfstyle.config import PaintConfig
from tfstyle.images import SAVE_SUFFIXES, check_output_path, read_image, save_image
from tfstyle.transfer import paint_photos

TOGETHER = 1_000_000  # pixels that are painted at once at most, unless a photograph has more


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
    done, left_out, begun = 0, [], time.monotonic()
    for batch in _batches(sorted(zip(photos, outputs, strict=True), key=_size), left_out):
        pictures = paint_photos(
            [picture for _, picture in batch],
            style,
            options.settings,
            style_weights=options.style_weights or None,
        )
        for (output, _), picture in zip(batch, pictures, strict=True):
            save_image(picture, output, quality=options.quality)
            print(output, flush=True)
        done += len(batch)
        if many and sys.stderr.isatty():
            seen = done + len(left_out)
            left = (time.monotonic() - begun) / done * (len(photos) - seen)
            print(f"{seen}/{len(photos)}  {left:.0f} s left", end="\r", file=sys.stderr)
    if left_out:
        print(f"{len(left_out)} of {len(photos)} photographs were left out", file=sys.stderr)
    return 1 if left_out else 0


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


def _size(job):
    """Return what sorts photographs of one size together; those that cannot be opened go first."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(job[0]) as image:
                return image.size, image.getexif().get(ExifTags.Base.Orientation, 1)
    except Exception:  # Pillow's parsers raise anything, and reading it all tells what is wrong
        return (0, 0), 1


def _batches(jobs, left_out):
    """Read photographs, and give lists of (output, picture) of one size to paint together.

    What cannot be read is told, and goes into the list `left_out`.
    """
    batch = []
    for photo, output in jobs:
        try:
            picture = read_image(photo)
        except (ValueError, OSError) as error:
            left_out.append(photo)
            print(f"{photo}: {' '.join(str(error).split())}", file=sys.stderr)
            continue
        pixels = (len(batch) + 1) * picture.rgb[..., 0].size
        if batch and (batch[0][1].rgb.shape != picture.rgb.shape or pixels > TOGETHER):
            yield batch
            batch = []
        batch.append((output, picture))
    if batch:
        yield batch


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
