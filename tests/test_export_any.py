"""A network of any style, exported: called as Magenta's, with files, as a LiteRT pair."""

import io
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter
from PIL import Image

import tfstyle
from tfstyle.config import CODE_SIDE
from tfstyle.export import litert, parity
from tfstyle.export.config import ExportConfig
from tfstyle.export.litert import LiteRTPainter, encoder_path, write_litert
from tfstyle.export.parity import verify
from tfstyle.export.publishing import publish
from tfstyle.export.saved_model import SavedModelPainter, write_saved_model
from tfstyle.networks import AnyNet
from tfstyle.pictures import resize


@pytest.fixture(scope="module")
def network():
    keras.utils.set_random_seed(1)
    network = AnyNet(0.25, 1, num_styles=8, card={"styles": [{"name": "any", "about": ""}]})
    for norm in network.norms():  # so that paintings of noise make a difference
        norm.gamma.assign(norm.gamma + keras.random.normal(norm.gamma.shape, seed=2))
    return network


@pytest.fixture(scope="module")
def saved(network, tmp_path_factory):
    config = ExportConfig(encoding="png")
    return write_saved_model(network, tmp_path_factory.mktemp("models") / "any", config)


@pytest.fixture(scope="module")
def pair(network, tmp_path_factory):
    return write_litert(network, tmp_path_factory.mktemp("litert") / "any.tflite")


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """Compare small pictures, measure once and no memory."""
    monkeypatch.setattr(parity, "SHIPPED_SIDES", (48,))
    monkeypatch.setattr(parity, "RUN_SECONDS", 0)
    monkeypatch.setattr(parity, "peak_memory_mb", lambda *_: 1.0)


def picture(height, width, seed=0):
    """Coarse noise with a color of its own."""
    random = np.random.default_rng(seed)
    coarse = random.random((6, 7, 3), np.float32) * random.random(3, np.float32)
    return np.float32(np.round(255 * resize(coarse, (height, width)))) / 255


def png(rgb):
    file = io.BytesIO()
    Image.fromarray(np.uint8(np.round(255 * rgb))).save(file, "PNG")
    return file.getvalue()


def expected(network, photo, painting):
    """What the network makes of a photograph, with a painting's code as the package reads it."""
    code = network.encode(resize(painting, CODE_SIDE)[None])
    return np.asarray(network(photo[None], code))[0]


def test_it_is_called_as_magentas(network, saved):
    module = tf.saved_model.load(str(saved))
    photo, painting = picture(33, 46), picture(60, 80, seed=1)
    stylized = module(tf.constant(photo[None]), tf.constant(painting[None]))[0]
    assert stylized.shape == (1, 33, 46, 3)
    np.testing.assert_allclose(stylized[0], expected(network, photo, painting), atol=2e-3)
    other = module(tf.constant(photo[None]), tf.constant(picture(60, 80, seed=2)[None]))[0]
    assert np.abs(other - stylized).mean() > 0.01


def test_stylize_paints_with_it_as_with_any_model_of_two_pictures(network, saved):
    photo, painting = picture(33, 46), picture(300, 400, seed=1)
    result = tfstyle.stylize(photo, painting, model=saved, style_size=400)
    exact = expected(network, photo, painting)
    np.testing.assert_allclose(np.asarray(result) / 255, exact, atol=0.01)


@pytest.mark.slow
def test_signatures_take_one_painting_for_all_or_one_each(network, saved):
    signatures = tf.saved_model.load(str(saved)).signatures
    photos = np.stack([picture(32, 40, seed) for seed in (0, 1)])
    paintings = np.stack([picture(64, 80, seed) for seed in (2, 3)])
    for count in (1, 2):
        given = {"image": tf.constant(photos), "painting": tf.constant(paintings[:count])}
        painted = signatures["serving_default"](**given)["stylized"]
        given = {
            "image_bytes": tf.constant([png(photo) for photo in photos]),
            "painting_bytes": tf.constant([png(painting) for painting in paintings[:count]]),
        }
        files = signatures["stylize_bytes"](**given)["stylized_bytes"].numpy()
        for i, file in enumerate(files):
            exact = expected(network, photos[i], paintings[min(i, count - 1)])
            np.testing.assert_allclose(painted[i], exact, atol=2e-3)
            shown = np.asarray(Image.open(io.BytesIO(file)))
            np.testing.assert_allclose(shown, 255 * exact, atol=1)


@pytest.mark.parametrize(
    ("painting", "text"),
    [
        (b"no picture", "Unknown image file format"),
        (png(picture(8, 40)), "a side is under 16 pixels"),
        (png(np.zeros((1500, 3000, 3), np.float32)), "over 4000000 pixels"),
    ],
)
@pytest.mark.slow
def test_a_painting_is_judged_by_its_header_as_photographs_are(saved, painting, text):
    signature = tf.saved_model.load(str(saved)).signatures["stylize_bytes"]
    with pytest.raises(tf.errors.InvalidArgumentError, match=text):
        signature(
            image_bytes=tf.constant([png(picture(32, 40))]), painting_bytes=tf.constant([painting])
        )


@pytest.mark.slow
def test_the_saved_model_is_compared_with_the_network(network, saved):
    report = verify(saved, network)
    assert report.passed, report.to_text()
    assert [row.signature for row in report.rows] == ["serving_default", "stylize_bytes"]
    assert SavedModelPainter(saved).metadata["code"] == 8


def test_the_pair_paints_as_the_network(network, pair):
    assert {path.name for path in pair.parent.iterdir()} == {
        "any.tflite",
        "any.json",
        "any_encoder.tflite",
    }
    painter = LiteRTPainter(pair)
    for shape in ((40, 52), (300, 200)):
        painting = picture(*shape, seed=3)
        code = painter.encode(painting)
        assert code.shape == (1, 1, 1, 8)
        np.testing.assert_allclose(code[0, 0], network.encode(painting[None]), atol=1e-4)
        photo = picture(33, 46)
        exact = network(photo[None], network.encode(painting[None]))[0]
        np.testing.assert_allclose(painter(photo, painting), exact, atol=1e-4)
    assert verify(pair, network).passed


def test_both_files_open_as_javas_interpreter_opens_them(pair):
    for path in (pair, encoder_path(pair)):
        Interpreter(str(path)).allocate_tensors()  # before any size is said


def test_a_pair_that_lost_its_encoder_is_refused(pair, tmp_path):
    path = tmp_path / "any.tflite"
    path.write_bytes(pair.read_bytes())
    with pytest.raises(FileNotFoundError, match=r"'any_encoder\.tflite' reads. There is none"):
        LiteRTPainter(path)


def test_no_file_takes_the_name_of_anothers_encoder(network, pair):
    with pytest.raises(ValueError, match=r"ends in '_encoder' .*any_encoder\.tflite'\. Choose"):
        write_litert(network, encoder_path(pair))


def test_an_encoder_alone_is_no_painter(pair):
    with pytest.raises(ValueError, match="tflite' reads paintings and paints nothing"):
        LiteRTPainter(encoder_path(pair))


@pytest.mark.parametrize(
    ("name", "sides", "encoder"),
    [
        ("any.tflite", None, "any_encoder.tflite"),
        ("any_256.tflite", (256, 256), "any_encoder.tflite"),
        ("any_32x48.tflite", (32, 48), "any_encoder.tflite"),
        ("any_32.tflite", (32, 48), "any_32_encoder.tflite"),
        ("any_2.tflite", (256, 256), "any_2_encoder.tflite"),
        ("any_256.tflite", None, "any_256_encoder.tflite"),
    ],
)
def test_encoder_path_is_one_for_names_that_end_in_their_size(name, sides, encoder):
    assert encoder_path(Path("models") / name, sides) == Path("models") / encoder


@pytest.mark.slow
def test_a_pair_in_eight_bits_reads_codes_in_sixteen(network, tmp_path):
    path = write_litert(
        network, tmp_path / "any.tflite", ExportConfig(format="litert", precision="dynamic")
    )
    painting = picture(64, 80, seed=3)
    code = LiteRTPainter(path).encode(painting)
    np.testing.assert_allclose(code[0, 0], network.encode(painting[None]), atol=5e-3)
    assert verify(path, network).passed


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["float32", "float16", "dynamic", "int8"])
@pytest.mark.parametrize("style", ["any", "wave"])
def test_what_ships_is_exported_in_every_precision(style, precision, tmp_path, monkeypatch):
    monkeypatch.setattr(parity, "SHIPPED_SIDES", (256,))
    config = ExportConfig(format="litert", precision=precision)
    publish(style, tmp_path / "style.tflite", config)  # raises where it is not as good as it can be
    assert (tmp_path / "style.tflite").is_file()


def test_a_pair_that_is_not_good_enough_leaves_neither_file(network, pair, tmp_path, monkeypatch):
    def refuse(path):
        assert encoder_path(path).is_file()
        raise ValueError("not good enough")

    monkeypatch.setattr(litert, "_convert", lambda *_: pair.read_bytes())
    monkeypatch.setattr(litert, "_convert_encoder", lambda *_: encoder_path(pair).read_bytes())
    with pytest.raises(ValueError, match="not good enough"):
        write_litert(network, tmp_path / "any.tflite", check=refuse)
    assert not any(tmp_path.iterdir())


def test_onnx_holds_no_network_of_any_style(tmp_path):
    config = ExportConfig(format="onnx")
    with pytest.raises(ValueError, match=r"which no ONNX file of tfstyle does\. Export a painting"):
        publish("any", tmp_path / "any.onnx", config)


def test_operators_of_the_encoder_run_on_phones(pair):
    assert set(litert.operators(encoder_path(pair).read_bytes())) <= litert.OPERATORS
