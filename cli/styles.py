"""`tfstyle styles`: list the trained styles that ship with tfstyle, or show one's card."""

import base64
import json
from pathlib import Path
from typing import Annotated

import tyro

from tfstyle.cli import flags
from tfstyle.painting import zoo
from tfstyle.pictures.files import write


def styles(
    name: Annotated[str | None, tyro.conf.Positional] = None,
    thumbnails: Path | None = None,
) -> None:
    """List the trained styles that ship with tfstyle, or print the card of one as JSON.

    Args:
        name: Style, or path of a network, whose card to print. Default: a line for each style.
        thumbnails: Folder to save a small picture of each painting in.
    """
    if name is not None:
        style = zoo.require(name, "name")
        chosen = [style]
        card = json.loads(json.dumps(style.card))
        for entry in card["styles"]:
            entry.pop("thumbnail", None)
        print(json.dumps(card, indent=2))
    else:
        chosen = list(zoo.styles().values())
        width = max((len(style.name) for style in chosen), default=0)
        for style in chosen:
            print(f"{style.name:<{width}}  {style.about}")
        print(f"{'any':<{width}}  a painting of yours: tfstyle stylize PHOTO PAINTING")
    if thumbnails is not None:
        thumbnails.mkdir(parents=True, exist_ok=True)
        for style in chosen:
            encoded = style.card["styles"][style.index]["thumbnail"]
            write(thumbnails / f"{style.name}.jpg", base64.b64decode(encoded))


def run(arguments):
    """Parse `arguments` and run the command."""
    flags.call(styles, "tfstyle styles", arguments)
