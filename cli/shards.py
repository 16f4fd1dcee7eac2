"""`tfstyle shards`: copy photographs into TFRecord files."""

from pathlib import Path
from typing import Annotated

import tyro

from tfstyle.cli import flags
from tfstyle.cli.photos import exit_code, leave_out, lines_on
from tfstyle.cli.quiet import load_tensorflow
from tfstyle.pictures.files import check_folder_writable
from tfstyle.training.data import Photos, write_shards


def shards(
    content: tyro.conf.Positional[str],
    output: Annotated[Path, tyro.conf.arg(aliases=("-o",))],
    shards: int = 16,
) -> int:
    """Copy photographs, unchanged, into TFRecord files, which train as the photographs do.

    Args:
        content: Photographs: a folder, a .zip, TFRecord files, or coco/2017.
        output: Folder of the files; made if it does not exist.
        shards: Number of files.
    """
    if shards < 1:
        raise ValueError(f"`shards` must be at least 1. Received: shards={shards}.")
    check_folder_writable(output)
    photos = Photos(content)
    load_tensorflow()
    for path in write_shards(photos, output, shards):
        print(path)
    for name, reason in photos.bad.items():
        leave_out(name, reason)
    return exit_code(len(photos.bad), len(photos), lines_on(content, photos.passed_over))


def run(arguments):
    """Run the command as `arguments` say; return the exit code: 1 if some were left out."""
    return flags.call(shards, "tfstyle shards", arguments)
