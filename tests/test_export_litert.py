"""LiteRT files: pixels, operators, precisions, sizes, metadata, and the painter that runs them."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter
from PIL import Image

from tfstyle.export import litert
from tfstyle.export.calibration import SHIPPED, calibration_pictures, cover, picture_files
from tfstyle.export.config import ExportConfig
from tfstyle.export.frozen import equalize_channels, freeze
from tfstyle.export.litert import LiteRTPainter, operators, read_metadata, write_litert
from tfstyle.networks import CrispNet
from tfstyle.pictures import read_image

ROOT = Path(__file__).resolve().parent.parent
FLOAT = set(
    "ADD CONCATENATION CONV_2D DEPTH_TO_SPACE LOGISTIC MEAN MINIMUM MUL RELU RSQRT STRIDED_SLICE "
    "SUB".split()
)
FOLDED = {"lean": {"SPACE_TO_DEPTH"}, "full": set()}
ADDED = {
    "float32": set(),
    "float16": {"DEQUANTIZE"},
    "dynamic": set(),
    "int8": {"QUANTIZE", "DEQUANTIZE"},
}
# Mean difference of a picture in 1/255; random networks suffer more than trained ones.
TOLERANCES = {"float32": 0.001, "float16": 0.1, "dynamic": 2, "int8": 5}
FILES = [
    ("lean", "float32"),
    ("lean", "dynamic"),
    *(
        pytest.param(*file, marks=pytest.mark.slow)
        for file in (("lean", "float16"), ("lean", "int8"), ("full", "float32"), ("full", "int8"))
    ),
]


@pytest.fixture(scope="module")
def written(tiny_painter, tmp_path_factory):
    """A function that writes a tiny network, once for the same arguments."""
    files = {}

    def write(architecture="lean", names=("ripple",), **fields):
        fields.setdefault("precision", "float32")
        key = (architecture, names, *sorted(fields.items()))
        if key not in files:
            path = tmp_path_factory.mktemp("litert") / "style.tflite"
            config = ExportConfig(format="litert", **fields)
            files[key] = write_litert(tiny_painter(architecture, names), path, config)
        return files[key]

    return write


def picture(height=64, width=64):
    return cover(read_image(SHIPPED[0]).rgb, (height, width))


def mean_difference(one, other):
    return 255 * np.abs(np.asarray(one, np.float64) - np.asarray(other)).mean()


# Pixels and operators


@pytest.mark.parametrize(("architecture", "precision"), FILES)
def test_file_paints_as_the_network(architecture, precision, written, tiny_painter):
    painter = LiteRTPainter(written(architecture, precision=precision, size=64))
    expected = tiny_painter(architecture)(picture()[None])[0]
    assert mean_difference(painter(picture()), expected) < TOLERANCES[precision]


@pytest.mark.parametrize(("architecture", "precision"), FILES)
def test_file_holds_operators_that_phones_run(architecture, precision, written):
    found = set(operators(written(architecture, precision=precision, size=64).read_bytes()))
    assert found == FLOAT | FOLDED[architecture] | ADDED[precision]


@pytest.mark.parametrize("architecture", ["lean", pytest.param("full", marks=pytest.mark.slow)])
def test_file_for_any_size_has_the_same_operators(architecture, written):
    fixed, resizable = (
        operators(written(architecture, size=size).read_bytes()) for size in (64, None)
    )
    assert fixed == resizable


@pytest.mark.slow
def test_equal_kernels_are_each_in_eight_bits(tmp_path):
    network = CrispNet(0.25, 2)
    kernels = [each.kernel for each in network.convolutions() if each.kernel.shape[2:] == (16, 16)]
    for kernel in kernels[1:]:
        kernel.assign(kernels[0])
    files = {
        precision: write_litert(
            network,
            tmp_path / f"{precision}.tflite",
            ExportConfig(format="litert", precision=precision),
        )
        for precision in ("float32", "dynamic")
    }
    image = np.random.default_rng(0).random((32, 48, 3), np.float32)
    exact, short = (LiteRTPainter(path)(image) for path in files.values())
    assert 0 < np.abs(exact - short).mean() * 255 < TOLERANCES["dynamic"]
    assert files["dynamic"].stat().st_size < files["float32"].stat().st_size


def test_operators_leave_out_what_delegates_do_not_take():
    forbidden = (
        "MIRROR_PAD RESIZE_NEAREST_NEIGHBOR TILE CAST GATHER REVERSE SHAPE PACK BATCH_MATMUL"
    )
    assert not litert.OPERATORS & set(forbidden.split())
    assert not any(name.startswith("Flex") for name in litert.OPERATORS)


@pytest.mark.parametrize(
    "fields",
    [
        {"architecture": "lean", "size": 64},
        {"architecture": "full", "size": 64},
        {"architecture": "lean"},
        {"names": ("calm", "storm"), "all_styles": True},
        {"architecture": "lean", "precision": "float16", "size": 64},
        {"architecture": "lean", "precision": "dynamic", "size": 64},
    ],
)
@pytest.mark.slow
def test_xnnpack_takes_the_whole_file_in_one_piece(fields, written):
    interpreter = Interpreter(str(written(**fields)))
    weights = {"style_weights": np.eye(1, 2, dtype=np.float32)} if "names" in fields else {}
    interpreter.get_signature_runner("stylize")(image=picture()[None], **weights)
    names = [operator["op_name"] for operator in interpreter._get_ops_details()]
    assert names.count("DELEGATE") == 1


@pytest.mark.slow
def test_an_operator_that_phones_do_not_run_is_refused(tiny_painter, tmp_path, monkeypatch):
    monkeypatch.setattr(litert, "OPERATORS", litert.OPERATORS - {"RSQRT"})
    with pytest.raises(ValueError, match=r"operators that phones do not run: \{'RSQRT'\}"):
        write_litert(tiny_painter(), tmp_path / "style.tflite")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_smaller_numbers_make_smaller_files(written):
    size = {
        precision: written("full", precision=precision, size=64).stat().st_size
        for precision in ("float32", "float16", "int8")
    }
    assert size["float32"] > size["float16"] > size["int8"]


# Sizes


@pytest.mark.parametrize(("height", "width"), [(64, 64), (33, 46), (17, 90)])
def test_file_for_any_size_takes_any(height, width, written, tiny_painter):
    painter = LiteRTPainter(written())
    assert painter.size is None
    given = picture(height, width)
    expected = tiny_painter()(given[None])[0]
    assert mean_difference(painter(given), expected) < TOLERANCES["float32"]


def test_file_for_any_size_opens_as_javas_interpreter_opens_it(written):
    interpreter = Interpreter(str(written()))
    interpreter.allocate_tensors()  # before any size is said
    (image,) = interpreter.get_input_details()
    assert list(image["shape"]) == [1, litert.RESIZABLE_SIDE, litert.RESIZABLE_SIDE, 3]
    assert list(image["shape_signature"]) == [1, -1, -1, 3]


@pytest.mark.slow
def test_painter_refuses_a_size_that_the_file_does_not_take(written):
    painter = LiteRTPainter(written(size="32x48"))
    assert painter.size == (32, 48)
    assert painter(picture(32, 48)).shape == (32, 48, 3)
    text = r"takes pictures 32 high and 48 wide\. Received: 48 high and 32 wide\."
    with pytest.raises(ValueError, match=text):
        painter(picture(48, 32))
    assert painter(picture(32, 48)).shape == (32, 48, 3)


def test_painter_refuses_a_tiny_picture(written):
    with pytest.raises(ValueError, match=r"at least 16 pixels on each side\. Received: 15 high"):
        LiteRTPainter(written())(picture(15, 40))


def test_size_must_suit_the_network(tiny_painter, tmp_path):
    config = ExportConfig(format="litert", size="64x90")
    with pytest.raises(ValueError, match=r"must be multiples of 4 with this network\."):
        write_litert(tiny_painter(), tmp_path / "style.tflite", config)


# Styles


@pytest.mark.slow
def test_one_style_of_several_is_frozen_in(written, tiny_painter):
    names = ("calm", "storm")
    painter = LiteRTPainter(written(names=names, style="storm", size=64))
    expected = tiny_painter(names=names)(picture()[None], np.float32([0, 1]))[0]
    assert mean_difference(painter(picture()), expected) < TOLERANCES["float32"]
    assert painter.metadata["styles"] == [{"name": "storm", "index": 1, "about": "about storm"}]


@pytest.mark.parametrize("precision", ["float32", pytest.param("int8", marks=pytest.mark.slow)])
def test_all_styles_take_weights(precision, written, tiny_painter):
    names, weights = ("calm", "storm"), [0.3, 0.7]
    path = written(names=names, precision=precision, all_styles=True, size=64)
    painter = LiteRTPainter(path)
    network = tiny_painter(names=names)
    for given in (None, weights):
        expected = network(picture()[None], given and np.float32(given))[0]
        assert mean_difference(painter(picture(), given), expected) < TOLERANCES[precision]
    assert "FULLY_CONNECTED" in operators(path.read_bytes())


# What a file says of itself


def test_file_has_a_named_signature(written):
    signatures = Interpreter(str(written())).get_signature_list()
    assert signatures == {"stylize": {"inputs": ["image"], "outputs": ["stylized"]}}


def test_metadata_stands_in_the_file_and_beside_it(written):
    path = written(precision="float16", size=64)
    metadata = json.loads(path.with_suffix(".json").read_text())
    assert metadata == read_metadata(path.read_bytes()) == LiteRTPainter(path).metadata
    picture = {"dtype": "float32", "layout": "NHWC", "channels": "RGB", "range": [0, 1]}
    expected = {
        "format": "litert",
        "precision": "float16",
        "architecture": "LeanNet",
        "image": picture,
        "stylized": picture,
        "style_weights": None,
        "size": [64, 64],
        "multiple": 4,
        "styles": [{"name": "ripple", "index": 0, "about": "about ripple"}],
    }
    assert expected.items() <= metadata.items()


def test_metadata_is_a_buffer_that_others_can_read(written):
    model = schema.Model.GetRootAs(written().read_bytes())
    entries = [model.Metadata(number) for number in range(model.MetadataLength())]
    (entry,) = (entry for entry in entries if entry.Name() == b"tfstyle.json")
    assert json.loads(bytes(model.Buffers(entry.Buffer()).DataAsNumpy()))["format"] == "litert"
    assert len(entries) > 1  # the converter's own are kept


def test_files_that_are_not_ours_are_refused(written, tmp_path):
    for name, data in (("a.tflite", b"junk"), ("b.tflite", b"1234TFL3")):
        (tmp_path / name).write_bytes(data)
    with pytest.raises(ValueError, match="is not a LiteRT file of tfstyle"):
        LiteRTPainter(tmp_path / "a.tflite")
    with pytest.raises(FileNotFoundError):
        LiteRTPainter(tmp_path / "gone.tflite")


# Writing


@pytest.mark.slow
def test_a_file_that_is_not_good_enough_leaves_the_old_one(tiny_painter, tmp_path):
    def refuse(path):
        assert LiteRTPainter(path)(picture()).shape == (64, 64, 3)
        raise RuntimeError("not good enough")

    (tmp_path / "style.tflite").write_text("old")
    with pytest.raises(RuntimeError, match="not good enough"):
        write_litert(tiny_painter(), tmp_path / "style.tflite", check=refuse)
    assert [path.name for path in tmp_path.iterdir()] == ["style.tflite"]
    assert (tmp_path / "style.tflite").read_text() == "old"


def test_painter_needs_no_tensorflow(written):
    code = (
        f"import sys, numpy, tfstyle; tfstyle.__path__.append({str(ROOT)!r});"
        "from tfstyle.export.litert import LiteRTPainter;"
        f"painter = LiteRTPainter({str(written())!r}, threads=1);"
        "assert painter(numpy.zeros((20, 24, 3))).shape == (20, 24, 3);"
        "loaded = {'tensorflow', 'keras'} & set(sys.modules); assert not loaded, loaded"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)


# Calibration


def test_calibration_pictures_are_pieces_of_the_shipped_ones():
    pictures = calibration_pictures((20, 28))
    assert len(pictures) == 32
    assert all(p.shape == (20, 28, 3) and p.dtype == np.float32 for p in pictures)
    assert all(p.min() >= 0 and p.max() <= 1 for p in pictures)
    assert len({p.tobytes() for p in pictures}) == 32
    np.testing.assert_array_equal(pictures, calibration_pictures((20, 28)))


def test_calibration_takes_photographs(tmp_path):
    (tmp_path / "deep").mkdir()
    Image.new("RGB", (90, 60), "red").save(tmp_path / "deep" / "a.png")
    Image.new("RGB", (30, 60), "blue").save(tmp_path / "b.png")
    (tmp_path / "notes.txt").touch()
    red, blue = calibration_pictures((20, 28), [tmp_path / "deep" / "a.png", tmp_path / "b.png"])
    np.testing.assert_allclose(red, np.broadcast_to([1, 0, 0], (20, 28, 3)), atol=1e-6)
    np.testing.assert_allclose(blue, np.broadcast_to([0, 0, 1], (20, 28, 3)), atol=1e-6)
    assert [path.name for path in picture_files([tmp_path])] == ["b.png", "a.png"]
    (tmp_path / "none").mkdir()
    with pytest.raises(ValueError, match=r"There are no pictures in .*none"):
        picture_files([tmp_path / "none"])


@pytest.mark.parametrize("names", [("ripple",), ("calm", "storm")])
def test_equalize_channels_changes_no_pixel(names, tiny_painter):
    def spread():
        def normalize(norm, x):
            peaks = np.abs(x).max((0, 1, 2))
            found.append(peaks.max() / peaks.min())
            return norm(x, blend)

        found = []
        network.paint(image, normalize=normalize)
        return found

    image, blend = picture()[None], np.float32([[0.3, 0.7]])[:, : len(names)]
    network = freeze(tiny_painter(names=names), ExportConfig(all_styles=True))
    before, spread_before = network(image, blend), spread()
    equalize_channels(network, [(image, blend)])
    np.testing.assert_allclose(network(image, blend), before, atol=2e-4)
    assert min(spread_before) > 1.2
    np.testing.assert_allclose(spread(), 1, rtol=1e-3)


@pytest.mark.slow
def test_int8_is_calibrated_with_the_photographs_given(tiny_painter, tmp_path):
    Image.new("RGB", (64, 64), "grey").save(tmp_path / "grey.png")
    config = ExportConfig(format="litert", precision="int8", size=64)
    path = tmp_path / "style.tflite"
    narrow = write_litert(tiny_painter(), path, config, calibration=[tmp_path / "grey.png"])
    expected = tiny_painter()(picture()[None])[0]
    assert mean_difference(LiteRTPainter(narrow)(picture()), expected) > TOLERANCES["int8"]


def test_cover_cuts_the_middle_out():
    ramp = np.broadcast_to(np.linspace(0, 1, 40, dtype=np.float32)[None, :, None], (20, 40, 3))
    middle = cover(ramp, (20, 20))
    np.testing.assert_allclose(middle, ramp[:, 10:30])
    assert cover(ramp, (40, 30)).shape == (40, 30, 3)
