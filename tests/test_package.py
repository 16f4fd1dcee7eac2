import configparser
import doctest
import importlib
import pkgutil
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import tfstyle

ROOT = Path(__file__).resolve().parent.parent
MODULES = [
    module.name
    for folder, prefix in (
        ("tfstyle", "tfstyle."),
        ("export", "tfstyle.export."),
        ("serving", "tfstyle.serving."),
        ("cli", "tfstyle.cli."),
    )
    for module in pkgutil.iter_modules([str(ROOT / folder)], prefix)
]


def setup_cfg():
    parser = configparser.ConfigParser()
    parser.read(ROOT / "setup.cfg")
    return parser


def test_setup_cfg_names_every_package():
    folders = {"tfstyle"} | {
        f"tfstyle.{path.parent.relative_to(ROOT).as_posix().replace('/', '.')}"
        for top in ("cli", "export", "serving")
        for path in (ROOT / top).rglob("__init__.py")
    }
    assert set(setup_cfg()["options"]["packages"].split()) == folders


def test_all_is_what_the_package_offers():
    assert all(hasattr(tfstyle, name) for name in tfstyle.__all__)
    assert tfstyle.__version__ == importlib.import_module("tfstyle.version").__version__


@pytest.mark.parametrize("name", MODULES)
def test_docstring_examples_are_true(name):
    module = importlib.import_module(name)
    assert module.__doc__
    assert doctest.testmod(module).failed == 0


def floor_of(name):
    """Where a module stands: each may import only what stands before it."""
    order = (
        "version config presets images colors losses features networks model callbacks "
        "inspection optimize data painting distribution training_run training_callbacks training "
        "zoo hub transfer video"
    ).split()
    export = (
        "config picture_headers frozen report calibration signatures warmup saved_model litert "
        "onnx footprint parity publishing"
    ).split()
    serving = (
        "status config access metrics wire catalog client servable batching models predictor "
        "json_tensors grpc_service rest server deployment"
    ).split()
    room, _, module = name.removeprefix("tfstyle.").rpartition(".")
    floors = {"": (0, order), "export": (1, export), "serving": (2, serving), "cli": (3, None)}
    floor, modules = floors[room]
    return floor, modules.index(module) if modules else 99


@pytest.mark.parametrize("name", MODULES)
def test_imports_run_one_way(name):
    text = Path(importlib.import_module(name).__file__).read_text()
    imported = re.findall(r"^ *(?:from|import) (tfstyle(?:\.\w+)*)", text, re.M)
    for other in {i for i in imported if i != "tfstyle" and ".cli" not in i}:
        assert floor_of(other) < floor_of(name), f"{name} imports {other}"


@pytest.mark.slow
def test_an_installed_wheel_holds_one_top_level_package(tmp_path):
    command = [sys.executable, "-m", "pip", "install", "--no-deps", "--target", tmp_path, ROOT]
    subprocess.run(command, check=True)
    shutil.rmtree(ROOT / "build", ignore_errors=True)  # or a later build ships what lies there
    top = {p.name for p in tmp_path.iterdir() if not p.name.endswith(".dist-info")}
    assert top == {"tfstyle", "bin"}
    assert (tmp_path / "tfstyle/cli/main.py").is_file()
    assert (tmp_path / "tfstyle/pictures/lake.jpg").is_file()
    assert (tmp_path / "tfstyle/serving/templates/kubernetes.yaml").is_file()
