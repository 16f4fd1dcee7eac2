"""The README's blocks run as they stand, on small pictures and a tiny loss network."""

import re
import shlex
from pathlib import Path

import imageio.v3 as iio
import numpy as np
import pytest
from PIL import Image

from tfstyle.cli import train
from tfstyle.cli.main import main
from tfstyle.cli.stylize import parse
from tfstyle.config import Recipe

README = (Path(__file__).resolve().parent.parent / "README.md").read_text()
TINY = [
    *("--width", "0.25", "--blocks", "1", "--sizes", "32", "--content-size", "32", "40"),
    *("--style-size", "32", "--batch-size", "2", "--steps", "2", "--precision", "float32"),
]
FAST = ["--size", "40", "--steps", "2", "--scales", "1", "--precision", "float32"]


@pytest.fixture(autouse=True)
def small_world(tmp_path, monkeypatch, fake_vgg):
    """Pictures by the README's names, and recipes that take no time."""
    monkeypatch.chdir(tmp_path)
    Path("photos").mkdir()
    for name in ("cat.jpg", "starry_night.jpg", "wave.jpg", "painting.jpg", "photos/dog.jpg"):
        Image.effect_noise((48, 40), 80).convert("RGB").save(name)
    iio.imwrite("film.mp4", np.zeros((4, 32, 48, 3), np.uint8), fps=8)
    from tfstyle.painting import doors as transfer

    plain = transfer.recipe_with

    def hurried(recipe="default", **overrides):
        small = {"size": 40, "steps": 2, "scales": (1.0,), "precision": "float32"}
        return plain(recipe, **({} if overrides.keys() == {"size"} else overrides | small))

    monkeypatch.setattr(transfer, "recipe_with", hurried)


def blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", README, re.S)


def test_python_blocks_run():
    found = blocks("python")
    assert found
    for block in found:
        exec(compile(block, "README.md", "exec"), {})


def test_tfstyle_commands_run():
    lines = [
        shlex.split(line, comments=True)
        for block in blocks("sh")
        for line in block.replace("\\\n", " ").splitlines()
        if line.startswith("tfstyle")
    ]
    assert lines
    for command, *arguments in lines:
        if command == "tfstyle-train":
            assert train.run(arguments + TINY) == 0, arguments
        else:
            first, *rest = arguments
            optimized = first == "stylize" and isinstance(parse(rest).config, Recipe)
            assert main(arguments + (FAST if optimized else [])) == 0, arguments
