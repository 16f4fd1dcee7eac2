import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tfstyle.cli import main as cli
from tfstyle.cli.stylize import parse
from tfstyle.config import Recipe
from tfstyle.presets import RECIPES, recipe_with


@pytest.fixture
def pictures(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Image.effect_noise((48, 36), 80).convert("RGB").save("photo.png")
    Image.radial_gradient("L").convert("RGB").save("painting.png")
    return tmp_path


def run_stylize(*arguments):
    fast = ["--size", "40", "--steps", "3", "--scales", "1", "--precision", "float32"]
    return cli.main(["stylize", "photo.png", "painting.png", *fast, *arguments])


def test_help_lists_every_command(capsys):
    assert cli.main(["--help"]) == 0
    text = capsys.readouterr().out
    assert all(f"\n  {name}" in text for name in cli.COMMANDS)
    files = {path.stem for path in Path(cli.__file__).parent.glob("*.py")}
    assert set(cli.COMMANDS) <= files


def test_unknown_command_is_one_line_and_exit_code_2(capsys):
    assert cli.main(["paint"]) == 2
    assert capsys.readouterr().err == (
        f"tfstyle: there is no command 'paint'. Commands: {', '.join(cli.COMMANDS)}.\n"
    )


@pytest.mark.parametrize("name", RECIPES)
def test_recipe_flag_sets_every_default(name):
    options = parse(["a.jpg", "b.jpg", "-o", "c.png", "--recipe", name])
    assert options.settings == RECIPES[name]


def test_each_field_of_a_recipe_has_a_flag_of_its_name():
    flags = "--steps 51 --size 288 --style-size 99 --content-layers block3_conv1 block4_conv1"
    options = parse(["a.jpg", "b.jpg", "c.jpg", "-o", "c.png", "--recipe=tutorial", *flags.split()])
    assert options.style == (Path("b.jpg"), Path("c.jpg"))
    assert options.settings == recipe_with(
        "tutorial",
        steps=51,
        size=288,
        style_size=99,
        content_layers=("block3_conv1", "block4_conv1"),
    )


def test_recipes_prints_one_as_json(capsys):
    assert cli.main(["recipes", "tutorial"]) == 0
    assert Recipe.from_json(capsys.readouterr().out) == RECIPES["tutorial"]
    assert cli.main(["recipes"]) == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == list(RECIPES)


@pytest.mark.usefixtures("fake_vgg")
def test_stylize_writes_picture_record_and_animation(pictures, capsys):
    assert run_stylize("-o", "out.jpg", "--animation", "run.gif", "--seed", "7") == 0
    assert Image.open("out.jpg").size == (40, 30)
    record = json.loads(Path("out.json").read_text())
    assert (record["content"], record["style"], record["seed"]) == (
        "photo.png",
        ["painting.png"],
        7,
    )
    assert Recipe.from_json(json.dumps(record["recipe"])).steps == 3
    assert len(record["scales"][0]["losses"]["loss"]) == 3
    assert Image.open("run.gif").size == (480, 360)
    captured = capsys.readouterr()
    assert captured.out == "out.jpg\n"
    assert "step 3/3" in captured.err
    assert sorted(p.name for p in pictures.iterdir()) == sorted(
        ["out.jpg", "out.json", "painting.png", "photo.png", "run.gif"]
    )


@pytest.mark.usefixtures("fake_vgg")
def test_stylize_gives_what_the_function_gives(pictures):
    import tfstyle

    run_stylize("-o", "out.png")
    result = tfstyle.stylize(
        "photo.png", "painting.png", size=40, steps=3, scales=(1.0,), precision="float32"
    )
    assert np.array_equal(np.asarray(Image.open("out.png")), np.asarray(result))


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["-o", "out.xyz"], "out.xyz"),
        (["-o", "nowhere/out.png"], "nowhere"),
        (["-o", "out.png", "--animation", "run.avi"], "run.avi"),
        (["-o", "out.png", "--quality", "0"], "`quality` must be 1 to 100"),
        (["-o", "out.png", "--start-from", "gone.png"], "gone.png"),
        (["-o", "out.png", "--recipe", "monet"], "`recipe` must be one of"),
    ],
)
@pytest.mark.usefixtures("pictures")
def test_stylize_refuses_bad_input_in_one_line(arguments, text, capsys, monkeypatch):
    monkeypatch.setattr("tfstyle.cli.stylize.load_tensorflow", lambda: pytest.fail("too late"))
    assert run_stylize(*arguments) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1
    assert captured.err.startswith("tfstyle stylize: ")
    assert text in captured.err


@pytest.mark.usefixtures("pictures")
@pytest.mark.parametrize(
    ("flags", "text"),
    [
        (["--steps", "0"], "`steps` must be at least 1. Received: steps=0."),
        (["--steps", "few"], "few"),
        (["--optimizer", "sgd"], "sgd"),
        (["--step", "3"], "--step"),
    ],
)
def test_stylize_refuses_bad_flags(flags, text, capsys):
    with pytest.raises(SystemExit) as stop:
        run_stylize("-o", "out.png", *flags)
    assert stop.value.code == 2
    captured = capsys.readouterr()
    assert text in " ".join(captured.err.replace("│", " ").split())


def test_help_and_import_load_no_tensorflow():
    code = (
        "import sys, tfstyle; from tfstyle.cli.main import main; main(['--help']);"
        "main(['recipes', 'tutorial']);"
        "loaded = {'tensorflow', 'keras', 'scipy'} & set(sys.modules); assert not loaded, loaded"
    )
    subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.DEVNULL)
