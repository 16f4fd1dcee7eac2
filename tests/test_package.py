import configparser
import dataclasses
import doctest
import importlib
import inspect
import pkgutil
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import tfstyle
from tfstyle.cli import flags

ROOT = Path(__file__).resolve().parent.parent
ROOMS = "config pictures losses networks optimize painting batch training".split()
MODULES = [
    module.name
    for folder, prefix in (
        ("tfstyle", "tfstyle."),
        *((f"tfstyle/{room}", f"tfstyle.{room}.") for room in ROOMS),
        ("export", "tfstyle.export."),
        ("serving", "tfstyle.serving."),
        ("cli", "tfstyle.cli."),
    )
    for module in pkgutil.iter_modules([str(ROOT / folder)], prefix)
]


def module_of(name):
    """Import a module, where what it needs is installed."""
    if name.startswith("tfstyle.batch"):
        pytest.importorskip("apache_beam")
    return importlib.import_module(name)


def setup_cfg():
    parser = configparser.ConfigParser()
    parser.read(ROOT / "setup.cfg")
    return parser


def test_setup_cfg_names_every_package():
    folders = {"tfstyle"} | {
        f"tfstyle.{path.parent.name}"
        for folder in ("cli", "export", "serving", "tfstyle/*")
        for path in ROOT.glob(f"{folder}/__init__.py")
    }
    assert set(setup_cfg()["options"]["packages"].split()) == folders


def test_all_is_what_the_package_offers():
    assert all(hasattr(tfstyle, name) for name in tfstyle.__all__)
    assert tfstyle.__version__ == importlib.import_module("tfstyle.version").__version__


@pytest.mark.parametrize("name", MODULES)
def test_docstring_examples_are_true(name):
    module = module_of(name)
    assert module.__doc__
    assert doctest.testmod(module).failed == 0


@pytest.mark.parametrize(
    "name", re.findall("^::: (.*)", (ROOT / "docs/reference.md").read_text(), re.M)
)
def test_what_the_reference_lists_tells_arguments_and_shows_an_example(name):
    module, _, name = name.rpartition(".")
    thing = getattr(module_of(module), name)
    about = inspect.getdoc(thing)
    if dataclasses.is_dataclass(thing):  # whose fields have docstrings of their own
        assert {field.name for field in dataclasses.fields(thing)} <= {*flags._docs(thing)}
        return
    for parameter in inspect.signature(thing).parameters.values():
        if parameter.name != "self" and parameter.kind is not parameter.VAR_KEYWORD:
            assert re.search(rf"^ +\*?{parameter.name}: ", about, re.M), parameter
    assert "\nExample:" in about
    assert "(" in about.partition("Example:")[2]


def test_what_the_package_offers_is_in_the_reference():
    listed = (ROOT / "docs/reference.md").read_text()
    offered = {*tfstyle.__all__} - {"__version__", "RECIPES", "TRAININGS"}
    assert all(re.search(rf"^::: .*\.{name}$", listed, re.M) for name in offered)


def floor_of(name):
    """Where a module stands: each may import only what stands before it, within its room too."""
    houses = "version progress config pictures losses networks model optimize painting batch"
    houses = f"{houses} training export serving cli".split()
    rooms = {
        "config": "checks digits looks recipe painting training presets",
        "pictures": "files finding shards layouts jpeg_end opening reading writing colors ffmpeg",
        "losses": "adversaries gradients statistics norms equations distributions codes terms",
        "networks": "process graphs adversaries canvas layers generator any_style architectures "
        "features",
        "optimize": "callbacks lbfgs pieces picture",
        "painting": "samples sizes zoo hub instant inspection regions together doors films",
        "batch": "places looks painter flow",
        "training": "devices data digits gallery run watching adversarial lesson hand any_style "
        "feed_forward",
        "export": "config picture_headers moments frozen report calibration signatures warmup "
        "saved_model litert onnx footprint parity publishing page app",
        "serving": "status config access metrics wire catalog client servable batching models "
        "predictor json_tensors grpc_service rest server deployment",
    }
    room, _, module = name.removeprefix("tfstyle.").partition(".")
    modules = rooms.get(room, "").split()
    place = modules.index(module) if module in modules else len(modules)
    return houses.index(room), place if module else -1


@pytest.mark.parametrize("name", MODULES)
def test_imports_run_one_way(name):
    text = Path(module_of(name).__file__).read_text()
    imported = re.findall(r"^ *(?:from|import) (tfstyle(?:\.\w+)*)", text, re.M)
    for other in {i for i in imported if i != "tfstyle" and ".cli" not in i}:
        of_contents = other.startswith(f"{name}.")  # a room's table of contents
        assert of_contents or floor_of(other) < floor_of(name), f"{name} imports {other}"


WRITES_BY_ITSELF = {
    "tfstyle.pictures.files",  # which all others let write
    "tfstyle.painting.films",  # moves a temporary film aside
    "tfstyle.export.saved_model",  # assets, which TensorFlow copies
}


@pytest.mark.parametrize("name", sorted({*MODULES} - WRITES_BY_ITSELF))
def test_files_are_written_by_one_module(name):
    text = Path(module_of(name).__file__).read_text()
    by_hand = r"os\.(replace|rename)\(|(?<!temporary)\.write_(text|bytes)\(|open\([^)]*['\"][wax]"
    assert not re.search(by_hand, text)


@pytest.mark.slow
def test_an_installed_wheel_holds_one_top_level_package(tmp_path):
    command = [sys.executable, "-m", "pip", "install", "--no-deps", "--target", tmp_path, ROOT]
    subprocess.run(command, check=True)
    shutil.rmtree(ROOT / "build", ignore_errors=True)  # or a later build ships what lies there
    top = {p.name for p in tmp_path.iterdir() if not p.name.endswith(".dist-info")}
    assert top == {"tfstyle", "bin"}
    assert (tmp_path / "tfstyle/cli/main.py").is_file()
    assert (tmp_path / "tfstyle/pictures/lake.jpg").is_file()
    assert (tmp_path / "tfstyle/export/web/built/litert.tar.xz").is_file()
    assert (tmp_path / "tfstyle/serving/templates/kubernetes.yaml").is_file()
