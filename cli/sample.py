"""`tfstyle sample`: make pictures with a network of the lesson `digits`, or a walk between them."""

import itertools
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from tfstyle.cli import flags
from tfstyle.cli import output as outputs
from tfstyle.cli.quiet import load_tensorflow
from tfstyle.pictures import encode_gif
from tfstyle.pictures.files import write

WALK = ".gif"
SHEET_COUNT, WALK_COUNT = 64, 16
FPS = 20


@dataclass(frozen=True, kw_only=True)
class Sample:
    """Make pictures with a network that `tfstyle-train --config digits` trained."""

    network: tyro.conf.Positional[Path]
    """The network, .keras. `tfstyle NETWORK.keras` does the same."""
    output: Annotated[Path | None, tyro.conf.arg(aliases=("-o",))] = None
    """A picture: a sheet of samples; a .gif: each sample on a walk from point to point. Default:
    <network>_samples.png in the current folder."""
    count: int | None = None
    """How many samples. Default: 64; of a walk 16."""
    seed: int = 0
    """Seed of the points; a training's sheets show those of its own seed, 0 unless told."""
    scale: int = 2
    """How many pixels a side each of a sample's becomes."""
    stops: int = 6
    """Points that each sample of a walk passes."""
    seconds: float = 9.0
    """Length of a walk, which ends where it begins."""


def run(arguments):
    """Sample as `arguments` say."""
    options = flags.read(Sample, "tfstyle sample", arguments)
    output = options.output or Path(f"{options.network.stem}_samples.png")
    outputs.check(output, inputs=[options.network])
    for field, least in (("count", 1), ("seed", 0), ("scale", 1), ("stops", 2)):
        value = getattr(options, field)
        if value is not None and value < least:
            raise ValueError(f"`{field}` must be at least {least}. Received: {field}={value}.")
    if not 0.1 <= options.seconds <= 600:
        raise ValueError(f"`seconds` must be 0.1 to 600. Received: seconds={options.seconds}.")
    load_tensorflow()
    from tfstyle.painting import samples

    sampler = samples.load_sampler(options.network)
    if output.suffix.lower() != WALK:
        points = samples.points(options.count or SHEET_COUNT, sampler.latent, options.seed)
        sheet = samples.sheet(samples.pictures_of(sampler, points), options.scale)
        return outputs.deliver(sheet, output)
    count = options.count or WALK_COUNT
    points = samples.points(options.stops * count, sampler.latent, options.seed)
    stops = points.reshape(options.stops, count, -1)
    frames = max(1, round(options.seconds * FPS / options.stops))
    sheets = (
        samples.sheet(samples.pictures_of(sampler, where), options.scale)
        for where in samples.walk(stops, frames)
    )
    write(output, encode_gif(sheets, itertools.repeat(1000 // FPS)))
    print(output)
