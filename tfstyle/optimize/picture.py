"""Painting one picture by optimization: coarse to fine, with Adam or L-BFGS."""

import functools
import sys

import keras
import numpy as np

from tfstyle.config.checks import as_list
from tfstyle.losses import in_regions, terms_of
from tfstyle.model import StyleContentModel
from tfstyle.networks import PIXELS, Canvas
from tfstyle.networks.features import FeatureExtractor, fastest_precision, load_network
from tfstyle.optimize.callbacks import StopOnNaN
from tfstyle.optimize.lbfgs import minimize
from tfstyle.optimize.pieces import PiecewiseModel, free_memory_gb, piece_size
from tfstyle.pictures import resize

RATES = (keras.callbacks.ReduceLROnPlateau, keras.callbacks.LearningRateScheduler)
MIN_SIDE = 16  # of what VGG's four poolings leave at least one pixel


def optimize_image(
    content,
    styles,
    recipe,
    *,
    style_weights=None,
    start_from=None,
    terms=(),
    masks=None,
    style_masks=None,
    seed=0,
    callbacks=(),
):
    """Paint one picture.

    Args:
        content: Float32 array `(height, width, 3)`, RGB, [0, 1], at the size of the result.
        styles: Paintings, arrays of that kind, each of any size.
        recipe: `Recipe`.
        style_weights: A weight for each painting. Default: equal ones.
        start_from: Picture to start from in place of the recipe's start, resized if need be. Of a
            recipe that starts from "instant", the photograph where none is given.
        terms: `tfstyle.losses.Term`s to ask for beside the recipe's.
        masks: Where each painting is taken on, float array `(count, height, width)` in [0, 1];
            without, all of them everywhere, by their weights.
        style_masks: What of each painting is taken on, a list of float arrays `(height, width)` in
            [0, 1] or None.
        seed: Seed of the noise that a recipe starts from.
        callbacks: Keras callbacks, or one; `fit`, or an L-BFGS run that calls them in the same
            way, goes through them once for each scale.

    Returns:
        Float32 array of the shape of `content`. A run that a callback stopped by
        `model.stop_training` returns the picture so far.

    Raises:
        FloatingPointError: If the loss stops being a number.
        ValueError: If a callback would change the learning rate of L-BFGS, which has none.
        RuntimeError: In the scope of a `tf.distribute` strategy of several devices.
    """
    callbacks, own = as_list(callbacks), terms_of(recipe)
    own = own if masks is None else in_regions(own, masks, style_masks)
    terms = [*own, *as_list(terms)]
    _check_run(recipe, callbacks)
    height, width = content.shape[:2]
    network = load_network(recipe.network, recipe.network_weights)
    precision = fastest_precision() if recipe.precision == "auto" else recipe.precision

    @functools.cache
    def extractor(precision):
        layers = [layer for term in terms for layer in term.layers]
        return FeatureExtractor(network, layers, recipe.pooling, dtype=precision)

    memory_gb, picture = recipe.memory_gb or free_memory_gb(), start_from
    for scale in recipe.scales:
        shape = max(MIN_SIDE, round(height * scale)), max(MIN_SIDE, round(width * scale))
        photo = resize(content, shape)
        paintings = [painting[None] for painting in _at_scale(styles, recipe, shape)]
        canvas = Canvas(*shape, pixels=recipe.pixels, clip=recipe.clip == "step")
        if picture is None:
            picture = _start(photo, recipe, seed)
        canvas.paint(resize(picture, shape)[None])

        kind = StyleContentModel
        if piece := piece_size(shape, memory_gb):
            kind = functools.partial(PiecewiseModel, megapixels=piece)

        def model_in(precision, kind=kind, canvas=canvas, photo=photo, paintings=paintings):
            model = kind(canvas, extractor(precision), terms)
            model.recipe = recipe  # for callbacks
            model.set_content(photo[None])
            model.set_style(paintings, style_weights)
            return model

        model = model_in(precision)
        if recipe.optimizer == "adam":
            _run_adam(model, recipe, [*callbacks, StopOnNaN()])
        else:
            _run_lbfgs(model, recipe, [*callbacks, StopOnNaN()], model_in)
        picture = canvas.read()
        if model.stop_training:
            break
    return resize(picture, (height, width))


def _check_run(recipe, callbacks):
    """Refuse what would fail after the loss network was loaded, and with a worse message."""
    for callback in callbacks:
        if recipe.optimizer == "lbfgs" and isinstance(callback, RATES):
            raise ValueError(
                f"L-BFGS has no learning rate for {type(callback).__name__} to change. "
                "Leave it out, or choose optimizer='adam'."
            )
    tensorflow = sys.modules.get("tensorflow")
    if tensorflow and tensorflow.distribute.get_strategy().num_replicas_in_sync > 1:
        raise RuntimeError(
            "A picture is optimized on one device. Call this outside of the scope of the "
            "tf.distribute strategy; trained styles and `train` may be called in it."
        )


def _start(content, recipe, seed):
    """Return what the canvas shows at first."""
    deviation, mean = PIXELS["imagenet"]
    noise = np.random.default_rng(seed).normal(mean, deviation, content.shape)
    share = {"noise": 1, "blend": recipe.noise}.get(recipe.start, 0)
    return (share * noise + (1 - share) * content).astype(np.float32)


def _at_scale(styles, recipe, shape):
    """Return the paintings as large as strokes on a canvas of `shape` are to be."""
    fraction = max(shape) / recipe.size * recipe.style_scale
    for style in styles:
        if recipe.style_size == "content":
            size = tuple(round(side * recipe.style_scale) for side in shape)
        else:
            long_side = round((recipe.style_size or recipe.size) * fraction)
            size = tuple(round(side * long_side / max(style.shape[:2])) for side in style.shape[:2])
        yield resize(style, tuple(max(MIN_SIDE, side) for side in size))


def _run_adam(model, recipe, callbacks):
    model.compile(
        keras.optimizers.Adam(
            recipe.learning_rate,
            beta_1=recipe.beta_1,
            beta_2=recipe.beta_2,
            epsilon=recipe.epsilon,
            clipnorm=recipe.gradient_norm,
            use_ema=recipe.average > 0,
            ema_momentum=recipe.average,
        )
    )
    # The canvas does not look at its input, and the content's features are known.
    nothing = np.zeros((recipe.steps, 1, 1, 3), np.float32)
    model.fit(nothing, batch_size=1, callbacks=callbacks, shuffle=False, verbose=0)


def _run_lbfgs(model, recipe, callbacks, model_in):
    """Let L-BFGS move the pixels; callbacks hear of every evaluation.

    A line search ends early on the noise of arithmetic. Then the run goes on in float32 from the
    best picture, and there as long as that gains anything.
    """
    canvas, evaluate = model.stylizer, model.loss_and_gradient()
    calls = keras.callbacks.CallbackList(
        callbacks, add_history=False, model=model, epochs=1, steps=recipe.steps
    )
    best, step = (np.inf, keras.ops.convert_to_tensor(canvas.picture)), 0
    model.stop_training = False

    class Done(Exception):
        """Ends the search from inside."""

    def loss_and_gradient(picture):
        nonlocal best, step
        canvas.picture.assign(picture)
        calls.on_train_batch_begin(step)
        losses, gradient = evaluate(None)
        logs = {"loss": float(losses["loss"])}
        logs |= {term.name: float(losses[term.name]) for term in model.terms}
        if logs["loss"] < best[0]:
            best = logs["loss"], picture
        else:  # a trial of the line search: nobody is to see it
            canvas.picture.assign(best[1])
        calls.on_train_batch_end(step, logs)
        step += 1
        if step == recipe.steps or model.stop_training:
            raise Done
        return logs["loss"], gradient

    search = functools.partial(
        minimize,
        loss_and_gradient,
        bounds=canvas.bounds if canvas.clip else None,
        corrections=recipe.corrections,
        sparing=isinstance(model, PiecewiseModel),
    )
    calls.on_train_begin()
    calls.on_epoch_begin(0)
    try:
        search(best[1])
        if model.extractor.compute_dtype != "float32":
            evaluate = model_in("float32").loss_and_gradient()
            best = np.inf, best[1]  # losses in one precision say nothing of the other's
            search(best[1])
        before = np.inf
        while best[0] < before:
            before = best[0]
            search(best[1])
    except Done:
        pass  # the steps are done, or a callback stopped the run
    finally:
        canvas.picture.assign(best[1])
    calls.on_epoch_end(0, {"loss": best[0]})
    calls.on_train_end()
