import io
import json
import os
import signal

import imageio.v3 as iio
import keras
import numpy as np
import pytest
from PIL import Image

from tfstyle.config import Recipe, recipe_with
from tfstyle.optimize import callbacks
from tfstyle.optimize.picture import optimize_image

pytestmark = pytest.mark.usefixtures("fake_vgg")

RECIPE = recipe_with(size=40, steps=8, scales=(0.5, 1.0), precision="float32", optimizer="lbfgs")


def run(*watchers, **changes):
    rng = np.random.default_rng(0)
    content, style = rng.random((2, 30, 40, 3), np.float32)
    return optimize_image(content, [style], recipe_with(RECIPE, **changes), callbacks=watchers)


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.slow
def test_progress_tells_scale_step_losses_speed_and_time_left():
    terminal = Terminal()
    run(callbacks.Progress(terminal))
    first, second = terminal.getvalue().strip().split("\n")
    assert "20×16 px  step 8/8  loss " in first  # 15 rows would be under the smallest side
    assert "40×30 px  step 8/8  loss " in second
    assert second.rstrip("\x1b[K").endswith("steps/s  0:00 left")
    assert "content " in second
    assert "style " in second


@pytest.mark.slow
def test_progress_counts_anew_after_a_run_that_was_stopped():
    terminal = Terminal()
    progress = callbacks.Progress(terminal)

    class Stop(callbacks.Record):
        def on_train_batch_end(self, batch, logs=None):
            self.model.stop_training = True

    run(progress, Stop())
    run(progress)
    *_, last = terminal.getvalue().strip().split("\n")
    assert "40×30 px  step 8/8" in last
    assert last.rstrip("\x1b[K").endswith(" 0:00 left")


@pytest.mark.slow
def test_progress_adds_lines_where_there_is_no_terminal():
    stream = io.StringIO()
    run(callbacks.Progress(stream))
    lines = stream.getvalue().splitlines()
    assert [line.split("  ")[1] for line in lines] == ["step 1/8", "step 8/8"] * 2
    assert "\r" not in stream.getvalue()


@pytest.mark.slow
def test_preview_writes_the_picture_so_far(tmp_path):
    path = tmp_path / "preview.png"
    result = run(callbacks.Preview(path, every=8), optimizer="adam", scales=(1.0,))
    preview = np.asarray(Image.open(path)) / 255
    np.testing.assert_allclose(preview, result, atol=0.51 / 255)
    with pytest.raises(ValueError, match="`every` must be at least 1"):
        callbacks.Preview(path, every=0)


@pytest.mark.parametrize("suffix", [".gif", ".mp4"])
@pytest.mark.slow
def test_animation_shows_early_steps_more_often(tmp_path, suffix):
    if suffix == ".mp4":
        pytest.importorskip("imageio_ffmpeg", reason="writing .mp4 needs imageio-ffmpeg")
    path = tmp_path / f"run{suffix}"
    watcher = callbacks.Animation(path, size=40, frames=12, seconds=1)
    run(watcher, scales=(1.0,), steps=40, optimizer="adam")  # no two pictures alike
    shown = sorted(watcher._steps)
    assert shown[0] == 0
    assert shown[-1] == 39
    gaps = np.diff(shown)
    assert gaps[0] <= gaps[-1]
    frames = iio.imread(path)
    assert frames.shape[1:] == (30, 40, 3)
    assert len(frames) >= len(shown)
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


def test_animation_refuses_other_formats():
    with pytest.raises(ValueError, match=r"must end in one of .gif, .mp4. Received: 'a.avi'"):
        callbacks.Animation("a.avi")


@pytest.mark.parametrize("suffix", [".gif", ".mp4"])
@pytest.mark.slow
def test_a_full_disk_for_what_one_sees_of_a_run_ends_no_run(tmp_path, full_disk, suffix):
    full_disk(tmp_path)
    animation = callbacks.Animation(tmp_path / f"run{suffix}", size=40, frames=3, seconds=1)
    preview = callbacks.Preview(tmp_path / "preview.png", every=8)
    with pytest.warns(UserWarning, match="There is no") as warned:
        assert run(animation, preview, scales=(1.0,)).shape == (30, 40, 3)
    texts = {str(warning.message) for warning in warned}
    full = "[Errno 28] No space left on device"
    assert f"There is no animation: {full}: '{animation.path}'" in texts
    assert f"There is no preview: {full}: '{preview.path}'" in texts
    assert animation.error.filename == str(animation.path)
    assert not any(tmp_path.iterdir())


def test_animation_that_ffmpeg_cuts_short_is_not_kept(tmp_path, monkeypatch):
    pytest.importorskip("imageio_ffmpeg", reason="writing .mp4 needs imageio-ffmpeg")
    monkeypatch.setattr("tfstyle.pictures.ffmpeg.measure", lambda path: (2, 0.1, 0.1))
    animation = callbacks.Animation(tmp_path / "run.mp4", size=40, frames=3, seconds=1)
    with pytest.warns(UserWarning, match=r"no animation: FFmpeg could not write a .mp4 film"):
        run(animation, scales=(1.0,))
    assert not any(tmp_path.iterdir())


@pytest.mark.slow
def test_record_holds_settings_losses_and_versions(tmp_path):
    record = callbacks.Record()
    run(record)
    record.save(tmp_path / "run.json")
    read = json.loads((tmp_path / "run.json").read_text())
    assert Recipe.from_json(json.dumps(read["recipe"])) == RECIPE
    assert [(s["height"], s["width"]) for s in read["scales"]] == [(16, 20), (30, 40)]
    for scale in read["scales"]:
        assert {len(values) for values in scale["losses"].values()} == {8}
        assert scale["seconds"] == sorted(scale["seconds"])
    assert set(scale["losses"]) == {"loss", "content_loss", "style_loss", "total_variation"}
    assert {"tfstyle", "keras", "tensorflow", "python"} <= set(read["versions"])


@pytest.mark.parametrize(("number", "exit_code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_stop_on_interrupt_keeps_the_picture_and_gives_the_signal_back(number, exit_code):
    interrupt = callbacks.StopOnInterrupt()
    before = [signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)]

    class PressCtrlC(callbacks.Progress):
        def on_train_batch_end(self, batch, logs=None):
            if batch == 2:
                os.kill(os.getpid(), number)

    record = callbacks.Record()
    result = run(interrupt, record, PressCtrlC(io.StringIO()))
    assert interrupt.interrupted
    assert interrupt.exit_code == exit_code
    assert len(record.record["scales"]) == 1
    assert len(record.record["scales"][0]["seconds"]) <= 4
    assert result.shape == (30, 40, 3)
    assert [signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)] == before


def test_an_interrupt_between_two_fits_ends_the_run():
    model = keras.Sequential([keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    x, interrupt = np.ones((64, 1), np.float32), callbacks.StopOnInterrupt()
    with interrupt:
        model.fit(x, x, batch_size=1, verbose=0, callbacks=[interrupt])
        signal.raise_signal(signal.SIGTERM)  # would end the process
        steps = []
        seen = keras.callbacks.LambdaCallback(
            on_train_batch_end=lambda batch, logs: steps.append(1)
        )
        model.fit(x, x, batch_size=1, verbose=0, callbacks=[interrupt, seen])
    assert interrupt.interrupted
    assert interrupt.exit_code == 143
    assert len(steps) < 3
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
