"""Whatever the package writes: on a full disk the old file stays, and the error names it."""

import types
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from tfstyle.cli import styles
from tfstyle.config import training_with
from tfstyle.export import litert, onnx, publishing, saved_model
from tfstyle.export.config import ExportConfig
from tfstyle.export.report import Report
from tfstyle.optimize.callbacks import Record
from tfstyle.painting import hub
from tfstyle.pictures.files import check_folder_writable, refuse_for_tensorflow
from tfstyle.training.data import Photos, write_shards
from tfstyle.training.run import Run


@pytest.fixture
def disk(tmp_path, monkeypatch):
    """The folder that is written to."""
    monkeypatch.chdir(tmp_path)
    Path("photos").mkdir()
    Image.new("L", (9, 9)).save("photos/a.png")
    (tmp_path / "disk").mkdir()
    return tmp_path / "disk"


@pytest.fixture
def hollow(monkeypatch):
    """Let converters convert nothing."""
    nothing = types.SimpleNamespace(SerializeToString=lambda: b"network")
    monkeypatch.setattr("tf2onnx.convert.from_function", lambda *_, **__: (nothing, None))
    monkeypatch.setattr("onnx.helper.set_model_props", lambda *_: None)
    monkeypatch.setattr(litert, "_convert", lambda *_: b"network")
    monkeypatch.setattr(litert, "with_metadata", lambda data, _: data)
    monkeypatch.setattr(litert, "operators", lambda _: ())
    monkeypatch.setattr(saved_model, "make_servable", lambda *_: (tf.train.Checkpoint(), None))


def checkpoint(path):
    model = types.SimpleNamespace(state=[np.zeros(3)])
    photos = types.SimpleNamespace(bad={}, record=list)
    output = path.parent.with_suffix(".keras")
    Run(model, {"photographs": photos}, training_with(), output, {}, 5).save()


def report(path):
    given = {"file_bytes": 1, "memory_mb": None, "warmup_requests": 0, "rows": ()}
    Report(export="a", metadata={}, **given).save(path)


WRITERS = {
    "a.training/checkpoint.npz": lambda path, _: checkpoint(path),
    "record.json": lambda path, _: Record().save(path),
    "a.tflite": lambda path, network: litert.write_litert(network, path),
    "a.onnx": lambda path, network: onnx.write_onnx(network, path),
    "photos-00000-of-00001.tfrecord": lambda path, _: write_shards(
        Photos("photos"), path.parent, 1
    ),
    "a.parity.json": lambda path, _: report(path),
    "ripple.jpg": lambda path, _: styles.styles(thumbnails=path.parent),
}


@pytest.mark.usefixtures("hollow", "tiny_zoo")
@pytest.mark.parametrize("name", WRITERS)
def test_writers_keep_the_old_file_on_a_full_disk(name, disk, full_disk, tiny_painter):
    path = disk / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(b"old")
    full_disk(disk)
    with pytest.raises(OSError, match=f"No space left on device: '{path}'$"):
        WRITERS[name](path, tiny_painter())
    assert [file for file in disk.rglob("*") if file.is_file()] == [path]
    assert path.read_bytes() == b"old"


@pytest.mark.usefixtures("hollow")
@pytest.mark.parametrize(
    "write",
    [
        lambda folder, _: write_shards(Photos("photos"), folder),
        lambda folder, network: saved_model.write_saved_model(network, folder),
    ],
    ids=["shards", "saved-model"],
)
def test_a_full_disk_that_tensorflow_meets_is_an_error_of_the_system(
    write, disk, monkeypatch, tiny_painter
):
    def full(*_, **__):
        raise tf.errors.ResourceExhaustedError(
            None, None, "{{node S}} /x; No space left [Op:SaveV2]"
        )

    monkeypatch.setattr("tensorflow.io.TFRecordWriter.write", full)
    monkeypatch.setattr("tensorflow.saved_model.save", full)
    with pytest.raises(OSError, match=rf"^'{disk}.*' could not be written: No space left$"):
        write(disk, tiny_painter())
    assert not any(disk.iterdir())


@pytest.mark.usefixtures("hollow", "disk")
@pytest.mark.parametrize("format", ["saved-model", "android", "onnx", "litert"])
def test_publish_tells_of_what_cannot_be_written_before_it_converts(format, monkeypatch):
    monkeypatch.setattr(publishing, "find_network", lambda style, config: (None, config))
    with pytest.raises(OSError, match=r"can be written to. Received: '/proc/"):
        publishing.publish("ripple", "/proc/models", ExportConfig(format=format))


def test_check_folder_writable_looks_where_there_is_a_folder(disk):
    check_folder_writable(disk / "new" / "newer")
    assert not any(disk.iterdir())
    (disk / "file").touch()
    for path in (disk / "file", disk / "file" / "new"):
        with pytest.raises(NotADirectoryError, match=rf"must be a folder. Received: '{path}'"):
            check_folder_writable(path)


def test_names_that_mean_something_to_tensorflow_work_or_are_refused(disk, tiny_painter):
    for name in ("a%d", "a:b", "a*", "-a", "{a} "):
        refuse_for_tensorflow(disk / name)
        (path,) = write_shards(Photos("photos"), disk / name, 1)
        assert Photos(path).read(0) == Path("photos/a.png").read_bytes()
    for name in ("a[1]", "a\\b", "caf\udce9"):
        folder = disk / name
        for refuse in (
            lambda folder: write_shards(Photos("photos"), folder),
            lambda folder: saved_model.write_saved_model(tiny_painter(), folder),
        ):
            with pytest.raises(ValueError, match="TensorFlow finds no path with brackets"):
                refuse(folder)
        folder.mkdir()
        (folder / "saved_model.pb").touch()
        with pytest.raises(ValueError, match="TensorFlow finds no path with brackets"):
            hub.find(folder)
