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
from tfstyle.pictures import check_output_path, fitted, read_image, save_or_rescue
from tfstyle.pictures.files import check_writable


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
    flags.check_quality(options.quality)
    inputs = (options.content, *options.style, options.start_from)
    check_output_path(options.output, inputs=inputs)
    check_writable(options.output.with_suffix(".json"))
    if options.animation is not None:
        check_output_path(options.animation, (".gif", ".mp4"), inputs=(*inputs, options.output))
    content, start_from = (
        path and read_image(path) for path in (options.content, options.start_from)
    )
    size = fitted(content.rgb.shape, options.settings.size)
    check_output_path(options.output, size=size)
    style = [read_image(path) for path in options.style]
    load_tensorflow()
    from tfstyle.optimize import callbacks

    interrupt, record = callbacks.StopOnInterrupt(), callbacks.Record()
    watchers = [interrupt, record, callbacks.Progress()]
    if options.preview:
        watchers.append(callbacks.Preview(options.output, options.preview))
    animation = options.animation and callbacks.Animation(options.animation)
    if animation:
        watchers.append(animation)
    picture = stylize(
        content,
        style,
        options.settings,
        style_weights=options.style_weights or None,
        start_from=start_from,
        seed=options.seed,
        callbacks=watchers,
    )
    save_or_rescue(picture, options.output, quality=options.quality)
    print(options.output, flush=True)
    record.record |= {
        "content": str(options.content),
        "style": [str(path) for path in options.style],
        "style_weights": options.style_weights,
        "start_from": options.start_from and str(options.start_from),
        "seed": options.seed,
        "interrupted": interrupt.interrupted,
    }
    record.save(options.output.with_suffix(".json"))
    if interrupt.interrupted:
        print("stopped early; this is the picture so far", file=sys.stderr)
        return 130
    return 1 if animation and animation.error else 0
