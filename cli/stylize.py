"""`tfstyle stylize`: paint photographs, in one of four ways that the words and flags tell."""

import dataclasses
import functools
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, NamedTuple, TypedDict

import tyro

from tfstyle.cli import flags, hub, output, paint
from tfstyle.cli.quiet import load_tensorflow
from tfstyle.config import RECIPES, HubConfig, PaintConfig, recipe_with
from tfstyle.painting import zoo
from tfstyle.painting.doors import stylize
from tfstyle.painting.instant import Paintings, network_of_any
from tfstyle.pictures import SAVE_SUFFIXES, check_output_path, fitted, read_image
from tfstyle.pictures.files import check_record

INSTANT = "instant"
WAYS = {
    "by_a_recipe": RECIPES["default"],
    "in_one_pass": PaintConfig(),
    "with_a_model": HubConfig(),
}


class Run(TypedDict, total=False):
    """For painting by a recipe, step by step."""

    start_from: Path
    """Picture to start from."""
    seed: int
    """Seed of the noise that a recipe starts from."""
    preview: int
    """Write the picture so far to the output every this many steps."""
    animation: Path
    """Film of the run to write, .gif or .mp4."""


@dataclass(frozen=True, kw_only=True)
class Stylize:
    """Paint a photograph in the style of a painting, by a recipe; or photographs in one pass: in a
    trained style, with --recipe instant in that of any painting, or with a SavedModel."""

    pictures: Annotated[
        tyro.conf.Positional[tuple[str, ...]], tyro.conf.arg(metavar="PHOTO [PAINTING ...]")
    ]
    """The photograph, and the painting or several; and, to paint at once, a network of any style,
    .keras. Or photographs and folders with some, and among them the name of a trained style
    (`tfstyle styles` lists them) or a network, .keras."""
    output: Annotated[Path, tyro.conf.arg(aliases=("-o",))]
    """Picture to write; the suffix says which format; "-": stdout, as PNG. For several photographs
    a folder, made if it does not exist, where each keeps its name. By a recipe, a record of
    settings and losses is written beside the picture, as .json."""
    style: str | None = None
    """Trained style, or path of a network, .keras; all pictures are then photographs."""
    model: str | None = None
    """SavedModel to paint with: address on TensorFlow Hub, such as Magenta's, or folder, such as
    one that `tfstyle export` wrote."""
    recipe: str | None = None
    """Preset whose values the flags below start from; `tfstyle recipes` lists them. "instant": at
    once, by the network of any style, which is what a folder gets unless another is named; or the
    path of such a network of your own, .keras."""
    style_weights: tuple[float, ...] = ()
    """A weight for each painting, or for each style of a network of several."""
    quality: int = 95
    """Quality of a JPEG or WebP, 1 to 100."""
    masks: tuple[Path, ...] = ()
    """For each style a picture: white where it is painted, black where the photograph, or another
    style, is to be seen. For one photograph."""
    style_masks: tuple[Path, ...] = ()
    """For each painting a picture: white where its style is taken from."""
    run: Run
    settings: flags.given(**WAYS)


class Job(NamedTuple):
    """What is to be done: `run` is called with the rest."""

    run: Callable
    options: Stylize
    content: Path | list[Path]
    style: Any
    config: Any


def parse(arguments):
    """Return the `Job` that `arguments` describe."""
    options = flags.parse(Stylize, "tfstyle stylize", arguments, words="pictures")
    words, style = flags.trained_style(options.pictures, options.style)
    if not words:
        raise ValueError(
            "`content` must name a photograph, or a folder with some. "
            f"Received: {' '.join(options.pictures) or 'nothing'}."
        )
    photo, *paintings = paths = [Path(word) for word in words]
    given = options.run | options.settings
    if options.model is not None:
        if style is not None or options.recipe is not None:
            raise ValueError("`model` takes no recipe and no trained style: leave one out.")
        config = flags.filled(HubConfig(), given, "Painting with a model", WAYS)
        return Job(hub.run, options, photo, paintings, config)
    if style is not None:
        if options.recipe not in (None, INSTANT):
            raise ValueError(
                f"The trained style {style!r} paints in one pass, by no recipe. "
                f"Received: recipe={options.recipe!r}."
            )
        found = zoo.require(style, "style")
        way = f"Painting in the trained style {style!r}"
        config = flags.filled(PaintConfig(), given, way, WAYS)
        if zoo.paints_any(found.path):
            if options.style is not None or not paintings:
                raise found.lacks_painting()
            return _with_any(options, photo, paintings, found.path, given)
        if len(words) > 1 and Path(options.output).suffix.lower() in SAVE_SUFFIXES:
            raise ValueError(
                f"Where the style is a trained one, {style!r}, all pictures are photographs, and "
                f"several need a folder as `output`. Received: {', '.join(words)} and "
                f"'{options.output}'. Paintings are blended with each other, not with it."
            )
        return Job(paint.run, options, paths, found, config)
    if not paintings:
        raise ValueError(
            f"`style` must be a painting, or a trained style of {tuple(zoo.styles())}. "
            f"Received: the photograph '{photo}' alone."
        )
    if options.recipe is None and photo.is_dir():
        options = dataclasses.replace(options, recipe=INSTANT)
    if any_style := network_of_any(options.recipe):
        return _with_any(options, photo, paintings, any_style, given)
    if photo.is_dir():
        raise ValueError(
            "By a recipe one photograph is painted at a time. "
            f"Received: '{photo}', a folder. Leave the recipe out, or take 'instant'."
        )
    name = options.recipe or "default"
    way = f"Painting by the recipe {name!r}"
    recipe = flags.filled(recipe_with(name), options.settings, way, WAYS)
    return Job(_optimize, options, photo, paintings, recipe)


def _with_any(options, photo, paintings, network, given):
    """Return the `Job` of painting in one pass, with a network of any style."""
    config = flags.filled(PaintConfig(), given, "Painting in one pass", WAYS)
    options = dataclasses.replace(options, recipe=str(network))
    run = functools.partial(paint.run, paintings=paintings)
    return Job(run, options, [photo], Paintings(paintings, network), config)


def run(arguments):
    """Paint as `arguments` say; return the exit code."""
    job = parse(arguments)
    if job.options.style_masks and (job.run is not _optimize or not job.options.masks):
        raise ValueError("`style_masks` go with `masks`, and with painting by a recipe.")
    return job.run(job.options, job.content, job.style, job.config)


def _optimize(options, content, paintings, recipe):
    start_from, path = options.run.get("start_from"), options.run.get("animation")
    flags.check_quality(options.quality)
    inputs = (content, *paintings, *options.masks, *options.style_masks, start_from)
    record_path = None if options.output == output.STDOUT else options.output.with_suffix(".json")
    output.check(options.output, inputs=inputs)
    preview = options.run.get("preview")
    if preview is not None and preview < 1:
        raise ValueError(f"`preview` must be at least 1. Received: preview={preview}.")
    if record_path:
        check_record(record_path, {"recipe", "scales"})
    elif preview:
        raise ValueError("A `preview` needs a file to go to. Received: `-o -`.")
    if path is not None:
        check_output_path(path, (".gif", ".mp4"), inputs=(*inputs, options.output))
    photo, begin = (path and read_image(path) for path in (content, start_from))
    output.check(options.output, size=fitted(photo.rgb.shape, recipe.size))
    style = [read_image(path) for path in paintings]
    load_tensorflow()
    from tfstyle.optimize import callbacks

    interrupt, record = callbacks.StopOnInterrupt(), callbacks.Record()
    watchers = [interrupt, record, callbacks.Progress()]
    if preview:
        watchers.append(callbacks.Preview(options.output, preview))
    animation = path and callbacks.Animation(path)
    if animation:
        watchers.append(animation)
    seed = options.run.get("seed", 0)
    with interrupt:  # until the picture is written
        picture = stylize(
            photo,
            style,
            recipe,
            style_weights=options.style_weights or None,
            masks=options.masks or None,
            style_masks=options.style_masks or None,
            start_from=begin,
            seed=seed,
            callbacks=watchers,
        )
        output.deliver(picture, options.output, options.quality)
    record.record |= {
        "recipe": json.loads(recipe.to_json()),  # of a run that found no weights, too
        "content": str(content),
        "style": [str(path) for path in paintings],
        "style_weights": options.style_weights,
        "start_from": start_from and str(start_from),
        "seed": seed,
        "interrupted": interrupt.interrupted,
    }
    if record_path:
        record.save(record_path)
    if interrupt.interrupted:
        print("stopped early; this is the picture so far", file=sys.stderr)
        return interrupt.exit_code
    if animation and not record.record["scales"]:
        print(f"there is no animation '{path}' of a picture painted in one pass", file=sys.stderr)
        return 1
    return 1 if animation and animation.error else 0
