"""stylize(): the one door."""

from __future__ import annotations

import gc
import os
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from tfstyle.config import CODE_SIDE, HubConfig, PaintConfig, Recipe, recipe_with, with_fields
from tfstyle.painting import hub, zoo
from tfstyle.painting.instant import Paintings, network_of_any, weights_of
from tfstyle.painting.regions import compose, read_masks, regions
from tfstyle.pictures import PictureLike, as_list_of_pictures, colors, read_image, resize, to_pil

if TYPE_CHECKING:
    from keras import Model
    from keras.callbacks import Callback

    from tfstyle.losses import Term


def stylize(
    content: PictureLike,
    style: PictureLike | Sequence[PictureLike] | None = None,
    recipe: str | os.PathLike | Recipe = "default",
    *,
    model: str | os.PathLike | None = None,
    style_weights: Sequence[float] | None = None,
    masks: Sequence[PictureLike] | None = None,
    style_masks: Sequence[PictureLike] | None = None,
    start_from: PictureLike | None = None,
    terms: Sequence[Term] = (),
    seed: int = 0,
    callbacks: Callback | Sequence[Callback] = (),
    **overrides: Any,
) -> Image.Image:
    """Paint a photograph in the style of a painting.

    Args:
        content: The photograph: a path, bytes, a binary file, a PIL image, or an array
            `(height, width, 3)` of uint8, uint16 or float in [0, 1]; details at
            `tfstyle.pictures.read_image`.
        style: The painting in any of these forms, or a list of several: the photograph is painted
            by optimization. Or a trained style, which paints at once: a name that `tfstyle styles`
            lists, or the path of a `.keras` file that `tfstyle-train` wrote. With `model`, one
            painting, or nothing, as the model takes it.
        recipe: Name of a preset in `tfstyle.RECIPES`, or a `tfstyle.Recipe`; or "instant", for the
            network that paints in the style of any painting in one pass, or the path of another
            such network, `.keras`. Not for a trained style.
        model: A SavedModel to paint with at once: its address on TensorFlow Hub, such as
            "https://tfhub.dev/google/magenta/arbitrary-image-stylization-v1-256/2", which takes a
            painting; or its folder, such as one that `tfstyle export` wrote, which takes none.
            Details at `tfstyle.painting.hub.load`.
        style_weights: Positive weights of several paintings, by default equal ones; or a weight
            for each style of a trained network of several.
        masks: Where each style goes, a picture for each in any of these forms: white where it is,
            black where it is not, grey between. Where all are black, the photograph stays. The
            styles may then be trained ones and paintings in one list, painted in one pass.
        style_masks: What of each painting its style is taken from, pictures of that kind. For
            painting by optimization.
        start_from: Picture to start from, in any of these forms. Default: what the recipe says.
        terms: What else the picture is asked to be: `tfstyle.losses.Term`s beside the recipe's.
        seed: Integer; with the same seed, machine and versions a run repeats exactly.
        callbacks: Keras callbacks, or one, such as `tfstyle.optimize.callbacks.Progress()`.
        **overrides: Fields of `Recipe` by name: `size=1024, steps=51`. `size=None` keeps the
            photograph's own size. For a trained style and "instant", fields of
            `tfstyle.config.PaintConfig`: `strength=0.8, stroke_size=1.5`; there the photograph's
            own size is the default. With `model`, fields of `tfstyle.config.HubConfig`:
            `style_size=256`.

    Returns:
        `PIL.Image.Image`, RGB, or RGBA where the photograph has transparent parts; its long side
        is `size` pixels.

    Raises:
        FileNotFoundError: If a file is missing.
        ValueError: If a picture cannot be read or a value cannot be used.
        TypeError: If something is not of a type named above.
        OSError: If the loss network's weights, or the model, are not there and cannot be
            downloaded. A recipe that starts from "instant", such as `default`, says so and gives
            that picture.
        ImportError: If `model` has an address and tensorflow-hub cannot be imported
            (`pip install 'tfstyle[hub]'`).
        FloatingPointError: If the loss stops being a number.

    Example:

    ```python
    tfstyle.stylize("cat.jpg", "starry_night.jpg", size=384).save("cat_by_night.png")
    tfstyle.stylize("cat.jpg", "starry_night.jpg", "instant").save("cat_at_once.png")
    tfstyle.stylize("cat.jpg", "wave").save("cat_at_sea.png")
    tfstyle.stylize("cat.jpg", ["night.jpg", "wave"], masks=["sky.png", "sea.png"]).save("both.png")
    tfstyle.stylize("cat.jpg", model="models/wave").save("cat_at_sea.png")
    ```
    """
    if style_masks is not None and masks is None:
        raise TypeError("`style_masks` go with `masks`, which say where the styles are painted.")
    if masks is not None and (style_weights is not None or model is not None):
        raise TypeError("`masks` go neither with `style_weights` nor with a `model`.")
    if model is not None:
        if recipe != "default" or start_from is not None or terms or callbacks:
            raise TypeError("A `model` takes no `recipe`, `start_from`, `terms` or `callbacks`.")
        config = with_fields(HubConfig(), **overrides)
        return _paint_with_model(model, content, style, config, style_weights)
    if style is None:
        raise TypeError("`style` must be a painting or a trained style. Received: neither.")
    styles = as_list_of_pictures(style)
    found = [zoo.find(each) for each in styles]
    for each, network in zip(styles, found, strict=True):
        if isinstance(each, str) and network is None:
            zoo.refuse_unknown(each)
    trained = next(filter(None, found), None)
    if trained and masks is None and len(styles) > 1:
        named = str(styles[found.index(trained)])
        raise ValueError(
            "Several styles must all be paintings, or come with `masks`. Received: "
            f"{named!r}, a trained network: give it alone, or one of any style as `recipe`."
        )
    any_style = network_of_any(recipe)
    if trained or any_style:
        known = recipe in ("default", "instant") or not trained
        if not known or start_from is not None or terms or callbacks:
            raise TypeError(
                'Painting in one pass takes no `recipe` but "instant", no `start_from`, no `terms` '
                "and no `callbacks`."
            )
        if style_masks is not None:
            raise TypeError("Painting in one pass takes no `style_masks`.")
        config = with_fields(PaintConfig(), **overrides)
        photo = read_image(content)
        if masks is not None:
            any_style = any_style or zoo.ANY
            painters = [
                network or Paintings(each, any_style)
                for each, network in zip(styles, found, strict=True)
            ]
            return _paint_regions(photo, painters, read_masks(masks, len(painters)), config)
        trained = trained or Paintings(style, any_style)
        return paint_photos([photo], trained, config, style_weights=style_weights)[0]
    own_size = "size" in overrides and overrides["size"] is None
    if own_size:
        del overrides["size"]
    recipe = recipe_with(recipe, **overrides)  # type: ignore[arg-type]  # paths went above
    photo = read_image(content)
    if own_size:
        recipe = recipe_with(recipe, size=max(photo.rgb.shape[:2]))
    paintings = [read_image(source).rgb for source in styles]
    if not paintings:
        raise ValueError("`style` must hold at least one painting. Received: an empty list.")
    weights = weights_of(paintings, style_weights)
    if start_from is not None:
        start_from = read_image(start_from).rgb
    rgb = resize(photo.rgb, recipe.size)
    if recipe.color == "recolor":
        paintings = [colors.recolor(painting, rgb) for painting in paintings]

    if masks is not None:
        masks = regions(read_masks(masks, len(paintings)), rgb.shape[:2])
    if style_masks is not None:
        style_masks = read_masks(style_masks, len(paintings), "style_masks")

    # Loads Keras, after all that can go wrong before.
    from tfstyle.networks.features import WeightsMissing
    from tfstyle.optimize.picture import optimize_image

    at_once = None
    if recipe.start == "instant" and start_from is None:
        start_from = at_once = _at_once(rgb, paintings, weights, masks, recipe)
    try:
        stylized = optimize_image(
            rgb,
            paintings,
            recipe,
            style_weights=weights,
            start_from=start_from,
            terms=terms,
            masks=masks,
            style_masks=style_masks,
            seed=seed,
            callbacks=callbacks,
        )
    except WeightsMissing as error:
        if at_once is None:
            raise
        warnings.warn(f"painted in one pass, not refined: {error}", stacklevel=2)
        stylized = at_once
    finally:
        # Keras' models lie in circles: Python would let a dozen loss networks pile up first.
        gc.collect()
    stylized = stylized if masks is None else compose(rgb, stylized, masks)
    return _finished(stylized, rgb, photo, recipe)


def load(style: str | os.PathLike) -> Model:
    """Return the network of a trained style, a Keras model as any other, the caller's own.

    Args:
        style: Name that `tfstyle styles` lists, path of a `.keras` file, or "any".

    Returns:
        `tfstyle.networks.Generator`: called with float pictures `(batch, height, width, 3)` in
        [0, 1], it returns such pictures. Of a network of several styles that ships, the one that is
        named; of a file, the whole, which takes `style_weights` as well. That of "any" wants a
        code: `network(pictures, network.encode(paintings))`.

    Raises:
        ValueError: If there is no such style.
        FileNotFoundError: If there is no such file.

    Example:

    ```python
    network = tfstyle.load("wave")
    stylized = network(photographs)
    ```
    """
    from tfstyle.painting.sizes import load_painter

    found = zoo.require(style, "style")
    network = load_painter(found.path)
    named = str(style) in zoo.styles() and network.num_styles > 1
    return network.of_style(found.index) if named else network


def paint_photos(photos, style, config=None, *, style_weights=None):
    """Paint photographs of one size with a trained style.

    Args:
        photos: List of `tfstyle.pictures.Picture` of one shape.
        style: `tfstyle.painting.zoo.Style` or `tfstyle.painting.instant.Paintings`.
        config: `PaintConfig`.
        style_weights: A weight for each style of the network, or for each painting. Default: the
            style alone; paintings alike.

    Returns:
        List of `PIL.Image.Image`, each what `stylize` returns.

    Raises:
        ValueError: If the style weights cannot be used.
    """
    config = config or PaintConfig()
    rgbs = [resize(photo.rgb, config.size or max(photo.rgb.shape[:2])) for photo in photos]
    stylized = _in_one_pass(rgbs, style, config, style_weights)
    return [_finished(*each, config) for each in zip(stylized, rgbs, photos, strict=True)]


def _paint_regions(photo, styles, masks, config):
    """Paint a photograph in one pass, in each style where its mask says."""
    rgb = resize(photo.rgb, config.size or max(photo.rgb.shape[:2]))
    painted = [_in_one_pass([rgb], style, config)[0] for style in styles]
    return _finished(compose(rgb, painted, regions(masks, rgb.shape[:2])), rgb, photo, config)


def _at_once(rgb, paintings, weights, masks, recipe):
    """Paint with the network of any style what a recipe starts from."""
    if masks is not None:
        painted = [_at_once(rgb, [painting], [1], None, recipe) for painting in paintings]
        return compose(rgb, painted, masks)
    # As large as the recipe's strokes are on this canvas.
    stroke_size = np.clip(recipe.style_scale * max(rgb.shape[:2]) / CODE_SIDE, 0.1, 10)
    config = PaintConfig(stroke_size=float(stroke_size))
    return _in_one_pass([rgb], Paintings(paintings), config, weights)[0]


def _in_one_pass(rgbs, style, config, style_weights=None):
    """Paint float arrays of one shape with a `zoo.Style` or `Paintings`."""
    from tfstyle.painting.sizes import paint_batch

    network = zoo.load(style.path)
    point = style.point(network, style_weights)
    return paint_batch(network, rgbs, config, style_weights=point)


def _paint_with_model(model, content, style, config, style_weights):
    """Paint a photograph with a SavedModel and, where it takes one, a painting."""
    styles = as_list_of_pictures(style)
    if len(styles) != 1:
        raise ValueError(f"A `model` takes one painting. Received: {len(styles)} in `style`.")
    (style,) = styles
    if zoo.find(style):
        raise ValueError(
            f"With `model`, `style` must be a painting. Received: {str(style)!r}, a trained style."
        )
    if style is not None and style_weights is not None:
        raise ValueError("With `model`, give a painting as `style` or `style_weights`, not both.")
    model = hub.find(model)
    photo = read_image(content)
    painting = None if style is None else resize(read_image(style).rgb, config.style_size)
    rgb = resize(photo.rgb, config.size or max(photo.rgb.shape[:2]))
    stylized = hub.load(model)(rgb, painting, style_weights)
    if config.strength != 1:
        stylized = rgb + np.float32(config.strength) * (stylized - rgb)
    return _finished(stylized, rgb, photo, config)


def _finished(stylized, rgb, photo, config):
    """Make the picture: colors as a `Recipe` or `PaintConfig` says, and the photograph's alpha."""
    if config.color == "content":
        stylized = colors.keep_colors(stylized, rgb)
    return to_pil(stylized, None if photo.alpha is None else resize(photo.alpha, rgb.shape[:2]))
