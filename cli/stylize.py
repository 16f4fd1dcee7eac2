"""`tfstyle stylize`: paint a photograph in the style of a painting."""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from tfstyle.cli import flags, hub, paint
from tfstyle.cli.quiet import load_tensorflow
from tfstyle.config import Recipe, recipe_with
from tfstyle.painting.doors import stylize
from tfstyle.pictures import check_output_path, read_image, save_image


@dataclass(frozen=True, kw_only=True)
class Stylize:
    """Paint a photograph in the style of a painting."""

    content: tyro.conf.Positional[Path]
    """The photograph."""
    style: tyro.conf.Positional[tuple[Path, ...]]
    """The painting, or several."""
    output: Annotated[Path, tyro.conf.arg(aliases=("-o",))]
    """Picture to write; the suffix says which format. A record of settings and losses is
    written beside it, as .json."""
    recipe: str = "default"
    """Preset whose values the flags below start from; `tfstyle recipes` lists them. "instant": at
    once, by the network of any style; its flags are those of a trained style."""
    style_weights: tuple[float, ...] = ()
    """A weight for each painting."""
    start_from: Path | None = None
    """Picture to start from."""
    seed: int = 0
    """Seed of the noise that a recipe starts from."""
    quality: int = 95
    """Quality of a JPEG or WebP, 1 to 100."""
    preview: int = 0
    """Write the picture so far to the output every this many steps; 0: never."""
    animation: Path | None = None
    """Film of the run to write, .gif or .mp4."""
    settings: Recipe
    """Fields of the recipe."""


def parse(arguments):
    """Return `Stylize` from `arguments`; the recipe named there gives the fields' defaults."""
    recipe = recipe_with(flags.value("--recipe", arguments, "default"))
    return flags.parse(Stylize, "tfstyle stylize", arguments, recipe)


def run(arguments):
    """Paint as `arguments` say, with a SavedModel or a trained style where they name one; return
    the exit code."""
    if flags.value("--model", arguments, None) is not None:
        return hub.run(arguments)
    if paint.trained_style(arguments) is not None:
        return paint.run(arguments)
    if paint.wants_instant(arguments):
        return paint.run_instant(arguments)
    options = parse(arguments)
    check_output_path(options.output)
    if options.animation is not None:
        check_output_path(options.animation, (".gif", ".mp4"))
    flags.check_quality(options.quality)
    content, start_from = (
        path and read_image(path) for path in (options.content, options.start_from)
    )
    style = [read_image(path) for path in options.style]
    load_tensorflow()
    from tfstyle.optimize import callbacks

    interrupt, record = callbacks.StopOnInterrupt(), callbacks.Record()
    watchers = [interrupt, record, callbacks.Progress()]
    if options.preview:
        watchers.append(callbacks.Preview(options.output, options.preview))
    if options.animation is not None:
        watchers.append(callbacks.Animation(options.animation))
    picture = stylize(
        content,
        style,
        options.settings,
        style_weights=options.style_weights or None,
        start_from=start_from,
        seed=options.seed,
        callbacks=watchers,
    )
    save_image(picture, options.output, quality=options.quality)
    record.record |= {
        "content": str(options.content),
        "style": [str(path) for path in options.style],
        "style_weights": options.style_weights,
        "start_from": options.start_from and str(options.start_from),
        "seed": options.seed,
        "interrupted": interrupt.interrupted,
    }
    record.save(options.output.with_suffix(".json"))
    print(options.output)
    if interrupt.interrupted:
        print("stopped early; this is the picture so far", file=sys.stderr)
        return 130
    return 0
