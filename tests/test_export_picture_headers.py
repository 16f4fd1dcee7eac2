"""What files say of themselves, and how long it takes to be told."""

import io
import struct
import time
import zlib

import numpy as np
import pytest
from PIL import Image

from tfstyle.export.picture_headers import MAX_SCANS, declared_pixels

SIZE = (40, 24)


def file_of(kind, mode="RGB", frames=1, size=SIZE, **options):
    random = np.random.default_rng(0)
    pictures = [
        Image.fromarray(random.integers(0, 256, (*size[::-1], 4), np.uint8), "RGBA").convert(mode)
        for _ in range(frames)
    ]
    file = io.BytesIO()
    if frames > 1:
        options |= {"save_all": True, "append_images": pictures[1:], "duration": 100}
    pictures[0].save(file, kind, **options)
    return file.getvalue()


def repeat_scan(data, times):
    """Return a progressive JPEG whose last scan comes so many times more."""
    return data[:-2] + times * data[data.rindex(b"\xff\xda") : -2] + data[-2:]


def chunk(kind, content):
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind))


EXIF = Image.Exif()
EXIF[0x010F] = "\xff\xda maker"


@pytest.mark.parametrize(
    "data",
    [
        file_of("JPEG"),
        file_of("JPEG", progressive=True, quality=100),
        file_of("JPEG", exif=EXIF, restart_marker_blocks=1),
        file_of("JPEG") + b"a film, as some telephones append one",
        file_of("PNG"),
        file_of("PNG", "LA", icc_profile=bytes(500)),
        file_of("GIF"),
        file_of("GIF", "P", comment=b"x" * 2000),
        file_of("BMP"),
        file_of("WEBP"),
        file_of("WEBP", lossless=True),
        file_of("WEBP", "RGBA"),
    ],
)
def test_declared_pixels_are_those_of_the_picture(data):
    assert declared_pixels(data) == SIZE[0] * SIZE[1]


def test_the_frames_of_a_gif_count_together():
    assert declared_pixels(file_of("GIF", frames=7)) == 7 * SIZE[0] * SIZE[1]


def test_upside_down_bitmaps_have_pixels_too():
    data = bytearray(file_of("BMP"))
    data[22:26] = struct.pack("<i", -SIZE[1])
    assert declared_pixels(bytes(data)) == SIZE[0] * SIZE[1]


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"", "Unknown image file format"),
        (b"no picture", "Unknown image file format"),
        (b"RIFF....WAVEfmt ", "Unknown image file format"),
        (file_of("WEBP", frames=2), "must not be animated"),
        (file_of("WEBP", "RGBA", frames=2), "must not be animated"),
        (repeat_scan(file_of("JPEG", progressive=True), MAX_SCANS), "at most 100 scans"),
        (b"\xff\xd8" + b"\xff\xe0\x00\x02" * 2_000_000, "at most 1000 segments"),
        (b"\x89PNG\r\n\x1a\n" + chunk(b"teXt", b"") * 700_000, "at most 1000 chunks"),
        (file_of("GIF")[:-1] + b"\x21\xff" + b"\x01a" * 4_000_000, "blocks of few bytes"),
        (b"\xff\xd8\xff\xe0" + bytes(20), "has no pixels"),
        (b"\xff\xd8\xff\xc0\x00\x11", "ends within a header"),
        (file_of("PNG")[:25], "ends within a header"),
        (file_of("GIF")[:-4], "ends within a header"),
        (file_of("GIF")[:-1] + b"??", "holds images and extensions"),
        (file_of("BMP")[:20], "ends within a header"),
        (file_of("WEBP")[:28], "ends within a header"),
        (file_of("WEBP", "RGBA")[:28], "has no pixels"),
    ],
)
def test_what_costs_more_than_its_pixels_is_refused_at_once(data, text):
    begun = time.thread_time()
    with pytest.raises(ValueError, match=text):
        declared_pixels(data)
    assert time.thread_time() - begun < 1  # the costliest took a decoder's parser 19 s


def test_a_run_of_fill_bytes_is_passed_over_in_one_go():
    begun = time.thread_time()
    data = file_of("JPEG")
    assert declared_pixels(data[:2] + b"\xff" * 8_000_000 + data[2:]) == SIZE[0] * SIZE[1]
    assert time.thread_time() - begun < 1
