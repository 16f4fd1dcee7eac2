import base64
import io
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

import tfstyle
from tfstyle.cli import main as cli
from tfstyle.cli import paint, photos, video
from tfstyle.cli.stylize import parse
from tfstyle.config import RECIPES, PaintConfig, Recipe, recipe_with
from tfstyle.networks.features import WeightsMissing


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


def test_a_reader_that_has_gone_is_no_error():
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, "-c", "from tfstyle.cli.main import main; raise SystemExit(main())"]
    run = subprocess.run([*command, "recipes"], stdout=writer, stderr=subprocess.PIPE, text=True)
    os.close(writer)
    assert (run.returncode, run.stderr) == (1, "")


def test_a_command_is_loaded_where_ctrl_c_is_caught(run_without_tensorflow):
    run_without_tensorflow("""
        import tfstyle.cli.main
        assert not {"numpy", "PIL", "tyro", "dataclasses", "tfstyle.config"} & {*sys.modules}
    """)


@pytest.fixture
def fails(monkeypatch):
    """Function that lets each command raise an error as it is loaded, and runs one."""

    def run(error):
        def load(name):
            raise error

        monkeypatch.setattr(cli.importlib, "import_module", load)
        return cli.main(["stylize"])

    return run


def test_an_interrupt_in_the_first_second_is_one_line(fails, capsys):
    assert fails(KeyboardInterrupt()) == 130
    assert capsys.readouterr().err == "tfstyle stylize: interrupted\n"


def test_an_interrupt_that_a_library_calls_a_failure_to_load_is_one(fails, capsys):
    error = ImportError("initialization failed")
    error.__cause__ = KeyboardInterrupt()
    assert fails(error) == 130
    assert capsys.readouterr().err == "tfstyle stylize: interrupted\n"


NODE = (
    "Graph execution error:\n\nDetected at node a\n<stack traces unavailable>\nwrite failed [Op:S]"
)


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (
            MemoryError("Unable to allocate 9 TiB"),
            "not enough memory for this; smaller pictures",
        ),
        (MemoryError(), "There is not enough memory for this"),
        (tf.errors.ResourceExhaustedError(None, None, NODE), "TensorFlow: write failed [Op:S]"),
        (OSError(28, "No space left on device", "a.png"), "device: 'a.png'. Make room; a training"),
        (OSError(13, "Permission denied", "a.png"), ": Permission denied: 'a.png'\n"),
    ],
)
def test_errors_of_the_machine_are_one_line(fails, error, text, capsys, monkeypatch):
    assert fails(error) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert text in said
    monkeypatch.setenv("TFSTYLE_TRACEBACK", "1")
    with pytest.raises(type(error)):
        fails(error)


@pytest.mark.parametrize("error", [TypeError("NoneType"), AttributeError("x"), KeyError("x")])
def test_a_bug_shows_its_traceback(fails, error):
    with pytest.raises(type(error)):
        fails(error)


def test_unknown_command_is_one_line_and_exit_code_2(capsys):
    assert cli.main(["paint"]) == 2
    assert capsys.readouterr().err == (
        f"tfstyle: there is no command 'paint'. Commands: {', '.join(cli.COMMANDS)}.\n"
    )


@pytest.mark.parametrize("name", RECIPES)
def test_recipe_flag_sets_every_default(name):
    assert parse(["a.jpg", "b.jpg", "-o", "c.png", "--recipe", name]).config == RECIPES[name]


def test_each_field_of_a_recipe_has_a_flag_of_its_name():
    flags = "--steps 51 --size 288 --style-size 99 --content-layers block3_conv1 block4_conv1"
    job = parse(["a.jpg", "b.jpg", "c.jpg", "-o", "c.png", "--recipe=tutorial", *flags.split()])
    assert (job.content, job.style) == (Path("a.jpg"), [Path("b.jpg"), Path("c.jpg")])
    assert job.config == recipe_with(
        "tutorial",
        steps=51,
        size=288,
        style_size=99,
        content_layers=("block3_conv1", "block4_conv1"),
    )


@pytest.mark.usefixtures("pictures")
def test_a_folder_is_painted_by_no_recipe_step_by_step(capsys):
    Path("photos").mkdir()
    words = ["photos", "painting.png", "-o", "out", "--recipe", "default"]
    assert cli.main(["stylize", *words]) == 2
    assert "one photograph is painted at a time. Received: 'photos'" in capsys.readouterr().err


def test_recipes_prints_one_as_json(capsys):
    assert cli.main(["recipes", "tutorial"]) == 0
    assert Recipe.from_json(capsys.readouterr().out) == RECIPES["tutorial"]
    assert cli.main(["recipes"]) == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == [
        "instant",
        *RECIPES,
    ]


@pytest.mark.usefixtures("fake_vgg")
def test_stylize_writes_what_the_function_gives_a_record_and_an_animation(pictures, capsys):
    start = ["--start", "noise", "--seed", "7"]
    assert run_stylize("-o", "out.png", "--animation", "run.gif", *start) == 0
    record = json.loads(Path("out.json").read_text())
    assert (record["content"], record["style"], record["seed"]) == (
        "photo.png",
        ["painting.png"],
        7,
    )
    recipe = Recipe.from_json(json.dumps(record["recipe"]))
    assert recipe.steps == 3
    assert len(record["scales"][0]["losses"]["loss"]) == 3
    assert Image.open("run.gif").size == (480, 360)
    captured = capsys.readouterr()
    assert captured.out == "out.png\n"
    assert "step 3/3" in captured.err
    assert sorted(p.name for p in pictures.iterdir()) == sorted(
        ["out.json", "out.png", "painting.png", "photo.png", "run.gif"]
    )
    expected = tfstyle.stylize("photo.png", "painting.png", recipe, seed=7)
    assert expected.size == (40, 30)
    assert np.array_equal(np.asarray(Image.open("out.png")), np.asarray(expected))


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["-o", "out.xyz"], "out.xyz"),
        (["-o", "nowhere/out.png"], "nowhere"),
        (["-o", "out.png", "--animation", "run.avi"], "run.avi"),
        (["-o", "out.png", "--quality", "0"], "`quality` must be 1 to 100"),
        (["-o", "out.png", "--start-from", "gone.png"], "gone.png"),
        (["-o", "out.png", "--recipe", "monet"], "`recipe` must be one of"),
        (["-o", "out.png", "--steps", "0"], "`steps` must be at least 1. Received: steps=0."),
        (
            ["-o", "out.png", "--strength", "0.5"],
            "takes no --strength. That is for painting",
        ),
        (["-o", "out.png", "--model", "gone"], "Painting with a model takes no --p"),
        (["wvae", "-o", "out.png"], "There is no file 'wvae', and no trained style of that name."),
        (["wave", "scraem", "-o", "out.png"], "Did you mean 'the_scream'?"),
        (["wave", "udnie", "-o", "o"], "painted in one trained style. Received: wave, udnie."),
        (["-o", "photo.png"], "must be another file than what the run reads or writes"),
        (["-o", "./painting.png"], "must be another file than what the run reads or writes"),
        (["-o", "a.png", "--start-from", "a.png"], "must be another file than what the run reads"),
        (["-o", "run.gif", "--animation", "./run.gif"], "must be another file than what the run"),
        (["-o", "/proc/out.png"], "can be written to. Received: '/proc/out.png'"),
        (["-o", "out.png", "--animation", "/proc/run.gif"], "Received: '/proc/run.gif'"),
        (["-o", "folder.png"], "must name a file. Received: 'folder.png', a folder"),
        (["-o", "out.webp", "--size", "16384"], "at most 16383 pixels a side"),
        (["-o", "folder.jpg"], "must name a file. Received: 'folder.json', a folder"),
    ],
)
@pytest.mark.usefixtures("pictures")
def test_stylize_refuses_bad_input_in_one_line(arguments, text, capsys, monkeypatch):
    monkeypatch.setattr("tfstyle.cli.stylize.load_tensorflow", lambda: pytest.fail("too late"))
    shutil.copy("photo.png", "a.png")
    Path("folder.png").mkdir()
    Path("folder.json").mkdir()
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
        (
            ["--steps", "few"],
            "Error parsing --steps: invalid literal for int()",
        ),
        (
            ["--optimizer", "sgd"],
            "invalid choice 'sgd' for argument '--optimizer'. Exp",
        ),
        (["--step", "3"], "Unrecognized options: --step, 3. Perhaps you meant: --steps INT. For"),
    ],
)
def test_stylize_refuses_bad_flags(flags, text, capsys):
    assert run_stylize("-o", "out.png", *flags) == 2
    captured = capsys.readouterr()
    assert captured.err.startswith("tfstyle stylize: ")
    assert captured.err.count("\n") == 1
    assert text in captured.err


@pytest.mark.usefixtures("pictures")
def test_an_interrupt_after_the_last_step_keeps_the_picture(monkeypatch, capsys):
    def stylize(*args, **options):
        signal.raise_signal(signal.SIGINT)
        return Image.new("RGB", (9, 8))

    monkeypatch.setattr("tfstyle.cli.stylize.stylize", stylize)
    assert run_stylize("-o", "out.png") == 130
    assert Image.open("out.png").size == (9, 8)
    assert "stopped early; this is the picture so far" in capsys.readouterr().err


@pytest.fixture
def tiny_hub(monkeypatch):
    """Let painting with a SavedModel take no time."""
    monkeypatch.setattr("tfstyle.cli.hub.stylize", lambda *args, **options: Image.new("L", (9, 9)))


@pytest.mark.usefixtures("pictures", "fake_vgg", "tiny_zoo", "tiny_hub")
@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param(
            "painting.png --size 16 --steps 1 --scales 1 --precision float32",
            marks=pytest.mark.slow,
        ),
        "ripple",
        "painting.png --model model",
    ],
)
def test_a_picture_that_a_full_disk_does_not_take_is_put_elsewhere(
    tmp_path_factory, arguments, full_disk, capsys, monkeypatch
):
    full_disk(".")
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    monkeypatch.setattr("tempfile.tempdir", str(elsewhere))
    assert cli.main(["stylize", "photo.png", "-o", "out.png", *arguments.split()]) == 2
    captured = capsys.readouterr()
    (put,) = elsewhere.iterdir()
    assert captured.out == ""
    assert captured.err.splitlines()[-1] == (
        "tfstyle stylize: 'out.png' could not be written (No space left on device). The picture "
        f"was put here instead: '{put}'."
    )
    assert not Path("out.png").exists()


@pytest.mark.usefixtures("pictures", "tiny_zoo", "tiny_hub")
@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ("stylize photo.png ripple -o photo.png", "another file than what the run reads"),
        ("stylize photo.png ripple -o .", "another folder than that of the photographs"),
        ("stylize photo.png painting.png --recipe instant -o painting.png", "another file than"),
        ("stylize album painting.png -o .", "another folder than that of the photographs and p"),
        ("stylize photo.png ripple -o out.webp --size 16384", "at most 16383 pixels a side"),
        ("stylize photo.png ripple -o /proc/out.png", "Received: '/proc/out.png'"),
        ("stylize photo.png painting.png --model model -o photo.png", "another file than what"),
        ("stylize photo.png painting.png --model model -o painting.png", "another file than what"),
        ("stylize photo.png --model model -o out.webp --size 16384", "at most 16383 pixels a sid"),
        ("inspect photo.png painting.png -o painting.png", "another file than what the run reads"),
        ("client photo.png --style wave -o photo.png", "another file than what the run reads"),
    ],
)
def test_outputs_that_cannot_be_are_refused_before_the_work(arguments, text, capsys, monkeypatch):
    for command in ("hub", "inspect", "paint"):
        late = f"tfstyle.cli.{command}.load_tensorflow"
        monkeypatch.setattr(late, lambda: pytest.fail("too late"))
    Path("album").mkdir()
    shutil.copy("painting.png", "album/painting.png")
    os.link("photo.png", "album/hard.png")
    before = {path: path.read_bytes() for path in Path().rglob("*.png")}
    assert cli.main(arguments.split()) == 2
    captured = capsys.readouterr()
    assert (captured.out, captured.err.count("\n")) == ("", 1)
    assert text in captured.err
    assert {path: path.read_bytes() for path in Path().rglob("*.png")} == before


@pytest.mark.usefixtures("pictures", "tiny_zoo")
def test_what_is_too_large_for_its_format_is_left_out_before_it_is_painted(capsys):
    Path("album").mkdir()
    Image.new("L", (16, 40)).save("album/a.webp")
    Image.new("L", (40, 16)).save("album/b.png")
    arguments = ["stylize", "album", "ripple", "-o", "out", "--size", "16384"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(paint, "paint_photos", lambda pictures, *_, **__: [Image.new("L", (9, 9))])
        assert cli.main(arguments) == 1
    captured = capsys.readouterr()
    assert captured.out == "out/b.png\n"
    assert "album/a.webp: A .webp picture has at most 16383 pixels a side" in captured.err


@pytest.mark.usefixtures("pictures", "fake_vgg")
@pytest.mark.slow
def test_stylize_tells_of_an_animation_that_could_not_be_written(full_disk, capsys):
    Path("full").mkdir()
    full_disk("full")
    with pytest.warns(UserWarning, match="There is no animation"):
        assert run_stylize("-o", "out.png", "--animation", "full/run.gif") == 1
    assert capsys.readouterr().out == "out.png\n"
    assert Image.open("out.png").size == (40, 30)


def test_help_recipes_and_styles_load_no_tensorflow(run_without_tensorflow, tmp_path):
    run_without_tensorflow(f"""
        from tfstyle.cli.main import main
        assert main(["--help"]) == 0
        assert main(["recipes", "tutorial"]) == 0
        assert main(["styles", "--thumbnails", {str(tmp_path / "small")!r}]) == 0
    """)


@pytest.mark.usefixtures("pictures")
def test_stylize_does_not_replace_what_is_no_record(capsys):
    Path("out.json").write_text('{"mine": 1}')
    assert run_stylize("-o", "out.png") == 2
    assert "would replace 'out.json', which is none. Choose" in capsys.readouterr().err
    assert Path("out.json").read_text() == '{"mine": 1}'


@pytest.mark.usefixtures("fake_vgg", "pictures")
@pytest.mark.slow
def test_stylize_replaces_an_older_record_and_writes_to_stdout(capsysbinary):
    Path("out.json").write_text('{"recipe": {}, "scales": []}')
    assert run_stylize("-o", "out.png") == 0
    assert json.loads(Path("out.json").read_text())["scales"]
    capsysbinary.readouterr()
    before = set(Path().iterdir())
    assert run_stylize("-o", "-") == 0
    with Image.open(io.BytesIO(capsysbinary.readouterr().out)) as picture:
        np.testing.assert_array_equal(np.asarray(picture), np.asarray(Image.open("out.png")))
    assert set(Path().iterdir()) == before


@pytest.mark.filterwarnings("always:painted in one pass")
@pytest.mark.usefixtures("pictures")
def test_stylize_without_weights_can_be_run_again_and_names_what_it_did_not_make(
    capsys, monkeypatch
):
    def missing(*args):
        raise WeightsMissing("no weights")

    monkeypatch.setattr("tfstyle.optimize.picture.load_network", missing)
    words = ["stylize", "photo.png", "painting.png", "--size", "32", "-o", "out.png"]
    assert [cli.main(words), cli.main(words)] == [0, 0]
    assert Recipe.from_json(json.dumps(json.loads(Path("out.json").read_text())["recipe"]))
    capsys.readouterr()
    assert cli.main([*words, "--animation", "run.gif"]) == 1
    assert "there is no animation 'run.gif' of a picture" in capsys.readouterr().err
    assert not Path("run.gif").exists()


# Trained styles


@pytest.fixture
def album(tmp_path, monkeypatch, tiny_zoo):
    """Photographs of several sizes in folders, two of one name, one that is none."""
    monkeypatch.chdir(tmp_path)
    for name, size in (
        ("photo.png", (48, 36)),
        ("album/beach.jpg", (33, 50)),
        ("album/more/beach.jpg", (40, 30)),
        ("album/more/hill.webp", (21, 21)),
    ):
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Image.effect_noise(size, 80).convert("RGB").save(name)
    Path("album/broken.jpg").write_bytes(Path("album/beach.jpg").read_bytes()[:300])
    Path("album/notes.txt").write_text("no picture")
    return tmp_path


def levels(picture):
    return np.float32(Image.open(picture) if isinstance(picture, (str, Path)) else picture)


@pytest.mark.usefixtures("album")
@pytest.mark.parametrize(
    "arguments",
    [
        "photo.png ripple -o out.png",
        "ripple photo.png --output out.png",
        "-o out.png photo.png ripple",
        "photo.png --style ripple -o out.png",
        "--style=ripple photo.png -o=out.png",
        "photo.png ripple.keras -o out.png",
        "-o out.png --quality 90 photo.png --style ripple.keras",
    ],
)
def test_stylize_paints_with_a_trained_style_wherever_it_stands(arguments, tiny_styles, capsys):
    shutil.copy(tiny_styles / "ripple.keras", "ripple.keras")
    assert cli.main(["stylize", *arguments.split()]) == 0
    assert capsys.readouterr().out == "out.png\n"
    np.testing.assert_allclose(
        levels("out.png"), levels(tfstyle.stylize("photo.png", "ripple")), atol=1
    )


@pytest.mark.usefixtures("album")
def test_each_field_of_how_to_paint_has_a_flag_of_its_name():
    flags = "--size 288 --strength 0.5 --stroke-size 2 --color content --statistics exact"
    settings = PaintConfig(
        size=288, strength=0.5, stroke_size=2, color="content", statistics="exact"
    )
    job = parse(["a.jpg", "b.jpg", "storm", "-o", "out", *flags.split()])
    assert (job.content, job.style.name) == ([Path("a.jpg"), Path("b.jpg")], "storm")
    assert job.config == settings
    assert video.parse(["a.mp4", "storm", "-o", "b.mp4", *flags.split()]).settings == settings


@pytest.mark.usefixtures("album")
def test_stylize_takes_a_styles_name_for_other_things_too():
    Image.effect_noise((20, 20), 80).convert("RGB").save("storm.png")
    job = parse(["-o", "storm", "storm.png", "storm"])
    assert (job.options.output, job.content) == (Path("storm"), [Path("storm.png")])
    job = parse(["storm", "-o", "out", "--style", "calm"])
    assert (job.style.name, job.content) == ("calm", [Path("storm")])


@pytest.mark.usefixtures("album")
def test_stylize_blends_the_styles_of_a_network(tiny_styles):
    weights = ["--style-weights", "1", "3"]
    path = str(tiny_styles / "weather.keras")
    assert cli.main(["stylize", "photo.png", "-o", "out.png", "--style", path, *weights]) == 0
    expected = tfstyle.stylize("photo.png", "calm", style_weights=(0.25, 0.75))
    np.testing.assert_allclose(levels("out.png"), levels(expected), atol=1)


def test_stylize_goes_on_after_a_bad_photograph(album, capsys):
    assert cli.main(["stylize", "photo.png", "album", "gone.jpg", "ripple", "-o", "out"]) == 1
    captured = capsys.readouterr()
    *left_out, passed_over, count = captured.err.splitlines()
    assert [line.split(":")[0] for line in left_out] == ["album/broken.jpg", "gone.jpg"]
    assert passed_over == "album: passed over 1 .txt"
    assert count == "2 of 6 photographs were left out"
    assert "cut short" in captured.err
    expected = {
        "photo.png": "photo.png",
        "album_beach.jpg": "album/beach.jpg",
        "more_beach.jpg": "album/more/beach.jpg",
        "hill.webp": "album/more/hill.webp",
    }
    assert set(captured.out.split()) == {f"out/{name}" for name in expected}
    assert {path.name for path in (album / "out").iterdir()} == set(expected)
    for name, source in expected.items():
        assert Image.open(f"out/{name}").size == Image.open(source).size
    painted = levels(tfstyle.stylize("photo.png", "ripple"))
    np.testing.assert_allclose(levels("out/photo.png"), painted, atol=1)


def test_stylize_paints_photographs_of_one_size_together(album, monkeypatch):
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by 90 degrees: of another size, though the file does not look it
    names = [f"{name}.png" for name in "abcdef"]
    for name in names:
        options = {"exif": exif} if name == "c.png" else {}
        size = (40, 30) if name < "f" else (30, 40)
        Image.effect_noise(size, 80).convert("RGB").save(name, **options)
    shapes = []

    def watched(photos, *arguments, **options):
        shapes.append([photo.rgb.shape[:2] for photo in photos])
        return paint_photos(photos, *arguments, **options)

    paint_photos = paint.paint_photos
    monkeypatch.setattr(paint, "paint_photos", watched)
    monkeypatch.setattr("tfstyle.painting.sizes.TOGETHER", 3 * 1200)
    assert cli.main(["stylize", *names, "ripple", "-o", "out"]) == 0
    assert shapes == [[(30, 40)] * 3, [(30, 40)], [(40, 30)] * 2]
    for name in names:
        painted = levels(tfstyle.stylize(name, "ripple"))
        np.testing.assert_allclose(levels(f"out/{name}"), painted, atol=1)


@pytest.mark.usefixtures("album")
@pytest.mark.parametrize("output", ["out", "out/", "v1.0"])
def test_stylize_writes_one_photograph_to_a_folder(output):
    Path("v1.0").mkdir()
    assert cli.main(["stylize", "photo.png", "ripple", "-o", output]) == 0
    assert [path.name for path in Path(output).iterdir()] == ["photo.png"]


def test_a_folder_painted_into_itself_is_not_painted_again(album):
    for _ in range(2):
        assert cli.main(["stylize", "album", "--style", "ripple", "-o", "album/painted"]) == 1
    assert len(list(Path("album/painted").iterdir())) == 3


def test_names_are_never_twice_the_same():
    given = "a/x/1.png b/x/1.png 1.png x_1.png 2.png 2 a/3.jpg b/3.jpg b/3.jpg".split()
    names = photos._names([Path(photo) for photo in given])
    assert len(set(names)) == len(given)
    assert names[:2] == ["x_1.png", "x_1_2.png"]
    assert names[4:8] == ["2.png", "2_2.png", "a_3.jpg", "b_3.jpg"]


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["photo.png", "gone.keras", "-o", "out.png"], "gone.keras"),
        (["photo.png", "text.keras", "-o", "out.png"], "does not hold a trained network"),
        (["photo.png", "--style", "monet", "-o", "out.png"], "`style` must be one of ('ripple', "),
        (["photo.png", "--style", "stom", "-o", "out.png"], "Did you mean 'storm'?"),
        (["photo.png", "riple", "-o", "out.png"], "Did you mean 'ripple'? `tfstyle styles` lists "),
        (["riple", "photo.png", "-o", "out.png"], "Did you mean 'ripple'? `tfstyle styles` lists "),
        (["photo.png", "-o", "out.png"], "`style` must be a painting, or a trained style of ('rip"),
        (["photo.png", "ripple", "-o", "a.png", "--recipe", "tutorial"], "one pass, by no recipe."),
        (["photo.png", "ripple", "-o", "a.png", "--strength", "2"], "`strength` must lie between"),
        (["photo.png", "ripple", "-o", "a.png", "--seed", "3"], "style 'ripple' takes no --seed."),
        (
            ["photo.png", "album/beach.jpg", "ripple", "-o", "a.png"],
            "several need a folder as `output`. Rec",
        ),
        (["album", "ripple", "-o", "a.jpg"], "`output` must be a folder for several."),
        (["album", "ripple", "-o", "-"], "`-o -` takes one photograph. Received: 4."),
        (["gone.png", "ripple", "-o", "out.png"], "gone.png"),
        (["album/broken.jpg", "ripple", "-o", "out.png"], "broken.jpg"),
        (["photo.png", "ripple", "-o", "out.xyz"], "out.xyz"),
        (["photo.png", "ripple", "-o", "nowhere/out.png"], "Create the folder 'nowhere' first"),
        (["photo.png", "ripple", "-o", "out.png", "--quality", "0"], "`quality` must be 1 to 100"),
        (["ripple", "-o", "out"], "`content` must name a photograph"),
        (["empty", "ripple", "-o", "out"], "`content` must name a photograph, or a folder with s"),
        (["album", "ripple", "-o", "album"], "paint the paintings. Received: 'album'"),
        (["album", "ripple", "-o", "photo.png"], "photo.png"),
        (["album", "ripple", "-o", "out", "--style-weights", "1", "2"], "network's 1 styles"),
    ],
)
def test_stylize_with_a_trained_style_refuses_bad_input_in_one_line(album, arguments, text, capsys):
    Path("empty").mkdir()
    Path("text.keras").write_text("a painting")
    before = {path: path.is_file() and path.read_bytes() for path in album.rglob("*")}
    assert cli.main(["stylize", *arguments]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1
    assert captured.err.startswith("tfstyle stylize: ")
    assert text in captured.err
    after = {path: path.is_file() and path.read_bytes() for path in album.rglob("*")}
    after.pop(album / "out", None)
    assert after == before


def test_stylize_help_shows_the_flags_of_every_way(capsys):
    with pytest.raises(SystemExit):
        cli.main(["stylize", "--help"])
    said = " ".join(capsys.readouterr().out.replace("│", " ").split())
    for flag in ("--model", "--style", "--strength", "--stroke-size", "--steps", "--animation"):
        assert f" {flag} " in said
    assert "(default by a recipe: 512; in one pass: None; with a model: None)" in said
    assert "0.1 to 10. (default in one pass: 1.0)" in said  # a docstring


@pytest.mark.usefixtures("album")
@pytest.mark.parametrize(
    "arguments",
    [
        "--size=40 storm photo.png -o out.png",
        "photo.png -o out.png --size 40 storm",
        "-o out.png --size 40 -- photo.png storm",
        "photo.png -o=out.png --size=40 -- storm",
        "storm -o out.png photo.png --size 40",
    ],
)
def test_stylize_takes_words_and_flags_in_any_order(arguments):
    job = parse(arguments.split())
    assert (job.content, job.style.name) == ([Path("photo.png")], "storm")
    assert (job.options.output, job.config.size) == (Path("out.png"), 40)


@pytest.mark.usefixtures("album")
def test_stylize_writes_a_trained_style_to_stdout(capsysbinary):
    assert cli.main(["stylize", "photo.png", "ripple", "-o", "-"]) == 0
    with Image.open(io.BytesIO(capsysbinary.readouterr().out)) as picture:
        expected = tfstyle.stylize("photo.png", "ripple")
        np.testing.assert_allclose(levels(picture), levels(expected), atol=1)
    assert not Path("-").exists()


@pytest.mark.usefixtures("album")
def test_stylize_takes_names_that_begin_with_a_dash():
    job = parse(["storm", "-o", "out", "--", "-1.png", "--size.png"])
    assert job.content == [Path("-1.png"), Path("--size.png")]


# Listing


@pytest.mark.usefixtures("tiny_zoo")
def test_styles_lists_a_line_for_each(capsys):
    assert cli.main(["styles"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[:3] == ["ripple  about ripple", "calm    about calm", "storm   about storm"]
    assert lines[3:] == ["any     a painting of yours: tfstyle stylize PHOTO PAINTING"]


@pytest.mark.usefixtures("tiny_zoo")
def test_styles_prints_a_card_as_json(tiny_styles, capsys):
    for name in ("storm", str(tiny_styles / "weather.keras")):
        assert cli.main(["styles", name]) == 0
        card = json.loads(capsys.readouterr().out)
        assert card["styles"] == [{"name": n, "about": f"about {n}"} for n in ("calm", "storm")]


def test_styles_saves_thumbnails(tiny_zoo, tmp_path):
    assert cli.main(["styles", "--thumbnails", str(tmp_path / "small" / "pictures")]) == 0
    files = sorted((tmp_path / "small" / "pictures").iterdir())
    assert [file.name for file in files] == ["calm.jpg", "ripple.jpg", "storm.jpg"]
    encoded = tfstyle.painting.zoo.styles()["calm"].card["styles"][0]["thumbnail"]
    expected = Image.open(io.BytesIO(base64.b64decode(encoded)))
    assert Image.open(files[0]).tobytes() == expected.tobytes()


@pytest.mark.usefixtures("tiny_zoo")
def test_styles_refuses_an_unknown_name_in_one_line(capsys):
    assert cli.main(["styles", "monet"]) == 2
    assert capsys.readouterr().err == (
        "tfstyle styles: `name` must be one of ('ripple', 'calm', 'storm', 'any') or a .keras "
        "file. Received: 'monet'.\n"
    )


# Films


@pytest.fixture
def film(album):
    frames = [Image.effect_noise((32, 24), 80).convert("RGB") for _ in range(3)]
    frames[0].save("film.gif", save_all=True, append_images=frames[1:], duration=80)
    return Path("film.gif")


@pytest.mark.usefixtures("film")
@pytest.mark.parametrize(
    "arguments",
    [
        "film.gif ripple -o out.gif",
        "film.gif --style ripple --output out.gif",
        "-o out.gif film.gif ripple",
        "--steady=0 ripple film.gif -o out.gif",
        "film.gif -o out.gif --steady 0 -- ripple",
    ],
)
def test_video_paints_a_film(arguments, capsys):
    assert cli.main(["video", *arguments.split()]) == 0
    captured = capsys.readouterr()
    assert captured.out == "out.gif\n"
    assert "frame 3/3" in captured.err
    with Image.open("out.gif") as painted:
        assert (painted.n_frames, painted.size) == (3, (32, 24))


def test_video_says_in_a_line_that_a_film_ends_early(film, capsys):
    film.write_bytes(film.read_bytes()[:-400])
    assert cli.main(["video", "film.gif", "ripple", "-o", "out.gif"]) == 1
    captured = capsys.readouterr()
    assert captured.out == "out.gif\n"
    assert captured.err.splitlines()[-1] == (
        "tfstyle video: 'film.gif' ends early: the GIF is cut short. "
        "Its first 2 frames are painted."
    )


@pytest.mark.usefixtures("film")
@pytest.mark.parametrize(("number", "exit_code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_video_stopped_by_a_signal_keeps_what_is_painted(number, exit_code, monkeypatch, capsys):
    from tfstyle.painting.films import Painter

    class Interrupted(Painter):
        def __call__(self, frame):
            if self._frame is not None:
                signal.raise_signal(number)
            return super().__call__(frame)

    monkeypatch.setattr("tfstyle.painting.films.Painter", Interrupted)
    before = signal.getsignal(number)
    assert cli.main(["video", "film.gif", "ripple", "-o", "out.gif"]) == exit_code
    assert signal.getsignal(number) is before
    captured = capsys.readouterr()
    assert captured.out == "out.gif\n"
    assert "stopped early; the film has its first 2 frames" in captured.err
    assert Image.open("out.gif").n_frames == 2


@pytest.mark.usefixtures("film")
@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["gone.gif", "ripple", "-o", "out.gif"], "There is no film 'gone.gif'"),
        (["film.gif", "stom", "-o", "out.gif"], "no trained style of that name. Did you mean 'sto"),
        (["film.gif", "--style=monet", "-o", "out.gif"], "`style` must be one of ('ripple', 'ca"),
        (["film.gif", "-o", "out.gif"], "Name a film, and a trained style or a painting. Receiv"),
        (["film.gif", "gone.keras", "-o", "out.gif"], "gone.keras"),
        (["film.gif", "ripple", "-o", "out.avi"], "one of .mp4, .mov, .mkv, .m4v, .gif"),
        (["film.gif", "ripple", "-o", "out.gif", "--steady", "2"], "`steady` must lie between"),
        (["film.gif", "ripple", "-o", "out.gif", "--style-weights", "1", "2"], "network's 1 sty"),
    ],
)
def test_video_refuses_bad_input_in_one_line(arguments, text, capsys):
    assert cli.main(["video", *arguments]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1
    assert captured.err.startswith("tfstyle video: ")
    assert text in captured.err


def test_batch_without_beam_says_how_to_install_it(monkeypatch, capsys):
    monkeypatch.delitem(sys.modules, "tfstyle.batch", raising=False)
    monkeypatch.setitem(sys.modules, "apache_beam", None)
    assert cli.main(["batch", "photos", "--style", "wave", "-o", "out"]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "pip install 'tfstyle[beam]'" in said
