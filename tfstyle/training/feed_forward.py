"""train(): teach a network once to paint, in a run that may be interrupted at any moment."""

from __future__ import annotations

import contextlib
import functools
import gc
import hashlib
import json
import os
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras

from tfstyle.config import CODE_SIDE, TrainConfig, training_with
from tfstyle.config.checks import as_list
from tfstyle.config.training import PATCH
from tfstyle.losses import AdversaryTerm, Term, terms_of
from tfstyle.model import StyleContentModel
from tfstyle.networks import GENERATORS, AnyNet, CrispNet, PatchCritic
from tfstyle.networks.features import FeatureExtractor, fastest_precision, load_network
from tfstyle.optimize.callbacks import held
from tfstyle.painting import zoo
from tfstyle.painting.instant import Paintings
from tfstyle.painting.sizes import load_painter, thumbnail
from tfstyle.pictures import check_output_path, read_image, resize
from tfstyle.pictures.files import check_folder_writable, writing
from tfstyle.training.any_style import AnySheet, AnyStyleModel
from tfstyle.training.data import Photos, batches
from tfstyle.training.devices import strategy_for
from tfstyle.training.gallery import Gallery, Works
from tfstyle.training.hand import HandModel
from tfstyle.training.run import Run, alone, folder_of, keep_to_records, precision_of
from tfstyle.training.watching import (
    BatchNaN,
    CriticWon,
    Sheet,
    TensorBoard,
    TrainingProgress,
    examples,
)
from tfstyle.version import __version__


def train(
    style: str | os.PathLike | Sequence[str | os.PathLike],
    content: str | os.PathLike | Sequence[str | os.PathLike] | Photos,
    output: str | os.PathLike,
    config: str | TrainConfig = "default",
    *,
    about: str | Sequence[str] = (),
    validation: str | os.PathLike | Sequence[str | os.PathLike] | Photos | None = None,
    devices: int | None = None,
    checkpoint_minutes: float = 5.0,
    log_dir: str | os.PathLike | None = None,
    terms: Sequence[Term] = (),
    callbacks: keras.callbacks.Callback | Sequence[keras.callbacks.Callback] = (),
    **fields: Any,
) -> keras.Model:
    """Train a network that paints in the style of a painting, of several, or of any.

    Called again with the same arguments after an interruption of any kind, a run goes on from its
    last checkpoint, which lies with a sheet of examples in the folder `OUTPUT.training`, and ends
    with the weights it would have had without the break.

    Args:
        style: Path of a painting; or a list of paths: styles of one network, chosen by weights.
            For a network of any style (`config="any"`) paintings to learn from, in the forms of
            `content`; see `tfstyle.training.gallery.Gallery`. For a painter's hand
            (`config="collection"`) a folder of the painter's works.
        content: Photographs to train on: what `tfstyle.training.data.Photos` takes, or a `Photos`,
            whose `bad` then tells which could not be used.
        output: Path of the network to write, ending in `.keras`.
        config: Name of a preset in `tfstyle.TRAININGS`, or a `tfstyle.TrainConfig`.
        about: For each style a line on painter, work and licence, kept in the network's `card`;
            of one style also the line itself.
        validation: Photographs for the sheet of examples, in the forms of `content`. Default: the
            first ones of `content`.
        devices: Number of GPUs (or logical CPUs) to share batches among. Default: one. Where the
            environment variable TF_CONFIG describes a cluster, all its workers, who must see the
            same files; only the first writes.
        checkpoint_minutes: Time between checkpoints.
        log_dir: Folder for TensorBoard. Default: none is written.
        terms: What else the pictures are asked to be: `tfstyle.losses.Term`s beside the config's.
        callbacks: Keras callbacks, or one.
        **fields: Fields of `TrainConfig` by name: `steps=500, architecture="full"`.

    Returns:
        The network. Where a callback set `model.stop_training`, the network so far; `output` is
        then not written, the checkpoint is.

    Raises:
        FileNotFoundError: If a file is missing.
        ValueError: If a value cannot be used, or the folder holds a run of other settings or on
            other photographs; of those that it began with, some may be gone.
        BlockingIOError: If another training with this output is under way.
        OSError: If the checkpoint or the network cannot be written, such as on a full disk.
        FloatingPointError: If the loss stops being a number; the last checkpoint is kept.

    Example:

    ```python
    network = tfstyle.train("painting.jpg", "photos/", "mine.keras", steps=500)
    painted = network(photographs)  # float32 (batch, height, width, 3) in [0, 1], in and out
    ```
    """
    config = training_with(config, **fields)
    output = check_output_path(output, (".keras",), inputs=[config.init])
    if config.init not in (None, "auto"):
        _file_of(config.init)
    for folder in filter(None, (output.with_suffix(".training"), log_dir)):
        check_folder_writable(folder)
    styles = [style] if isinstance(style, (str, os.PathLike)) else style
    paths = [Path(path).expanduser() for path in styles]
    about = [about] if isinstance(about, str) else list(about)
    if not len(about) <= len(paths) > 0:
        raise ValueError(
            "`style` must name at least one painting, and `about` have at most one line for each. "
            f"Received: {len(paths)} styles, {len(about)} lines."
        )
    if len({path.stem for path in paths}) < len(paths):
        raise ValueError(
            "Paintings of one network must have different file names, which become the names of "
            f"its styles. Received: {', '.join(map(str, paths))}."
        )
    drawn = config.collection or config.architecture == "any"  # paintings, anew in each step
    gallery, paintings = _gallery(paths, config), []
    if not drawn:
        paintings = [resize(read_image(path).rgb, config.style_size) for path in paths]
    sides = config.painting_size
    if paintings and gallery:  # pieces for the critic, as large as those that are learned from
        sides = (min(paintings[0].shape[:2]),) * 2
        if sides[0] < PATCH:
            raise ValueError(
                f"A critic judges patches of {PATCH} px, and the painting has {sides[0]}. Raise "
                f"`style_size`. Received: style_size={config.style_size}."
            )
    photos = content if isinstance(content, Photos) else Photos(content)
    photos.crop(0, config.sizes[0], config.content_size, config.seed)  # can any be read?
    shown = validation or photos
    shown = shown if isinstance(shown, Photos) else Photos(shown)
    seen = {"photographs": photos} | ({"paintings": gallery} if gallery else {})
    with alone(folder_of(output)):
        keep_to_records(seen, folder_of(output))
        # Keras' models lie in circles: Python would let those of earlier trainings pile up first.
        gc.collect()
        # A cluster wants to be met before TensorFlow computes anything.
        strategy = strategy_for(devices, config.batch_size)
        if strategy and config.adversary_weight:
            raise ValueError("A critic learns on one device: leave `devices` and TF_CONFIG out.")
        network = load_network(config.network, config.network_weights)
        precision = config.precision
        if precision == "auto":  # of a run that goes on, what it began with
            precision = precision_of(folder_of(output)) or fastest_precision()

        with strategy.scope() if strategy else contextlib.nullcontext():
            keras.utils.set_random_seed(config.seed)
            generator = _generator(config, paths, precision, gallery)
            replicas = strategy.num_replicas_in_sync if strategy else 1
            model = _model(config, terms, network, generator, precision, paintings, replicas)
        identity = _identity(config, terms, precision, gallery, paintings, photos)
        run = Run(model, seen, config, output, identity, checkpoint_minutes)
        run.restore()
        watchers = [
            *as_list(callbacks),
            run,
            BatchNaN(run, photos),
            TrainingProgress(run),
            CriticWon(run),
            AnySheet(run, shown, gallery) if isinstance(generator, AnyNet) else Sheet(run, shown),
        ]
        if log_dir:
            watchers.append(TensorBoard(run, log_dir))
        fit = functools.partial(model.fit, callbacks=watchers, shuffle=False, verbose=0)
        with held(watchers):
            for size, last in run.phases:
                if run.step >= last:
                    continue
                dataset = batches(
                    photos,
                    size,
                    config.content_size,
                    config.batch_size,
                    first=run.step,
                    seed=config.seed,
                    num_styles=len(paths),
                    gallery=gallery and (gallery, sides),
                )
                # Trace anew for each size: a second trace would leave the sizes open, and round
                # otherwise than a run that goes on from there.
                model.train_function = None
                fit(dataset, steps_per_epoch=last - run.step)
                if model.stop_training:
                    break
        run.save()
        if gallery:
            photos.bad |= {f"painting {name}": reason for name, reason in gallery.bad.items()}
        generator = _in_float32(generator)
        generator.card = _card(config, paths, about, generator, gallery, photos, run)
        if run.done and run.writes:
            with writing(output) as temporary:
                generator.save(temporary)
        return generator


def _gallery(paths, config):
    """Return the paintings of which pieces are drawn in each step; None where none are."""
    any_style = config.architecture == "any"
    drawn = any_style or config.collection
    if not drawn and paths[0].is_dir():
        raise ValueError(
            f"`style` must name paintings. Received: '{paths[0]}', a folder, from which a "
            "network of any style is trained (`config='any'`), or of one painter's hand "
            "(`config='collection'`)."
        )
    if not (drawn or config.adversary_weight):
        return None
    if len(paths) > 1:
        raise ValueError(
            "A network of any style, a painter's hand and a critic are trained on one painting or "
            f"one folder of paintings. Received: {len(paths)} paths in `style`."
        )
    gallery = (Gallery if any_style else Works)(paths[0], cache_mb=300)
    gallery.crop(0, config.painting_size[0], config.painting_size, config.seed)  # is any read?
    return gallery


def _generator(config, paths, precision, gallery):
    shape = {"width": config.width, "blocks": config.blocks, "dtype": precision}
    if config.architecture != "any":
        shape["num_styles"] = len(paths)
    generator = GENERATORS[config.architecture](**shape)
    init = config.init
    if init == "auto":
        init = "any" if _may_start_from_any(generator) else None
        if init is None:
            warnings.warn(
                "The network of any style has not this one's shape (crisp, of width 1, up to "
                f"{AnyNet.default_blocks} blocks): the training starts from chance, which takes "
                "more `steps`.",
                stacklevel=2,
            )
    if init is None:
        return generator
    init, start = _file_of(init), None
    try:
        zoo.styles_of(init)  # is it a network of ours?
        start = load_painter(init)
        if isinstance(start, AnyNet) and config.architecture != "any":
            works, names = paths, [path.stem for path in paths]
            if config.collection:
                works = examples(gallery.reads, len(gallery), CODE_SIDE)
                names = names[0]
            start = Paintings(works, init).network(names)
        generator.start_from(start)
    except ValueError as error:
        cure, what = "", str(error)
        if start is not None:
            what = f"{_shape(start)}, to start {_shape(generator)} from"
        if isinstance(start, CrispNet) and not isinstance(generator, CrispNet):
            cure = " Choose architecture='crisp', which it has."
        raise ValueError(
            f"`init` must be a network of the same architecture, width and number of styles, and "
            f"of no fewer blocks. Received: '{init}' ({what}).{cure}"
        ) from error
    return generator


def _shape(network):
    return (
        f"a {type(network).__name__} of width {network.width:g} with {network.blocks} blocks and "
        f"{network.num_styles} styles"
    )


def _file_of(init):
    file = zoo.ANY if init == "any" else Path(init).expanduser()
    if not file.is_file():
        raise FileNotFoundError(f"There is no network '{file}' to start from (`init`).")
    return file


def _may_start_from_any(generator):
    """Tell whether a network has the shape of that of any style which ships."""
    wide = type(generator) is CrispNet and generator.width == 1
    return wide and 0 < generator.blocks <= AnyNet.default_blocks


def _model(config, terms, network, generator, precision, paintings, replicas):
    terms, options = [*terms_of(config), *terms], {"layer_metrics": True}
    layers = [layer for term in terms for layer in term.layers]
    extractor = FeatureExtractor(network, layers, config.pooling, dtype=precision)
    kind = AnyStyleModel if config.architecture == "any" else StyleContentModel
    if config.collection or config.adversary_weight:
        kind = HandModel
    if config.adversary_weight:
        terms.append(AdversaryTerm("adversary", config.adversary_weight, PatchCritic()))
        options["critic_optimizer"] = keras.optimizers.Adam(
            config.critic_learning_rate, beta_1=0.5, beta_2=0.9
        )
    model = kind(generator, extractor, terms, **options)
    if paintings:
        (model.set_styles if len(paintings) > 1 else model.set_style)(
            [painting[None] for painting in paintings]
        )
    optimizer = keras.optimizers.Adam(
        keras.optimizers.schedules.CosineDecay(config.learning_rate, config.steps, alpha=0.02),
        # Each device clips its share of the gradient.
        global_clipnorm=config.gradient_norm and config.gradient_norm / replicas,
    )
    # Loss scaling leaves out a step that overflows, as one in thousands does in bfloat16 as well.
    if precision != "float32":
        optimizer = keras.optimizers.LossScaleOptimizer(optimizer)
    model.compile(optimizer, jit_compile=config.xla or keras.backend.backend() == "jax")
    return model


def _in_float32(generator):
    """Return the network as it leaves training: in float32, whatever it was trained in."""
    result = type(generator).from_config(generator.get_config() | {"dtype": "float32"})
    weights = generator.get_weights()
    if isinstance(generator, AnyNet):  # rounded to what is written at half the size
        weights = [weight.astype("float16").astype("float32") for weight in weights]
    result.set_weights(weights)
    return result


def _identity(config, terms, precision, gallery, paintings, photos):
    """Return what must be equal for a run to go on, ready for JSON."""
    pixels = hashlib.sha256(b"".join(painting.tobytes() for painting in paintings))
    return (
        json.loads(config.to_json())
        | {
            "precision": precision,
            "network_weights": None,  # where they lie is no matter
            "style": pixels.hexdigest()[:16] if paintings else f"{len(gallery)} paintings",
            "content": f"{len(photos)} photographs",
            "terms": [f"{term.weight:g} {term.name}" for term in terms],
        }
    )


def _card(config, paths, about, generator, gallery, photos, run):
    """Return what there is to know of the network, ready for JSON."""
    abouts = [*about, *[""] * (len(paths) - len(about))]
    names = [path.stem for path in paths] if len(paths) > 1 else [run.folder.stem]
    styles = [{"name": n, "about": text} for n, text in zip(names, abouts, strict=True)]
    validation = dict(run.validation)
    figures = run.losses | validation.pop("sheet", {}) | validation
    if not isinstance(generator, AnyNet):
        styles = [style | {"thumbnail": thumbnail(generator, i)} for i, style in enumerate(styles)]
    return {
        "styles": styles,
        "training": {
            **json.loads(config.to_json()),
            "network_weights": None,
            "init": config.init and Path(config.init).name,
            "precision": run.identity["precision"],
            "photographs": len(photos),
            "unusable_photographs": len(photos.bad),
            **({"terms": run.identity["terms"]} if run.identity["terms"] else {}),
            **(
                {"paintings": dict(gallery.groups), "held_out": len(gallery.unseen)}
                if gallery
                else {}
            ),
            "steps_done": run.step,
        },
        "losses": keras.tree.map_structure(lambda value: float(f"{value:.4g}"), figures),
        "versions": {"tfstyle": __version__, "keras": keras.__version__},
    }
