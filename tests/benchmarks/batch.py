"""How fast `tfstyle batch` is beside `tfstyle stylize FOLDER`, and with two worker processes.

    python tests/benchmarks/batch.py speed PHOTOS --count 200 --size 512
    python tests/benchmarks/batch.py many PHOTOS PAINTINGS

Each worker computes on one core. A run of one photograph, in a process of its own as the others,
tells what starting takes; `painting` is the time beyond that.
"""

import argparse
import itertools
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tfstyle.pictures import find_photos

TFSTYLE = [sys.executable, "-c", "from tfstyle.cli.main import main; raise SystemExit(main())"]
ONE_CORE = {"TF_NUM_INTRAOP_THREADS": "1", "TF_NUM_INTEROP_THREADS": "1"}
LOT = 10_000_000  # pictures that the last line is for


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
    """Link the first photographs of a folder into another, and return how many there are."""
    folder.mkdir()
    names = find_photos(photos).photos
    for name in itertools.islice(names, count):
        target = folder / name.replace(os.sep, "_")
        os.symlink(os.path.abspath(os.path.join(photos, name)), target)
    return len([*folder.iterdir()])


def speed(options, folder):
    """Print a row for each way, the same photographs in the same size."""
    count = chosen(options.photos, options.count, folder / "photos")
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
    hours = LOT * painting["batch, 1 process"] / count / 3600
    print(f"{LOT} such pictures: {hours:.0f} core-hours")


def many(options, folder):
    """Paint every photograph in every painting, with two processes."""
    size = ["--size", options.size] if options.size else []
    command = ["batch", options.photos, "--style", options.paintings, "-o", folder / "out", *size]
    for _ in range(2):  # the second has nothing to do
        took, line = seconds([*command, *processes(2)])
        print(f"{took:.1f} s: {line}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(required=True)
    for function in (speed, many):
        command = commands.add_parser(function.__name__, help=function.__doc__.splitlines()[0])
        command.set_defaults(function=function)
        command.add_argument("photos", type=Path)
        if function is many:
            command.add_argument("paintings", type=Path)
        command.add_argument("--size", type=int, help="long side; default: the photograph's own")
        if function is speed:
            command.add_argument("--count", type=int, default=200)
            command.add_argument("--style", default="wave")
            command.add_argument("--task-size", type=int, default=16)
            command.add_argument("--repeat", type=int, default=1)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="tfstyle-batch-") as folder:
        options.function(options, Path(folder))


if __name__ == "__main__":
    main()
