"""Pictures in and out: formats, modes, orientation, color profiles, alpha, errors."""

import io
import os
import struct
import warnings

import numpy as np
import pytest
from PIL import Image, ImageCms

from tfstyle.pictures import (
    MIN_SIDE,
    READ_FORMATS,
    SAVE_SUFFIXES,
    Picture,
    check_output_path,
    read_image,
    read_plain_jpeg,
    read_small,
    resize,
    save_image,
    to_pil,
)

HEIGHT, WIDTH = 20, 24
LOSSLESS = (".png", ".tif", ".tiff", ".bmp")


@pytest.fixture
def levels():
    """8-bit RGB noise."""
    return np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)


@pytest.fixture
def smooth():
    """An 8-bit RGB gradient, which JPEG and WebP hardly harm."""
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    return np.stack([x * 10, y * 12, 255 - x * 10], axis=-1).astype(np.uint8)


def on_white(rgb, alpha):
    """Composite levels the textbook way, in float64."""
    alpha = alpha[..., np.newaxis] / 255
    return rgb / 255 * alpha + (1 - alpha)


def encoded(image, suffix="PNG", **options):
    """The bytes of an image file."""
    file = io.BytesIO()
    image.save(file, suffix, **options)
    return file.getvalue()


# Formats and sources


@pytest.mark.parametrize("suffix", LOSSLESS)
def test_read_image_is_exact_for_lossless_formats(tmp_path, levels, suffix):
    path = tmp_path / f"picture{suffix}"
    Image.fromarray(levels).save(path)
    picture = read_image(path)
    assert isinstance(picture, Picture)
    assert picture.alpha is None
    assert picture.rgb.dtype == np.float32
    np.testing.assert_array_equal(picture.rgb, levels.astype(np.float32) / 255)


@pytest.mark.parametrize("suffix", [".jpg", ".jpeg", ".webp"])
def test_read_image_is_near_for_lossy_formats(tmp_path, smooth, suffix):
    path = tmp_path / f"picture{suffix}"
    Image.fromarray(smooth).save(path, quality=100)
    np.testing.assert_allclose(read_image(path).rgb, smooth / 255, atol=0.05)


@pytest.mark.parametrize("suffix", ["gif", "png", "webp", "tiff"])
def test_read_image_takes_the_first_frame(tmp_path, suffix):
    path = tmp_path / f"frames.{suffix}"
    frames = [Image.new("RGB", (WIDTH, HEIGHT), color) for color in ("red", "blue")]
    frames[0].save(path, save_all=True, append_images=frames[1:], lossless=True)
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # A file left open would warn.
        rgb = read_image(path).rgb
    np.testing.assert_array_equal(rgb, np.broadcast_to([1, 0, 0], rgb.shape))


def test_read_image_agrees_over_all_sources(tmp_path, levels):
    path = tmp_path / "picture.png"
    Image.fromarray(levels).save(path)
    data = path.read_bytes()
    with open(path, "rb") as file, Image.open(path) as image:
        file.seek(7)  # A file object is read from its start.
        for source in (
            str(path), data, bytearray(data), memoryview(data), file, image, levels,
            levels.astype(np.uint16) * 257, levels / 255, (levels / 255).astype(np.float32),
            levels[np.newaxis],
        ):  # fmt: skip
            np.testing.assert_allclose(read_image(source).rgb, read_image(path).rgb, atol=1e-7)
        assert not file.closed


def test_read_image_leaves_the_source_alone(levels):
    source = levels.astype(np.float32) / 255
    picture = read_image(source)
    picture.rgb[:] = 0
    np.testing.assert_array_equal(source, levels.astype(np.float32) / 255)
    image = Image.fromarray(levels).convert("RGBA")
    read_image(image)
    assert image.mode == "RGBA"
    np.testing.assert_array_equal(np.asarray(image)[..., :3], levels)


def test_read_image_takes_anything_with_an_array(levels):
    class Tensor:
        def __array__(self, dtype=None, copy=None):
            return levels

    np.testing.assert_array_equal(read_image(Tensor()).rgb, read_image(levels).rgb)


@pytest.mark.parametrize("channels", [(), (1,), (2,), (3,), (4,)])
@pytest.mark.parametrize("batch", [(), (1,)])
def test_read_image_takes_every_array_shape(channels, batch):
    array = np.random.default_rng(1).random((*batch, HEIGHT, WIDTH, *channels))
    rgb, alpha = read_image(array)
    values = array.reshape(HEIGHT, WIDTH, -1)
    color, expected_alpha = values, np.ones((HEIGHT, WIDTH))
    if channels in ((2,), (4,)):
        color, expected_alpha = values[..., :-1], values[..., -1]
        np.testing.assert_allclose(alpha, expected_alpha, atol=1e-6)
    else:
        assert alpha is None
    expected = on_white(color * 255, expected_alpha * 255)
    np.testing.assert_allclose(rgb, np.broadcast_to(expected, rgb.shape), atol=1e-6)
    assert rgb.shape == (HEIGHT, WIDTH, 3)
    assert rgb.dtype == np.float32


def test_read_image_forgives_and_clips_tiny_overshoot():
    array = np.linspace(-5e-4, 1 + 5e-4, HEIGHT * WIDTH).reshape(HEIGHT, WIDTH)
    rgb = read_image(array).rgb
    assert rgb.min() == 0
    assert rgb.max() == 1


# Modes


@pytest.mark.parametrize("suffix", ["png", "tiff", "bmp", "gif", "jpg"])
def test_read_image_reads_8_bit_grey(tmp_path, suffix):
    grey = np.tile(np.arange(WIDTH, dtype=np.uint8) * 10, (HEIGHT, 1))
    path = tmp_path / f"grey.{suffix}"
    Image.fromarray(grey).save(path, quality=100)
    expected = np.repeat(grey[..., np.newaxis], 3, axis=-1) / 255
    tolerance = 0.012 if suffix == "jpg" else 1e-6
    np.testing.assert_allclose(read_image(path).rgb, expected, atol=tolerance)


@pytest.mark.parametrize("suffix", ["png", "tiff", "bmp"])
def test_read_image_reads_1_bit(tmp_path, suffix):
    bits = np.indices((HEIGHT, WIDTH)).sum(axis=0) % 2 == 0
    path = tmp_path / f"bits.{suffix}"
    Image.fromarray(bits).save(path)
    np.testing.assert_array_equal(read_image(path).rgb[..., 1], bits)


@pytest.mark.parametrize("suffix", ["png", "gif", "bmp", "tiff"])
def test_read_image_reads_a_palette(tmp_path, smooth, suffix):
    image = Image.fromarray(smooth).quantize(16)
    path = tmp_path / f"palette.{suffix}"
    image.save(path)
    np.testing.assert_array_equal(to_pil(read_image(path).rgb), image.convert("RGB"))


@pytest.mark.parametrize("suffix", ["png", "tiff"])
def test_read_image_keeps_16_bit_grey(tmp_path, suffix):
    grey = np.linspace(0, 65535, HEIGHT * WIDTH).astype(np.uint16).reshape(HEIGHT, WIDTH)
    path = tmp_path / f"deep.{suffix}"
    Image.fromarray(grey).save(path)
    big_endian, integers = (Image.fromarray(grey.astype(kind)) for kind in (">u2", np.int32))
    assert big_endian.mode == "I;16B"
    assert integers.mode == "I"
    for source in (path, grey, big_endian, integers):
        np.testing.assert_allclose(read_image(source).rgb[..., 2], grey / 65535, atol=1e-6)


def test_read_image_reads_16_bit_color_to_8(levels):
    """Pillow cannot write 16-bit color: a TIFF by hand, little-endian, one strip."""
    deep = levels.astype("<u2") * 257
    tags = (
        (256, WIDTH), (257, HEIGHT), (258, 190), (259, 1), (262, 2), (273, 200), (277, 3),
        (278, HEIGHT), (279, deep.nbytes),
    )  # fmt: skip
    directory = b"".join(
        struct.pack("<HHII", tag, *((3, 3) if tag == 258 else (4, 1)), value) for tag, value in tags
    )
    header = struct.pack("<2sHIH", b"II", 42, 8, len(tags)) + directory + struct.pack("<I", 0)
    data = header.ljust(190, b"\0") + struct.pack("<HHH", 16, 16, 16)
    picture = read_image(data.ljust(200, b"\0") + deep.tobytes())
    np.testing.assert_array_equal(picture.rgb, read_image(levels).rgb)


def test_read_image_reads_float_tiff(tmp_path):
    grey = np.linspace(0, 1, HEIGHT * WIDTH, dtype=np.float32).reshape(HEIGHT, WIDTH)
    path = tmp_path / "float.tiff"
    Image.fromarray(grey).save(path)
    np.testing.assert_array_equal(read_image(path).rgb[..., 0], grey)


@pytest.mark.parametrize("suffix", ["jpg", "tiff"])
def test_read_image_converts_cmyk_plainly(tmp_path, suffix):
    path = tmp_path / f"print.{suffix}"
    Image.new("CMYK", (WIDTH, HEIGHT), (255, 0, 0, 51)).save(path)
    rgb = read_image(path).rgb
    np.testing.assert_allclose(rgb, np.broadcast_to([0, 0.8, 0.8], rgb.shape), atol=0.02)


@pytest.mark.parametrize("mode", ["YCbCr", "HSV", "LAB", "RGBX"])
def test_read_image_reads_rare_modes(smooth, mode):
    if mode == "LAB":
        image = Image.new("LAB", (WIDTH, HEIGHT), (255, 128, 128))
        smooth = np.full_like(smooth, 255)
    else:
        image = Image.fromarray(smooth).convert(mode)
    np.testing.assert_allclose(read_image(image).rgb, smooth / 255, atol=0.06)


# Orientation


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "tiff"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_read_image_turns_upright(tmp_path, smooth, orientation, suffix):
    stored = {
        1: smooth, 2: smooth[:, ::-1], 3: smooth[::-1, ::-1], 4: smooth[::-1],
        5: smooth.swapaxes(0, 1), 6: np.rot90(smooth), 7: np.rot90(smooth[::-1]),
        8: np.rot90(smooth, -1),
    }[orientation]  # fmt: skip
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / f"turned.{suffix}"
    options = {"lossless": True} if suffix == "webp" else {"quality": 100}
    Image.fromarray(np.ascontiguousarray(stored)).save(path, exif=exif, **options)
    np.testing.assert_allclose(read_image(path).rgb, smooth / 255, atol=0.05)
    with Image.open(path) as image:
        np.testing.assert_allclose(read_image(image).rgb, smooth / 255, atol=0.05)


def test_read_image_ignores_broken_exif(levels):
    data = encoded(Image.fromarray(levels), exif=b"Exif\0\0garbage")
    with pytest.warns(UserWarning, match="EXIF data of bytes is broken and was ignored") as record:
        picture = read_image(data)
    assert record[0].filename == __file__
    np.testing.assert_array_equal(picture.rgb, read_image(levels).rgb)


# Alpha


@pytest.mark.parametrize("suffix", ["png", "webp", "tiff"])
def test_read_image_composites_alpha_on_white(tmp_path, levels, suffix):
    alpha = np.tile(np.arange(WIDTH, dtype=np.uint8) * 11, (HEIGHT, 1))
    image = Image.fromarray(np.dstack([levels, alpha]))
    path = tmp_path / f"alpha.{suffix}"
    image.save(path, **({"lossless": True, "exact": True} if suffix == "webp" else {}))
    picture = read_image(path)
    np.testing.assert_array_equal(picture.alpha, alpha.astype(np.float32) / 255)
    np.testing.assert_allclose(picture.rgb, on_white(levels, alpha), atol=1e-6)


@pytest.mark.parametrize("mode", ["LA", "La", "PA", "RGBa"])
def test_read_image_reads_every_alpha_mode(mode):
    image = Image.new("LA", (WIDTH, HEIGHT), (100, 51))
    if mode == "PA":
        image = Image.new("PA", (WIDTH, HEIGHT), (100, 51))
        image.putpalette([level for level in range(256) for _ in "RGB"])
    else:
        image = image.convert("RGBA").convert(mode) if mode == "RGBa" else image.convert(mode)
    rgb, alpha = read_image(image)
    np.testing.assert_allclose(alpha, 0.2, atol=1e-6)
    np.testing.assert_allclose(rgb, 0.8 + 0.2 * 100 / 255, atol=0.005)


@pytest.mark.parametrize("suffix", ["png", "gif"])
def test_read_image_reads_palette_transparency(tmp_path, suffix):
    image = Image.new("P", (WIDTH, HEIGHT), 1)
    image.putpalette([255, 0, 0, 0, 0, 255])
    image.paste(0, (0, 0, 4, HEIGHT))
    path = tmp_path / f"hole.{suffix}"
    image.save(path, transparency=0)
    rgb, alpha = read_image(path)
    assert (alpha[:, :4] == 0).all()
    assert (alpha[:, 4:] == 1).all()
    assert (rgb[:, :4] == 1).all()
    assert (rgb[:, 4:] == [0, 0, 1]).all()


@pytest.mark.parametrize(("mode", "key"), [("L", 7), ("RGB", (7, 8, 9)), ("1", 0)])
def test_read_image_reads_a_transparent_color(mode, key):
    image = Image.new(mode, (WIDTH, HEIGHT), key)
    image.paste(Image.new(mode, (4, HEIGHT), "white"))
    rgb, alpha = read_image(encoded(image, transparency=key))
    assert (rgb == 1).all()
    assert (alpha[:, :4] == 1).all()
    assert (alpha[:, 4:] == 0).all()


def test_read_image_gives_no_alpha_if_opaque(levels):
    image = Image.fromarray(levels).convert("RGBA")
    assert read_image(image).alpha is None
    np.testing.assert_array_equal(read_image(image).rgb, read_image(levels).rgb)


def test_alpha_round_trip(tmp_path, levels):
    alpha = np.where(np.arange(WIDTH) < 9, 0, 255).astype(np.uint8) * np.ones((HEIGHT, 1), np.uint8)
    picture = read_image(np.dstack([levels, alpha]))
    save_image(to_pil(*picture), tmp_path / "round.png")
    again = read_image(tmp_path / "round.png")
    np.testing.assert_array_equal(again.alpha, picture.alpha)
    np.testing.assert_allclose(again.rgb, picture.rgb, atol=1e-7)


# Color profiles, made by hand: header, tag table, tags


def profile(space, tags, pcs=b"XYZ ", kind=b"mntr"):
    table, body = struct.pack(">I", len(tags)), b""
    for name, data in tags.items():
        table += struct.pack(">4sII", name, 132 + 12 * len(tags) + len(body), len(data))
        body += data.ljust(-(-len(data) // 4) * 4, b"\0")
    size = 128 + len(table) + len(body)
    header = struct.pack(">I4xI4s4s4s12x4s", size, 0x02100000, kind, space, pcs, b"acsp")
    return (header.ljust(68, b"\0") + D50[8:]).ljust(128, b"\0") + table + body


def xyz(*values):
    return b"XYZ \0\0\0\0" + struct.pack(">iii", *(round(value * 65536) for value in values))


D50 = xyz(0.9642, 1, 0.8249)
LINEAR = b"curv\0\0\0\0" + struct.pack(">IH", 1, 256)  # a gamma of 1
RED, GREEN, BLUE = (0.4360, 0.2225, 0.0139), (0.3851, 0.7169, 0.0971), (0.1431, 0.0606, 0.7139)
LINEAR_BGR = profile(
    b"RGB ",
    {
        b"wtpt": D50, b"rXYZ": xyz(*BLUE), b"gXYZ": xyz(*GREEN), b"bXYZ": xyz(*RED),
        b"rTRC": LINEAR, b"gTRC": LINEAR, b"bTRC": LINEAR,
    },
)  # fmt: skip
LINEAR_GREY = profile(b"GRAY", {b"wtpt": D50, b"kTRC": LINEAR})
# A table of two points per ink: L=80, light grey, without black ink, L=0 with it.
GREYING_CMYK = profile(
    b"CMYK",
    {
        b"A2B0": b"mft1\0\0\0\0\x04\x03\x02\0"
        + struct.pack(">9i", *(np.eye(3, dtype=int) * 65536).ravel())
        + bytes(range(256)) * 4
        + bytes([204, 128, 128, 0, 128, 128]) * 8
        + bytes(range(256)) * 3
    },
    pcs=b"Lab ",
    kind=b"prtr",
)


def encode_srgb(linear):
    return np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)


@pytest.mark.parametrize("suffix", ["PNG", "TIFF", "WEBP"])
def test_read_image_converts_an_rgb_profile(levels, suffix):
    options = {"lossless": True} if suffix == "WEBP" else {}
    data = encoded(Image.fromarray(levels), suffix, icc_profile=LINEAR_BGR, **options)
    expected = encode_srgb(levels[..., ::-1] / 255)
    np.testing.assert_allclose(read_image(data).rgb, expected, atol=1 / 255)
    assert np.abs(expected - levels / 255).max() > 0.5


def test_read_image_converts_a_profile_in_jpeg():
    data = encoded(Image.new("RGB", (WIDTH, HEIGHT), (255, 0, 0)), "JPEG", icc_profile=LINEAR_BGR)
    np.testing.assert_allclose(read_image(data).rgb[0, 0], [0, 0, 1], atol=0.07)


def test_read_image_converts_a_profile_beside_alpha(levels):
    alpha = np.tile(np.arange(WIDTH, dtype=np.uint8) * 11, (HEIGHT, 1))
    image = Image.fromarray(np.dstack([levels, alpha]))
    picture = read_image(encoded(image, icc_profile=LINEAR_BGR))
    np.testing.assert_array_equal(picture.alpha, alpha.astype(np.float32) / 255)
    expected = on_white(encode_srgb(levels[..., ::-1] / 255) * 255, alpha)
    np.testing.assert_allclose(picture.rgb, expected, atol=1 / 255)


def test_read_image_converts_a_profile_of_a_palette(smooth):
    image = Image.fromarray(smooth).quantize(16)
    expected = encode_srgb(np.asarray(image.convert("RGB"))[..., ::-1] / 255)
    data = encoded(image, icc_profile=LINEAR_BGR)
    np.testing.assert_allclose(read_image(data).rgb, expected, atol=1 / 255)


@pytest.mark.parametrize(
    ("dtype", "white", "embedded"),
    [
        (np.uint8, 255, LINEAR_GREY), (np.uint8, 255, LINEAR_BGR),
        ("<u2", 65535, LINEAR_GREY), (">u2", 65535, LINEAR_GREY),
    ],
)  # fmt: skip
def test_read_image_converts_profiles_of_grey(dtype, white, embedded):
    grey = np.linspace(0, white, HEIGHT * WIDTH).astype(dtype).reshape(HEIGHT, WIDTH)
    image = Image.fromarray(grey)
    image.info["icc_profile"] = embedded
    expected = encode_srgb(grey / white)
    np.testing.assert_allclose(read_image(image).rgb[..., 1], expected, atol=1 / 255)


def test_read_image_converts_cmyk_by_its_profile():
    image = Image.new("CMYK", (WIDTH, HEIGHT), (255, 0, 0, 0))
    data = encoded(image, "TIFF", icc_profile=GREYING_CMYK)
    luminance = ((80 + 16) / 116) ** 3
    np.testing.assert_allclose(read_image(data).rgb, encode_srgb(luminance), atol=2 / 255)


def test_read_image_leaves_srgb_as_it_is(levels):
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    data = encoded(Image.fromarray(levels), icc_profile=srgb)
    np.testing.assert_array_equal(read_image(data).rgb, read_image(levels).rgb)


@pytest.mark.parametrize(
    ("mode", "embedded"),
    [
        ("RGB", b"junk" * 50), ("RGB", LINEAR_BGR[:200]), ("RGB", LINEAR_GREY),
        ("CMYK", LINEAR_BGR), ("I;16", LINEAR_BGR), ("I", LINEAR_GREY), ("F", LINEAR_GREY),
    ],
)  # fmt: skip
def test_read_image_ignores_a_profile_that_does_not_fit(mode, embedded):
    image = Image.new(mode, (WIDTH, HEIGHT), 999 if mode == "I" else 0)
    plain = read_image(image).rgb
    image.info["icc_profile"] = embedded
    message = f"The ICC profile of PIL image of mode {mode} is broken or does not fit"
    with pytest.warns(UserWarning, match=message) as record:
        rgb = read_image(image).rgb
    assert record[0].filename == __file__
    np.testing.assert_array_equal(rgb, plain)


# Errors of reading


def test_read_image_rejects_paths_to_nothing(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"must exist.*nothing.png', no file. Check"):
        read_image(tmp_path / "nothing.png")
    with pytest.raises(ValueError, match=r"must be a file. Received: '.*', a folder"):
        read_image(str(tmp_path))
    for url in ("https://example.org/a.jpg", "file:///a.jpg", "data:image/png;base64," + "A" * 999):
        with pytest.raises(ValueError, match=r"Received: '.{,60}, a URL. Download it") as error:
            read_image(url)
        assert len(str(error.value)) < 150


@pytest.mark.parametrize("content", [b"", b"Words, not pixels.", b"%!PS-Adobe-3.0 EPSF-3.0"])
def test_read_image_rejects_other_files(tmp_path, content):
    path = tmp_path / "text.jpg"
    path.write_bytes(content)
    for source, name in ((path, "text.jpg'"), (content, "bytes"), (io.BytesIO(content), "BytesIO")):
        with pytest.raises(ValueError, match=rf"must be a JPEG, PNG.* file. Received: .*{name}"):
            read_image(source)


@pytest.mark.parametrize("suffix", ["jpeg", "png", "webp", "tiff", "bmp", "gif"])
def test_read_image_rejects_truncated_files(tmp_path, levels, suffix):
    path = tmp_path / f"half.{suffix}"
    data = encoded(Image.fromarray(levels), suffix)
    path.write_bytes(data[: len(data) * 2 // 3])
    with pytest.raises(ValueError, match=rf"half.{suffix}', which is cut short or damaged"):
        read_image(path)


@pytest.mark.parametrize("lacking", [1, 2])
def test_a_jpeg_that_lacks_only_its_end_is_read_with_a_word(tmp_path, levels, lacking):
    path, data = tmp_path / "endless.jpg", encoded(Image.fromarray(levels), "jpeg")
    path.write_bytes(data[:-lacking])
    with pytest.warns(UserWarning, match=r"endless\.jpg' lacks JPEG's end marker, but no pixel\."):
        found = read_image(path)
    np.testing.assert_array_equal(found.rgb, read_image(data).rgb)
    with pytest.warns(UserWarning, match="end marker"):
        assert read_small(path, 16).size == read_small(data, 16).size
    with pytest.warns(UserWarning, match="end marker"):
        assert read_plain_jpeg(path).endswith(b"\xff\xd9")


@pytest.mark.parametrize("options", [{}, {"progressive": True}])
@pytest.mark.parametrize("lacking", [3, 4, 6, 12, 100])
def test_a_jpeg_that_lacks_pixels_is_refused(levels, lacking, options):
    file = io.BytesIO()
    Image.fromarray(levels).save(file, "JPEG", **options)
    with pytest.raises(ValueError, match="cut short or damaged"):
        read_image(file.getvalue()[:-lacking])


def test_read_image_rejects_small_pictures(tmp_path):
    path = tmp_path / "small.png"
    Image.new("RGB", (40, MIN_SIDE - 1)).save(path)
    for source in (path, np.zeros((15, 40)), Image.new("L", (40, 15))):
        with pytest.raises(ValueError, match=r"at least 16 pixels .*, 15 high and 40 wide"):
            read_image(source)
    for source in (Image.new("RGB", (40, 1)), np.zeros((1, 40, 3))):
        with pytest.raises(ValueError, match=", 1 high and 40 wide"):
            read_image(source)
    with pytest.raises(ValueError, match=r"array of shape \(0, 0, 3\), 0 high"):
        read_image(np.zeros((0, 0, 3)))
    read_image(np.zeros((MIN_SIDE, MIN_SIDE)))


def test_read_image_rejects_decompression_bombs():
    data = bytearray(encoded(Image.new("1", (16, 16)), "BMP"))
    data[18:26] = struct.pack("<ii", 20_000, 10_000)
    with pytest.raises(
        ValueError, match=r"at most 179 megapixels. Received: bytes, which has more"
    ):
        read_image(bytes(data))


def test_read_image_is_silent_below_the_bomb_limit(levels, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", HEIGHT * WIDTH * 2 // 3)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        read_image(encoded(Image.fromarray(levels)))


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.full((20, 24, 3), np.nan), r"must be finite. Received: array of shape \(20, 24, 3\)"),
        (np.full((20, 24), np.inf, np.float16), "must be finite"),
        (np.full((20, 24), 200.0), r"must be in \[0, 1\].*, with 200 to 200. Divide .* by 255"),
        (np.full((20, 24), -0.01), r"must be in \[0, 1\]"),
        (np.zeros((20, 24, 5)), r"1 to 4 channels\). Received: array of shape \(20, 24, 5\)"),
        (np.zeros((3, 20, 24)), r"from first to last with np.moveaxis\(x, -3, -1\)"),
        (np.zeros((1, 3, 20, 24)), "Move channels"),
        (np.zeros(20), r"An array must have shape .* Received: array of shape \(20,\)"),
        (np.zeros((1, 1, 20, 24, 3)), "An array must have shape"),
        (np.zeros((2, 20, 24, 3)), r"one picture. Received: array of shape \(2, 20, 24, 3\). Pass"),
        (np.zeros((0, 20, 24, 3)), "one picture"),
        (np.zeros((20, 24), np.int64), "uint8, uint16 or float. Received: .*, in int64. Cast"),
        (np.zeros((20, 24), bool), "in bool"),
        (Image.new("I", (24, 20), 70_000), "Received: PIL image of mode I, in int32"),
        (Image.new("F", (24, 20), 128.0), "Received: PIL image of mode F, with 128 to 128"),
    ],
)
def test_read_image_rejects_arrays(array, message):
    with pytest.raises(ValueError, match=message):
        read_image(array)


@pytest.mark.parametrize("source", [None, 3, [[0.0]], io.StringIO("text")])
def test_read_image_rejects_other_types(source):
    name = type(source).__name__
    with pytest.raises(TypeError, match=rf"path, bytes, a file .*Received: object of type {name}"):
        read_image(source)


# resize


def test_resize_keeps_a_constant():
    for size in (7, 50, (31, 5)):
        resized = resize(np.full((HEIGHT, WIDTH, 3), 0.3, np.float32), size)
        assert resized.dtype == np.float32
        np.testing.assert_allclose(resized, 0.3, atol=1e-6)


@pytest.mark.parametrize(
    ("shape", "size", "expected"),
    [
        ((20, 40, 3), 10, (5, 10, 3)), ((40, 20, 3), 10, (10, 5, 3)), ((20, 41), 82, (40, 82)),
        ((16, 4000, 3), 20, (1, 20, 3)), ((20, 40, 3), (7, 9), (7, 9, 3)),
        ((20, 40), np.int64(10), (5, 10)),
    ],
)  # fmt: skip
def test_resize_gives_the_size(shape, size, expected):
    assert resize(np.zeros(shape, np.float32), size).shape == expected


def test_resize_returns_the_input_if_it_fits():
    rgb = np.zeros((20, 40, 3), np.float32)
    assert resize(rgb, 40) is rgb
    assert resize(rgb, (20, 40)) is rgb


def test_resize_clips_the_overshoot_of_lanczos():
    step = np.repeat([[0.0, 1.0]], 10, axis=1) * np.ones((20, 1))
    resized = resize(step, 80)
    assert resized.min() == 0
    assert resized.max() == 1


def test_resize_handles_each_channel_alone(levels):
    rgb = read_image(levels).rgb
    expected = np.stack([resize(rgb[..., channel], 33) for channel in range(3)], axis=-1)
    np.testing.assert_array_equal(resize(rgb, 33), expected)


@pytest.mark.parametrize("size", [0, -5, 2.5, (10, 0), "10", None])
def test_resize_rejects_sizes(size):
    with pytest.raises(
        ValueError, match=r"`size` must be the long side in pixels.*Received: size="
    ):
        resize(np.zeros((20, 40)), size)


# to_pil


def test_to_pil_round_trip_is_exact():
    every_level = np.arange(16 * 16 * 3, dtype=np.uint16).reshape(16, 16, 3).astype(np.uint8)
    np.testing.assert_array_equal(to_pil(read_image(every_level).rgb), every_level)
    np.testing.assert_array_equal(to_pil(read_image(every_level).rgb[np.newaxis]), every_level)


def test_to_pil_rounds_and_clips():
    rgb = np.full((2, 2, 3), 0.999, np.float32)
    rgb[0] = [-0.2, 1.2, 0.5]
    image = to_pil(rgb)
    assert image.mode == "RGB"
    assert image.getpixel((0, 0)) == (0, 255, 128)
    assert image.getpixel((0, 1)) == (255, 255, 255)


def test_to_pil_adds_alpha():
    image = to_pil(np.ones((1, 2, 3, 3)), np.full((2, 3), 0.5))
    assert image.mode == "RGBA"
    assert image.size == (3, 2)
    assert image.getpixel((0, 0)) == (255, 255, 255, 128)


@pytest.mark.parametrize(
    ("rgb", "alpha"),
    [
        (np.zeros((4, 4)), None), (np.zeros((4, 4, 4)), None), (np.zeros((2, 4, 4, 3)), None),
        (np.zeros((4, 4, 3)), np.zeros((4, 5))),
    ],
)  # fmt: skip
def test_to_pil_rejects_shapes(rgb, alpha):
    with pytest.raises(ValueError, match=r"`rgb` must have shape .*Received: shapes \("):
        to_pil(rgb, alpha)


def test_to_pil_rejects_nan():
    with pytest.raises(ValueError, match=r"must be finite. Received: NaN"):
        to_pil(np.full((4, 4, 3), np.nan))


# save_image, check_output_path


@pytest.mark.parametrize("suffix", [*SAVE_SUFFIXES, ".PNG"])
def test_save_image_writes_the_format_of_the_suffix(tmp_path, smooth, suffix):
    path = tmp_path / f"out{suffix}"
    save_image(Image.fromarray(smooth), path)
    assert os.listdir(tmp_path) == [path.name]
    kind = {".jpg": "JPEG", ".tif": "TIFF"}.get(suffix, suffix[1:].upper())
    with Image.open(path) as image:
        assert image.format == kind
        assert kind in READ_FORMATS
    np.testing.assert_allclose(read_image(path).rgb, smooth / 255, atol=0.15)


@pytest.mark.parametrize("suffix", [".jpg", ".bmp"])
@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_save_image_flattens_on_white(tmp_path, suffix, mode):
    image = Image.new("RGBA", (WIDTH, HEIGHT), (0, 0, 0, 51)).convert(mode)
    save_image(image, str(tmp_path / f"out{suffix}"))
    rgb, alpha = read_image(tmp_path / f"out{suffix}")
    assert alpha is None
    np.testing.assert_allclose(rgb, 0.8, atol=0.01)


@pytest.mark.parametrize("suffix", [".jpg", ".webp"])
def test_save_image_follows_quality(tmp_path, levels, suffix):
    sizes = []
    for quality in (10, 95):
        save_image(Image.fromarray(levels), tmp_path / f"out{suffix}", quality=quality)
        sizes.append((tmp_path / f"out{suffix}").stat().st_size)
    assert sizes[0] < sizes[1]


@pytest.mark.parametrize("step", ["save", "replace"])
def test_save_image_leaves_no_trace_of_a_failure(tmp_path, levels, monkeypatch, step):
    path = tmp_path / "out.png"
    path.write_bytes(b"old")

    def save_half(image, file, *args, **options):
        file.write(b"half")
        raise OSError("disk full")

    def replace(source, target):
        raise OSError("disk full")

    if step == "save":
        monkeypatch.setattr(Image.Image, "save", save_half)
    else:
        monkeypatch.setattr(os, "replace", replace)
    with pytest.raises(OSError, match=r"disk full"):
        save_image(Image.fromarray(levels), path)
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["out.png"]


@pytest.mark.skipif(os.name != "posix", reason="Windows has no umask")
def test_save_image_makes_an_ordinary_file(tmp_path, levels):
    (tmp_path / "plain").touch()
    save_image(Image.fromarray(levels), tmp_path / "out.png")
    assert (tmp_path / "out.png").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_save_image_rejects_arguments(tmp_path, levels):
    with pytest.raises(TypeError, match=r"must be a PIL image. Received: array of .* Use to_pil"):
        save_image(levels, tmp_path / "out.png")
    for quality in (0, 101):
        with pytest.raises(ValueError, match=rf"from 1 to 100. Received: quality={quality}"):
            save_image(Image.fromarray(levels), tmp_path / "out.png", quality=quality)
    with pytest.raises(ValueError, match=r"must end in one of .jpg"):
        save_image(Image.fromarray(levels), tmp_path / "out.xyz")
    assert os.listdir(tmp_path) == []


def test_check_output_path_accepts_good_paths(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for path in (tmp_path / "out.jpg", "out.TIFF"):
        check_output_path(path)
    check_output_path("model.keras", suffixes=(".keras",))


def test_check_output_path_rejects_bad_paths(tmp_path):
    choices = ", ".join(SAVE_SUFFIXES)
    for name in ("out.xyz", "out", ".png"):
        with pytest.raises(
            ValueError, match=rf"must end in one of {choices}. Received: '.*{name}'"
        ):
            check_output_path(tmp_path / name)
    with pytest.raises(ValueError, match=r"end in .keras. Received"):
        check_output_path(tmp_path / "out.png", suffixes=(".keras",))
    with pytest.raises(FileNotFoundError, match=r"Create the folder '.*missing' first"):
        check_output_path(tmp_path / "missing" / "out.png")
    (tmp_path / "file").touch()
    with pytest.raises(FileNotFoundError, match=r"existing folder.*Create the folder '.*file'"):
        check_output_path(tmp_path / "file" / "out.png")
    (tmp_path / "folder.png").mkdir()
    with pytest.raises(ValueError, match=r"must name a file. Received: '.*folder.png', a folder"):
        check_output_path(tmp_path / "folder.png")
