"""Paint every photograph in the style of every painting and lay the results on one sheet.

    python tests/benchmarks/sheet.py --contents A.jpg B.jpg --styles C.jpg D.jpg -o sheet.jpg

Single results, each with its record, go to the folder `sheet/` beside the sheet; those already
there are kept, so that an interrupted sheet goes on. One photograph and one painting make a row:
photograph, painting, result.
"""

import argparse
import json
import os
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from PIL import Image

import tfstyle
from tfstyle.optimize.callbacks import Progress, Record
from tfstyle.pictures import read_image, save_image, to_pil

GAP = 8


def thumbnail(path, size):
    """Return a picture that fits a square cell of the sheet."""
    picture = to_pil(read_image(path).rgb)
    picture.thumbnail(size)
    return picture


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--contents", nargs="+", type=Path, required=True)
    parser.add_argument("--styles", nargs="+", type=Path, required=True)
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--recipe", default="default")
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--cell", type=int, default=400)
    options = parser.parse_args()
    folder = options.output.with_suffix("")
    folder.mkdir(exist_ok=True)
    cell = (options.cell, options.cell * 3 // 4)
    columns, rows = len(options.styles) + 1, len(options.contents) + 1
    in_a_row = {(0, 1): (0, 0), (1, 0): (1, 0), (1, 1): (2, 0)} if columns == rows == 2 else {}
    if in_a_row:
        columns, rows = 3, 1
    step = (cell[0] + GAP, cell[1] + GAP)
    sheet = Image.new("RGB", (columns * step[0] - GAP, rows * step[1] - GAP), "white")

    def place(path, *position):
        column, row = in_a_row.get(position, position)
        picture = thumbnail(path, cell)
        gap = [(side - own) // 2 for side, own in zip(cell, picture.size, strict=True)]
        sheet.paste(picture, (column * step[0] + gap[0], row * step[1] + gap[1]))

    for column, style in enumerate(options.styles, 1):
        place(style, column, 0)
    for row, content in enumerate(options.contents, 1):
        place(content, 0, row)
        for column, style in enumerate(options.styles, 1):
            path = folder / f"{content.stem}_{style.stem}.png"
            if not path.is_file():
                record, begun = Record(), time.perf_counter()
                picture = tfstyle.stylize(
                    content,
                    style,
                    options.recipe,
                    size=options.size,
                    callbacks=[record, Progress()],
                )
                save_image(picture, path)
                record.record["wall_seconds"] = round(time.perf_counter() - begun, 1)
                record.save(path.with_suffix(".json"))
            record = json.loads(path.with_suffix(".json").read_text())
            losses = {name: v[-1] for name, v in record["scales"][-1]["losses"].items()}
            print(path.name, f"{record['wall_seconds']} s", losses, flush=True)
            place(path, column, row)
            save_image(sheet, options.output)


if __name__ == "__main__":
    main()
