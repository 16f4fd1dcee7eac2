"""`tfstyle-train`: train a network that paints in the style of a painting."""

import dataclasses
import sys
from dataclasses import dataclass
from pathlib import Path

from tfstyle.cli import flags
from tfstyle.cli.photos import lines_on
from tfstyle.cli.quiet import load_tensorflow
from tfstyle.config import TRAININGS, training_with

SHOWN = 20  # photographs that could not be used


@dataclass(frozen=True, kw_only=True)
class Train:
    """Train a network that paints in the style of a painting, in one pass. The same command goes
    on with an interrupted run."""

    style: tuple[Path, ...]
    """The painting; or several, for a network of several styles; with --config any a folder or .zip
    of paintings, for a network of any style."""
    content: str
    """Photographs: a folder, a .zip (read in place), TFRecord files, or coco/2017."""
    output: Path
    """Network to write, .keras. Checkpoint and sheet lie beside it, in a folder OUTPUT.training."""
    config: str = "default"
    """Preset whose values the flags below start from: default, any, johnson or
    stylefusion."""
    about: tuple[str, ...] = ()
    """For each painting a line on painter, work and licence, kept in the network."""
    init: Path | None = None
    """Network to start from; "any": what the network of any style that ships makes of the
    painting."""
    validation: str | None = None
    """Photographs for the sheet of examples; where none are named, the first of `content`."""
    devices: int | None = None
    """Number of GPUs to share batches among."""
    checkpoint_minutes: float = 5.0
    """Time between checkpoints."""
    log_dir: Path | None = None
    """Folder for TensorBoard."""
    settings: flags.given(of_the_default_training=TRAININGS["default"])


def parse(arguments):
    """Return `Train` from `arguments`, with the whole `TrainConfig` in its `settings`."""
    options = flags.parse(Train, "tfstyle-train", arguments)
    config = flags.filled(training_with(options.config), options.settings, "A training")
    return dataclasses.replace(options, settings=config)


def run(arguments):
    """Train as `arguments` say; return the exit code."""
    options = parse(arguments)
    load_tensorflow()
    from tfstyle.optimize.callbacks import StopOnInterrupt
    from tfstyle.training.data import Photos
    from tfstyle.training.feed_forward import train

    interrupt, photos = StopOnInterrupt(), Photos(options.content)
    network = train(
        list(options.style),
        photos,
        options.output,
        options.settings,
        about=options.about,
        init=options.init,
        validation=options.validation,
        devices=options.devices,
        checkpoint_minutes=options.checkpoint_minutes,
        log_dir=options.log_dir,
        callbacks=[interrupt],
    )
    training = network.card["training"]
    for line in lines_on(options.content, photos.passed_over):
        print(line, file=sys.stderr)
    if photos.bad:
        count = f"{len(photos.bad)} of {len(photos)}"
        print(f"{count} photographs could not be used:", file=sys.stderr)
        for name, reason in sorted(photos.bad.items())[:SHOWN]:
            print(f"  {name}: {reason}", file=sys.stderr)
        if len(photos.bad) > SHOWN:
            print(f"  and {len(photos.bad) - SHOWN} more", file=sys.stderr)
    if training["steps_done"] < training["steps"]:
        print(
            f"stopped at step {training['steps_done']} of {training['steps']}; "
            "the same command goes on from there",
            file=sys.stderr,
        )
        return interrupt.exit_code
    print(options.output)
    return 0
