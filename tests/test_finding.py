"""What is a photograph: one rule, wherever a folder is given."""

import io
import os
import sys
import warnings

import numpy as np
import pytest
from PIL import Image

from tfstyle.cli import main as cli
from tfstyle.cli import photos as command
from tfstyle.export.calibration import picture_files
from tfstyle.pictures import READ_FORMATS, find_photos, opening, read_image, read_size
from tfstyle.pictures.files import PREFIX
from tfstyle.training.data import Photos

PHOTOS = "IMG.AVIF", "a.jpg", "b.jfif", "c.HEIC", "linked/d.png", "more/e.jpg", "trip.jpg/f.tif"
OTHERS = {
    ".thumbnails": "hidden",
    "._a.jpg": "hidden",
    f"{PREFIX}{'0' * 16}.jpg": "hidden",
    "more/back": "link to a folder around it",
    "notes.txt": ".txt",
    "painted": "painted earlier",
    "raw.NEF": ".nef",
    "README": "without a suffix",
    "wave.training": "of a training",
}


@pytest.fixture
def album(tmp_path, monkeypatch):
    """A folder of photographs, by name, and of what is none."""
    monkeypatch.chdir(tmp_path)
    folders = {".thumbnails", "painted", "wave.training"}
    for name in (*PHOTOS, *(name + "/a.jpg" * (name in folders) for name in OTHERS)):
        path = tmp_path / "album" / name.replace("linked/", "../elsewhere/")
        path.parent.mkdir(parents=True, exist_ok=True)
        if name != "more/back":
            path.touch()
    (tmp_path / "album/linked").symlink_to("../elsewhere")
    (tmp_path / "album/more/back").symlink_to("..")
    (tmp_path / "album/more/again").symlink_to("../trip.jpg")
    return tmp_path / "album"


def test_find_photos_gives_each_file_a_place_or_a_reason(album):
    found = find_photos(album, without=album.parent / "album/../album/painted")
    assert found.photos == sorted(PHOTOS)
    assert found.others == OTHERS
    assert str(found) == (
        "1 .nef, 1 .txt, 3 hidden, 1 link to a folder around it, 1 of a training, 1 painted "
        "earlier, 1 without a suffix"
    )


@pytest.mark.usefixtures("album")
def test_every_door_finds_the_same_photographs():
    found = [f"album/{name}" for name in find_photos("album").photos]
    assert [f"album/{name}" for name in Photos("album").names] == found
    assert [str(path) for path in picture_files(["album"])] == found
    jobs, _, passed_over = command.with_outputs([command.Path("album")], command.Path("out"))
    assert [str(photo) for photo, _ in jobs] == found
    assert passed_over == [f"album: passed over {Photos('album').passed_over}"]


def test_a_folder_that_cannot_be_listed_is_named(album, monkeypatch):
    def scandir(path):
        if os.path.basename(path) == "more":
            raise PermissionError(13, "Permission denied", path)
        return listed(path)

    listed = os.scandir
    monkeypatch.setattr(os, "scandir", scandir)
    assert find_photos(album).others["more"] == "cannot be listed (Permission denied)"


@pytest.mark.usefixtures("tiny_zoo")
@pytest.mark.parametrize("absolute", ["content", "output"])
def test_paintings_of_an_earlier_run_are_not_painted(tmp_path, monkeypatch, absolute):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "album").mkdir()
    Image.new("RGB", (20, 20)).save("album/a.png")
    content = str(tmp_path / "album") if absolute == "content" else "album"
    output = str(tmp_path / "album/painted") if absolute == "output" else "album/painted"
    for _ in range(2):
        assert cli.main(["stylize", content, "ripple", "-o", output]) == 0
        assert os.listdir(output) == ["a.png"]


ODD = "caf\udce9.png", "%d.png", "a:b.png", "[1].png", "-o.png", "*?.png", "a\\b.png", "é .png"


@pytest.fixture
def odd(tmp_path, monkeypatch):
    """A folder of photographs with odd names, and of what is called a photograph and is none."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "odd").mkdir()
    for name in ODD:
        Image.new("RGB", (20, 20), (200, 100, 50)).save(tmp_path / "odd" / name, "PNG")
    os.mkfifo("odd/pipe.jpg")
    os.symlink("self.jpg", "odd/self.jpg")
    os.symlink("gone.jpg", "odd/dangling.jpg")
    if os.access("/dev/zero", os.R_OK):
        os.symlink("/dev/zero", "odd/zero.jpg")
    return tmp_path / "odd"


REASONS = {
    "dangling.jpg": "a link to nothing",
    "pipe.jpg": "a pipe",
    "self.jpg": "a link to nothing",
    "zero.jpg": "a device",
}


@pytest.mark.skipif(os.name != "posix", reason="makes pipes and names of POSIX")
@pytest.mark.usefixtures("tiny_zoo", "odd")
def test_odd_files_are_painted_or_named_and_end_no_batch(capfdbinary):
    sys.stdout.reconfigure(errors="strict")
    assert cli.main(["stylize", "odd", "ripple", "-o", "[out] %d:"]) == 1
    out, err = capfdbinary.readouterr()
    assert {*os.listdir("[out] %d:")} == {*ODD}
    assert rb"caf\udce9.png" in out
    for name, reason in REASONS.items():
        assert any(name in line and reason in line for line in err.decode().splitlines())


@pytest.mark.skipif(os.name != "posix", reason="makes pipes and names of POSIX")
def test_odd_files_end_no_training_and_no_shards(odd, capsys):
    photos = Photos(odd)
    assert len(photos) == len(ODD) + len(REASONS)
    for position in range(len(photos)):
        assert photos.crop(position, 16, (16, 16))[0, 0].tolist() == [200, 100, 50]
    assert {*photos.bad} == {*REASONS}
    assert cli.main(["shards", "odd", "-o", "shards", "--shards", "2"]) == 1
    captured = capsys.readouterr()
    assert len(captured.out.splitlines()) == 2
    assert captured.err.splitlines()[-1] == "4 of 12 photographs were left out"
    for name in REASONS:
        assert f"{name}: " in captured.err
    assert len(Photos("shards")) == len(ODD)


def damaged_tiff(path):
    """Write a TIFF of which libtiff tells line by line, and Pillow not at all."""
    file = io.BytesIO()
    Image.effect_noise((64, 48), 80).convert("1").save(file, "TIFF", compression="group4")
    data = bytearray(file.getvalue())
    for place in range(60, 200, 20):
        data[place] ^= 0x55
    path.write_bytes(data)


def test_warnings_are_one_line_a_file_of_our_own(tmp_path, monkeypatch, tiny_zoo, capfd):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "odd").mkdir()
    damaged_tiff(tmp_path / "odd/a.tif")
    options = {"exif": b"Exif\0\0MM\0*\0\0\0\x08\0\x05"}, {"icc_profile": b"junk" * 50}
    for name, given in zip("bc", options, strict=True):
        Image.new("RGB", (20, 20)).save(f"odd/{name}.jpg", **given)
    with warnings.catch_warnings():
        warnings.simplefilter("default")
        warnings.showwarning = lambda *given: sys.stderr.write(warnings.formatwarning(*given[:4]))
        assert cli.main(["stylize", "odd", "ripple", "-o", "out"]) == 0
        assert len(capfd.readouterr().err.splitlines()) == 2
        assert cli.main(["stylize", "odd/c.jpg", "odd/a.tif", "ripple", "-o", "out"]) == 0
    first, second = sorted(capfd.readouterr().err.splitlines())
    assert first.startswith("tfstyle stylize: 'odd/a.tif' is damaged in places (Fax4Decode: ")
    assert second.startswith("tfstyle stylize: The ICC profile of 'odd/c.jpg' is broken or does")


def test_pillow_warns_of_nothing_that_is_read(tmp_path, capfd):
    damaged_tiff(tmp_path / "a.tif")
    with pytest.warns(UserWarning, match=r"'.*a.tif' is damaged in places \(Fax4Dec") as warned:
        read_image(tmp_path / "a.tif")
    assert [warning.filename for warning in warned] == [__file__]
    assert capfd.readouterr().err == ""
    os.write(2, b"back")
    assert capfd.readouterr().err == "back"


def test_lines_of_others_while_a_tiff_is_read_stay_what_they_are(tmp_path, monkeypatch, capfd):
    def loaded(image, name, load=opening._loaded):
        os.write(2, b"64 px  step 2/6\n")
        return load(image, name)

    monkeypatch.setattr(opening, "_loaded", loaded)
    path = tmp_path / "a.tif"
    Image.new("RGB", (20, 20)).save(path, compression="tiff_lzw")
    read_image(path)  # a warning would be an error
    assert capfd.readouterr().err == "64 px  step 2/6\n"


def test_a_picture_too_large_for_memory_is_not_called_damaged(tmp_path, monkeypatch):
    def loaded(image, name):
        raise MemoryError

    monkeypatch.setattr(opening, "_loaded", loaded)
    Image.new("RGB", (20, 20)).save(tmp_path / "a.png")
    with pytest.raises(ValueError, match=r"must fit into memory\. Received: '.*a\.png'"):
        read_image(tmp_path / "a.png")


@pytest.mark.parametrize("address", ["https://example.com/a.jpg", "gs://a/b.jpg"])
def test_addresses_are_refused_by_name(address):
    for refuse in (read_image, lambda address: read_image(command.Path(address)), Photos):
        with pytest.raises(ValueError, match=r"must be local.*'(https|gs):/.*Download it"):
            refuse(address)


@pytest.mark.parametrize(
    ("kind", "suffix"), [("JPEG", "jfif"), ("JPEG", "HEIC"), ("AVIF", "avif"), ("HEIF", "heic")]
)
def test_read_image_goes_by_what_a_file_holds(tmp_path, kind, suffix):
    if kind == "HEIF":
        pytest.importorskip("pillow_heif").register_heif_opener()
    elif kind not in READ_FORMATS:
        pytest.skip("Pillow was built without AVIF")
    levels = np.full((20, 24, 3), 100, np.uint8)
    levels[:, 12:] = 200
    Image.fromarray(levels).save(tmp_path / f"a.{suffix}", kind, quality=100)
    np.testing.assert_allclose(read_image(tmp_path / f"a.{suffix}").rgb, levels / 255, atol=0.03)
    assert read_size(tmp_path / f"a.{suffix}") == (20, 24)


def test_heic_of_too_many_pixels_is_refused(tmp_path, monkeypatch):
    pytest.importorskip("pillow_heif").register_heif_opener()
    Image.new("RGB", (64, 64)).save(tmp_path / "a.heic")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    with pytest.raises(ValueError, match=r"at most .* megapixels. Received: '.*a.heic'"):
        read_image(tmp_path / "a.heic")


def test_heic_without_pillow_heif_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    (tmp_path / "a.heic").write_bytes(b"\0\0\0\x18ftypheic" + bytes(99))
    with pytest.raises(ValueError, match=r"needs pillow-heif: pip install .* Received: '.*a.heic'"):
        read_image(tmp_path / "a.heic")
