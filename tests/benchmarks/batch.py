"""How fast `tfstyle batch` is beside `tfstyle stylize FOLDER`, and with two worker processes.

    python tests/benchmarks/batch.py speed PHOTOS --count 200 --size 512
    python tests/benchmarks/batch.py many PHOTOS PAINTINGS --count 10
    python tests/benchmarks/batch.py cost PHOTOS PAINTINGS

Each worker computes on one core. A run of one photograph, in a process of its own as the others,
tells what starting takes; `painting` is the time beyond that.
"""

import argparse
import itertools
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tfstyle.pictures import find_photos, read_image, resize, save_image, to_pil

TFSTYLE = [sys.executable, "-c", "from tfstyle.cli.main import main; raise SystemExit(main())"]
ONE_CORE = {"TF_NUM_INTRAOP_THREADS": "1", "TF_NUM_INTEROP_THREADS": "1"}
LOT = 10_000_000  # pictures that the cost is told for
MEGAPIXEL = (1152, 864)


def processes(count):
    """Return Beam's flags for a number of worker processes on this machine."""
    return ["--direct_running_mode", "multi_processing", "--direct_num_workers", str(count)]


def seconds(command):
    """Run a command; return how long it took."""
    begun = time.monotonic()
    done = subprocess.run(
        [*TFSTYLE, *map(str, command)],
        env=os.environ | ONE_CORE,
        capture_output=True,
        text=True,
    )
    took = time.monotonic() - begun
    if done.returncode not in (0, 1):  # 1: some photographs cannot be read
        raise SystemExit(done.stderr)
    lines = done.stdout.splitlines()
    return took, lines[-1] if lines else ""


def chosen(photos, count, folder):
    """Link the first pictures of a folder into another, which is returned."""
    folder.mkdir()
    names = find_photos(photos).photos
    for name in itertools.islice(names, count):
        target = folder / name.replace(os.sep, "_")
        os.symlink(os.path.abspath(os.path.join(photos, name)), target)
    return folder


def speed(options, folder):
    """Print a row for each way, the same photographs in the same size."""
    count = len([*chosen(options.photos, options.count, folder / "photos").iterdir()])
    chosen(options.photos, 1, folder / "one")
    size = ["--size", options.size] if options.size else []
    batch = ["--style", options.style, "--task-size", options.task_size, *size]
    ways = {
        "stylize FOLDER": lambda source, out: ["stylize", source, options.style, "-o", out, *size],
        "batch": lambda source, out: ["batch", source, "-o", out, *batch],
        "batch, 1 process": lambda source, out: ["batch", source, "-o", out, *batch, *processes(1)],
        "batch, 2 processes": lambda source, out: [
            *("batch", source, "-o", out, *batch, *processes(2))
        ],
    }
    print(f"{count} photographs, long side {options.size or 'as it is'}, {options.style}")
    print("| | whole run, s | starting, s | painting, s | pictures/s |\n|" + " --- |" * 5)
    found = {name: [] for name in ways}
    for turn in range(options.repeat):
        for number, (name, way) in enumerate(ways.items()):
            whole, _ = seconds(way(folder / "photos", folder / f"out{turn}{number}"))
            start, _ = seconds(way(folder / "one", folder / f"one{turn}{number}"))
            found[name].append((whole, start))
            shutil.rmtree(folder / f"out{turn}{number}")
    painting = {}
    for name, times in found.items():
        whole, start = min(times)
        painting[name] = whole - start
        rate = count / painting[name]
        print(f"| {name} | {whole:.1f} | {start:.1f} | {painting[name]:.1f} | {rate:.2f} |")
    overhead = painting["batch"] / painting["stylize FOLDER"] - 1
    overhead_whole = min(found["batch"])[0] / min(found["stylize FOLDER"])[0] - 1
    print(f"over `stylize FOLDER`: {overhead:+.1%} of the painting, {overhead_whole:+.1%} of all")
    gain = painting["batch, 1 process"] / painting["batch, 2 processes"]
    gain_whole = min(found["batch, 1 process"])[0] / min(found["batch, 2 processes"])[0]
    print(f"2 processes: {gain:.2f} times as fast in painting, {gain_whole:.2f} times in all")


def many(options, folder):
    """Paint every photograph in the first paintings of a folder, with two processes."""
    size = ["--size", options.size] if options.size else []
    paintings = chosen(options.paintings, options.count, folder / "paintings")
    command = ["batch", options.photos, "--style", paintings, "-o", folder / "out", *size]
    for _ in range(2):  # the second has nothing to do
        took, line = seconds([*command, *processes(2)])
        print(f"{took:.1f} s: {line}")


def cost(options, folder):
    """Print the processor time that pictures of a megapixel take, beyond starting."""
    for count in (1, 1 + options.count):
        (folder / str(count)).mkdir()
        for name in itertools.islice(find_photos(options.photos).photos, count):
            picture = to_pil(resize(read_image(options.photos / name).rgb, MEGAPIXEL[::-1]))
            save_image(picture, folder / str(count) / f"{len(name)}{Path(name).stem}.jpg")
    (painting,) = chosen(options.paintings, 1, folder / "painting").iterdir()
    for style in ("wave", painting):
        took = []
        for count in (1, 1 + options.count):
            begun = resource.getrusage(resource.RUSAGE_CHILDREN)
            output = folder / f"{Path(style).stem}-{count}"
            seconds(["batch", folder / str(count), "--style", style, "-o", output])
            ended = resource.getrusage(resource.RUSAGE_CHILDREN)
            took.append(ended.ru_utime + ended.ru_stime - begun.ru_utime - begun.ru_stime)
        each = (took[1] - took[0]) / options.count
        hours = LOT * each / 3600
        print(f"{Path(style).stem}: {each:.2f} s a picture; {LOT} pictures: {hours:.0f} core-hours")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(required=True)
    for function in (speed, many, cost):
        command = commands.add_parser(function.__name__, help=function.__doc__.splitlines()[0])
        command.set_defaults(function=function)
        command.add_argument("photos", type=Path)
        if function is not speed:
            command.add_argument("paintings", type=Path)
        if function is not cost:
            command.add_argument("--size", type=int, help="long side; default: its own")
        command.add_argument("--count", type=int, default={many: 10, cost: 12}.get(function, 200))
        if function is speed:
            command.add_argument("--style", default="wave")
            command.add_argument("--task-size", type=int, default=16)
            command.add_argument("--repeat", type=int, default=1)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="tfstyle-batch-") as folder:
        options.function(options, Path(folder))


if __name__ == "__main__":
    main()
