"""Depths and layouts of TIFF and PNG: read right, or refused."""

import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from tfstyle.pictures import read_image, read_small

HEIGHT, WIDTH = 20, 24
RAMP = np.linspace(0, 1, HEIGHT * WIDTH).reshape(HEIGHT, WIDTH)
COLORS = np.stack([RAMP, 1 - RAMP, RAMP**2], axis=-1)


def tiff(data, bits, photometric, *, samples=1, **tags):
    """Return the bytes of an uncompressed TIFF; `tags` by number, `t284=2`."""
    tags = {int(key[1:]): np.atleast_1d(value).tolist() for key, value in tags.items()}
    planes = samples if tags.get(284) == [2] else 1
    size = len(data) // planes
    tags |= {256: [WIDTH], 257: [HEIGHT], 258: [bits] * samples, 259: [1], 262: [photometric]}
    tags |= {277: [samples], 278: [HEIGHT], 279: [size] * planes, 273: [0] * planes}
    begin = 8 + 2 + 12 * len(tags) + 4
    longs = {tag: values for tag, values in sorted(tags.items()) if 4 * len(values) > 4}
    data_at = begin + sum(4 * len(values) for values in longs.values())
    tags[273] = [data_at + i * size for i in range(planes)]
    directory, extra = struct.pack("<H", len(tags)), b""
    for tag, values in sorted(tags.items()):
        kind, code = (4, "I") if tag in (256, 257, 273, 278, 279) else (3, "H")
        packed = struct.pack(f"<{len(values)}{code}", *values)
        if len(packed) > 4:
            at, extra = begin + len(extra), extra + packed.ljust(4 * len(values), b"\0")
            packed = struct.pack("<I", at)
        directory += struct.pack("<HHI", tag, kind, len(values)) + packed.ljust(4, b"\0")
    file = b"II*\0" + struct.pack("<I", 8) + directory + bytes(4) + extra
    return file.ljust(data_at, b"\0") + data


def packed_12(levels):
    """Pack levels of 12 bits, two in three bytes."""
    first, second = levels.reshape(-1, 2).T
    return np.uint8(
        np.stack([first >> 4, (first & 15) << 4 | second >> 8, second & 255], 1)
    ).tobytes()


def of(shown, depth):
    return np.round(shown * (2**depth - 1)).astype(f"<u{max(1, depth // 8)}")


READ = {
    "8-bit grey": (tiff(of(RAMP, 8).tobytes(), 8, 1), RAMP),
    "8-bit grey, 0 white": (tiff(of(1 - RAMP, 8).tobytes(), 8, 0), RAMP),
    "12-bit grey": (tiff(packed_12(np.round(RAMP * 4095).astype(int)), 12, 1), RAMP),
    "16-bit grey": (tiff(of(RAMP, 16).tobytes(), 16, 1), RAMP),
    "16-bit grey, 0 white": (tiff(of(1 - RAMP, 16).tobytes(), 16, 0), RAMP),
    "16-bit grey, 0 white, turned": (
        tiff(of(1 - RAMP[::-1, ::-1], 16).tobytes(), 16, 0, t274=3),
        RAMP,
    ),
    "8-bit colors": (tiff(of(COLORS, 8).tobytes(), 8, 2, samples=3), COLORS),
    "8-bit colors in planes": (
        tiff(of(np.moveaxis(COLORS, -1, 0), 8).tobytes(), 8, 2, samples=3, t284=2),
        COLORS,
    ),
    "16-bit colors": (tiff(of(COLORS, 16).tobytes(), 16, 2, samples=3), COLORS),
    "floats": (tiff(RAMP.astype("<f4").tobytes(), 32, 1, t339=3), RAMP),
}


@pytest.mark.parametrize("name", READ)
def test_tiff_is_read_right(name):
    data, shown = READ[name]
    shown = np.broadcast_to(shown if shown.ndim == 3 else shown[..., None], (HEIGHT, WIDTH, 3))
    np.testing.assert_allclose(read_image(data).rgb, shown, atol=1.01 / 255)
    np.testing.assert_allclose(np.asarray(read_small(data, 20)) / 255, shown, atol=1.01 / 255)


PLANES = np.moveaxis(COLORS, -1, 0)
REFUSED = {
    "16-bit colors in planes": tiff(of(PLANES, 16).tobytes(), 16, 2, samples=3, t284=2),
    "rare kind": tiff(of(np.stack([RAMP] * 4), 8).tobytes(), 8, 2, samples=4, t284=2, t338=1),
    "levels that may be negative": tiff(of(RAMP, 16).tobytes(), 16, 1, t339=2),
    "may be negative, so": tiff(of(RAMP, 8).tobytes(), 8, 1, t339=2),
    "32-bit levels": tiff(of(RAMP, 8).astype("<u4").tobytes(), 32, 1),
    "32-bit levels, of": tiff(of(RAMP, 16).astype("<u4").tobytes(), 32, 1),
    "floats of which 0 is white": tiff(RAMP.astype("<f4").tobytes(), 32, 0, t339=3),
    "a preview in the first place": tiff(of(RAMP, 8).tobytes(), 8, 1, t254=1),
    "colors of a lower resolution": tiff(of(COLORS, 8).tobytes(), 8, 6, samples=3),
    "a palette of 8 bits": tiff(of(RAMP, 8).tobytes(), 8, 3, t320=[*range(256)] * 3),
}


@pytest.mark.parametrize("why", REFUSED)
def test_tiff_that_cannot_be_read_right_is_refused(why):
    for read in (read_image, lambda data: read_small(data, 20)):
        with pytest.raises(ValueError, match=f"cannot be read right. Received: bytes, with.*{why}"):
            read(REFUSED[why])


@pytest.mark.parametrize("most", [0, 1, 255])
def test_whole_numbers_of_no_known_depth_are_refused(most):
    image = Image.fromarray(np.round(RAMP * most).astype(np.int32))
    with pytest.raises(ValueError, match=r"must be uint8, uint16 or float.* in int32"):
        read_image(image)


def png(levels, depth, transparent, kind=0):
    """Return the bytes of a PNG of grey (kind 0) or color (2) with a transparent level."""

    def chunk(name, data):
        checked = name + data
        return struct.pack(">I", len(data)) + checked + struct.pack(">I", zlib.crc32(checked))

    if depth == 16:
        rows = levels.astype(">u2").tobytes()
    else:
        bits = np.unpackbits(np.uint8(levels)[..., None], axis=-1)[..., 8 - depth :]
        rows = np.packbits(bits.reshape(HEIGHT, -1), axis=-1).tobytes()
    stride = len(rows) // HEIGHT
    lines = b"".join(b"\0" + rows[i * stride : (i + 1) * stride] for i in range(HEIGHT))
    header = struct.pack(">IIBBBBB", WIDTH, HEIGHT, depth, kind, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"tRNS", np.array(transparent, ">u2").tobytes())]
    chunks += [(b"IDAT", zlib.compress(lines)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*each) for each in chunks)


@pytest.mark.parametrize("depth", [1, 2, 4, 8, 16])
def test_png_of_any_depth_keeps_its_transparent_level(depth):
    levels = np.round(RAMP * (2**depth - 1)).astype(int)
    transparent = levels[5, 5]
    rgb, alpha = read_image(png(levels, depth, transparent))
    np.testing.assert_array_equal(alpha, levels != transparent)
    shown = np.where(alpha, levels / (2**depth - 1), 1)
    np.testing.assert_allclose(rgb[..., 0], shown, atol=0.51 / 255)
    small = np.asarray(read_small(png(levels, depth, transparent), 20))[..., 0]
    np.testing.assert_allclose(small / 255, shown, atol=0.51 / 255)


def test_png_of_16_bit_colors_with_a_transparent_one_is_refused():
    levels = np.round(COLORS * 65535).astype(int)
    with pytest.raises(ValueError, match="with 16-bit colors of which one is transparent"):
        read_image(png(levels, 16, levels[5, 5], kind=2))
