"""`tfstyle-train`: train a network that paints in the style of a painting."""

import dataclasses
import sys
from dataclasses import dataclass
from pathlib import Path

from tfstyle.cli import flags
from tfstyle.cli.photos import lines_on
from tfstyle.cli.quiet import load_tensorflow
from tfstyle.config import TRAININGS, DigitsConfig, training_with

DIGITS = "digits"
SHOWN = 20  # photographs that could not be used


@dataclass(frozen=True, kw_only=True)
class Train:
    """Train a network that paints in the style of a painting, in one pass. The same command goes
    on with an interrupted run."""

    style: tuple[Path, ...] = ()
    """The painting; or several, for a network of several styles; with --config any a folder or .zip
    of paintings, for a network of any style; with --config collection one of a painter's works."""
    content: str | None = None
    """Photographs: a folder, a .zip (read in place), TFRecord files, or coco/2017. With --config
    digits small pictures: mnist.npz, idx files, a folder; where none are named, Keras' download."""
    output: Path
    """Network to write, .keras. Checkpoint and sheet lie beside it, in a folder OUTPUT.training."""
    config: str = "default"
    """Preset whose values the flags below start from: default, lean, any, collection, johnson
    or stylefusion; or digits, a lesson: a network that makes digits of nothing but chance."""
    about: tuple[str, ...] = ()
    """For each painting a line on painter, work and licence, kept in the network."""
    validation: str | None = None
    """Photographs for the sheet of examples; where none are named, the first of `content`."""
    devices: int | None = None
    """Number of GPUs to share batches among."""
    checkpoint_minutes: float = 5.0
    """Time between checkpoints."""
    log_dir: Path | None = None
    """Folder for TensorBoard."""
    settings: flags.given(of_the_default_training=TRAININGS["default"], of_digits=DigitsConfig())


def parse(arguments):
    """Return `Train` from `arguments`, with the whole `TrainConfig`, or `DigitsConfig`, in its
    `settings`."""
    options = flags.parse(Train, "tfstyle-train", arguments)
    if options.config == DIGITS:
        fields = {field.name: field.default for field in dataclasses.fields(Train)}
        taken = ("output", "content", "config", "settings")
        wrong = [
            f"--{name.replace('_', '-')}"
            for name, default in fields.items()
            if name not in taken and getattr(options, name) != default
        ]
        if wrong:
            raise ValueError(f"The lesson 'digits' takes no {', '.join(wrong)}.")
        start, way = DigitsConfig(), "The lesson 'digits'"
    else:
        start, way = training_with(options.config), "A training"
        for name in ("style", "content"):
            if not getattr(options, name):
                what = {"style": "PAINTING", "content": "PHOTOS"}[name]
                raise ValueError(f"A style is learned from `{name}`. Give it: --{name} {what}.")
    return dataclasses.replace(options, settings=flags.filled(start, options.settings, way))


def run(arguments):
    """Train as `arguments` say; return the exit code."""
    options = parse(arguments)
    load_tensorflow()
    if options.config == DIGITS:
        return _run_digits(options)
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
        paintings = sum(name.startswith("painting ") for name in photos.bad)
        counts = [f"{len(photos.bad) - paintings} of {len(photos)} photographs"]
        counts += [f"{paintings} paintings"] * bool(paintings)
        print(f"{' and '.join(counts)} could not be used:", file=sys.stderr)
        for name, reason in sorted(photos.bad.items())[:SHOWN]:
            print(f"  {name}: {reason}", file=sys.stderr)
        if len(photos.bad) > SHOWN:
            print(f"  and {len(photos.bad) - SHOWN} more", file=sys.stderr)
    return _end(options, interrupt, "step", training["steps_done"], training["steps"])


def _run_digits(options):
    from tfstyle.optimize.callbacks import StopOnInterrupt
    from tfstyle.training.lesson import train_digits

    interrupt = StopOnInterrupt()
    sampler = train_digits(options.output, options.content, options.settings, callbacks=[interrupt])
    training = sampler.card["training"]
    return _end(options, interrupt, "epoch", training["epochs_done"], training["epochs"])


def _end(options, interrupt, what, done, planned):
    """Say where a run ended; return the exit code."""
    if done < planned:
        print(
            f"stopped at {what} {done} of {planned}; the same command goes on from there",
            file=sys.stderr,
        )
        return interrupt.exit_code
    print(options.output)
    return 0
