"""The styles of a run: where their networks and paintings lie, and their points of style."""

import hashlib
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any, NamedTuple

from tfstyle.batch import places
from tfstyle.painting import zoo
from tfstyle.painting.instant import Paintings, network_of_any
from tfstyle.pictures import read_image


@dataclass(frozen=True)
class Look:
    """A style that pictures are painted in.

    Attributes:
        name: Its name.
        network: Name of a trained style that ships, "any", or path of a network.
        painting: Path of the painting, for a network of any style.
        checksum: Of painting and network.
    """

    name: str
    network: str
    painting: str | None
    checksum: str


class Point(NamedTuple):
    """A point of style that is known, in the place of `zoo.Style`.

    Attributes:
        network: As of `Look`.
        code: Array `(1, num_styles)`.
    """

    network: str
    code: Any

    @property
    def path(self):
        """File of the network on this machine."""
        return network_file(self.network)

    def point(self, network, style_weights=None):
        return self.code


def looks_of(style, recipe):
    """Return a list of `Look`s for a value of an argument `style`, checked.

    Args:
        style: Name or network of a trained style, a painting, a folder of such, a pattern; or a
            list of these.
        recipe: "instant", or the path of a network of any style.

    Returns:
        List of `Look`, and whether they are several, or could have been.

    Raises:
        FileNotFoundError: If there is no such style.
        ValueError: If a painting cannot be read, two styles have one name, or there is none.
    """
    styles = list(style) if isinstance(style, (list, tuple)) else [style]
    looks, several = [], len(styles) > 1
    if network_of_any(recipe) is None:
        raise ValueError(
            "`recipe` must be 'instant' or the path of a network of any style, .keras. "
            f"Received: recipe={recipe!r}."
        )
    for each in map(str, styles):
        if each in zoo.styles() or each.endswith(".keras"):
            looks.append(_trained(each))
            continue
        zoo.refuse_unknown(each)
        place = places.absolute(each)
        places.check_exists(place, "style")
        found = list(places.find(place))
        several |= [photo.path for photo in found] != [place]
        looks += [_of_painting(photo, recipe) for photo in found]
    if not looks:
        raise ValueError(f"`style` must name a style or a painting. Received: {style!r}.")
    names = [look.name for look in looks]
    if same := [name for name in names if names.count(name) > 1]:
        raise ValueError(
            f"Styles must have names of their own. Received: {same[0]!r} twice. Rename a painting."
        )
    return looks, several


def network_file(network):
    """Return the path on this machine of a `Look`'s network."""
    if network == "any":
        return zoo.ANY
    return zoo.styles()[network].path if network in zoo.styles() else places.local_copy(network)


def point_of(look):
    """Return name and `Point` of a look: for a painting, the network reads its code off it."""
    path = network_file(look.network)
    if look.painting:
        style = Paintings(places.read_file(look.painting), path)
    else:
        style = zoo.styles().get(look.network) or zoo.styles_of(path)[0]
    return look.name, Point(look.network, style.point(zoo.load(path)))


def _trained(style):
    """Return the `Look` of a trained style."""
    network = style if style in zoo.styles() else places.absolute(style)
    path = network_file(network)
    found = zoo.styles().get(network) or zoo.styles_of(path)[0]
    if zoo.paints_any(path):
        raise ValueError(
            f"The network of any style paints after paintings. Received: style={style!r}. Give "
            f"them as `style`, and recipe={style!r}."
        )
    return Look(found.name, network, None, _checksum(path.read_bytes(), found.name.encode()))


def _of_painting(photo, recipe):
    """Return the `Look` of a painting, which is read to see that it can be."""
    network = "any" if network_of_any(recipe) == zoo.ANY else places.absolute(recipe)
    path = network_file(network)
    content = places.read(photo)
    try:
        Paintings(read_image(content), path)
    except ValueError as error:
        raise ValueError(f"'{photo.path}': {error}") from error
    name = str(PurePosixPath(photo.name).with_suffix(""))
    return Look(name, network, photo.path, _checksum(path.read_bytes(), content))


def _checksum(*contents):
    return hashlib.sha256(b"".join(contents)).hexdigest()
