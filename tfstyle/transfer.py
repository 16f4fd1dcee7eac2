"""stylize(): the one door."""

from tfstyle import colors
from tfstyle.config import Recipe
from tfstyle.images import Picture, read_image, resize, to_pil
from tfstyle.presets import recipe_with


def stylize(
    content,
    style,
    recipe: "str | Recipe" = "default",
    *,
    style_weights=None,
    start_from=None,
    seed=0,
    callbacks=(),
    **overrides,
):
    """Paint a photograph in the style of a painting.

    Args:
        content: The photograph: a path, bytes, a binary file, a PIL image, or an array
            `(height, width, 3)` of uint8, uint16 or float in [0, 1]; details at
            `tfstyle.images.read_image`.
        style: The painting in any of these forms, or a list of several.
        recipe: Name of a preset in `tfstyle.RECIPES`, or a `tfstyle.Recipe`.
        style_weights: Positive weights of several paintings. Default: equal ones.
        start_from: Picture to start from, in any of these forms. Default: what the recipe says.
        seed: Integer; with the same seed, machine and versions a run repeats exactly.
        callbacks: Keras callbacks, such as `tfstyle.callbacks.Progress()`.
        **overrides: Fields of `Recipe` by name: `size=1024, steps=51`. `size=None` keeps the
            photograph's own size.

    Returns:
        `PIL.Image.Image`, RGB, or RGBA where the photograph has transparent parts; its long side
        is `size` pixels.

    Raises:
        FileNotFoundError: If a file is missing.
        ValueError: If a picture cannot be read or a value cannot be used.
        TypeError: If something is not of a type named above.
        OSError: If the loss network's weights are not there and cannot be downloaded.
        FloatingPointError: If the loss stops being a number.

    Example:

    ```python
    tfstyle.stylize("cat.jpg", "starry_night.jpg", size=384).save("cat_by_night.png")
    ```
    """
    own_size = "size" in overrides and overrides["size"] is None
    if own_size:
        del overrides["size"]
    recipe = recipe_with(recipe, **overrides)
    photo = read_image(content)
    if own_size:
        recipe = recipe_with(recipe, size=max(photo.rgb.shape[:2]))
    several = isinstance(style, (list, tuple)) and not isinstance(style, Picture)
    paintings = [read_image(source).rgb for source in (style if several else [style])]
    if not paintings:
        raise ValueError("`style` must hold at least one painting. Received: an empty list.")
    weights = list(style_weights) if style_weights is not None else [1.0] * len(paintings)
    if len(weights) != len(paintings) or not all(weight > 0 for weight in weights):
        raise ValueError(
            f"`style_weights` must be a positive number for each of {len(paintings)} paintings. "
            f"Received: style_weights={weights}."
        )
    if start_from is not None:
        start_from = read_image(start_from).rgb
    rgb = resize(photo.rgb, recipe.size)
    if recipe.color == "recolor":
        paintings = [colors.recolor(painting, rgb) for painting in paintings]

    from tfstyle.optimize import optimize_image  # loads Keras, after all that can go wrong before

    stylized = optimize_image(
        rgb,
        paintings,
        recipe,
        style_weights=weights,
        start_from=start_from,
        seed=seed,
        callbacks=callbacks,
    )
    if recipe.color == "content":
        stylized = colors.keep_colors(stylized, rgb)
    alpha = None if photo.alpha is None else resize(photo.alpha, recipe.size)
    return to_pil(stylized, alpha)
