"""The trained styles that ship with the package. Loads neither Keras nor TensorFlow by itself."""

import difflib
import functools
import json
import zipfile
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path

import numpy as np

from tfstyle.pictures.files import refuse_special

FOLDER = Path(str(files("tfstyle"))) / "styles"
ANY = FOLDER / "any.keras"  # the network of any style


@dataclass(frozen=True)
class Style:
    """A style of a trained network.

    Attributes:
        name: Its name.
        path: File of the network.
        index: Its place among the network's styles.
        card: The network's `card`.
    """

    name: str
    path: Path
    index: int
    card: dict = field(repr=False)

    @property
    def about(self):
        """Line on painter, work and licence."""
        return self.card["styles"][self.index].get("about", "")

    def point(self, network, style_weights=None):
        """Return the point of style to paint with; `style_weights` default to this style alone.

        Raises:
            ValueError: If the style weights cannot be used, or the network wants a painting.
        """
        if style_weights is None and hasattr(network, "encode"):
            raise self.lacks_painting()
        if style_weights is None and network.num_styles == len(self.card["styles"]):
            style_weights = np.eye(network.num_styles)[self.index]
        return network.point(style_weights)

    def lacks_painting(self):
        """Return the error to raise where this, the network of any style, is used as a style."""
        return ValueError(
            f"'{self.name}' is a network of any style, which paints after a painting: name the "
            "painting as the style, and the network, or 'instant' for the one that ships, as the "
            "recipe."
        )


@functools.cache
def styles():
    """Return the trained styles that ship with the package.

    Returns:
        Dictionary from names, which `tfstyle.stylize` and `tfstyle.load` take, to `Style`s.

    Example:

    >>> "wave" in styles()
    True
    """
    return {
        style.name: style
        for path in sorted(FOLDER.glob("*.keras"))
        if path != ANY
        for style in styles_of(path)
    }


def styles_of(path):
    """Return the list of `Style` of a network's file, without loading the network.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is no network of tfstyle.
    """
    path = Path(path)
    if not path.exists():
        begun = (path.with_suffix(".training") / "checkpoint.npz").is_file()
        more = " Its training has not ended: the same tfstyle-train goes on with it." * begun
        raise FileNotFoundError(f"There is no network '{path}'.{more}")
    refuse_special(path)  # a pipe would be waited for
    config = {}
    try:
        with zipfile.ZipFile(path) as archive:
            config = json.loads(archive.read("config.json"))
        card = config["config"]["card"]
        found = [
            Style(style["name"], path, index, card) for index, style in enumerate(card["styles"])
        ]
    except (zipfile.BadZipFile, KeyError, TypeError, ValueError) as error:
        what = "does not hold a trained network of tfstyle."
        if isinstance(config, dict) and config.get("class_name") == "Sampler":
            what = f"makes digits and paints no photographs. Type tfstyle {path}."
        raise ValueError(f"'{path}' {what}") from error
    if not found:
        raise ValueError(f"'{path}' holds a network whose card names no style.")
    return found


def find(style):
    """Return the `Style` that a name of the zoo or a `.keras` file stands for; None if neither.

    A file stands for the first of its styles; "any" for the network that paints in the style of
    any painting.
    """
    if not isinstance(style, (str, Path)):
        return None
    if str(style) in styles():
        return styles()[str(style)]
    if str(style) == "any":
        return styles_of(ANY)[0]
    path = Path(style).expanduser()
    return styles_of(path)[0] if path.suffix == ".keras" else None


def paints_any(path):
    """Tell whether a network's file takes the code of a painting in place of a style of its own."""
    with zipfile.ZipFile(path) as archive:
        return json.loads(archive.read("config.json"))["class_name"] == "AnyNet"


def require(style, argument):
    """Return the `Style` that `find` finds for the value of an argument of this name.

    Raises:
        ValueError: If there is none, or the file holds no network of tfstyle.
        FileNotFoundError: If there is no such file.
    """
    found = find(style)
    if found is None:
        raise ValueError(
            f"`{argument}` must be one of {(*styles(), 'any')} or a .keras file. "
            f"Received: {style!r}.{_near(style)}"
        )
    return found


def refuse_unknown(word):
    """Refuse a word that could name a trained style, but names neither one nor a file.

    Raises:
        FileNotFoundError: If it does not.
    """
    path = Path(word)
    if not path.suffix and len(path.parts) == 1 and not path.exists() and word not in styles():
        raise FileNotFoundError(
            f"There is no file '{word}', and no trained style of that name.{_near(word)} "
            "`tfstyle styles` lists them."
        )


def _near(word):
    """Name the styles whose names are near a word."""
    near = difflib.get_close_matches(str(word), styles())
    return f" Did you mean {' or '.join(map(repr, near))}?" if near else ""


def load(path):
    """Load a network, once as long as its file stays the same.

    Raises:
        RuntimeError: In a process forked off one that had computed, see `refuse_fork`.
    """
    from tfstyle.networks.process import refuse_fork

    refuse_fork()
    path = Path(path).resolve()
    return _load(path, path.stat().st_mtime_ns)


@functools.lru_cache(maxsize=8)
def _load(path, time):
    from tfstyle.painting.sizes import load_painter

    return load_painter(path)
