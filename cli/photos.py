"""The photographs that a command is given, and the files that their paintings go to."""

import os
import sys
from collections import Counter
from pathlib import Path

from tfstyle.cli.output import STDOUT
from tfstyle.pictures import SAVE_SUFFIXES, check_output_path, find_photos, is_same_file


def with_outputs(content, output, inputs=()):
    """Return pairs of a photograph and the file for its painting.

    Args:
        content: Paths of photographs, or of folders, which stand for all in them.
        output: Path of a file, for one photograph; or of a folder, made if it does not exist,
            where each keeps its name.
        inputs: What else must not be replaced, such as paintings.

    Returns:
        List of pairs of paths, whether the outputs go to a folder, and list of lines on what was
        found in folders but is no photograph.

    Raises:
        FileNotFoundError: If the file's folder does not exist.
        ValueError: If there is no photograph, or an output is what must not be replaced.
        OSError: If an output cannot be written.
    """
    if any(path.is_dir() and is_same_file(path, output) for path in content):
        raise ValueError(
            "`output` must be another folder than that of the photographs, or the next run would "
            f"paint the paintings. Received: '{output}'."
        )
    photos, passed_over = _found(content, output)
    if not photos:
        raise ValueError(
            "`content` must name a photograph, or a folder with some. "
            f"Received: {' '.join(map(str, content)) or 'nothing'}. {' '.join(passed_over)}"
        )
    if output == STDOUT:
        if len(photos) > 1:
            raise ValueError(f"`-o -` takes one photograph. Received: {len(photos)}.")
        return [(photos[0], output)], False, passed_over
    if len(photos) == 1 and output.suffix and not content[0].is_dir() and not output.is_dir():
        check_output_path(output, inputs=[*photos, *inputs])
        return [(photos[0], output)], False, passed_over
    if output.is_file() or (output.suffix.lower() in SAVE_SUFFIXES and not output.is_dir()):
        raise ValueError(f"`output` must be a folder for several. Received: '{output}', a file.")
    outputs = [output / name for name in _names(photos)]
    if {*map(_identity, outputs)} & {*map(_identity, [*photos, *inputs])}:
        raise ValueError(
            "`output` must be another folder than that of the photographs and paintings, which "
            f"would be overwritten. Received: '{output}'."
        )
    output.mkdir(parents=True, exist_ok=True)
    for path in outputs:
        check_output_path(path)
    return list(zip(photos, outputs, strict=True)), True, passed_over


def leave_out(photo, error):
    """Say in a line why a photograph was left out."""
    print(f"{photo}: {' '.join(str(error).split())}", file=sys.stderr)


def exit_code(left_out, total, passed_over=()):
    """Say what was passed over and how many of all photographs were left out, and return the exit
    code: 1 if any were."""
    for line in passed_over:
        print(line, file=sys.stderr)
    if left_out:
        print(f"{left_out} of {total} photographs were left out", file=sys.stderr)
    return 1 if left_out else 0


def _found(paths, output):
    """Return the photographs at paths, without those painted earlier into a folder among them; and
    lines on what else was in folders."""
    photos, passed_over = [], []
    for path in paths:
        if not path.is_dir():
            photos.append(path)
            continue
        found = find_photos(path, without=output)
        photos += [path / name for name in found.photos]
        passed_over += lines_on(path, str(found))
    return photos, passed_over


def lines_on(folder, others):
    """Return a line on what a folder holds that is no photograph; none if there is nothing."""
    return [f"{folder}: passed over {others}"] if others else []


def _identity(path):
    """Return what is equal for two paths that lead to one file."""
    try:
        status = os.stat(path)
        return status.st_dev, status.st_ino
    except OSError:  # it is not there
        return os.path.realpath(path)


def _names(photos):
    """Return a name for each photograph: its own, with its folder or a number where taken."""
    same, names = Counter(photo.name for photo in photos), {}
    for photo in photos:
        name = photo.name
        if same[name] > 1:
            name = f"{Path(os.path.abspath(photo)).parent.name}_{name}"
        if photo.suffix.lower() not in SAVE_SUFFIXES:
            name += ".png"
        free, number = name, 1
        while free in names:
            number += 1
            free = f"{Path(name).stem}_{number}{Path(name).suffix}"
        names[free] = photo
    return list(names)
