"""How much work a picture's file is, read off its headers: no decoder runs before it is known."""

import re
import struct

FORMATS = "JPEG, PNG, GIF, BMP, WEBP"
MAX_SEGMENTS = 1000  # of a JPEG, or chunks before the pixels of a PNG, or blocks of a GIF
MAX_SCANS = 100  # of a JPEG; encoders write ten, and each passes over every pixel

_JPEG_MARKER = re.compile(rb"\xff([\x01-\xcf\xd8-\xfe])")  # neither stuffing nor a restart
_JPEG_FRAMES = {0xC0 + i for i in range(16)} - {0xC4, 0xC8, 0xCC}
_END, _SCAN, _ALONE = 0xD9, 0xDA, {0x01, 0xD8}


def declared_pixels(content):
    """Return how many pixels decoding a file would make.

    Args:
        content: Bytes of a JPEG, PNG, GIF, BMP or WebP; of a GIF all frames count.

    Returns:
        Integer, at least 1.

    Raises:
        ValueError: If it is no such file, is cut or damaged, or of a kind that costs far more than
            its pixels: a JPEG of many scans or segments, a PNG of many chunks. An animated WebP is
            refused, too: TensorFlow 2.21 writes past its buffer when it takes one frame of it.
    """
    for magic, read in _READERS.items():
        if content.startswith(magic):
            try:
                pixels = read(content)
            except (struct.error, IndexError) as error:
                raise ValueError(
                    "The picture is damaged: its file ends within a header."
                ) from error
            if pixels < 1:
                raise ValueError("The picture is damaged: it says that it has no pixels.")
            return pixels
    raise ValueError(f"Unknown image file format. One of {FORMATS} required.")


def _jpeg(data):
    at, pixels, scans = 2, 0, 0
    for _ in range(MAX_SEGMENTS):
        marker = _JPEG_MARKER.search(data, at)
        if marker is None or marker[1][0] == _END:
            return pixels
        code, at = marker[1][0], marker.end()
        if code in _ALONE:
            continue
        (length,) = struct.unpack_from(">H", data, at)
        if code in _JPEG_FRAMES and not pixels:
            height, width = struct.unpack_from(">HH", data, at + 3)
            pixels = height * width
        scans += code == _SCAN
        if scans > MAX_SCANS:
            raise ValueError(f"A JPEG must have at most {MAX_SCANS} scans. Save it anew.")
        at += length
    raise ValueError(f"A JPEG must have at most {MAX_SEGMENTS} segments. Save it anew.")


def _png(data):
    at = 8
    width, height = struct.unpack_from(">II", data, 16)
    for _ in range(MAX_SEGMENTS):
        length, kind = struct.unpack_from(">I4s", data, at)
        if kind == b"IDAT":
            return width * height
        at += length + 12
    raise ValueError(f"A PNG must have at most {MAX_SEGMENTS} chunks before its pixels.")


def _gif(data):
    width, height, flags = struct.unpack_from("<HHB", data, 6)
    at, pixels, blocks = 13 + _color_table(flags), 0, MAX_SEGMENTS + len(data) // 64
    while data[at] != 0x3B:
        if data[at] == 0x2C:
            wide, high, flags = struct.unpack_from("<HHB", data, at + 5)
            pixels += wide * high
            at += 11 + _color_table(flags)
        elif data[at] == 0x21:
            at += 2
        else:
            raise ValueError("The picture is damaged: a GIF holds images and extensions.")
        size = 1
        while size:
            size = data[at]
            at, blocks = at + size + 1, blocks - 1
            if blocks < 0:
                raise ValueError("A GIF must not be cut into blocks of few bytes. Save it anew.")
    return max(pixels, width * height)


def _color_table(flags):
    return 3 * 2 ** (flags % 8 + 1) if flags & 0x80 else 0


def _bmp(data):
    width, height = struct.unpack_from("<ii", data, 18)
    return abs(width * height)


def _webp(data):
    kind = data[12:16] if data[8:12] == b"WEBP" else None
    if kind == b"VP8X":
        if data[20] & 0x02:
            raise ValueError("A WebP must not be animated. Send one of its frames.")
        wide, high = (int.from_bytes(data[at : at + 3], "little") for at in (24, 27))
        return (wide + 1) * (high + 1) if len(data) > 29 else 0
    if kind == b"VP8L":
        (bits,) = struct.unpack_from("<I", data, 21)
        return ((bits & 0x3FFF) + 1) * ((bits >> 14 & 0x3FFF) + 1)
    if kind == b"VP8 ":
        width, height = struct.unpack_from("<HH", data, 26)
        return (width & 0x3FFF) * (height & 0x3FFF)
    raise ValueError(f"Unknown image file format. One of {FORMATS} required.")


_READERS = {
    b"\xff\xd8\xff": _jpeg,
    b"\x89PNG\r\n\x1a\n": _png,
    b"GIF8": _gif,
    b"BM": _bmp,
    b"RIFF": _webp,
}
