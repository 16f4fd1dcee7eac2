"""What one sees of a training run: a NaN's cause, progress, the sheet of examples, TensorBoard."""

import io
from pathlib import Path
from types import SimpleNamespace

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from tfstyle.config import training_with
from tfstyle.losses import detail_kept
from tfstyle.pictures import to_pil
from tfstyle.training import watching as training_callbacks
from tfstyle.training.data import Photos
from tfstyle.training.feed_forward import train
from tfstyle.training.run import Run
from tfstyle.training.watching import (
    NAN_STEPS,
    BatchNaN,
    Sheet,
    TensorBoard,
    TrainingProgress,
)

CONFIG = training_with(sizes=(32, 64), steps=1000, batch_size=4)


@pytest.fixture
def photos(tmp_path):
    """A folder with two photographs, one smaller and one larger than 64 px, and what is none."""
    folder = tmp_path / "photos"
    folder.mkdir()
    Image.effect_noise((48, 40), 80).convert("RGB").save(folder / "b.png")
    Image.effect_noise((200, 150), 80).convert("RGB").save(folder / "d.png")
    return Photos(folder)


@pytest.fixture
def run(tmp_path):
    """A run of 800 steps at 32 px and 200 at 64 px that nothing has been done of."""
    return Run(None, {"photographs": None}, CONFIG, tmp_path / "a.keras", {}, 5.0)


@pytest.fixture
def clock(monkeypatch):
    """The time that callbacks see, to be set."""
    clock = SimpleNamespace(now=0.0)
    monkeypatch.setattr(training_callbacks.time, "monotonic", lambda: clock.now)
    return clock


# A loss that is no number


@pytest.fixture
def watch(run, photos):
    """Function that lets `BatchNaN` see losses, one step after the other."""

    def see(optimizer, losses):
        callback = BatchNaN(run, photos)
        callback.set_model(SimpleNamespace(optimizer=optimizer))
        for loss in losses:
            run.step += 1
            callback.on_train_batch_end(run.step - 1, {"loss": loss})

    return see


@pytest.mark.parametrize("loss", [np.nan, np.inf])
def test_batch_nan_names_step_and_photographs(watch, photos, loss):
    names = ", ".join(photos.names[photos.number(position)] for position in range(8, 12))
    text = rf"The loss became {loss} at step 3, on {names}\. Lower .*precision='float32'\)\.$"
    with pytest.raises(FloatingPointError, match=text):
        watch(keras.optimizers.Adam(), [1, 1, loss])


def test_batch_nan_lets_loss_scaling_skip_some_steps_in_a_row(watch):
    optimizer = keras.optimizers.LossScaleOptimizer(keras.optimizers.Adam())
    skipped = [np.nan] * (NAN_STEPS - 1)
    watch(optimizer, [*skipped, 1, *skipped])
    with pytest.raises(FloatingPointError, match=f"nan at step {3 * NAN_STEPS - 1},"):
        watch(optimizer, [*skipped, np.nan])


def test_a_run_all_of_whose_steps_were_skipped_is_no_success(watch, run):
    run.step = run.config.steps - 3
    optimizer = keras.optimizers.LossScaleOptimizer(keras.optimizers.Adam())
    with pytest.raises(FloatingPointError, match=f"nan at step {run.config.steps},"):
        watch(optimizer, [np.nan] * 3)


# A run


@pytest.mark.parametrize("stopped", [True, False])
def test_a_run_that_is_stopped_is_saved_before_anything_else_takes_time(run, monkeypatch, stopped):
    saved = []
    monkeypatch.setattr(run, "save", lambda: saved.append(run.step))
    run.set_model(SimpleNamespace(stop_training=stopped))
    run.on_train_end()
    assert saved == [0] * stopped


# Progress


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def go(run, clock):
    """Function that lets `TrainingProgress` see steps of `seconds` each."""
    run.losses = {"loss": 1.25, "content_loss": 0.5, "style_loss": 0.125}

    def go(callback, steps, seconds):
        callback.on_train_begin()
        for _ in range(steps):
            run.step, clock.now = run.step + 1, clock.now + seconds
            callback.on_train_batch_end(run.step - 1)
        callback.on_train_end()

    return go


def test_progress_tells_size_step_losses_speed_and_time_left(run, go):
    stream = io.StringIO()
    go(TrainingProgress(run, stream), 3, 0.5)
    # 798 steps of half a second at 32 px, 200 of four times as many pixels.
    assert stream.getvalue() == (
        "32 px  step 2/1000  loss 1.25 (content 0.5, style 0.125)  8.0 pictures/s  13:19 left\n"
    )


def test_progress_waits_for_the_first_finite_loss(run, go):
    run.losses, stream = {}, io.StringIO()
    go(TrainingProgress(run, stream), 3, 0.5)
    assert stream.getvalue() == ""


def test_progress_adds_a_line_every_half_minute_and_at_the_end(run, go):
    stream = io.StringIO()
    progress = TrainingProgress(run, stream)
    go(progress, 800, 0.1)
    go(progress, 200, 0.4)
    lines = stream.getvalue().splitlines()
    assert [line.split()[3] for line in lines] == [
        f"{step}/1000" for step in (2, 302, 602, 802, 877, 952, 1000)
    ]
    assert lines[-1].startswith("64 px")
    assert lines[-1].endswith("10.0 pictures/s  0:00 left")


def test_progress_does_not_count_steps_of_before_a_break(run, go):
    run.step, stream = 500, io.StringIO()
    go(TrainingProgress(run, stream), 2, 0.5)
    assert "step 502/1000" in stream.getvalue()
    assert "8.0 pictures/s" in stream.getvalue()


def test_progress_overwrites_its_line_on_a_terminal(run, go):
    terminal = Terminal()
    go(TrainingProgress(run, terminal), 5, 0.5)
    text = terminal.getvalue()
    assert text.count("\r") == text.count("\x1b[K") == 4
    assert text.count("\n") == text.endswith("\n") == 1


# The sheet of examples


@pytest.fixture
def painted(tiny_painter):
    return SimpleNamespace(stylizer=tiny_painter(names=("calm", "storm")))


def test_sheet_shows_photographs_above_their_paintings_in_every_style(run, photos, painted, capsys):
    callback = Sheet(run, photos, size=64)
    callback.set_model(painted)
    sheet = callback.paint()
    # Of 48×40 px, and of 200×150 reduced to a short side of 64.
    assert [picture.shape[:2] for picture in callback.pictures] == [(40, 48), (64, 85)]
    assert sheet.size == (48 + 85, 3 * 64)
    kept = []
    for number, left in ((0, 0), (1, 48)):
        photo = callback.pictures[number]
        rows = [
            photo[None],
            *(painted.stylizer(photo[None], w[None]) for w in np.eye(2, dtype="f4")),
        ]
        for row, (picture,) in enumerate(rows):
            box = (left, 64 * row, left + photo.shape[1], 64 * row + photo.shape[0])
            shown = np.asarray(sheet.crop(box), int)
            assert np.max(np.abs(shown - np.asarray(to_pil(np.asarray(picture)), int))) <= 1
        kept += [float(detail_kept(painting, photo[None])) for painting in rows[1:]]
    assert sheet.getpixel((10, 50)) == (255, 255, 255)
    assert run.validation == {"sheet": {"detail_kept": pytest.approx(np.mean(kept), abs=1e-5)}}
    assert f"sheet: {np.mean(kept):.3f} of the photographs' detail kept" in capsys.readouterr().err
    assert np.array_equal(np.asarray(Image.open(run.folder / "sheet.png")), np.asarray(sheet))


def test_sheet_takes_the_first_photographs_that_can_be_used(run, photos):
    folder = Path(photos.source)
    (folder / "a.jpg").write_bytes(b"no picture")
    Image.new("RGB", (200, 15)).save(folder / "c.png")
    assert len(Sheet(run, Photos(folder)).pictures) == 2
    assert len(Sheet(run, Photos(folder), columns=1).pictures) == 1
    for name in ("b.png", "d.png"):
        (folder / name).unlink()
    with pytest.raises(ValueError, match=r"No photograph of '.*photos' can be used\."):
        Sheet(run, Photos(folder))


def test_sheet_is_painted_every_few_minutes_and_at_the_end(run, photos, painted, clock):
    callback, sheet = Sheet(run, photos, minutes=1), run.folder / "sheet.png"
    callback.set_model(painted)
    callback.on_train_begin()
    for now, is_painted in ((59, False), (61, True), (120, False), (122, True)):
        clock.now = now
        callback.on_train_batch_end(0)
        assert sheet.exists() is is_painted, now
        sheet.unlink(missing_ok=True)
    callback.on_train_end()
    assert sheet.exists()


def test_sheet_that_a_full_disk_does_not_take_ends_no_run(run, photos, painted, full_disk):
    full_disk(run.folder.parent)
    callback = Sheet(run, photos)
    callback.set_model(painted)
    with pytest.warns(UserWarning, match=r"There is no sheet: .*No space left .*sheet.png'$"):
        callback.on_train_end()
    assert not any(run.folder.iterdir())


def test_sheet_is_written_by_the_first_process_of_a_cluster(run, photos, painted, monkeypatch):
    monkeypatch.setenv("TF_CONFIG", '{"task": {"type": "worker", "index": 1}}')
    callback = Sheet(run, photos)
    callback.set_model(painted)
    callback.paint()
    assert not run.folder.exists()


# TensorBoard


def events(folder):
    """Return `{(plugin, name): {step: value}}` of what TensorBoard would show."""
    found = {}
    for path in sorted(folder.glob("events*")):
        for event in tf.compat.v1.train.summary_iterator(str(path)):
            for value in event.summary.value:
                kind = value.metadata.plugin_data.plugin_name, value.tag
                found.setdefault(kind, {})[event.step] = tf.make_ndarray(value.tensor)
    return found


@pytest.mark.usefixtures("fake_vgg")
@pytest.mark.slow
def test_tensorboard_has_losses_learning_rate_speed_and_sheet(photos, tmp_path):
    Image.radial_gradient("L").convert("RGB").save(tmp_path / "wave.png")
    seen = []

    class Watch(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            seen.append({name: float(value) for name, value in logs.items()})

    train(
        tmp_path / "wave.png",
        photos,
        tmp_path / "a.keras",
        init=None,
        width=0.125,
        blocks=0,
        sizes=(32,),
        content_size=(32, 40),
        style_size=32,
        batch_size=2,
        steps=51,
        precision="float32",
        content_layers=("block1_conv2",),
        style_layers=("block1_conv1", "block2_conv1"),
        log_dir=tmp_path / "events",
        callbacks=[Watch()],
    )
    found = events(tmp_path / "events")
    losses = {"loss", "content_loss", "style_loss", "total_variation", "grid", "stability"}
    losses |= {"style_loss/block1_conv1", "style_loss/block2_conv1"}
    scalars = losses | {"learning_rate", "pictures_per_second"}
    assert set(found) == {("scalars", name) for name in scalars} | {("images", "sheet")}
    for name in losses:
        written = found["scalars", name]
        assert written == pytest.approx({step: seen[step - 1][name] for step in (25, 50)})
    rates = {
        step: 1.5e-3 * (0.02 + 0.98 * (1 + np.cos(np.pi * step / 51)) / 2) for step in (25, 50)
    }
    assert found["scalars", "learning_rate"] == pytest.approx(rates, rel=1e-4)
    assert min(found["scalars", "pictures_per_second"].values()) > 0
    assert set(found["images", "sheet"]) == {51}
    width, height, encoded = found["images", "sheet"][51]
    shown = Image.open(io.BytesIO(encoded))
    assert shown.size == (int(width), int(height)) == (48 + 200, 2 * 150)


def test_tensorboard_goes_on_after_a_break(run, clock, tmp_path):
    run.folder.mkdir()
    Image.new("RGB", (20, 30)).save(run.folder / "sheet.png")
    for first, last in ((0, 30), (30, 51)):
        callback = TensorBoard(run, tmp_path / "events")
        callback.set_model(SimpleNamespace(optimizer=SimpleNamespace(learning_rate=0.5)))
        callback.on_train_begin()
        for batch in range(last - first):
            run.step, clock.now = run.step + 1, clock.now + 0.5
            callback.on_train_batch_end(batch, {"loss": run.step / 10})
        callback.on_train_end()
    found = events(tmp_path / "events")
    assert found["scalars", "loss"] == pytest.approx({25: 2.5, 50: 5.0})
    assert found["scalars", "pictures_per_second"] == pytest.approx({25: 8, 50: 8})
    assert set(found["images", "sheet"]) == {30, 51}
