"""Small pictures to learn from, in every form in which they come."""

import gzip
import struct

import keras
import numpy as np
import pytest
from PIL import Image

from tfstyle.training.digits import read_digits

DIGITS = np.random.default_rng(0).integers(0, 256, (5, 6, 4), dtype=np.uint8)
IDX = struct.pack(">4BIII", 0, 0, 8, 3, *DIGITS.shape) + DIGITS.tobytes()
LABELS = struct.pack(">4BI", 0, 0, 8, 1, 5) + bytes(5)


def test_a_file_of_keras_layout_is_read(tmp_path):
    np.savez_compressed(tmp_path / "mnist.npz", x_train=DIGITS, x_test=DIGITS[:1])
    np.testing.assert_array_equal(read_digits(tmp_path / "mnist.npz"), DIGITS[..., None])


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("by_folder", [False, True])
def test_idx_files_are_read(tmp_path, packed, by_folder):
    path = tmp_path / ("train-images-idx3-ubyte" + ".gz" * packed)
    path.write_bytes(gzip.compress(IDX) if packed else IDX)
    (tmp_path / "train-labels-idx1-ubyte").write_bytes(LABELS)
    source = tmp_path if by_folder else path
    np.testing.assert_array_equal(read_digits(source), DIGITS[..., None])


def test_pictures_of_a_folder_become_squares(tmp_path):
    for i, size in enumerate([(8, 8), (16, 8)]):
        Image.new("L", size, 40 * i).save(tmp_path / f"{i}.png")
    found = read_digits(tmp_path, 8)
    assert found.shape == (2, 8, 8, 1)
    assert found[:, 0, 0, 0].tolist() == [0, 40]
    Image.new("RGB", (8, 8), "red").save(tmp_path / "2.png")
    assert read_digits(tmp_path, 8).shape == (3, 8, 8, 3)


def test_a_broken_picture_is_left_out_and_named(tmp_path):
    (tmp_path / "0.png").write_bytes(b"no picture")
    with pytest.raises(ValueError, match=r"1 of 1 pictures cannot be used, such as 0\.png: "):
        read_digits(tmp_path, 8)
    Image.new("L", (8, 8)).save(tmp_path / "1.png")
    with pytest.warns(UserWarning, match=r"^1 of 2 pictures cannot be used, such as 0\.png: "):
        assert len(read_digits(tmp_path, 8)) == 1


def test_without_content_keras_downloads(monkeypatch):
    monkeypatch.setattr(keras.datasets.mnist, "load_data", lambda: ((DIGITS, None), (None, None)))
    np.testing.assert_array_equal(read_digits(), DIGITS[..., None])

    def unreachable():
        raise Exception("URL fetch failure on https://…: None -- no route\nto host")

    monkeypatch.setattr(keras.datasets.mnist, "load_data", unreachable)
    with pytest.raises(OSError, match=r"could not be downloaded \(URL .*Fetch mnist\.npz"):
        read_digits()


@pytest.mark.parametrize(
    ("name", "data", "text"),
    [
        ("a.npz", b"PK no archive", r"must be of Keras' layout.* \(it is no \.npz file"),
        ("a-ubyte", IDX[:9], r"is damaged: it ends in its first 16 bytes"),
        ("a-ubyte", IDX[:-3], r"must hold 5 × 6 × 4 bytes\. Received: 117"),
        ("a-ubyte", LABELS, r"holds labels\. Name the pictures: train-images-idx3-ubyte"),
        ("a.gz", gzip.compress(IDX, mtime=0)[:40], r"is damaged"),
        ("a.csv", b"1,2,3,4,5", r"Pictures must come in an \.npz of Keras' layout"),
    ],
)
def test_what_holds_no_digits_is_refused(tmp_path, name, data, text):
    (tmp_path / name).write_bytes(data)
    with pytest.raises(ValueError, match=text):
        read_digits(tmp_path / name)


def test_an_npz_of_something_else_is_refused(tmp_path):
    np.savez(tmp_path / "a.npz", images=DIGITS)
    with pytest.raises(ValueError, match=r"`x_train` \(it holds images\)"):
        read_digits(tmp_path / "a.npz")
    np.savez(tmp_path / "a.npz", x_train=DIGITS.astype(float))
    with pytest.raises(
        ValueError, match=r"must be uint8 .* Received: '.*' with float64 \(5, 6, 4\)"
    ):
        read_digits(tmp_path / "a.npz")


def test_what_is_not_there_is_said(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"There is no file or folder"):
        read_digits(tmp_path / "gone.npz")
