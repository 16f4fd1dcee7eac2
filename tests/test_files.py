"""Writing files: whole or not at all, beside links, on full disks, after kills."""

import errno
import os
import subprocess
import sys
import textwrap
import time

import numpy as np
import pytest
from PIL import Image

from tfstyle.pictures import check_output_path, save_image, save_or_rescue
from tfstyle.pictures.files import (
    PREFIX,
    check_writable,
    is_temporary,
    local,
    write,
    writing,
    writing_folder,
)

NOISE = Image.fromarray(np.random.default_rng(0).integers(0, 256, (200, 200, 3), np.uint8))


@pytest.fixture
def nearly_full(tmp_path):
    """Function that limits the size of files, as a disk that fills would, in a process of its own:
    it runs code there, with a file `old` beside it, and returns its last line."""

    def run(limit, code):
        (tmp_path / "old").write_bytes(b"old")
        code = f"""
        import os, resource, signal
        from pathlib import Path
        import numpy as np
        from PIL import Image
        from tfstyle.pictures import save_image
        noise = np.random.default_rng(0).integers(0, 256, (200, 200, 3), np.uint8)
        picture = Image.fromarray(noise)
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {limit}))
        try:
            {code}
            print("said nothing")
        except OSError as error:
            print(error)
        """
        process = subprocess.run(
            [sys.executable, "-c", textwrap.dedent(code)],
            cwd=tmp_path, capture_output=True, text=True, check=True,
        )  # fmt: skip
        return process.stdout.splitlines()[-1]

    return run


@pytest.mark.skipif(os.name != "posix", reason="sets a limit of POSIX")
@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".tif", ".bmp", ".gif"])
def test_save_image_tells_of_a_full_disk_and_keeps_the_old_picture(tmp_path, nearly_full, suffix):
    path = tmp_path / f"out{suffix}"
    path.write_bytes(b"old")
    save_image(NOISE, whole := tmp_path / f"whole{suffix}", quality=95)
    limit = whole.stat().st_size - 1  # Pillow takes a last write that is short for a whole one
    whole.unlink()
    said = nearly_full(limit, f"save_image(picture, {str(path)!r})")
    assert "File too large" in said
    assert str(path) in said
    assert path.read_bytes() == b"old"
    assert {*os.listdir(tmp_path)} == {path.name, "old"}


def test_writing_keeps_the_old_file_whatever_fails(tmp_path):
    path = tmp_path / "out.json"
    write(path, "old")

    def write_half():
        with writing(path) as temporary:
            assert (temporary.is_absolute(), temporary.suffix) == (True, ".json")
            temporary.write_text("half")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        write_half()
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["out.json"]


def test_writing_names_the_file_in_errors(tmp_path):
    path = tmp_path / "out.txt"
    for names in ((), (f"{tmp_path}/{PREFIX}{'0' * 16}", None, str(path))):
        with pytest.raises(OSError, match=rf"No space left on device: '{path}'$"), writing(path):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), *names)
    with pytest.raises(OSError, match=r"'other'"), writing(path):
        raise OSError(errno.EACCES, os.strerror(errno.EACCES), "other")


def test_write_follows_links_and_keeps_permissions(tmp_path):
    (tmp_path / "real").mkdir()
    target, link = tmp_path / "real" / "picture.png", tmp_path / "link.png"
    target.write_bytes(b"old")
    target.chmod(0o640)
    link.symlink_to(target)
    write(link, b"new")
    assert link.is_symlink()
    assert target.read_bytes() == b"new"
    assert target.stat().st_mode & 0o777 == 0o640
    dangling = tmp_path / "dangling.png"
    dangling.symlink_to("real/later.png")
    write(dangling, b"new")
    assert (tmp_path / "real" / "later.png").read_bytes() == b"new"


def test_write_refuses_pipes(tmp_path):
    os.mkfifo(tmp_path / "out.png")
    for refuse in (check_output_path, lambda path: write(path, b"new")):
        with pytest.raises(ValueError, match=r"must name a file. Received: '.*out.png', a pipe"):
            refuse(tmp_path / "out.png")
    assert os.listdir(tmp_path) == ["out.png"]


def test_write_writes_names_that_are_not_utf8_as_json_does(tmp_path):
    write(tmp_path / "a.json", "é \udce9")
    assert (tmp_path / "a.json").read_bytes() == "é \\udce9".encode()


@pytest.mark.skipif(os.name != "posix", reason="Windows keeps left-overs")
def test_left_overs_of_killed_runs_go_and_those_of_living_ones_stay(tmp_path):
    code = f"""
    import os
    from pathlib import Path
    from tfstyle.pictures.files import writing, writing_folder
    with writing("{tmp_path}/a.png"), writing_folder("{tmp_path}"):
        os.kill(os.getpid(), 9)
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(code)], check=False)
    left = os.listdir(tmp_path)
    assert len(left) == 2
    assert all(map(is_temporary, left))
    with writing(tmp_path / "b.png") as living:
        for name in (*left, living.name):
            os.utime(tmp_path / name, (0, time.time() - 3600))
        code = f"from tfstyle.pictures.files import write; write('{tmp_path}/c.png', b'')"
        subprocess.run([sys.executable, "-c", code], check=True)
        assert {*os.listdir(tmp_path)} == {living.name, "c.png"}
    assert not is_temporary("a.png")
    assert not is_temporary(f"{PREFIX}of-mine")


def test_writing_folder_is_gone_unless_renamed(tmp_path):
    for rename in (False, True):
        with writing_folder(tmp_path) as folder:
            (folder / "a").touch()
            if rename:
                folder.rename(tmp_path / "1")
    assert os.listdir(tmp_path) == ["1"]
    assert os.listdir(tmp_path / "1") == ["a"]


def test_local_expands_home_and_refuses_addresses(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert local("~/a.png") == tmp_path / "a.png"
    for address in ("https://example.com/a.png", "gs:/bucket/a.png", "data:image/png;base64,x"):
        with pytest.raises(ValueError, match=r"must be local. Received: '.*', an address"):
            local(address)
    with pytest.raises(TypeError, match=r"must be text or a path. Received: 3"):
        local(3)


def test_save_or_rescue_puts_a_picture_elsewhere_and_says_where(tmp_path, full_disk, monkeypatch):
    disk, elsewhere = tmp_path / "disk", tmp_path / "elsewhere"
    disk.mkdir()
    elsewhere.mkdir()
    monkeypatch.setenv("HOME", str(elsewhere))
    full_disk(disk)
    for temporary in (elsewhere, disk):  # where that is full, too, the home
        monkeypatch.setattr("tempfile.tempdir", str(temporary))
        with pytest.raises(OSError, match="No space left") as raised:
            save_or_rescue(NOISE, disk / "out.png")
        (put,) = elsewhere.iterdir()
        assert str(raised.value).endswith(f"The picture was put here instead: '{put}'.")
        assert Image.open(put).tobytes() == NOISE.tobytes()
        put.unlink()
    full_disk(tmp_path)
    with pytest.raises(OSError, match=rf"No space left on device: '{disk}/out.png'"):
        save_or_rescue(NOISE, disk / "out.png")
    assert not any(disk.iterdir())


def test_check_writable_tells_before_the_work():
    with pytest.raises(OSError, match=r"can be written to. Received: '/proc/out.png'"):
        check_writable("/proc/out.png")


def test_check_writable_refuses_what_is_protected(tmp_path, monkeypatch):
    (tmp_path / "out.png").touch()
    monkeypatch.setattr(os, "access", lambda *args: False)  # a superuser may write anywhere
    with pytest.raises(PermissionError, match=r"Received: '.*out.png', read-only"):
        check_writable(tmp_path / "out.png")


def test_check_output_path_refuses_what_the_output_is_made_of(tmp_path):
    (tmp_path / "cat.png").touch()
    (tmp_path / "link.png").symlink_to("cat.png")
    os.link(tmp_path / "cat.png", tmp_path / "hard.png")
    for name in ("cat.png", "link.png", "hard.png"):
        with pytest.raises(ValueError, match=rf"another file .* Received: '.*{name}'"):
            check_output_path(tmp_path / name, inputs=[b"bytes", None, tmp_path / "cat.png"])
    check_output_path(tmp_path / "dog.png", inputs=[tmp_path / "cat.png", "missing.png"])


@pytest.mark.parametrize(
    ("suffix", "most"), [(".webp", 16383), (".jpg", 65500), (".JPEG", 65500), (".gif", 65535)]
)
def test_check_output_path_knows_what_a_format_holds(tmp_path, suffix, most):
    path = tmp_path / f"out{suffix}"
    check_output_path(path, size=(16, most))
    with pytest.raises(ValueError, match=rf"at most {most} pixels a side. .*{most + 1} × 16"):
        check_output_path(path, size=(16, most + 1))
    with pytest.raises(ValueError, match=rf"at most {most} pixels a side"):
        save_image(Image.new("L", (most + 1, 1)), path)
