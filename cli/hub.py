"""`tfstyle stylize` with a SavedModel: from TensorFlow Hub or a folder."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from tfstyle.cli import flags
from tfstyle.cli.quiet import load_tensorflow
from tfstyle.config import HubConfig
from tfstyle.painting.doors import stylize
from tfstyle.pictures import check_output_path, fitted, read_image, save_or_rescue


@dataclass(frozen=True, kw_only=True)
class Hub:
    """Paint a photograph with a SavedModel."""

    content: tyro.conf.Positional[Path]
    """The photograph."""
    style: tyro.conf.Positional[tuple[Path, ...]] = ()
    """The painting, for a SavedModel that takes one."""
    model: str
    """Address on TensorFlow Hub, such as Magenta's, or folder of a SavedModel, such as one that
    `tfstyle export` wrote."""
    output: Annotated[Path, tyro.conf.arg(aliases=("-o",))]
    """Picture to write; the suffix says which format."""
    style_weights: tuple[float, ...] = ()
    """A weight for each style of a SavedModel of several."""
    quality: int = 95
    """Quality of a JPEG or WebP, 1 to 100."""
    settings: HubConfig
    """How to paint."""


def run(arguments):
    """Paint as `arguments` say; return the exit code."""
    options = flags.parse(Hub, "tfstyle stylize", arguments, HubConfig())
    flags.check_quality(options.quality)
    check_output_path(options.output, inputs=(options.content, *options.style))
    content = read_image(options.content)
    check_output_path(options.output, size=fitted(content.rgb.shape, options.settings.size))
    style = [read_image(path) for path in options.style]
    load_tensorflow()
    picture = stylize(
        content,
        style or None,
        model=options.model,
        style_weights=options.style_weights or None,
        **vars(options.settings),
    )
    save_or_rescue(picture, options.output, quality=options.quality)
    print(options.output)
    return 0
