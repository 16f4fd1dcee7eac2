"""The network of any style in figures: losses, told apart or not, a sheet.

    python tests/benchmarks/any_style.py losses PHOTOS --paintings wave.jpg starry_night.jpg
    python tests/benchmarks/any_style.py nearest PHOTOS --paintings FOLDER --every 20
    python tests/benchmarks/any_style.py sheet PHOTOS --paintings FOLDER --every 20 -o sheet.png

`losses` prints the content and style loss of the training preset `lean`, what repeats every four
pixels, in levels, how much detail is kept, and how much noise in photographs grows (its deviation,
`tfstyle.losses.stability_loss`); `nearest` how often the code of a painted picture lies nearest to
that of its own painting. TFSTYLE_VGG19_WEIGHTS names the loss network's weights.
"""

import argparse
from pathlib import Path

import numpy as np
from PIL import Image

from tfstyle.config import CODE_SIDE, training_with
from tfstyle.painting import zoo
from tfstyle.painting.sizes import load_painter
from tfstyle.pictures import READ_FORMATS, read_image, resize, save_image, to_pil

SUFFIXES = {".jpg", ".jpeg", *(f".{name.lower()}" for name in READ_FORMATS)}


def pictures(paths, every, count, size):
    """Return `{name: array}` of files and of every `every`-th file of folders."""
    found = []
    for path in paths:
        if path.is_dir():
            files = sorted(file for file in path.iterdir() if file.suffix.lower() in SUFFIXES)
            found += files[::every]
        else:
            found.append(path)
    return {path.stem: resize(read_image(path).rgb, size) for path in found[:count]}


def losses(network, photos, paintings, options):
    from tfstyle.losses import detail_kept, octave_noise, stability_loss, terms_of
    from tfstyle.model import StyleContentModel
    from tfstyle.networks import FeatureExtractor, load_network

    config = training_with("lean")
    extractor = FeatureExtractor(load_network(config.network), config.layers)
    rows = []
    for name, painting in paintings.items():
        model = StyleContentModel(None, extractor, terms_of(config))
        model.set_style([painting[None]])
        code = network.encode(painting[None])
        values = []
        for photo in photos.values():
            pair = network(photo[None], code), photo[None]
            noise = octave_noise(*pair[1].shape[1:3], options.noise)
            noisy = stability_loss(pair[0], network(pair[1] + noise, code), noise)
            seen = model.losses_of(*pair)
            found = [float(seen[key]) for key in ("content_loss", "style_loss", "grid")]
            values.append([*found, float(detail_kept(*pair)), float(noisy)])
        rows.append(np.mean(values, 0))
        print(_row(name, rows[-1]), flush=True)
    print(_row(f"mean of {len(rows)}", np.mean(rows, 0)))


def _row(name, values):
    content, style, grid, detail, noise = values
    levels = 255 * grid**0.5
    return (
        f"{name[:30]:<30}  content {content:.3f}  style {style:.3f}  grid {levels:.2f}/255  "
        f"detail {detail:.3f}  noise ×{noise**0.5:.2f}"
    )


def nearest(network, photos, paintings, options):
    codes = np.concatenate([network.encode(painting[None]) for painting in paintings.values()])
    right = []
    for number, code in enumerate(codes):
        for photo in photos.values():
            own = np.asarray(network.encode(network(photo[None], code)))
            right.append(np.argmin(((codes - own) ** 2).sum(-1)) == number)
    print(f"nearest of {len(codes)}: {np.mean(right):.1%} of {len(right)} pairs")


def sheet(network, photos, paintings, options):
    side, rows = options.cell, [[None, *photos.values()]]
    for painting in paintings.values():
        code = network.encode(painting[None])
        painted = [np.asarray(network(photo[None], code))[0] for photo in photos.values()]
        rows.append([painting, *painted])
    result = Image.new("RGB", (side * len(rows[0]), side * len(rows)), "white")
    for y, row in enumerate(rows):
        for x, picture in enumerate(row):
            if picture is not None:
                cell = to_pil(picture)
                cell.thumbnail((side, side), Image.Resampling.LANCZOS)
                result.paste(cell, (x * side, y * side))
    save_image(result, options.output)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=["losses", "nearest", "sheet"])
    parser.add_argument("photos", type=Path, help="folder of photographs")
    parser.add_argument("--paintings", type=Path, nargs="+", required=True)
    parser.add_argument("--every", type=int, default=1, help="of a folder of paintings")
    parser.add_argument("--count", type=int, help="of photographs")
    parser.add_argument("--size", type=int, default=256, help="long side of photographs, px")
    parser.add_argument("--noise", type=float, default=0.015, help="its deviation at each size")
    parser.add_argument("--network", type=Path, default=zoo.ANY)
    parser.add_argument("--cell", type=int, default=256)
    parser.add_argument("-o", "--output", type=Path, default=Path("sheet.png"))
    options = parser.parse_args()
    globals()[options.what](
        load_painter(options.network),
        pictures([options.photos], 1, options.count, options.size),
        pictures(options.paintings, options.every, None, CODE_SIDE),
        options,
    )
