"""Pictures that the ranges of int8 are taken from, and that exports are compared on."""

from importlib.resources import files
from pathlib import Path

import numpy as np

from tfstyle.pictures import find_photos, read_image, resize

PICTURES = Path(str(files("tfstyle"))) / "pictures"
SHIPPED = (PICTURES / "lake.jpg", PICTURES / "brushwork.jpg")
COUNT = 32


def calibration_pictures(size, photographs=()):
    """Return pictures to calibrate int8 with.

    Args:
        size: Tuple (height, width) of all of them.
        photographs: Files, or folders of files. Default: 32 pieces of the two pictures that ship
            with the package, mirrored, lighter and darker, greyer and more colorful.

    Returns:
        List of float32 arrays `(height, width, 3)` in [0, 1].
    """
    if photographs:
        return [cover(read_image(path).rgb, size) for path in picture_files(photographs)]
    random = np.random.default_rng(0)
    shipped = [read_image(path).rgb for path in SHIPPED]
    return [_varied(shipped[number % 3 == 2], size, random) for number in range(COUNT)]


def picture_files(paths):
    """Return the files among paths, and those of pictures in the folders among them.

    Raises:
        ValueError: If there are none.
    """
    found = []
    for path in map(Path, paths):
        found += [path / name for name in find_photos(path).photos] if path.is_dir() else [path]
    if not found:
        raise ValueError(f"There are no pictures in {', '.join(map(str, paths))}.")
    return found


def cover(image, size):
    """Resize a picture until it covers `size`, (height, width), and cut the middle out."""
    scale = max(size[0] / image.shape[0], size[1] / image.shape[1])
    sides = (max(side, round(old * scale)) for side, old in zip(size, image.shape, strict=False))
    image = resize(image, tuple(sides))
    top, left = ((old - side) // 2 for old, side in zip(image.shape, size, strict=False))
    return image[top : top + size[0], left : left + size[1]]


def _varied(image, size, random):
    height, width = image.shape[:2]
    side = int(random.uniform(0.35, 1) * min(height, width))
    top, left = random.integers(height - side + 1), random.integers(width - side + 1)
    piece = cover(image[top : top + side, left : left + side], size)
    piece = piece[:, :: random.choice((1, -1))] ** random.uniform(0.5, 2)
    grey = piece.mean(-1, keepdims=True)
    piece = grey + (piece - grey) * random.uniform(0, 1.6)
    return np.float32(piece[..., random.permutation(3)].clip(0, 1))
