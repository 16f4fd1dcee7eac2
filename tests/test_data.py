"""Photographs to train on: sources, unusable pictures, order, crops, the pipeline."""

import atexit
import collections
import gc
import io
import subprocess
import sys
import threading
import time
import types
import weakref
import zipfile

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from tfstyle.training import data
from tfstyle.training.data import Photos, batches, write_shards

SIDE = 24
WHOLE = {"size": SIDE, "short_sides": (SIDE, SIDE)}  # the whole of a picture of SIDE by SIDE


def encoded(color, side=SIDE, kind="PNG", mode="RGB"):
    """The bytes of a picture of one color, or of what an array shows."""
    shown = Image.new(mode, (side, side), color) if np.ndim(color) < 2 else Image.fromarray(color)
    file = io.BytesIO()
    shown.save(file, kind)
    return file.getvalue()


def grey(level):
    return (level,) * 3


@pytest.fixture
def folder(tmp_path):
    """A function that writes files into a folder: `{name: bytes}` to the folder's path."""

    def write(files):
        for name, content in files.items():
            path = tmp_path / "photos" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        return tmp_path / "photos"

    return write


@pytest.fixture
def steps(folder):
    """A folder of twelve pictures in the grey levels 0, 10, 20 to 110, in the order of names."""
    return folder({f"{i:02}.png": encoded(grey(10 * i)) for i in range(12)})


def level(photos, position, seed=0):
    """The grey level of the crop at a position."""
    pixels = photos.crop(position, **WHOLE, seed=seed)
    assert pixels.min() == pixels.max()
    return int(pixels[0, 0, 0])


def position_of(photos, number):
    """Where a photograph stands in the first epoch."""
    return int(np.argmax(photos.order(0) == number))


# Sources

FILES = {"b.JPG": "JPEG", "a/sky.png": "PNG", "a/deep/er.JpEg": "JPEG", "c.webp": "WEBP"}


def tree():
    files = {name: encoded(grey(80), kind=kind) for name, kind in FILES.items()}
    return files | {
        "notes.txt": b"none",
        "a/.DS_Store": b"none",
        "a/._x.jpg": b"none",
        "a/wave.training/sheet.png": b"none",
        "jpg": b"none",
    }


def test_photos_finds_pictures_in_nested_folders(folder):
    photos = folder(tree())
    (photos / "mine.tfrecords").mkdir()
    photos = Photos(photos)
    assert photos.names == sorted(FILES)
    assert len(photos) == 4
    for position in range(4):
        assert photos.crop(position, **WHOLE).mean() == pytest.approx(80, abs=2)
    assert photos.bad == {}


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_photos_reads_a_zip_in_place(tmp_path, compression):
    path = tmp_path / "photos.zip"
    with zipfile.ZipFile(path, "w", compression) as archive:
        archive.writestr("folder.png/", b"")
        for name, content in tree().items():
            archive.writestr(name, content)
    photos = Photos(path)
    assert photos.names == sorted(FILES)
    for position in range(4):
        assert photos.crop(position, **WHOLE).mean() == pytest.approx(80, abs=2)
    assert photos.bad == {}
    assert list(tmp_path.iterdir()) == [path]


def test_photos_reads_a_zip_from_many_threads(tmp_path):
    path = tmp_path / "photos.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for i in range(12):
            archive.writestr(f"{i:02}.png", encoded(grey(10 * i)))
    images = next(iter(batches(Photos(path), **WHOLE, batch_size=24)))
    levels = np.round(images[:, 0, 0, 0] * 255).astype(int)
    assert sorted(levels) == sorted([*range(0, 120, 10)] * 2)


def test_write_shards_keeps_every_photograph_as_it_is(steps, tmp_path):
    paths = write_shards(Photos(steps), tmp_path / "new" / "shards", shards=5)
    assert [path.name for path in paths] == [f"photos-{i:05}-of-00005.tfrecord" for i in range(5)]
    assert sorted(paths) == sorted((tmp_path / "new" / "shards").iterdir())
    kept = {}
    for record in tf.data.TFRecordDataset(list(map(str, paths))):  # which checks the sums
        feature = tf.train.Example.FromString(record.numpy()).features.feature
        name, content = (feature[f"image/{key}"] for key in ("filename", "encoded"))
        kept[name.bytes_list.value[0].decode()] = content.bytes_list.value[0]
    assert kept == {path.name: path.read_bytes() for path in steps.iterdir()}


def test_photos_reads_shards(steps, tmp_path):
    paths = write_shards(Photos(steps), tmp_path / "shards", shards=5)
    photos = Photos(tmp_path / "shards")
    assert len(photos) == 12
    assert photos.names[:3] == [f"{paths[0].name}#0", f"{paths[0].name}#1", f"{paths[0].name}#2"]
    assert sorted(level(photos, position) for position in range(12)) == [*range(0, 120, 10)]
    assert Photos(paths[4]).read(1) == (steps / "09.png").read_bytes()


def test_photos_writes_and_reads_more_shards_than_photographs(folder, tmp_path):
    photos = Photos(folder({"a.png": encoded(grey(7))}))
    assert len(write_shards(photos, tmp_path / "shards", shards=3)) == 3
    assert level(Photos(tmp_path / "shards"), 0) == 7


def test_photos_passes_over_a_shard_that_was_never_finished(steps, tmp_path):
    path = write_shards(Photos(steps), tmp_path / "shards", shards=1)[0]
    (path.parent / f".{path.name}.part").write_bytes(path.read_bytes()[:100])
    assert len(Photos(path.parent)) == 12


@pytest.mark.parametrize("kept", [5, 40, -1])
def test_photos_tells_of_a_shard_cut_short(steps, tmp_path, kept):
    path = write_shards(Photos(steps), tmp_path / "shards", shards=1)[0]
    path.write_bytes(path.read_bytes()[:kept])
    for source in (path, path.parent):
        with pytest.raises(ValueError, match=r"of-00001.tfrecord' is cut short, or no TFRecord"):
            Photos(source)


def test_photos_skips_damaged_records(tmp_path):
    feature = {"label": tf.train.Feature(int64_list=tf.train.Int64List(value=[1]))}
    unlabeled = tf.train.Example(features=tf.train.Features(feature=feature)).SerializeToString()
    value = tf.train.BytesList(value=[encoded(grey(9))])
    feature = {"image": tf.train.Feature(bytes_list=value)}  # as TensorFlow Datasets names it
    good = tf.train.Example(features=tf.train.Features(feature=feature)).SerializeToString()
    path = tmp_path / "coco-train.tfrecord-00000-of-00001"
    with tf.io.TFRecordWriter(str(path)) as writer:
        for record in (unlabeled, b"\xffno example", good):
            writer.write(record)
    photos = Photos(tmp_path)
    assert [level(photos, position) for position in range(3)] == [9, 9, 9]
    assert set(photos.bad) == {f"{path.name}#0", f"{path.name}#1"}
    assert "no feature 'image/encoded' or 'image'" in photos.bad[f"{path.name}#0"]


def test_photos_reads_a_data_set_by_name(monkeypatch, tmp_path):
    calls = []

    def data_source(*args, **kwargs):
        calls.append((args, kwargs))
        return [{"image": encoded(grey(level))} for level in (5, 6)]

    decode = types.SimpleNamespace(SkipDecoding=lambda: "undecoded")
    module = types.SimpleNamespace(data_source=data_source, decode=decode)
    monkeypatch.setitem(sys.modules, "tensorflow_datasets", module)
    monkeypatch.chdir(tmp_path)
    photos = Photos("coco/2017")
    expected = (("coco/2017",), {"split": "train", "decoders": {"image": "undecoded"}})
    assert calls == [expected]
    assert photos.names == ["coco/2017#0", "coco/2017#1"]
    assert sorted(level(photos, position) for position in range(2)) == [5, 6]


def test_photos_says_what_to_install_for_a_data_set(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "tensorflow_datasets", None)
    monkeypatch.chdir(tmp_path)
    text = "no file or folder 'coco/2017'.*pip install tensorflow-datasets array-record"
    with pytest.raises(ImportError, match=text):
        Photos("coco/2017")


def test_photos_says_that_there_are_none(folder, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no photograph in .* must end in \.jpg, \.jpeg"):
        Photos(folder({"notes.txt": b"none"}))
    with zipfile.ZipFile(tmp_path / "empty.zip", "w"):
        pass
    with pytest.raises(FileNotFoundError, match=r"no photograph in '.*empty\.zip'\. Names must"):
        Photos(tmp_path / "empty.zip")


def test_photos_says_that_there_is_no_such_place(tmp_path):
    for missing in (tmp_path / "photos", tmp_path / "photos.zip", "photos", str(tmp_path) + "/no/"):
        with pytest.raises(FileNotFoundError, match="There is no file or folder '"):
            Photos(missing)


@pytest.mark.parametrize("name", ["photo.png", "notes.txt", "broken.zip"])
def test_photos_refuses_a_file_of_another_kind(folder, name):
    text = rf"must come in a folder, a \.zip or TFRecord files\. Received: '.*{name}'"
    with pytest.raises(ValueError, match=text):
        Photos(folder({name: encoded(grey(1))}) / name)


# Photographs that cannot be used


def cut(content):
    return content[: len(content) // 2]


def noise(kind="PNG", side=64):
    levels = np.random.default_rng(0).integers(0, 256, (side, side, 3), dtype=np.uint8)
    return encoded(levels, kind=kind)


UNUSABLE = {
    "empty.jpg": b"",
    "text.jpg": b"This is no picture.",
    "cut.jpg": cut(noise("JPEG")),
    "cut.png": cut(noise()),
    "flipped.png": noise()[:200] + b"\0" * 20 + noise()[220:],
    "head.png": noise()[:20],
    "page.png": b"<html><body>404</body></html>",
}


def test_crop_takes_the_successor_of_an_unusable_photograph(folder):
    files = {"a.png": encoded(grey(10)), "n.png": encoded(grey(20))}
    photos = Photos(folder(files | {f"{name[0]}_{name}": UNUSABLE[name] for name in UNUSABLE}))
    names = ["a.png", *sorted(f"{name[0]}_{name}" for name in UNUSABLE), "n.png"]
    names.sort()
    assert photos.names == names
    for number, name in enumerate(names):
        expected = 10 if name == "a.png" or name > "n.png" else 20  # the first follows the last
        assert level(photos, position_of(photos, number)) == expected, name
    assert set(photos.bad) == set(names) - set(files)
    assert all("\n" not in reason for reason in photos.bad.values())
    assert "is empty, cut short or of another kind" in photos.bad["t_text.jpg"]


def test_crop_skips_what_is_damaged_in_a_zip(tmp_path):
    path = tmp_path / "photos.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.png", noise())
        archive.writestr("b.png", encoded(grey(20)))
    content = bytearray(path.read_bytes())
    content[200] ^= 255
    path.write_bytes(content)
    photos = Photos(path)
    assert [level(photos, position) for position in range(2)] == [20, 20]
    assert photos.bad == {"a.png": "Bad CRC-32 for file 'a.png'"}


def test_crop_skips_a_photograph_that_has_gone(steps):
    photos = Photos(steps)
    (steps / "03.png").unlink()
    assert level(photos, position_of(photos, 3)) == 40
    assert "no file" in photos.bad["03.png"]


def test_crop_enlarges_the_small_and_skips_the_tiny(folder):
    photos = Photos(folder({"a.png": encoded(grey(1), 24), "b.png": encoded(grey(2), 25)}))
    for position in range(2):
        pixels = photos.crop(position, 50, (60, 100))
        np.testing.assert_array_equal(pixels, np.full((50, 50, 3), 2, np.uint8))
    assert photos.bad == {"a.png": "too small: 24×24 px, less than 25"}


def test_crop_gives_up_after_many_unusable_in_a_row(folder, monkeypatch):
    monkeypatch.setattr(data, "MAX_BAD_IN_A_ROW", 3)
    files = {f"{letter}.jpg": b"text" for letter in "abc"} | {"d.png": encoded(grey(4))}
    photos = Photos(folder(files))
    assert level(photos, position_of(photos, 1)) == 4  # two in a row
    text = r"3 photographs of '.*' in a row cannot be used\. The last: c\.jpg: A picture must be"
    for _ in range(2):
        with pytest.raises(ValueError, match=text):
            photos.crop(position_of(photos, 0), **WHOLE)


def test_crop_gives_up_where_nothing_can_be_used(folder):
    photos = Photos(folder({"a.jpg": b"text", "b.jpg": b"text"}))
    with pytest.raises(ValueError, match=r"^2 photographs"):
        photos.crop(0, **WHOLE)
    with pytest.raises(tf.errors.InvalidArgumentError, match="2 photographs"):
        next(iter(batches(photos, **WHOLE, batch_size=1)))


# Colors

KINDS = {
    "grey.png": (Image.new("L", (SIDE, SIDE), 77), (77, 77, 77)),
    "bits.png": (Image.new("1", (SIDE, SIDE), 1), (255, 255, 255)),
    "deep.png": (Image.fromarray(np.full((SIDE, SIDE), 0x8040, np.uint16)), (128, 128, 128)),
    "palette.png": (Image.new("RGB", (SIDE, SIDE), (10, 200, 30)).quantize(4), (10, 200, 30)),
    "palette.gif": (Image.new("RGB", (SIDE, SIDE), (10, 200, 30)).quantize(4), (10, 200, 30)),
    "alpha.png": (Image.new("RGBA", (SIDE, SIDE), (255, 0, 0, 51)), (255, 204, 204)),
    "grey_alpha.png": (Image.new("LA", (SIDE, SIDE), (0, 51)), (204, 204, 204)),
    "print.jpg": (Image.new("CMYK", (SIDE, SIDE), (255, 0, 0, 51)), (0, 204, 204)),
    "color.jpg": (Image.new("RGB", (SIDE, SIDE), (10, 200, 30)), (10, 200, 30)),
}


@pytest.mark.parametrize("name", KINDS)
def test_crop_is_rgb_whatever_the_file(folder, name):
    path = folder({}) / name
    path.parent.mkdir()
    image, color = KINDS[name]
    image.save(path)
    photos = Photos(path.parent)
    pixels = photos.crop(0, 16, (16, 20))
    assert pixels.shape == (16, 16, 3)
    assert pixels.dtype == np.uint8
    tolerance = 3 if name.endswith(".jpg") else 1
    np.testing.assert_allclose(pixels, np.broadcast_to(color, pixels.shape), atol=tolerance)
    assert photos.bad == {}


def test_crop_stands_upright(folder):
    """Red above blue, as EXIF turns it; mirrored or not."""
    path = folder({}) / "turned.png"
    path.parent.mkdir()
    upright = np.zeros((SIDE, SIDE, 3), np.uint8)
    upright[: SIDE // 2, :, 0] = upright[SIDE // 2 :, :, 2] = 255
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned clockwise
    Image.fromarray(np.ascontiguousarray(np.rot90(upright))).save(path, exif=exif)
    for position in range(4):
        np.testing.assert_array_equal(Photos(path.parent).crop(position, **WHOLE), upright)


# Order


def test_order_is_a_permutation_of_its_own_each_epoch(steps):
    photos = Photos(steps)
    orders = [tuple(photos.order(epoch, seed)) for epoch in range(3) for seed in range(3)]
    assert len(set(orders)) == 9
    assert all(sorted(order) == list(range(12)) for order in orders)
    assert tuple(Photos(steps).order(2, 1)) == orders[7]


def test_number_meets_every_photograph_once_an_epoch(steps):
    photos = Photos(steps)
    for epoch in range(3):
        numbers = [photos.number(12 * epoch + place, seed=5) for place in range(12)]
        np.testing.assert_array_equal(numbers, photos.order(epoch, seed=5))


# Crops


def ramp(height, width):
    """A picture that tells where each of its pixels is: row in red, column in green."""
    rows, columns = np.mgrid[:height, :width]
    return np.stack([rows, columns, 0 * rows], -1).astype(np.uint8)


def test_crop_is_a_window_mirrored_half_of_the_time(folder):
    pixels = ramp(32, 48)
    photos = Photos(folder({"ramp.png": encoded(pixels)}))
    seen, mirrors = set(), 0
    for position in range(200):
        crop = photos.crop(position, 20, (32, 32))
        mirrored = crop[0, 0, 1] > crop[0, 1, 1]
        crop = crop[:, ::-1] if mirrored else crop
        top, left = map(int, crop[0, 0, :2])
        np.testing.assert_array_equal(crop, pixels[top : top + 20, left : left + 20])
        seen.add((top, left))
        mirrors += mirrored
    assert {top for top, _ in seen} == set(range(13))
    assert {left for _, left in seen} == set(range(29))
    assert 80 < mirrors < 120


def test_crop_resizes_by_the_short_side(folder):
    """A step of one pixel shows how much of the picture a crop holds: from 1/2 to 1/4."""
    photos = Photos(folder({"ramp.png": encoded(ramp(64, 128))}))
    spans = [np.ptp(photos.crop(i, 16, (32, 64))[..., 0].astype(int)) for i in range(100)]
    assert min(spans) == pytest.approx(16, abs=2)
    assert max(spans) == pytest.approx(32, abs=2)


@pytest.mark.parametrize("color", [(255, 255, 255), (0, 90, 200)])
def test_crop_shows_more_where_nothing_is_in_it(folder, color):
    """On a plain ground every norm of a network divides by nothing, and gradients overflow."""
    pixels = np.full((320, 320, 3), color, np.uint8)
    pixels[150:170, 150:170] = 128
    photos = Photos(folder({"plain.png": encoded(pixels)}))
    crops = [photos.crop(position, 16, (320, 320)) for position in range(20)]
    assert all(crop.std((0, 1)).max() > 2 for crop in crops)
    assert len({crop.tobytes() for crop in crops}) <= 3  # the whole, mirrored or not; or its middle


@pytest.mark.parametrize("shape", [(17, 250), (250, 17), (33, 34), (23, 23)])
def test_crop_has_its_size_whatever_the_shape(folder, shape):
    photos = Photos(folder({"odd.png": encoded(ramp(*shape))}))
    for position in range(20):
        assert photos.crop(position, 23, (10, 40)).shape == (23, 23, 3)


def test_crop_follows_from_seed_and_position(folder):
    source = folder({f"{i}.png": noise(side=40 + i) for i in range(3)})
    backwards = Photos(source)
    crops = {i: backwards.crop(i, 16, (20, 40), seed=3) for i in reversed(range(9))}
    photos = Photos(source)
    for position, crop in crops.items():
        np.testing.assert_array_equal(photos.crop(position, 16, (20, 40), seed=3), crop)
        assert np.any(photos.crop(position, 16, (20, 40), seed=4) != crop)
    assert len({crop.tobytes() for crop in crops.values()}) == 9


# Cache


def count_reads(photos):
    """Count how often each photograph is read from now on."""
    counts, read = collections.Counter(), photos.read

    def counting(number):
        counts[number] += 1
        return read(number)

    photos.read = counting
    return counts


def test_cache_gives_the_same_crops_and_reads_once(folder):
    source = folder({f"{i}.png": noise(side=40 + i) for i in range(4)})
    plain, cached = Photos(source), Photos(source, cache_mb=1)
    counts = count_reads(cached)
    for size, short_sides in ((16, (20, 30)), (32, (34, 40)), (16, (20, 30))):  # larger between
        for position in range(8):
            expected = plain.crop(position, size, short_sides)
            np.testing.assert_array_equal(cached.crop(position, size, short_sides), expected)
    assert counts == dict.fromkeys(range(4), 2)


def test_cache_stays_within_its_limit(steps):
    bytes_each = 3 * SIDE * SIDE
    photos = Photos(steps, cache_mb=3.5 * bytes_each / 1e6)
    for position in range(24):
        level(photos, position)
        assert len(photos._cache) == min(position + 1, 3)
    counts = count_reads(photos)
    for position in (23, 22, 21):
        level(photos, position)
    assert not counts


def test_cache_counts_a_photograph_once_that_two_threads_read(folder):
    photos = Photos(folder({"a.png": encoded(grey(1))}), cache_mb=1)
    read, together = photos.read, threading.Barrier(2, timeout=10)

    def slow(number):
        together.wait()
        return read(number)

    photos.read = slow
    threads = [threading.Thread(target=level, args=(photos, i)) for i in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert photos._cached == 3 * SIDE * SIDE


def test_cache_smaller_than_a_photograph_does_no_harm(steps):
    photos = Photos(steps, cache_mb=1e-3)
    images = next(iter(batches(photos, **WHOLE, batch_size=36)))
    assert len(np.unique(images)) == 12
    assert not photos._cache


# Pipeline


def take(count, *args, **kwargs):
    return list(batches(*args, **kwargs).take(count).as_numpy_iterator())


def test_batches_hold_photographs_no_longer_than_they_are_read(steps):
    photos = Photos(steps, cache_mb=1)
    held, read = weakref.ref(photos), iter(batches(photos, 16, (16, 16), 2))
    del photos
    assert next(read).numpy().any()
    gc.collect()
    assert held() is not None
    assert next(read).numpy().any()
    del read
    gc.collect()
    assert held() is None


def test_batches_are_pictures_in_the_unit_range(folder):
    files = {"black.png": encoded(grey(0)), "white.png": encoded(grey(255))}
    dataset = batches(Photos(folder(files)), 16, (16, 20), 2)
    assert dataset.element_spec == tf.TensorSpec((2, 16, 16, 3), tf.float32)
    images = next(dataset.as_numpy_iterator())
    assert sorted((image.min(), image.max()) for image in images) == [(0, 0), (1, 1)]


def test_batches_hold_the_crops_in_their_order(steps):
    photos = Photos(steps)
    images = np.concatenate(take(8, photos, **WHOLE, batch_size=3, seed=2))
    levels = np.round(images[:, 0, 0, 0] * 255).astype(int)
    assert levels.tolist() == [level(photos, position, seed=2) for position in range(24)]
    assert sorted(levels[:12]) == sorted(levels[12:]) == [*range(0, 120, 10)]


@pytest.mark.parametrize("num_styles", [1, 3])
def test_batches_go_on_from_any_start(folder, num_styles):
    photos = Photos(folder({f"{i}.png": noise(side=40 + i) for i in range(5)}))
    settings = {"size": 16, "short_sides": (20, 30), "batch_size": 2, "num_styles": num_styles}
    whole, rest = take(6, photos, **settings), take(2, photos, **settings, first=4)
    tf.nest.map_structure(np.testing.assert_array_equal, whole[4:], rest)


def test_batches_visit_every_style_in_turn(steps):
    parts = take(3, Photos(steps), **WHOLE, batch_size=4, num_styles=3)
    assert all(len(part) == 1 for part in parts)  # a tuple of inputs, and nothing to compare with
    weights = np.concatenate([style_weights for ((_, style_weights),) in parts])
    assert weights.dtype == np.float32
    expected = [0, 1, 2, 1, 2, 0, 2, 0, 1, 0, 1, 2]  # each round begins one further
    np.testing.assert_array_equal(weights, np.eye(3)[expected])


def test_batches_change_with_the_seed(steps):
    photos = Photos(steps)
    first, again, other = (take(1, photos, **WHOLE, batch_size=12, seed=s)[0] for s in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert np.any(first != other)


ENDING = """
import sys, time
from tfstyle.training.data import Photos, batches
photos = Photos(sys.argv[1])
read = photos.read
photos.read = lambda number: (time.sleep(0.05), read(number))[1]
pipeline = iter(batches(photos, 24, (24, 24), 2))
print(next(pipeline).shape)
"""


@pytest.mark.slow
def test_batches_let_the_process_end(steps):
    """Threads that still read when Python ends must not keep it."""
    command = [sys.executable, "-c", ENDING, str(steps)]
    process = subprocess.run(command, timeout=60, capture_output=True, text=True)
    assert process.returncode == 0, process.stderr
    assert process.stdout == "(2, 24, 24, 3)\n"


def test_batches_read_nothing_once_python_is_ending(steps, monkeypatch):
    photos = Photos(steps)
    counts = count_reads(photos)
    monkeypatch.setattr(data._reading, "closed", True)
    np.testing.assert_array_equal(take(1, photos, **WHOLE, batch_size=2)[0], 0)
    assert not counts


def test_reading_waits_for_what_is_under_way():
    reading, begun, ended = data._Reading(), threading.Event(), threading.Event()
    atexit.unregister(reading.close)

    def read():
        with reading:
            begun.set()
            time.sleep(0.2)
            ended.set()

    threading.Thread(target=read).start()
    begun.wait()
    reading.close()
    assert ended.is_set()


# Records


@pytest.mark.parametrize("kind", ["folder", "zip", "shards"])
def test_a_record_keeps_order_and_names_what_is_gone(steps, tmp_path, kind):
    def opened():
        if kind == "zip":
            with zipfile.ZipFile(tmp_path / "steps.zip", "w") as archive:
                for path in steps.iterdir():
                    archive.write(path, path.name)
            return Photos(tmp_path / "steps.zip")
        if kind == "shards":
            (path,) = write_shards(Photos(steps), tmp_path / "shards", 1)
            return Photos(path)
        return Photos(steps)

    before = opened()
    record = before.record()
    levels = [level(before, position) for position in range(12)]
    (steps / "11.png").unlink()
    after = opened()
    after.keep_to(record)
    assert after.record() == record
    assert list(after.bad) == [before.names[11]]
    again = [level(after, position) for position in range(12)]
    assert [new for new, old in zip(again, levels, strict=True) if new != old] == [0]  # successor
    (steps / "03.png").write_bytes(encoded(grey(30)) + b"more")
    with pytest.raises(ValueError, match=r"photographs that are new or changed: .*3"):
        opened().keep_to(record)


def test_photos_expand_the_home_folder(steps, monkeypatch):
    monkeypatch.setenv("HOME", str(steps.parent))
    assert len(Photos("~/photos")) == 12
