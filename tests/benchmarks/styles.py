"""How well trained styles paint: losses beside the optimizer's, the grid, a sheet to look at.

    python tests/benchmarks/styles.py losses PHOTOS --paintings FOLDER [--size 256] [--optimize 4]
    python tests/benchmarks/styles.py grid PHOTOS
    python tests/benchmarks/styles.py sheet PHOTOS -o sheet.jpg
    python tests/benchmarks/styles.py blind PHOTOS --networks A.keras ... --paintings FOLDER -o DIR
    python tests/benchmarks/styles.py flicker FILM [--style wave]

`losses`: content and style loss of the training `lean`, and how much detail is kept, for the
shipped styles whose paintings lie in the folder by the styles' names: of the photographs
themselves, of the network's paintings, and of 100 and 500 evaluations of the default optimizer on
the same losses (of the first `--optimize` photographs, which takes long). `grid`: power at periods
of 2, 4 and 8 pixels over that of neighboring frequencies, in decibel; under 3 nobody sees it,
photographs have about 0.5. `blind`: for each style that networks share a sheet for people to choose
from: its painting above, below it photographs, each as the networks paint it, in an order by chance
that `key.json` keeps. `flicker`: warping error of a painted film and seconds a frame, with and
without steadying; optical flow by OpenCV (pip install opencv-python-headless).
"""

import argparse
import itertools
import json
import os
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
from PIL import Image

from tfstyle.painting import zoo
from tfstyle.painting.doors import paint_photos
from tfstyle.pictures import Picture, read_image, resize, save_image, to_pil


def photographs(options):
    """Return `{name: rgb}` of the photographs named, or of all in the folders named."""
    paths = [
        file
        for path in options.photos
        for file in (sorted(path.glob("*.jpg")) if path.is_dir() else [path])
    ]
    return {
        path.stem: resize(read_image(path).rgb, options.size) for path in paths[: options.count]
    }


def painted(style, rgb):
    return np.asarray(paint_photos([Picture(rgb, None)], style)[0], np.float32) / 255


def _grid(picture):
    """Return decibel at periods 2, 4 and 8: the larger of both directions."""
    grey, found = picture.mean(-1), []
    for axis in (0, 1):
        length = grey.shape[axis] // 8 * 8
        cut = grey.take(range(length), axis)
        slope = np.diff(cut, axis=axis, append=cut.take([0], axis))
        power = (abs(np.fft.rfft(slope, axis=axis)) ** 2).mean(1 - axis)
        row = []
        for period in (2, 4, 8):
            place = length // period
            near = [
                k for k in range(place - 6, place + 7) if abs(k - place) > 1 and 0 < k < len(power)
            ]
            row.append(10 * np.log10(power[place] / power[near].mean()))
        found.append(row)
    return np.max(found, axis=0)


def grid(options):
    """Print the grid of photographs and of every shipped style."""
    photos = photographs(options)
    rows = {"photographs": photos.values()}
    rows |= {
        name: [painted(style, rgb) for rgb in photos.values()]
        for name, style in zoo.styles().items()
    }
    for name, pictures in rows.items():
        mean, worst = (f(np.array([_grid(p) for p in pictures]), axis=0) for f in (np.mean, np.max))
        print(
            f"  {name:<20} mean {mean[0]:5.1f} {mean[1]:5.1f} {mean[2]:5.1f} dB   "
            f"largest {worst.max():5.1f} dB"
        )


def losses(options):
    """Print content and style losses of photographs, networks and optimizer."""
    import dataclasses

    from tfstyle.config import Losses, Recipe, training_with
    from tfstyle.losses import detail_kept, terms_of
    from tfstyle.model import StyleContentModel
    from tfstyle.networks.features import FeatureExtractor, load_network
    from tfstyle.optimize.picture import optimize_image

    config = training_with("lean")
    shared = {field.name: getattr(config, field.name) for field in dataclasses.fields(Losses)}
    extractor = FeatureExtractor(load_network(config.network), config.layers)
    photos = photographs(options)

    def mean_losses(model, pictures):
        values = []
        for name, picture in pictures.items():
            pair = picture[None], photos[name][None]
            losses = model.losses_of(*pair)
            values.append((losses["content_loss"], losses["style_loss"], detail_kept(*pair)))
        return np.mean(values, 0)

    for name, style in zoo.styles().items():
        found = sorted(options.paintings.glob(f"{name}.*"))
        if not found:
            continue
        painting = read_image(found[0]).rgb
        painting = resize(painting, config.style_size)
        model = StyleContentModel(None, extractor, terms_of(config))
        model.set_style([painting[None]])
        network = {key: painted(style, rgb) for key, rgb in photos.items()}
        rows = {"photograph": photos, "network": network}
        few = dict(list(photos.items())[: options.optimize])
        for steps in (100, 500) if few else ():
            recipe = Recipe(
                **shared | {"precision": "auto", "grid_weight": 0.0},
                optimizer="lbfgs",
                steps=steps,
                size=options.size,
                style_size=config.style_size,
            )
            rows[f"{steps} evaluations ({len(few)} photographs)"] = {
                key: optimize_image(rgb, [painting], recipe) for key, rgb in few.items()
            }
            rows[f"network ({len(few)} photographs)"] = {key: network[key] for key in few}
        for row, pictures in rows.items():
            content, styled, detail = mean_losses(model, pictures)
            total = config.content_weight * content + config.style_weight * styled
            print(
                f"  {name:<18} {row:<33} content {content:.3f} style {styled:.4f} sum {total:.3f} "
                f"detail {detail:.3f}",
                flush=True,
            )


def sheet(options):
    """Paint all photographs in all styles: a row for each photograph."""
    rows = []
    for rgb in photographs(options).values():
        pictures = [rgb, *(painted(style, rgb) for style in zoo.styles().values())]
        rows.append([to_pil(picture) for picture in pictures])
    save_image(_in_rows(rows, options.cell), options.output)


def _in_rows(rows, height):
    """Return one picture of rows of PIL images, all of this height."""

    def cell(picture):
        width = round(height * picture.width / picture.height)
        return picture.resize((width, height), Image.Resampling.LANCZOS)

    cells = [list(map(cell, row)) for row in rows]
    width = max(sum(cell.width for cell in row) for row in cells)
    result = Image.new("RGB", (width, height * len(rows)), "white")
    for y, row in enumerate(cells):
        x = 0
        for cell in row:
            result.paste(cell, (x, y * height))
            x += cell.width
    return result


def blind(options):
    """Write a sheet for each style that networks share, and which column is whose."""
    photos, height, key = photographs(options), options.cell, {}
    networks = {path.stem: {s.name: s for s in zoo.styles_of(path)} for path in options.networks}
    shared = set.intersection(*map(set, networks.values()))
    options.output.mkdir(parents=True, exist_ok=True)
    chance = np.random.default_rng(options.seed)
    for name in sorted(shared):
        order = [str(network) for network in chance.permutation(list(networks))]
        key[name] = order
        above = to_pil(read_image(next(options.paintings.glob(f"{name}.*"))).rgb)
        rows = [[above]]
        for rgb in photos.values():
            pictures = [rgb, *(painted(networks[network][name], rgb) for network in order)]
            rows.append([to_pil(picture) for picture in pictures])
        save_image(_in_rows(rows, height), options.output / f"{name}.jpg")
    (options.output / "key.json").write_text(json.dumps(key, indent=2))


def flicker(options):
    """Print the warping error of a film: how far a painted frame is from the last, moved along."""
    import cv2

    from tfstyle.config import PaintConfig
    from tfstyle.painting.films import Painter
    from tfstyle.pictures.ffmpeg import Film

    frames = itertools.islice(Film(options.film).frames(), options.count)
    film = [resize(np.float32(frame) / 255, options.size) for frame in frames]
    style = zoo.find(options.style)
    network = zoo.load(style.path)
    find = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    greys = [cv2.cvtColor((f * 255).astype(np.uint8), cv2.COLOR_RGB2GRAY) for f in film]
    rows, columns = film[0].shape[:2]
    x, y = np.meshgrid(np.arange(columns, dtype=np.float32), np.arange(rows, dtype=np.float32))

    def moved(picture, flow):
        return cv2.remap(picture, x + flow[..., 0], y + flow[..., 1], cv2.INTER_LINEAR)

    flows = []
    for before, after in itertools.pairwise(greys):
        back, forth = find.calc(after, before, None), find.calc(before, after, None)
        there = moved(forth, back)
        # Hidden where the way back does not lead home (Lai et al. 2018).
        gap = ((there + back) ** 2).sum(-1)
        seen = gap <= 0.01 * ((there**2).sum(-1) + (back**2).sum(-1)) + 0.5
        flows.append((back, seen))

    def error(pictures):
        values = []
        for (back, seen), before, after in zip(flows, pictures, pictures[1:], strict=False):
            squared = ((moved(before, back) - after) ** 2).sum(-1)
            values.append((squared * seen).sum() / max(1, seen.sum()))
        return np.mean(values)

    print(f"  film                 warping error {error(film):.5f}")
    for steady in (0.0, 0.8):
        painter = Painter(network, PaintConfig(), steady)
        pictures = [painter(frame) for frame in film[:2]]  # which compile
        begun = time.perf_counter()
        pictures += map(painter, film[2:])
        seconds = (time.perf_counter() - begun) / len(film[2:])
        print(
            f"  {style.name}, steady {steady}  warping error {error(pictures):.5f}  "
            f"{seconds:.3f} s a frame"
        )


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(required=True)
    for run in (losses, grid, sheet, blind, flicker):
        command = commands.add_parser(run.__name__)
        command.set_defaults(run=run)
        command.add_argument("--count", type=int, default=24)
        command.add_argument("--size", type=int, default=256 if run is losses else 512)
        if run is flicker:
            command.add_argument("film", type=Path)
            command.add_argument("--style", default="wave")
            continue
        command.add_argument("photos", type=Path, nargs="+")
        if run in (losses, blind):
            command.add_argument("--paintings", type=Path, required=True)
        if run is losses:
            command.add_argument("--optimize", type=int, default=4)
        if run in (sheet, blind):
            command.add_argument("-o", "--output", type=Path, required=True)
            command.add_argument("--cell", type=int, default=200 if run is sheet else 300)
        if run is blind:
            command.add_argument("--networks", type=Path, nargs="+", required=True)
            command.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    options.run(options)


if __name__ == "__main__":
    main()
