"""Any painting as a style: the network of any style reads its code off it, once."""

import math
from pathlib import Path

import numpy as np

from tfstyle.painting import zoo
from tfstyle.pictures import as_list_of_pictures, for_code, read_image


def network_of_any(recipe):
    """Return the file of the network of any style that a value of `recipe` stands for: the one that
    ships for "instant" and "any", a `.keras` file; None for other recipes."""
    if recipe in ("instant", "any"):
        return zoo.ANY
    named = isinstance(recipe, (str, Path)) and Path(recipe).suffix == ".keras"
    return Path(recipe) if named else None


def weights_of(paintings, style_weights=None):
    """Return the style weights of paintings, by default equal ones, the largest 1.

    Raises:
        ValueError: If there is not one for each, or one is not positive or not finite.
    """
    weights = [1.0] * len(paintings) if style_weights is None else list(style_weights)
    if len(weights) != len(paintings) or not all(0 < weight < math.inf for weight in weights):
        raise ValueError(
            "`style_weights` must be a positive number for each painting, of which there are "
            f"{len(paintings)}. Received: style_weights={weights}."
        )
    return [weight / max(weights) for weight in weights]


class Paintings:
    """One painting or several as a style of a network of any style, in the place of `zoo.Style`.

    Args:
        style: A painting in any form that `tfstyle.pictures.read_image` takes, or a list.
        path: File of the network. Default: the one that ships.

    Raises:
        FileNotFoundError: If a file is missing.
        ValueError: If a picture cannot be read, there is none, or `path` holds no such network.
        TypeError: If something is no picture.
    """

    def __init__(self, style, path=zoo.ANY):
        sources = as_list_of_pictures(style)
        if not sources:
            raise ValueError("`style` must hold at least one painting. Received: an empty list.")
        zoo.styles_of(path)  # is it a network of ours?
        if not zoo.paints_any(path):
            raise ValueError(
                f"'{path}' is a network of styles of its own, which takes no painting. A network "
                "of any style is trained with `tfstyle-train --config any`."
            )
        self.path, self._codes = path, None
        self._paintings = [for_code(read_image(source).rgb) for source in sources]

    def point(self, network, style_weights=None):
        """Return the code `(1, num_styles)` of the paintings, blended.

        Args:
            network: The network of `path`, loaded.
            style_weights: A positive weight for each painting. Default: equal ones.

        Raises:
            ValueError: If there is not one for each painting, or one is not positive.
        """
        weights = weights_of(self._paintings, style_weights)
        return np.average(self.codes(network), 0, weights)[None].astype(np.float32)

    def codes(self, network):
        """Return the codes `(paintings, num_styles)`; `network` as for `point`."""
        if self._codes is None:
            codes = [np.asarray(network.encode(painting[None])) for painting in self._paintings]
            self._codes = np.concatenate(codes)
        return self._codes

    def network(self, name, style_weights=None):
        """Return the network that paints so for good, and needs no painting.

        Args:
            name: Name of the style in which the paintings are blended; or a list of names, one for
                each painting, of as many styles.
            style_weights: Of the one style, as for `point`.

        Returns:
            `tfstyle.networks.CrispNet`, with a card.
        """
        from tfstyle.painting.sizes import thumbnail

        network = zoo.load(self.path)
        blended = isinstance(name, str)
        codes = self.point(network, style_weights) if blended else self.codes(network)
        fixed = network.fixed(codes)
        fixed.card = {
            "styles": [
                {"name": each, "about": "", "thumbnail": thumbnail(fixed, index)}
                for index, each in enumerate([name] if blended else name)
            ]
        }
        return fixed


def style_for(style):
    """Return what to paint with for the value of an argument `style`: a trained style for its name
    or file, the network of any style for a painting or several.

    Returns:
        `zoo.Style` or `Paintings`.

    Raises:
        ValueError: If a name is neither a style nor a file; else as `Paintings`.
    """
    found = zoo.find(style)
    if found is None and isinstance(style, (str, Path)) and not Path(style).exists():
        zoo.require(style, "style")
    return found or Paintings(style)
