"""Which files of a folder are photographs: one rule for painting, training, shards and client."""

import os
from collections import Counter
from pathlib import PurePath
from typing import NamedTuple

from tfstyle.pictures.files import is_same_file, local

PHOTO_SUFFIXES = (
    *(".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".tif", ".tiff", ".bmp", ".gif"),
    *(".avif", ".heic", ".heif"),
)


class Found(NamedTuple):
    """What there is in a folder.

    Attributes:
        photos: Names of the photographs, paths below the folder, sorted.
        others: `{name: why}` of all else: what was passed over, and why in a word or two.
    """

    photos: list
    others: dict

    def __str__(self):
        """Say in a line what was passed over; nothing if nothing was."""
        counts = Counter(self.others.values())
        return ", ".join(f"{count} {why}" for why, count in sorted(counts.items()))


def find_photos(folder, without=None):
    """Find the photographs in a folder and in all folders in it, linked ones too.

    Whether they can be read is not looked at, but what cannot be will have its reason then. Each
    folder is visited once, however many links lead to it.

    Args:
        folder: Path of the folder.
        without: Path of a folder in it to pass over, such as that of paintings of an earlier run.

    Returns:
        `Found`.
    """
    top = os.fspath(local(folder))
    names, others, seen, begin = [], {}, set(), [top]

    def tell(error):
        others[os.path.relpath(error.filename, top)] = f"cannot be listed ({error.strerror})"

    for start in begin:  # which grows: linked folders come last
        for here, folders, files in os.walk(start, onerror=tell):
            status = os.stat(here)
            if (status.st_dev, status.st_ino) in seen:
                folders.clear()
                continue
            seen.add((status.st_dev, status.st_ino))
            for name in sorted(folders):
                path = os.path.join(here, name)
                why = _why_not_folder(name)
                if why is None and without is not None and is_same_file(path, without):
                    why = "painted earlier"
                if why is None and os.path.islink(path):
                    around = os.path.commonpath(map(os.path.realpath, (path, top)))
                    if around == os.path.realpath(path):
                        why = "link to a folder around it"
                    else:
                        begin.append(path)
                if why:
                    others[os.path.relpath(path, top)] = why
                    folders.remove(name)
            names += [os.path.relpath(os.path.join(here, name), top) for name in files]
    found = choose_photos(names)
    return Found(found.photos, others | found.others)


def choose_photos(names):
    """Choose the photographs among files by their names alone, paths with slashes or the
    system's separator; return `Found`."""
    photos, others = [], {}
    for name in sorted(names):
        *folders, file = PurePath(name).parts
        suffix = PurePath(file).suffix.lower()
        reasons = [*map(_why_not_folder, folders), "hidden" if file.startswith(".") else None]
        why = next(filter(None, reasons), None)
        if why is None and suffix not in PHOTO_SUFFIXES:
            why = suffix or "without a suffix"
        if why is None:
            photos.append(name)
        else:
            others[name] = why
    return Found(photos, others)


def _why_not_folder(name):
    if name.startswith("."):
        return "hidden"
    return "of a training" if name.endswith(".training") else None
