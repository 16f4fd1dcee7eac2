"""Very many photographs on Apache Beam: what is painted, left out, done once, and where it goes."""

import errno
import functools
import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tarfile
import threading
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import tfstyle
from tfstyle.cli import batch as command
from tfstyle.cli.main import main
from tfstyle.config import BatchConfig
from tfstyle.painting import instant, zoo
from tfstyle.pictures.shards import picture_in, tar_of
from tfstyle.training.data import Photos, write_shards

beam = pytest.importorskip("apache_beam")

from apache_beam.io.filesystem import BeamIOError, FileMetadata, FileSystem  # noqa: E402

import tfstyle.batch  # noqa: E402
from tfstyle.batch import flow, painter, places  # noqa: E402


def noise(width=32, height=24, seed=0):
    levels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)
    return Image.fromarray(levels)


def encoded(image, kind="PNG"):
    file = io.BytesIO()
    image.save(file, kind)
    return file.getvalue()


@pytest.fixture
def photos(tmp_path):
    """Folder of seven photographs of two sizes, one of them in a folder."""
    folder = tmp_path / "photos"
    (folder / "sub").mkdir(parents=True)
    for number in range(6):
        noise(32 if number % 2 else 40, seed=number).save(folder / f"{number}.png")
    noise(seed=6).save(folder / "sub" / "six.jpg")
    return folder


@pytest.fixture
def ripple(tiny_styles):
    return str(tiny_styles / "ripple.keras")


@pytest.fixture
def calls(monkeypatch):
    """List of the shapes of the photographs that were painted together."""
    shapes, paint = [], painter.paint_photos

    def paint_photos(photos, *args):
        shapes.append([photo.rgb.shape[:2] for photo in photos])
        return paint(photos, *args)

    monkeypatch.setattr(painter, "paint_photos", paint_photos)
    return shapes


def run(content, style, output, **settings):
    result = tfstyle.batch.pipeline(content, style, output, **settings).run()
    result.wait_until_finish()
    return tfstyle.batch.report(result)


def manifest(output):
    """Return the records of what was painted, by their `out`; there is one for each."""
    lines = [
        line for part in output.glob("manifest/[!.]*") for line in part.read_text().splitlines()
    ]
    records = {record["out"]: record for record in map(json.loads, lines)}
    assert len(records) == len(lines)
    return records


def dead_letters(output):
    lines = (output / "dead_letters.jsonl").read_text().splitlines()
    return {Path(letter["in"]).name: letter["reason"] for letter in map(json.loads, lines)}


def names_in(shards):
    names = []
    for shard in shards:
        with tarfile.open(shard) as archive:
            names += archive.getnames()
    return names


def pictures_in(output):
    paths = [path for path in output.rglob("*") if path.suffix in (".png", ".jpg")]
    return {path.relative_to(output).as_posix(): path for path in paths}


@pytest.fixture
def no_download(monkeypatch):
    """Keep DirectRunner from looking for Prism on the net, after which it paints by itself."""

    def offline(*args):
        raise OSError("no net in tests")

    prism = "apache_beam.runners.portability.prism_runner.PrismRunner.run_pipeline"
    monkeypatch.setattr(prism, offline)


@pytest.mark.usefixtures("no_download")
@pytest.mark.parametrize("options", [None, ["--runner=DirectRunner"]])
def test_pipeline_paints_what_stylize_paints(photos, ripple, tmp_path, options):
    report = run(photos, ripple, tmp_path / "out", strength=0.8, options=options)
    assert report[:3] == (7, 0, 0)
    assert report.busy_s > 0
    found = pictures_in(tmp_path / "out")
    assert sorted(found) == [*(f"{i}.png" for i in range(6)), "sub/six.jpg"]
    for name in ("0.png", "1.png"):
        expected = tfstyle.stylize(photos / name, ripple, strength=0.8)
        np.testing.assert_array_equal(Image.open(found[name]), expected)


@pytest.mark.slow
def test_manifest_tells_of_each_picture(photos, ripple, tmp_path):
    output = tmp_path / "out [1]*"  # a pattern to Beam
    run([f"{photos}/*.png", f"{photos}/s**"], ripple, output, task_size=3)
    assert len([*(output / "manifest").iterdir()]) == 3  # 3, 3 and 1
    assert run(photos, ripple, output)[:3] == (0, 0, 7)
    for out, path in pictures_in(output).items():
        record = manifest(output)[out]
        assert record["in"] == str(photos / out)
        assert record["style"] == "ripple"
        assert record["sha256"] == painter.hashlib.sha256(path.read_bytes()).hexdigest()
        assert record["seconds"] >= 0


@pytest.mark.slow
def test_pictures_of_one_size_are_painted_together(photos, ripple, tmp_path, calls):
    run(photos, ripple, tmp_path / "out")
    assert sorted(calls) == [[(24, 32)] * 4, [(24, 40)] * 3]


@pytest.mark.slow
def test_what_cannot_be_read_is_left_out_with_name_and_reason(
    photos, ripple, tmp_path, capsys, caplog
):
    for number in range(3):  # 30 % of all
        (photos / f"bad{number}.jpg").write_bytes(b"no picture" * number)
    arguments = ["batch", str(photos), "--style", ripple, "-o", str(tmp_path / "out")]
    assert main(arguments) == 1
    said = capsys.readouterr()
    assert "7 painted, 0 painted before, 3 left out; " in said.out
    assert "pictures/s" in said.out
    assert "per worker-hour" in said.out
    assert "dead_letters.jsonl tells why" in said.err
    assert caplog.text == ""  # of what Beam warns
    letters = dead_letters(tmp_path / "out")
    assert sorted(letters) == ["bad0.jpg", "bad1.jpg", "bad2.jpg"]
    assert "empty, cut short or of another kind" in letters["bad1.jpg"]
    assert len(pictures_in(tmp_path / "out")) == 7


def test_pipes_and_shards_of_nothing_are_left_out(photos, ripple, tmp_path):
    for name in ("pipe.jpg", "pipe.tar", "pipe.tfrecord"):  # which would be waited for
        os.mkfifo(photos / name)
    (photos / "[1].tfrecord").touch()  # a pattern to Beam
    assert run(photos, ripple, tmp_path / "out")[:2] == (7, 3)
    letters = dead_letters(tmp_path / "out")
    assert sorted(letters) == ["pipe.jpg", "pipe.tar", "pipe.tfrecord"]
    assert all("a pipe" in reason for reason in letters.values())


@pytest.mark.slow
def test_a_name_that_no_picture_can_have_is_left_out(photos, ripple, tmp_path):
    out = tmp_path / "out"
    (out / "0.png").mkdir(parents=True)
    (out / "sub").touch()
    (photos / "more.tar").write_bytes(tar_of({"x" * 300 + ".png": encoded(noise())}))
    assert run(photos, ripple, out)[:2] == (5, 3)
    letters = dead_letters(out)
    assert "a folder" in letters.pop("0.png")
    assert letters.pop("six.jpg")
    assert "too long" in letters.popitem()[1]
    assert run(photos, ripple, out)[:3] == (0, 3, 5)


def test_a_full_disk_ends_the_run_in_a_line(photos, ripple, tmp_path, monkeypatch, capsys, caplog):
    write = places.write_local

    def full(path, content):
        if str(path).endswith(".jpg"):
            raise OSError(errno.ENOSPC, "No space left on device", path)
        write(path, content)

    monkeypatch.setattr(places, "write_local", full)
    assert main(["batch", str(photos), "--style", ripple, "-o", str(tmp_path / "out")]) == 2
    said = capsys.readouterr().err
    assert "No space left on device" in said
    assert said.count("\n") == 1
    assert caplog.text == ""  # no traceback of Beam's
    assert not (tmp_path / "out" / "manifest").exists()


@pytest.mark.parametrize("output", ["photos", pytest.param("elsewhere", marks=pytest.mark.slow)])
def test_a_painting_never_replaces_its_photograph(photos, ripple, tmp_path, output):
    before = (photos / "0.png").read_bytes()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "0.png").symlink_to(photos / "0.png")
    assert run(photos / "0.png", ripple, tmp_path / output)[:2] == (0, 1)
    assert "would replace it" in dead_letters(tmp_path / output)["0.png"]
    assert (photos / "0.png").read_bytes() == before


@pytest.mark.slow
def test_a_list_may_have_a_mark_of_its_encoding(photos, ripple, tmp_path):
    names = tmp_path / "list.txt"
    names.write_bytes(f"\ufeff{photos}/0.png\r\n".encode())
    assert run(names, ripple, tmp_path / "out").painted == 1
    names.write_bytes(b"\xff.png")
    with pytest.raises(ValueError, match=r"must be text in UTF-8.*list\.txt"):
        run(names, ripple, tmp_path / "out")


@pytest.mark.parametrize("line", [b'{"in": "0.p', b"[]\n", b"{}\n", b"\n", b"\xff\n"])
def test_a_damaged_manifest_is_told(tmp_path, line):
    part = tmp_path / "manifest" / "0.jsonl"
    part.parent.mkdir()
    part.write_bytes(line)
    with pytest.raises(ValueError, match=r"0\.jsonl' is damaged. Remove it"):
        list(flow.records_in("manifest/0.jsonl", str(tmp_path)))


def test_files_of_others_in_an_output_are_left_alone(photos, ripple, tmp_path):
    others = [b"notes.txt", b"manifest/.DS_Store", b"manifest/notes.txt", b"\xe9.txt"]
    (tmp_path / "out" / "manifest").mkdir(parents=True)
    for name in others:
        Path(os.fsdecode(os.fsencode(tmp_path / "out") + b"/" + name)).write_text("mine")
    assert run(photos, ripple, tmp_path / "out").painted == 7
    for name in others:
        assert Path(os.fsdecode(os.fsencode(tmp_path / "out") + b"/" + name)).exists()


@pytest.mark.slow
def test_what_does_not_fit_into_memory_is_left_out(photos, ripple, tmp_path, monkeypatch):
    paint = painter.paint_photos

    def paint_photos(photos, *args):
        if photos[0].rgb.shape[1] == 40:
            raise MemoryError
        return paint(photos, *args)

    monkeypatch.setattr(painter, "paint_photos", paint_photos)
    assert run(photos, ripple, tmp_path / "out")[:2] == (4, 3)
    assert "not enough memory" in dead_letters(tmp_path / "out")["0.png"]


def test_a_second_run_paints_what_is_missing_and_nothing_twice(photos, ripple, tmp_path, calls):
    out = tmp_path / "out"
    (photos / "later.png").write_bytes(b"")
    assert run(photos, ripple, out)[:3] == (7, 1, 0)
    times = {name: path.stat().st_mtime_ns for name, path in pictures_in(out).items()}
    calls.clear()
    noise(seed=9).save(photos / "later.png")
    assert run(photos, ripple, out)[:3] == (1, 0, 7)
    assert calls == [[(24, 32)]]
    assert dead_letters(out) == {}
    found = pictures_in(out)
    assert {name: found[name].stat().st_mtime_ns for name in times} == times
    found["1.png"].unlink()  # what was taken away is missing, too
    calls.clear()
    assert run([photos], ripple, out)[:3] == (1, 0, 7)
    assert calls == [[(24, 32)]]


@pytest.mark.parametrize("shards", [None, "tar"])
@pytest.mark.slow
def test_a_run_that_breaks_off_goes_on_and_doubles_nothing(
    photos, ripple, tmp_path, calls, monkeypatch, shards
):
    out, written = tmp_path / "out", []
    write = places.write_file

    def dies(path, content):
        if ".json" in path:  # between a third task's pictures and its part of the manifest
            written.append(path)
            if len(written) == 4:  # tfstyle.json is one
                half = out / "manifest" / ".tfstyle-0123456789abcdef.jsonl"
                half.write_bytes(content)
                raise SystemError("killed")
        write(path, content)

    with monkeypatch.context() as patch:
        patch.setattr(places, "write_file", dies)
        with pytest.raises(Exception, match="killed"):
            run(photos, ripple, out, task_size=2, shards=shards)
    before = manifest(out)
    assert 0 < len(before) < 7
    calls.clear()
    report = run(photos, ripple, out, task_size=2, shards=shards)
    assert report[:3] == (7 - len(before), 0, len(before))
    assert sum(map(len, calls)) == 7 - len(before)
    assert len(manifest(out)) == 7
    assert not [*out.rglob(".tfstyle-*")]
    names = [*pictures_in(out), *names_in(out.glob("*.tar"))]
    assert sorted(name for name in names if not name.endswith(".json")) == sorted(manifest(out))


def test_a_task_that_a_runner_starts_again_replaces_what_it_wrote(photos, tmp_path):
    jobs = [
        painter.Job(f"{i}.png", places.Photo(str(i), f"{i}.png", str(photos / f"{i}.png")), "x")
        for i in range(6)
    ]
    first, again = (list(flow._tasks((0, order), 4)) for order in (jobs, jobs[::-1]))
    assert first == again
    assert [len(task) for task in first] == [4, 2]
    names = {painter.Task(task, {}).name for task in (first[0], first[0][::-1])}
    assert len(names) == 1
    record = {"out": "0.png", "style": "x"}
    painted = painter.Painted(names.pop(), {"0.png": b"pixels"}, [record], [])
    for _ in range(2):
        assert list(painter.Write(str(tmp_path / "out"), "tar").process(painted)) == []
    assert len([*tmp_path.glob("out/painted-*.tar")]) == len(manifest(tmp_path / "out")) == 1


@pytest.mark.slow
def test_many_paintings_are_looked_at_once_each(photos, tmp_path, monkeypatch):
    looked, paintings = [], tmp_path / "paintings"
    paintings.mkdir()
    for number, name in enumerate(("night.jpg", "wave.png")):
        noise(48, 40, seed=number).save(paintings / name)
    point = instant.Paintings.point

    def counted(self, *args):
        looked.append(self)
        return point(self, *args)

    monkeypatch.setattr(instant.Paintings, "point", counted)
    assert run(photos, paintings, tmp_path / "out", task_size=4).painted == 14
    assert len(looked) == 2
    found = pictures_in(tmp_path / "out")
    assert len(found) == 14
    expected = tfstyle.stylize(photos / "2.png", paintings / "night.jpg", "instant")
    np.testing.assert_allclose(
        np.asarray(Image.open(found["night/2.png"]), float), expected, atol=2
    )
    noise(48, 40, seed=3).save(paintings / "third.png")  # which alone is painted after
    assert run(photos, paintings, tmp_path / "out")[:3] == (7, 0, 14)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["tar", "tfrecord"])
def test_shards_hold_each_picture_once(photos, ripple, tmp_path, kind):
    out = tmp_path / "out"
    shutil.copy(photos / "0.png", photos / "a.b.png")
    assert run(photos, ripple, out, shards=kind, task_size=3).painted == 8
    assert run(photos, ripple, out, shards=kind)[:3] == (0, 0, 8)
    shards = sorted(out.glob(f"painted-*.{kind}"))
    assert len(shards) == 3
    assert pictures_in(out) == {}
    assert {record["shard"] for record in manifest(out).values()} == {s.name for s in shards}
    if kind == "tfrecord":
        assert len(Photos(out).names) == 8  # trains as photographs do
    else:
        names = names_in(shards)
        assert {"a_b.png", "a_b.json", "sub/six.jpg"} < {*names}  # one dot, as WebDataset wants
        assert len(names) == 16
    again = tmp_path / "again"
    assert run(out, ripple, again).painted == 8
    assert sorted(pictures_in(again)) == sorted(manifest(out))


@pytest.mark.slow
def test_shards_of_photographs_are_read_in_place(photos, ripple, tmp_path):
    folder = tmp_path / "shards"
    write_shards(Photos(photos), folder, 2)
    files = {"x/seven.png": encoded(noise(seed=7)), "x/notes.txt": b"", "y.png": b"no"}
    (folder / "more.tar").write_bytes(tar_of(files))
    whole = dict.fromkeys(("whole.png", "lost.png"), files["x/seven.png"])
    (folder / "cut.tar").write_bytes(tar_of(whole)[:5000])
    (folder / "odd.tfrecord").write_bytes(b"x" * 99)
    report = run(folder, ripple, tmp_path / "out")
    names = sorted(pictures_in(tmp_path / "out"))
    assert names == [*(f"{i}.png" for i in range(6)), "sub/six.jpg", "whole.png", "x/seven.png"]
    assert report[:2] == (9, 4)
    letters = dead_letters(tmp_path / "out")
    assert sorted(letters) == ["cut.tar", "cut.tar#lost.png", "more.tar#y.png", "odd.tfrecord"]
    assert "cut short, or no TFRecord file" in letters["odd.tfrecord"]
    record = manifest(tmp_path / "out")["x/seven.png"]
    assert record["in"] == f"{folder / 'more.tar'}#x/seven.png"


@pytest.mark.slow
def test_names_stay_in_the_output_and_are_given_once(photos, ripple, tmp_path):
    evil = dict.fromkeys(("../0.png", "/tmp/evil.png"), encoded(noise()))
    (photos / "evil.tar").write_bytes(tar_of(evil))
    other = tmp_path / "other"
    other.mkdir()
    noise(seed=8).save(other / "0.png")
    shutil.copy(other / "0.png", os.fsencode(other) + b"/\xe9.png")
    report = run([photos, other], ripple, tmp_path / "out")
    assert report[:2] == (7, 3)
    letters = dead_letters(tmp_path / "out")
    assert "must be in UTF-8 and lie in the output" in letters["evil.png"]
    assert "must be in UTF-8" in letters["\\udce9.png"]
    assert "would have the name of that of" in letters["0.png"]
    assert not (tmp_path / "0.png").exists()


class Memory(FileSystem):
    """A file system of its own, such as gs:// is, without folders; `rename` replaces nothing."""

    files = {}  # noqa: RUF012

    @classmethod
    def scheme(cls):
        return "memo"

    def join(self, base, *paths):
        return "/".join([base, *paths])

    def split(self, path):
        return path.rpartition("/")[::2]

    def mkdirs(self, path):
        pass

    def has_dirs(self):
        return False

    def _list(self, prefix):
        for path, content in [*self.files.items()]:
            if path.startswith(prefix):
                yield FileMetadata(path, len(content))

    def create(self, path, mime_type="", compression_type=None):
        files = self.files

        class File(io.BytesIO):
            def close(self):
                files[path] = self.getvalue()
                super().close()

        return File()

    def open(self, path, mime_type="", compression_type=None):
        return io.BytesIO(self.files[path])

    def rename(self, sources, targets):
        for source, target in zip(sources, targets, strict=True):
            if target in self.files:
                raise BeamIOError(f"{target} is there")
            self.files[target] = self.files.pop(source)

    def exists(self, path):
        return path in self.files

    def delete(self, paths):
        for path in paths:
            del self.files[path]

    def metadata(self, path):
        return FileMetadata(path, len(self.files[path]))

    def copy(self, sources, targets):
        raise NotImplementedError

    size = last_updated = checksum = exists


@pytest.fixture
def memory():
    Memory.files.clear()
    return Memory.files


@pytest.mark.slow
def test_every_file_system_of_beam_will_do(photos, ripple, memory, tmp_path, calls):
    for path in photos.rglob("*.*"):
        memory[f"memo://b/photos/{path.relative_to(photos)}"] = path.read_bytes()
    memory["memo://b/night.png"] = encoded(noise(48, 40))
    memory["memo://b/own.keras"] = Path(ripple).read_bytes()
    memory["memo://b/list.txt"] = b"memo://b/photos/1.png\n\nmemo://b/photos/2.png\n"
    memory["memo://b/out/.tfstyle-0123456789abcdef.png"] = b"of a killed worker"
    assert run("memo://b/photos/", "memo://b/own.keras", "memo://b/out").painted == 7
    assert run("memo://b/photos", "memo://b/own.keras", "memo://b/out")[:3] == (0, 0, 7)
    assert sorted(name for name in memory if "/out/" in name and ".json" not in name) == sorted(
        f"memo://b/out/{path.relative_to(photos)}" for path in photos.rglob("*.*")
    )
    assert run("memo://b/photos/**/*.jpg", ripple, tmp_path / "jpg").painted == 1
    assert [*pictures_in(tmp_path / "jpg")] == ["sub/six.jpg"]
    assert run("memo://b/list.txt", "memo://b/night.png", "memo://b/two").painted == 2
    assert memory.keys() > {"memo://b/two/b/photos/1.png", "memo://b/two/b/photos/2.png"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"content": "nowhere/"}, "must name pictures, shards of them or a folder.*nothing"),
        ({"content": "odd://b/x"}, "Unable to get filesystem"),
        ({"output": "photos"}, "must be another folder than that of the photographs"),
        ({"output": "link"}, "must be another folder than that of the photographs"),
        ({"output": "bad.png"}, "must be a folder"),
        ({"output": ""}, "must not be empty"),
        ({"content": ""}, "must not be empty"),
        ({"content": b"\xe9"}, "must be in UTF-8"),
        ({"options": ["--runner=None of Beam's"]}, "Unexpected pipeline runner"),
        ({"style": "wav"}, "Did you mean 'wave'"),
        ({"style": []}, "must name a style or a painting"),
        ({"style": "photos/0.png", "recipe": "default"}, "must be 'instant' or the path"),
        ({"style": str(zoo.ANY)}, "paints after paintings"),
        ({"style": ["photos/0.png", "sub/0.png"]}, "names of their own.*'0' twice"),
        ({"style": "bad.png"}, "bad.png': A picture must be"),
    ],
)
def test_pipeline_says_what_is_wrong_before_the_work(
    photos, tmp_path, monkeypatch, change, message
):
    monkeypatch.chdir(tmp_path)
    Path("sub").mkdir()
    shutil.copy("photos/0.png", "sub/0.png")
    Path("bad.png").write_bytes(b"no")
    Path("link").symlink_to("photos")
    if isinstance(change.get("content"), bytes):
        change = {"content": os.fsdecode(change["content"])}
    given = {"content": "photos", "style": "wave", "output": "out"} | change
    with pytest.raises((ValueError, OSError), match=message):
        tfstyle.batch.pipeline(**given)
    assert not Path("out").exists()


@pytest.mark.slow
def test_an_output_holds_paintings_of_one_way(photos, ripple, tmp_path, tiny_styles):
    out = tmp_path / "out"
    tfstyle.batch.pipeline(photos, ripple, out, strength=0.5)
    tfstyle.batch.pipeline(photos, ripple, out, strength=0.5, task_size=5)
    with pytest.raises(ValueError, match="of a run with another strength"):
        tfstyle.batch.pipeline(photos, ripple, out)
    other = tmp_path / "ripple.keras"
    shutil.copy(tiny_styles / "weather.keras", other)
    with pytest.raises(ValueError, match="with another folder_for_each_style"):
        tfstyle.batch.pipeline(photos, [ripple, str(other)], out, strength=0.5)


@pytest.mark.parametrize("text", ["{", "[]", '{"size": null}'])
def test_settings_that_are_damaged_are_told(photos, tmp_path, text):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "tfstyle.json").write_text(text)
    with pytest.raises(ValueError, match="must tell how the pictures beside it were painted"):
        tfstyle.batch.pipeline(photos, "wave", tmp_path / "out")


def test_a_painting_that_was_replaced_is_told(photos, tmp_path):
    painting = tmp_path / "night.png"
    noise(48, 40, seed=1).save(painting)
    tfstyle.batch.pipeline(photos, painting, tmp_path / "out")
    noise(48, 40, seed=2).save(painting)
    with pytest.raises(ValueError, match="of a run with another night"):
        tfstyle.batch.pipeline(photos, painting, tmp_path / "out")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--style", "wave", "-o", "out"], "`content` must come first"),
        (
            ["photos", "--style", "wave", "-o", "out", "--stlye", "x"],
            "runner take no --stlye",
        ),
        (["photos", "--style", "wave", "-o", "out", "more"], "come first, all of it.*'more'"),
        (["a", "-o", "o", "--style", "wave", "--streaming=1", "more"], "all of it.*'more'"),
        (["empty", "--style", "wave", "-o", "out"], "a folder with some. Received: empty"),
    ],
)
def test_command_says_what_is_wrong_in_a_line(photos, monkeypatch, capsys, arguments, message):
    monkeypatch.chdir(photos.parent)
    Path("empty").mkdir()
    assert main(["batch", *arguments]) == 2
    said = capsys.readouterr().err
    assert re.search(message, said)
    assert said.count("\n") == 1


@pytest.mark.slow
def test_command_that_breaks_off_says_so_in_a_line(photos, ripple, tmp_path, monkeypatch, capsys):
    def broken(*args):
        raise RuntimeError("no memory on the GPU")

    monkeypatch.setattr(painter, "paint_photos", broken)
    assert main(["batch", str(photos), "--style", ripple, "-o", str(tmp_path / "out")]) == 2
    assert "The run broke off: no memory on the GPU" in capsys.readouterr().err


@pytest.mark.slow
def test_a_run_on_this_machine_tells_how_far_it_is(photos, ripple, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(command, "TICK_S", 0.01)
    monkeypatch.setattr(command, "Line", functools.partial(command.Line, every_s=0))
    arguments = ["batch", str(photos), "--style", ripple, "-o", str(tmp_path / "out")]
    assert main([*arguments, "--task-size", "1"]) == 0
    told = capsys.readouterr().err.splitlines()
    assert any(re.fullmatch(r"[1-7]/7  [\d.]+ pictures/s  \d:\d\d left", line) for line in told)


@pytest.fixture
def told(monkeypatch, capsys):
    """Call `_tell` for a moment; return what it told."""
    monkeypatch.setattr(command, "TICK_S", 0.01)
    monkeypatch.setattr(command, "Line", functools.partial(command.Line, every_s=0))

    def tell(*args):
        ended = threading.Event()
        threading.Timer(0.3, ended.set).start()
        command._tell(*args, ended)
        return {*capsys.readouterr().err.splitlines()}

    return tell


def test_progress_counts_what_is_to_be_painted_now(photos, tmp_path, told):
    part = tmp_path / "out" / "manifest" / "0.jsonl"
    part.parent.mkdir(parents=True)
    sources = [photos / "0.png", photos / "0.png", photos / "removed.png"]
    part.write_text("".join(f'{{"in": "{path}", "out": "{path.name}"}}\n' for path in sources))
    assert told([str(photos)], str(tmp_path / "out"), 1) == {"1/7"}
    (photos / "more.tar").touch()  # of nobody knows how many
    assert told([str(photos)], str(tmp_path / "out"), 1) == {"2/?"}


def test_progress_says_nothing_where_it_cannot_look(photos, tmp_path, told):
    assert told([str(tmp_path / "nowhere")], str(tmp_path / "out"), 1) == {"0/1"}
    (tmp_path / "list.txt").write_bytes(b"\xff")
    assert told([str(tmp_path / "list.txt")], str(tmp_path / "out"), 1) == set()
    part = tmp_path / "out" / "manifest" / "0.jsonl"
    part.parent.mkdir(parents=True)
    part.write_bytes(b"{")
    assert told([str(photos)], str(tmp_path / "out"), 1) == set()


def test_progress_does_not_outlive_a_run(photos, tmp_path, monkeypatch):
    never = threading.Event()
    monkeypatch.setattr(command, "TICK_S", 0.01)
    monkeypatch.setattr(places, "find", lambda *args: never.wait())  # a listing that hangs
    with command._progress([str(photos)], str(tmp_path / "out"), 1):
        pass
    never.set()


def test_batch_config_checks_its_fields():
    with pytest.raises(ValueError, match="`task_size` must be at least 1"):
        BatchConfig(task_size=0)
    with pytest.raises(TypeError, match="`shards` must be 'tar' or 'tfrecord'"):
        BatchConfig(shards="zip")


def test_picture_in_says_what_a_record_lacks():
    with pytest.raises(ValueError, match="is damaged, or no tf"):
        picture_in(b"\xff" * 9)


def workers_of(session):
    """Return the numbers of the worker processes of a session."""
    return [
        int(path.parent.name)
        for path in Path("/proc").glob("[0-9]*/comm")
        if path.exists()
        and os.getsid(int(path.parent.name)) == session
        and b"\0apache_beam.runners.worker.sdk_worker_main"
        in (path.parent / "cmdline").read_bytes()
        and path.read_text().startswith("python")
    ]


@pytest.mark.slow
def test_a_killed_worker_loses_and_doubles_nothing(ripple, tmp_path, wait_until):
    photos, out = tmp_path / "photos", tmp_path / "out"
    photos.mkdir()
    for number in range(40):
        noise(320, 240, number).save(photos / f"{number}.jpg")
        if number % 3 == 0:
            (photos / f"bad{number}.jpg").write_bytes(b"no picture")
    command = [sys.executable, "-c", "from tfstyle.cli.main import main; raise SystemExit(main())"]
    command += ["batch", photos, "--style", ripple, "-o", out, "--task-size", "2"]
    two = ["--direct_running_mode", "multi_processing", "--direct_num_workers", "2"]
    # Else nothing would be left to do when the worker is killed.
    environment = os.environ | {"TF_NUM_INTRAOP_THREADS": "1", "TF_NUM_INTEROP_THREADS": "1"}
    with subprocess.Popen(
        command + two, env=environment, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        wait_until(lambda: len([*out.glob("manifest/*")]) > 1, 120)
        workers = workers_of(process.pid)
        os.kill(workers[0], signal.SIGKILL)
        assert "The run broke off" in process.communicate(timeout=120)[1]
        assert process.returncode == 2
    assert len(workers) == 2
    before = manifest(out)
    assert 4 <= len(before) < 40
    times = {name: (out / name).stat().st_mtime_ns for name in before}

    port = tmp_path / "port"
    service = [sys.executable, "-m", "apache_beam.runners.portability.local_job_service_main"]
    with subprocess.Popen([*service, "--port_file", port], stderr=subprocess.DEVNULL) as server:
        try:
            wait_until(port.exists, 60)
            portable = ["--runner", "PortableRunner", "--environment_type", "LOOPBACK"]
            portable += ["--job_endpoint", f"localhost:{port.read_text()}"]
            done = subprocess.run(command + portable, capture_output=True, text=True)
        finally:
            server.terminate()
    assert done.returncode == 1, done.stderr
    assert f"{40 - len(before)} painted, {len(before)} painted before, 14 left out" in done.stdout
    assert len(manifest(out)) == len(pictures_in(out)) == 40
    assert {name: (out / name).stat().st_mtime_ns for name in before} == times
    assert len(dead_letters(out)) == 14
