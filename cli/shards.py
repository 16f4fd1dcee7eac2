"""`tfstyle shards`: copy photographs into TFRecord files."""

from pathlib import Path
from typing import Annotated

import tyro

from tfstyle.cli.quiet import load_tensorflow
from tfstyle.training.data import Photos, write_shards


def shards(
    content: tyro.conf.Positional[str],
    output: Annotated[Path, tyro.conf.arg(aliases=("-o",))],
    shards: int = 16,
) -> None:
    """Copy photographs, unchanged, into TFRecord files, which train as the photographs do.

    Args:
        content: Photographs: a folder, a .zip, TFRecord files, or coco/2017.
        output: Folder of the files; made if it does not exist.
        shards: Number of files.
    """
    if shards < 1:
        raise ValueError(f"`shards` must be at least 1. Received: shards={shards}.")
    photos = Photos(content)
    load_tensorflow()
    for path in write_shards(photos, output, shards):
        print(path)


def run(arguments):
    """Parse `arguments` and run the command."""
    tyro.cli(shards, prog="tfstyle shards", args=arguments)
