"""What a reader copies from README and pages runs, on small pictures and a tiny loss network; links
lead somewhere."""

import functools
import importlib.util
import json
import re
import shlex
import shutil
from pathlib import Path

import imageio.v3 as iio
import numpy as np
import pytest
from PIL import Image

from tfstyle.cli import train
from tfstyle.cli.main import main
from tfstyle.cli.stylize import parse
from tfstyle.config import Recipe
from tfstyle.export import page as export_page

ROOT = Path(__file__).resolve().parent.parent
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
TINY = [
    *("--width", "0.25", "--blocks", "1", "--sizes", "48", "--content-size", "48", "52"),
    *(
        "--painting-size",
        "48",
        "52",
        "--style-size",
        "64",
        "--batch-size",
        "2",
        "--steps",
        "2",
        "--precision",
        "float32",
    ),
]
LESSON = ["--epochs", "1", "--batch-size", "4"]
FAST = ["--size", "40", "--steps", "2", "--scales", "1", "--precision", "float32"]


@pytest.fixture(autouse=True)
def small_world(tmp_path, monkeypatch, fake_vgg):
    """Pictures by the README's names, and recipes that take no time."""
    monkeypatch.chdir(tmp_path)
    Path("photos").mkdir()
    for name in (
        "cat.jpg",
        "photo.jpg",
        "starry_night.jpg",
        "wave.jpg",
        "painting.jpg",
        "photos/dog.jpg",
    ):
        Image.effect_noise((48, 40), 80).convert("RGB").save(name)
    for name in ("sky.png", "sea.png"):
        Image.linear_gradient("L").save(name)
    shutil.copytree("photos", "paintings")
    np.savez("mnist.npz", x_train=np.zeros((8, 28, 28), np.uint8))
    iio.imwrite("film.mp4", np.zeros((4, 32, 48, 3), np.uint8), fps=8)
    from tfstyle.painting import doors as transfer

    plain = transfer.recipe_with

    def hurried(recipe="default", **overrides):
        small = {"size": 40, "steps": 2, "scales": (1.0,), "precision": "float32"}
        return plain(recipe, **({} if overrides.keys() == {"size"} else overrides | small))

    monkeypatch.setattr(transfer, "recipe_with", hurried)


def blocks(page, language):
    return re.findall(rf"```{language}\n(.*?)```", page.read_text(), re.S)


@pytest.mark.parametrize(
    "page", ["README.md", "docs/painting.md", "docs/keras.md", "docs/adversaries.md"]
)
@pytest.mark.slow
def test_python_blocks_run(page):
    names, found = {}, blocks(ROOT / page, "python")
    assert found
    for block in found:  # a page goes on where it was
        exec(compile(block, page, "exec"), names)


@pytest.mark.slow
def test_notebook_runs():
    cells = json.loads((ROOT / "examples/tutorial.ipynb").read_text())["cells"]
    code, names = ["".join(each["source"]) for each in cells if each["cell_type"] == "code"], {}
    for block in code:
        exec(compile(block.replace("512", "40").replace("= 50", "= 2"), "notebook", "exec"), names)
    assert len(names["history"]["style_loss"]) == 2
    assert names["picture"].shape == names["content"].shape


@functools.cache
def commands(page):
    """Commands of a page, each line once, split into words."""
    return dict.fromkeys(
        tuple(shlex.split(line, comments=True))
        for block in blocks(page, "sh")
        for line in block.replace("\\\n", " ").splitlines()
        if line.startswith("tfstyle")
    )


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:The network of any style has not this one's shape")
@pytest.mark.parametrize("page", filter(commands, PAGES), ids=lambda page: page.name)
def test_tfstyle_commands_run(monkeypatch, page):
    monkeypatch.setattr("tfstyle.export.parity.SHIPPED_SIDES", (48,))
    monkeypatch.setattr("tfstyle.export.parity.RUN_SECONDS", 0)
    monkeypatch.setattr("tfstyle.export.parity.peak_memory_mb", lambda *_: 1.0)
    monkeypatch.setattr("tfstyle.export.page._painters", functools.cache(export_page._painters))
    for command, *arguments in commands(page):
        if command == "tfstyle-train":
            small = LESSON if "digits" in arguments else TINY
            assert train.run(arguments + small) == 0, arguments
        else:
            first, *rest = arguments
            if first == "batch" and importlib.util.find_spec("apache_beam") is None:
                continue
            optimized = first == "stylize" and isinstance(parse(rest).config, Recipe)
            assert main(arguments + (FAST if optimized else [])) == 0, arguments


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
        file, _, heading = link.partition("#")
        if file.startswith("http"):
            continue
        target = page.parent / file if file else page
        assert target.exists(), link
        titles = re.findall(r"^#+ (.*)", target.read_text(), re.M) if heading else ()
        slugs = {re.sub(r"[^\w -]", "", title).lower().replace(" ", "-") for title in titles}
        assert not heading or heading in slugs, link


def test_every_page_is_in_the_sites_menu():
    menu = (ROOT / "mkdocs.yml").read_text()
    assert all(f"- {page.name}" in menu for page in (ROOT / "docs").glob("*.md"))
