"""tfstyle-train: flags, what is printed, exit codes."""

import signal
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from tfstyle.cli import main as cli
from tfstyle.cli.train import parse
from tfstyle.config import TRAININGS, training_with
from tfstyle.painting import zoo
from tfstyle.training import feed_forward as training

REQUIRED = ["--style", "wave.png", "--content", "photos", "--output", "a.keras"]
TINY = (
    "--init None --width 0.125 --blocks 0 --sizes 32 --content-size 32 40 --style-size 32 "
    "--batch-size 2 --steps 4 --precision float32 "
    "--content-layers block1_conv2 --style-layers block1_conv1"
).split()


@pytest.fixture
def folder(tmp_path, monkeypatch, fake_vgg):
    """A current folder with a painting and photographs; the loss network is the tiny one."""
    monkeypatch.chdir(tmp_path)
    Image.radial_gradient("L").convert("RGB").save("wave.png")
    Path("photos").mkdir()
    for i in range(3):
        Image.effect_noise((52, 48), 80).convert("RGB").save(f"photos/{i}.png")
    return tmp_path


@pytest.fixture
def call(monkeypatch):
    """Run `tfstyle-train` with arguments, of which those in `REQUIRED` are given; exit code."""

    def call(*arguments):
        monkeypatch.setattr(sys, "argv", ["tfstyle-train", *REQUIRED, *TINY, *arguments])
        return cli.train()

    return call


def test_help_loads_no_tensorflow(run_without_tensorflow):
    said = run_without_tensorflow("""
        from tfstyle.cli.main import train
        sys.argv = ["tfstyle-train", "--help"]
        train()
    """)
    for flag in ("--style", "--config", "--init", "--devices", "--log-dir", "--sizes", "--xla"):
        assert flag in said


@pytest.mark.parametrize("name", TRAININGS)
@pytest.mark.parametrize("given", ["--config {}", "--config={}"])
def test_config_flag_sets_every_default(name, given):
    assert parse([*REQUIRED, *given.format(name).split()]).settings == TRAININGS[name]


def test_flags_override_the_preset():
    arguments = "--style a.png b.png --about one two --config johnson --steps 7 --sizes 64 96"
    arguments += " --gradient-norm 2 --xla --devices 2 --checkpoint-minutes 1 --init c.keras"
    options = parse([*REQUIRED, *arguments.split()])
    assert options.settings == training_with(
        "johnson", steps=7, sizes=(64, 96), gradient_norm=2.0, xla=True, init="c.keras"
    )
    assert options.style == (Path("a.png"), Path("b.png"))
    assert options.about == ("one", "two")
    assert (options.devices, options.checkpoint_minutes) == (2, 1)


@pytest.mark.usefixtures("folder")
@pytest.mark.slow
def test_train_stopped_by_ctrl_c_goes_on_and_tells_of_the_end(call, capsys, monkeypatch):
    class Interrupted(training.TrainingProgress):
        def on_train_batch_end(self, batch, logs=None):
            super().on_train_batch_end(batch, logs)
            if self.run.step == 2:
                signal.raise_signal(signal.SIGINT)

    Path("photos/broken.jpg").write_bytes(b"\xff\xd8 no picture")
    monkeypatch.setattr(training, "TrainingProgress", Interrupted)
    handler = signal.getsignal(signal.SIGINT)
    assert call("--steps", "8", "--about", "ours") == 130
    assert signal.getsignal(signal.SIGINT) is handler
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.endswith("stopped at step 2 of 8; the same command goes on from there\n")
    assert not Path("a.keras").exists()
    with np.load("a.training/checkpoint.npz") as arrays:
        assert '"step": 2,' in str(arrays["state"])

    assert call("--steps", "8", "--about", "ours") == 0
    assert zoo.styles_of("a.keras")[0].about == "ours"
    said = capsys.readouterr()
    assert said.out == "a.keras\n"
    progress, *_, counted, named = said.err.splitlines()
    assert "step 4/8" in progress  # the first of these is compiled
    assert "pictures/s" in progress
    assert counted == "1 of 4 photographs could not be used:"
    assert named.startswith("  broken.jpg: ")


@pytest.mark.usefixtures("folder")
def test_train_ended_by_sigterm_stops_after_the_step(call, capsys, monkeypatch):
    def train(*args, callbacks, **kwargs):
        (interrupt,), model = callbacks, SimpleNamespace(stop_training=False)
        interrupt.set_model(model)
        interrupt.on_train_begin()
        signal.raise_signal(signal.SIGTERM)
        assert model.stop_training
        interrupt.on_train_end()
        return SimpleNamespace(card={"training": {"steps_done": 1, "steps": 4}})

    monkeypatch.setattr(training, "train", train)
    assert call() == 143
    assert "stopped at step 1 of 4; the same command goes on" in capsys.readouterr().err


@pytest.mark.usefixtures("folder")
def test_train_names_twenty_photographs_that_could_not_be_used(call, capsys, monkeypatch):
    def train(style, content, *args, **kwargs):
        content.bad |= {f"{i:02}.jpg": "no picture" for i in reversed(range(25))}
        return SimpleNamespace(card={"training": {"steps_done": 1, "steps": 1}})

    monkeypatch.setattr(training, "train", train)
    assert call() == 0
    counted, *named, more = capsys.readouterr().err.splitlines()
    assert counted == "25 of 3 photographs could not be used:"
    assert named == [f"  {i:02}.jpg: no picture" for i in range(20)]
    assert more == "  and 5 more"


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (
            ["--config", "monet"],
            "`config` must be one of ('default', 'lean', 'any', 'collection', 'johnson', 'style",
        ),
        (["--architecture", "huge"], "must be one of ('lean', 'crisp', 'full', 'any'"),
        (["--architecture", "huge"], "Received: architecture='huge'."),
        (["--output", "a.h5"], "The output path must end in .keras. Received: 'a.h5'."),
        (["--output", "no/a.keras"], "Create the folder 'no' first."),
        (["--style", "gone.png"], "gone.png"),
        (["--content", "gone"], "There is no file or folder 'gone' with photographs."),
        (["--content", "broken"], "in a row cannot be used. The last: broken.jpg: "),
        (["--init", "gone.keras"], "There is no network 'gone.keras' to start from (`init`)."),
        (["--init", "wave.png"], "`init` must be a network of the same architecture"),
        (["--devices", "99"], "Received: devices=99."),
        (["--steps", "0"], "`steps` must be at least 1. Received: steps=0."),
        (["--about", "a", "b"], "Received: 1 styles, 2 lines."),
    ],
)
def test_train_refuses_bad_input_in_one_line(call, arguments, text, capsys):
    Path("broken").mkdir()
    Path("broken/broken.jpg").write_bytes(b"no picture")
    assert call(*arguments) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.count("\n") == 1
    assert said.err.startswith("tfstyle-train: ")
    assert text in said.err
    assert not list(Path().glob("*.training"))


@pytest.mark.parametrize(
    ("flags", "text"),
    [
        (
            ["--sizes", "big"],
            "Error parsing --sizes: Could not find valid parse for arguments: ['big'].",
        ),
        (["--step", "3"], "Unrecognized options: --step, 3. Perhaps you meant: --steps INT. For"),
    ],
)
def test_train_refuses_bad_flags(call, flags, text, capsys):
    assert call(*flags) == 2
    said = capsys.readouterr()
    assert said.err.startswith("tfstyle-train: ")
    assert said.err.count("\n") == 1
    assert text in said.err


@pytest.fixture
def lesson(tmp_path, monkeypatch):
    """Run the lesson `digits` on eight pictures, with further arguments; exit code."""
    monkeypatch.chdir(tmp_path)
    np.savez("mnist.npz", x_train=np.zeros((8, 6, 6), np.uint8))

    def run(*arguments):
        flags = "--config digits --content mnist.npz --output a.keras --batch-size 4".split()
        monkeypatch.setattr(sys, "argv", ["tfstyle-train", *flags, *arguments])
        return cli.train()

    return run


def test_the_lesson_is_trained_and_gone_on_with(lesson, capsys, monkeypatch):
    from tfstyle.training import lesson as module

    class Interrupted(module.Watch):
        def on_train_batch_end(self, batch, logs=None):
            super().on_train_batch_end(batch, logs)
            if self._epoch == 2:
                signal.raise_signal(signal.SIGINT)

    with monkeypatch.context() as patch:
        patch.setattr(module, "Watch", Interrupted)
        assert lesson("--epochs", "3") == 130
    said = capsys.readouterr()
    assert said.err.endswith("stopped at epoch 1 of 3; the same command goes on from there\n")
    assert lesson("--epochs", "3") == 0
    assert capsys.readouterr().out == "a.keras\n"


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--style", "a.png", "--devices", "2"], "'digits' takes no --style, --devices."),
        (["--sizes", "32"], "The lesson 'digits' takes no --sizes. Its flags: --latent, --hidden"),
        (["--content", "gone.npz"], "There is no file or folder 'gone.npz'"),
        (["--epochs", "0"], "`epochs` must be at least 1."),
    ],
)
def test_the_lesson_refuses_in_a_line(lesson, arguments, text, capsys):
    assert lesson(*arguments) == 2
    said = capsys.readouterr()
    assert said.err.count("\n") == 1
    assert text in said.err


@pytest.mark.parametrize(
    ("flags", "text"),
    [
        ("--output a.keras --content photos", "Give it: --style PAINTING."),
        ("--output a.keras --style wave.png", "Give it: --content PHOTOS."),
    ],
)
def test_what_a_style_is_learned_from_must_be_named(monkeypatch, flags, text, capsys):
    monkeypatch.setattr(sys, "argv", ["tfstyle-train", *flags.split()])
    assert cli.train() == 2
    assert capsys.readouterr().err.endswith(f"{text}\n")
