"""`tfstyle stylize` in one pass: one photograph or many, in a trained style or a painting's."""

import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from tfstyle.cli import flags, photos
from tfstyle.cli.quiet import load_tensorflow
from tfstyle.config import PaintConfig
from tfstyle.painting import zoo
from tfstyle.painting.doors import paint_photos
from tfstyle.painting.instant import Paintings
from tfstyle.pictures import check_size, fitted, read_image, read_size, save_or_rescue


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


@dataclass(frozen=True, kw_only=True)
class Instant:
    """Paint photographs in the style of any painting, in one pass."""

    content: tyro.conf.Positional[Path]
    """The photograph; of a folder, all in it."""
    style: tyro.conf.Positional[tuple[Path, ...]]
    """The painting, or several."""
    output: Annotated[Path, tyro.conf.arg(aliases=("-o",))]
    """Picture to write, for one photograph; or a folder, made if it does not exist, where each
    keeps its name."""
    recipe: Literal["instant"] = "instant"
    """What a folder gets unless another recipe is named."""
    style_weights: tuple[float, ...] = ()
    """A weight for each painting."""
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
    return _paint(options, options.content, zoo.require(options.style, "style"), ())


def wants_instant(arguments):
    """Tell whether `arguments` name the recipe "instant", or a folder and no recipe."""
    recipe = flags.value("--recipe", arguments, None)
    return recipe == "instant" or (
        recipe is None and bool(arguments) and Path(arguments[0]).is_dir()
    )


def run_instant(arguments):
    """Paint with the network of any style; return the exit code as `run` does."""
    options = flags.parse(Instant, "tfstyle stylize", arguments, PaintConfig())
    return _paint(options, (options.content,), Paintings(options.style), options.style)


def _paint(options, content, style, paintings):
    flags.check_quality(options.quality)
    jobs, many, passed_over = photos.with_outputs(content, options.output, paintings)
    if not many:  # what is wrong is reported before the network is loaded
        _read(*jobs[0], options.settings.size)
    load_tensorflow()
    from tfstyle.painting.sizes import TOGETHER

    if options.style_weights:
        style.point(zoo.load(style.path), options.style_weights)
    done, left_out, begun = 0, [], time.monotonic()
    for batch in _batches(sorted(jobs, key=_size), options.settings.size, TOGETHER, left_out):
        pictures = paint_photos(
            [picture for _, picture in batch],
            style,
            options.settings,
            style_weights=options.style_weights or None,
        )
        for (output, _), picture in zip(batch, pictures, strict=True):
            save_or_rescue(picture, output, quality=options.quality)
            print(output, flush=True)
        done += len(batch)
        if many and sys.stderr.isatty():
            seen = done + len(left_out)
            left = (time.monotonic() - begun) / done * (len(jobs) - seen)
            print(f"{seen}/{len(jobs)}  {left:.0f} s left", end="\r", file=sys.stderr)
    return photos.exit_code(len(left_out), len(jobs), passed_over)


def parse(arguments):
    """Return `Paint` from `arguments`; the style may stand without its flag."""
    return flags.parse(Paint, "tfstyle stylize", with_style_flag(arguments), PaintConfig())


def _size(job):
    """Return what sorts photographs of one size together; those that cannot be opened go first."""
    try:
        return read_size(job[0])
    except (ValueError, OSError):  # reading it all will tell
        return 0, 0


def _read(photo, output, size):
    """Read a photograph whose painting, of a long side of `size` pixels, fits its file."""
    picture = read_image(photo)
    check_size(fitted(picture.rgb.shape, size), output.suffix)
    return picture


def _batches(jobs, size, most, left_out):
    """Read photographs, and give lists of (output, picture) of one size to paint together.

    A list has `most` pixels, or one photograph. What cannot be read, or would be too large for its
    file, is told, and goes into the list `left_out`.
    """
    batch = []
    for photo, output in jobs:
        try:
            picture = _read(photo, output, size)
        except (ValueError, OSError) as error:
            left_out.append(photo)
            photos.leave_out(photo, error)
            continue
        pixels = (len(batch) + 1) * picture.rgb[..., 0].size
        if batch and (batch[0][1].rgb.shape != picture.rgb.shape or pixels > most):
            yield batch
            batch = []
        batch.append((output, picture))
    if batch:
        yield batch
