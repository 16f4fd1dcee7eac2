"""Paintings to train on, some kept out of it: those of one hand, and of many, drawn by group."""

import collections
import csv
import functools
from pathlib import Path

import numpy as np
from PIL import Image

from tfstyle.pictures import PHOTO_SUFFIXES
from tfstyle.pictures.files import local
from tfstyle.pictures.finding import Found
from tfstyle.training.data import Photos

HELD_OUT = 20  # every one of so many, by name, is kept for validation
TABLE = "sources.tsv"
RECOLORED, HUES, SATURATIONS, BRIGHTNESS = 0.5, 0.1, (0.5, 1.5), (0.85, 1.15)
SWAPPED = 0.15  # share of paintings that take the colors of another


class Works(Photos):
    """Paintings of one hand, read as `Photos` reads photographs, and drawn evenly.

    Where there are as many, every `HELD_OUT`th by name is never drawn.

    Args:
        source: As for `Photos`; or one painting.
        cache_mb: As for `Photos`.

    Attributes:
        unseen: For each painting that is kept out, a function that returns its path or bytes.
        groups: Number of paintings to train on in each group, by name.
    """

    kind = "paintings"

    def __init__(self, source, cache_mb=0):
        super().__init__(source, cache_mb)
        self._all = self.names, self.read, self.size
        self._choose()

    def _open(self, source):
        path = local(source)
        if path.is_file() and path.suffix.lower() in PHOTO_SUFFIXES:
            return Found([path.name], {}), lambda number: path, lambda number: path.stat().st_size
        return super()._open(source)

    def _choose(self):
        """Choose what is drawn from."""
        names, read, size = self._all
        every = range(len(names))
        kept_out = every[::HELD_OUT] if len(every) >= HELD_OUT else ()
        seen = [number for number in every if number not in kept_out]
        self.unseen = [functools.partial(read, n) for n in kept_out if names[n] not in self.bad]
        self.names, self.read = [names[n] for n in seen], lambda number: read(seen[number])
        self.size = lambda number: size(seen[number])
        self.groups = collections.Counter({"": len(seen)})

    def record(self):
        """Return what tells all these paintings, drawn or kept out, from others."""
        names, _, size = self._all
        return [[name, size(number)] for number, name in enumerate(names)]

    def keep_to(self, record):
        """Be the paintings of a record, as `Photos.keep_to`."""
        self.names, self.read, self.size = self._all
        super().keep_to(record)
        self._all = self.names, self.read, self.size
        self._choose()


class Gallery(Works):
    """Paintings of many hands, drawn at random, often with other colors.

    Where a table `sources.tsv` lies in the folder, with columns `file` and `group`, a group is
    drawn by the square root of its size, so that a large one is not all that is learned from.
    Paintings that it does not name make a group. `Works` tells the rest.
    """

    def _open(self, source):
        path = local(source)
        if path.is_file() and path.suffix.lower() in PHOTO_SUFFIXES:
            raise ValueError(
                "A network of any style learns from a folder or .zip of paintings (`style`). "
                f"Received: '{source}', one painting."
            )
        return Photos._open(self, source)

    def _choose(self):
        """Choose what is drawn from, and how often."""
        super()._choose()
        group_of = _groups(local(self.source) / TABLE)
        named = [group_of.get(Path(name).name, "") for name in self.names]
        self.groups = collections.Counter(named)
        shares = np.array([self.groups[group] ** -0.5 for group in named])
        self._until = np.cumsum(shares / shares.sum())

    def number(self, position, seed=0):
        """Return which painting stands at `position` of an endless, random sequence."""
        chance = np.random.default_rng((seed, position, 1)).random()
        return min(int(np.searchsorted(self._until, chance)), len(self) - 1)

    def crop(self, position, size, short_sides, seed=0):
        """Return the crop at `position` of the sequence, as `Photos.crop`, often with other colors:
        of another hue, saturation and brightness, or those of another painting."""
        random = np.random.default_rng((seed, position, 2))
        pixels = super().crop(position, size, short_sides, seed)
        if random.random() < RECOLORED:
            pixels = _recolored(pixels, random)
        if random.random() < SWAPPED:
            other = int(random.integers(2**31))  # the place of some other in the sequence
            pixels = _with_colors_of(pixels, super().crop(other, size, short_sides, seed))
        return pixels


def _groups(path):
    """Return `{file name: group}` of a table, empty where there is none."""
    if not path.is_file():
        return {}
    try:
        text = path.read_text("utf-8-sig")  # spreadsheets write a mark before the first column
        table = csv.DictReader(text.splitlines(), delimiter="\t")
        if {"file", "group"} <= {*(table.fieldnames or ())}:
            return {row["file"]: row["group"] or "" for row in table}
        what = str(table.fieldnames)
    except (UnicodeDecodeError, csv.Error) as error:
        what = str(error)
    raise ValueError(
        f"'{path}' must be a table in UTF-8 with the columns 'file' and 'group', separated by "
        f"tabs. Received: {what}."
    )


def _recolored(pixels, random):
    hsv = np.array(Image.fromarray(pixels).convert("HSV"), np.float32)
    hsv[..., 0] = (hsv[..., 0] + 256 * random.uniform(-HUES, HUES)) % 256
    hsv[..., 1] = np.clip(hsv[..., 1] * random.uniform(*SATURATIONS), 0, 255)
    pixels = np.asarray(Image.fromarray(np.uint8(hsv), "HSV").convert("RGB"))
    return np.uint8(np.clip(pixels * random.uniform(*BRIGHTNESS), 0, 255))


def _with_colors_of(pixels, other):
    (mean, deviation), (new_mean, new_deviation) = (
        (each.mean((0, 1)), each.std((0, 1)) + 5) for each in (np.float32(pixels), other)
    )
    return np.uint8(np.clip((pixels - mean) / deviation * new_deviation + new_mean, 0, 255))
