"""SavedModels: signatures, files in and out, limits, styles, versions, who can load them."""

import importlib.util
import io
import json
import os
import re
import struct

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from tensorflow.core.protobuf.saved_model_pb2 import SavedModel

from tfstyle.export import saved_model as module
from tfstyle.export.config import ExportConfig
from tfstyle.export.frozen import freeze
from tfstyle.export.saved_model import SavedModelPainter, newest_version, write_saved_model
from tfstyle.export.signatures import encode
from tfstyle.export.warmup import FILE, replay_warmup
from tfstyle.pictures import read_image
from tfstyle.pictures.files import is_temporary


@pytest.fixture(scope="module")
def saved(tiny_painter, tmp_path_factory):
    """The SavedModel of one style."""
    return write_saved_model(tiny_painter(), tmp_path_factory.mktemp("models") / "ripple")


@pytest.fixture(scope="module")
def loaded(saved):
    return tf.saved_model.load(str(saved))


@pytest.fixture(scope="module")
def bounded(tiny_painter, tmp_path_factory):
    """A painter that takes at most 2000 pixels, keeps two styles and returns PNG."""
    config = ExportConfig(all_styles=True, max_pixels=2000, encoding="png")
    network = tiny_painter(names=("calm", "storm"))
    return SavedModelPainter(
        write_saved_model(network, tmp_path_factory.mktemp("models") / "weather", config)
    )


def images(batch=1, height=33, width=46):
    return np.random.default_rng(0).random((batch, height, width, 3), np.float32)


def file_of(image, kind="PNG", **options):
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def reads(kind):
    """Tell whether this TensorFlow reads files of a kind: 2.18 reads no WebP."""
    try:
        tf.io.decode_image(file_of(Image.new("RGB", (8, 8)), kind))
    except tf.errors.InvalidArgumentError:
        return False
    return True


KINDS = [kind for kind in ("PNG", "WEBP") if reads(kind)]


def noise(size=(40, 32), mode="RGB"):
    pixels = np.random.default_rng(1).integers(0, 256, (*size[::-1], 4), np.uint8)
    return Image.fromarray(pixels, "RGBA").convert(mode)


def nodes(path):
    """Return all nodes of a SavedModel's graphs."""
    graph = SavedModel.FromString((path / "saved_model.pb").read_bytes()).meta_graphs[0].graph_def
    return [*graph.node, *(node for f in graph.library.function for node in f.node_def)]


# Pictures as numbers


def test_signatures_name_their_tensors(loaded):
    image, files = (loaded.signatures[name] for name in ("serving_default", "stylize_bytes"))
    assert image.structured_input_signature[1] == {
        "image": tf.TensorSpec((None, None, None, 3), tf.float32, "image")
    }
    assert files.structured_input_signature[1] == {
        "image_bytes": tf.TensorSpec((None,), tf.string, "image_bytes")
    }
    assert image.structured_outputs["stylized"].dtype == tf.float32
    assert files.structured_outputs["stylized_bytes"].dtype == tf.string
    assert set(loaded.signatures) == {"serving_default", "stylize_bytes"}


@pytest.mark.parametrize("architecture", ["lean", pytest.param("full", marks=pytest.mark.slow)])
def test_saved_model_paints_as_the_network(architecture, saved, tiny_painter, tmp_path):
    network = tiny_painter(architecture)
    path = saved if architecture == "lean" else write_saved_model(network, tmp_path)
    painter = SavedModelPainter(path)
    for shape in ((1, 64, 64), (2, 33, 46), (3, 17, 90)):
        given = images(*shape)
        stylized = painter.loaded.signatures["serving_default"](image=tf.constant(given))
        np.testing.assert_allclose(stylized["stylized"], network(given), atol=1e-5)
    np.testing.assert_allclose(painter(given[0]), network(given[:1])[0], atol=1e-5)


@pytest.mark.slow
def test_saved_model_of_a_mixed_network_is_float32_throughout(tiny_painter, tmp_path):
    network = tiny_painter()
    mixed = type(network).from_config(network.get_config() | {"dtype": "mixed_bfloat16"})
    mixed.set_weights(network.get_weights())
    assert freeze(mixed, ExportConfig()).compute_dtype == "float32"
    path = write_saved_model(mixed, tmp_path)
    types = {attr.type for node in nodes(path) for attr in node.attr.values() if attr.type}
    assert not types & {tf.bfloat16.as_datatype_enum, tf.float16.as_datatype_enum}
    np.testing.assert_allclose(
        SavedModelPainter(path)(images()[0]), network(images())[0], atol=1e-5
    )


# Who loads them


def test_saved_model_runs_in_a_session_as_in_tensorflow_serving(saved, tiny_painter):
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        meta = tf.compat.v1.saved_model.load(session, ["serve"], str(saved))
        for name, given in (("serving_default", images()), ("stylize_bytes", [file_of(noise())])):
            signature = meta.signature_def[name]
            assert signature.method_name == "tensorflow/serving/predict"
            (source,), (target,) = signature.inputs.values(), signature.outputs.values()
            result = session.run(target.name, {source.name: given})
            if name == "serving_default":
                stylized = result
            else:
                assert Image.open(io.BytesIO(result[0])).size == (40, 32)
    np.testing.assert_allclose(stylized, tiny_painter()(images()), atol=1e-5)


@pytest.mark.slow
def test_saved_model_is_callable_and_trainable(loaded, tiny_painter):
    network = tiny_painter()
    assert len(loaded.trainable_variables) == len(loaded.variables) == len(network.weights)
    assert loaded.regularization_losses == []
    given = tf.constant(images())
    for training in (False, True):
        np.testing.assert_allclose(loaded(given, training=training), network(given), atol=1e-5)
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(loaded(given, training=True))
    gradients = tape.gradient(loss, loaded.trainable_variables)
    assert all(gradient is not None for gradient in gradients)


def test_saved_model_is_a_layer_in_keras(saved, tiny_painter):
    inputs = keras.Input((None, None, 3))
    layer = keras.layers.TFSMLayer(str(saved), call_endpoint="serving_default")
    model = keras.Model(inputs, layer(inputs))
    np.testing.assert_allclose(model(images())["stylized"], tiny_painter()(images()), atol=1e-5)


def test_saved_model_loads_from_hub(saved, tiny_painter):
    hub = pytest.importorskip("tensorflow_hub", exc_type=ImportError)
    module = hub.load(str(saved))
    np.testing.assert_allclose(module(images()), tiny_painter()(images()), atol=1e-5)


def test_saved_model_holds_each_weight_once(saved, tiny_painter):
    stored = tf.train.list_variables(str(saved / "variables" / "variables"))
    stored = [tuple(shape) for name, shape in stored if shape]
    assert sorted(stored) == sorted(tuple(w.shape) for w in tiny_painter().weights)


def test_saved_model_needs_no_xla(saved):
    assert not any("_XlaMustCompile" in node.attr for node in nodes(saved))


# Pictures as files


def test_stylize_bytes_takes_files_of_all_kinds_and_sizes_in_a_batch(loaded, tiny_painter):
    pictures = [noise((40, 32)), noise((19, 50)), noise((24, 24), "L"), noise((30, 22), "RGBA")]
    files = [
        file_of(pictures[0], "JPEG"),
        file_of(pictures[1], "PNG"),
        file_of(pictures[2], "PNG"),
        file_of(pictures[3], KINDS[-1], lossless=True),
    ]
    stylized = loaded.signatures["stylize_bytes"](image_bytes=tf.constant(files))
    for file, result in zip(files, stylized["stylized_bytes"].numpy(), strict=True):
        expected = tiny_painter()(read_image(file).rgb[None])[0]
        expected = encode(tf.cast(tf.round(255 * expected), tf.uint8), "jpeg").numpy()
        assert Image.open(io.BytesIO(result)).format == "JPEG"
        difference = read_image(result).rgb - read_image(expected).rgb
        assert np.abs(difference).mean() < 0.5 / 255


def test_stylize_bytes_takes_an_empty_batch(loaded):
    nothing = tf.zeros([0], tf.string)
    assert loaded.signatures["stylize_bytes"](image_bytes=nothing)["stylized_bytes"].shape == (0,)


def test_stylize_bytes_puts_transparent_parts_on_white(bounded):
    clear = Image.new("RGBA", (24, 20), (0, 0, 0, 0))
    white = Image.new("RGB", (24, 20), "white")
    for kind in KINDS:
        painted = bounded.paint_bytes(file_of(clear, kind, lossless=True))
        assert painted == bounded.paint_bytes(file_of(white))


def test_stylize_bytes_returns_exact_pixels_as_png(bounded, tiny_painter):
    file = file_of(noise())
    result = Image.open(io.BytesIO(bounded.paint_bytes(file)))
    assert (result.format, result.size) == ("PNG", (40, 32))
    expected = tiny_painter(names=("calm", "storm"))(read_image(file).rgb[None])[0]
    assert np.abs(np.asarray(result) - 255 * np.asarray(expected)).max() < 0.51


def test_stylize_bytes_leaves_a_picture_as_it_lies(bounded):
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by a quarter
    result = bounded.paint_bytes(file_of(noise((40, 32)), "JPEG", exif=exif))
    assert Image.open(io.BytesIO(result)).size == (40, 32)


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (file_of(noise((50, 41))), "a picture has over 2000 pixels"),
        (file_of(noise((50, 41)), "WEBP"), "a picture has over 2000 pixels"),
        (file_of(noise((50, 15))), "a side is under 16 pixels"),
        (b"no picture", "Unknown image file format"),
        (b"", "Unknown image file format"),
        (file_of(noise(), "GIF"), "Unknown image file format"),
        (file_of(noise())[:20], "."),
        (file_of(noise(), "WEBP")[:27], "."),
    ],
)
def test_stylize_bytes_refuses_what_it_cannot_paint(data, text, bounded):
    with pytest.raises(tf.errors.InvalidArgumentError, match=text):
        bounded.paint_bytes(data)


def test_stylize_bytes_refuses_a_large_picture_before_it_decodes_it(bounded):
    png, jpeg = (bytearray(file_of(noise(), kind)) for kind in ("PNG", "JPEG"))
    png[16:24] = struct.pack(">II", 60000, 60000)
    start = jpeg.index(b"\xff\xc0")
    jpeg[start + 5 : start + 9] = struct.pack(">HH", 60000, 60000)
    lossy, lossless = (bytearray(file_of(noise(), "WEBP", lossless=n)) for n in (False, True))
    lossy[26:30] = struct.pack("<HH", 16000, 16000)
    lossless[21:25] = struct.pack("<I", 15999 | 15999 << 14)
    extended = bytearray(file_of(noise(mode="RGBA"), "WEBP"))
    assert extended[12:16] == b"VP8X"
    extended[24:30] = 2 * (15999).to_bytes(3, "little")
    for data in (png, jpeg, lossy, lossless, extended):
        with pytest.raises(tf.errors.InvalidArgumentError, match="over 2000 pixels"):
            bounded.paint_bytes(bytes(data))


@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
def test_stylize_bytes_refuses_an_animation_before_it_decodes_it(bounded, mode):
    frames = [noise((40, 32), mode), noise((40, 32), mode).rotate(180)]
    data = file_of(frames[0], "WEBP", save_all=True, append_images=frames[1:], lossless=True)
    for _ in range(20):  # once decoded, its end would not be sure to come at the first
        with pytest.raises(tf.errors.InvalidArgumentError, match="must not be animated"):
            bounded.paint_bytes(data)


def test_stylize_bytes_refuses_a_jpeg_of_thousands_of_scans(bounded):
    data = file_of(noise(), "JPEG", progressive=True)
    scan = data[data.rindex(b"\xff\xda") : -2]
    assert bounded.paint_bytes(data[:-2] + 20 * scan + data[-2:])
    with pytest.raises(tf.errors.InvalidArgumentError, match="over 1000 scans"):
        bounded.paint_bytes(data[:-2] + 2000 * scan + data[-2:])


def test_serving_default_refuses_sizes_before_it_paints(bounded):
    with pytest.raises(tf.errors.InvalidArgumentError, match="over 2000 pixels"):
        bounded(images(1, 50, 41)[0])
    with pytest.raises(tf.errors.InvalidArgumentError, match="under 16 pixels"):
        bounded(images(1, 15, 41)[0])


def test_size_checks_come_before_all_convolutions(saved):
    graph = SavedModel.FromString((saved / "saved_model.pb").read_bytes()).meta_graphs[0].graph_def
    named = {re.sub(r"_\d+$", "", f.signature.name): f for f in graph.library.function}
    serve = named["__inference_serve"]
    call = next(node for node in serve.node_def if node.op.endswith("PartitionedCall"))
    inputs = {name.split(":")[0] for name in call.input}
    identity = next(n for n in serve.node_def if n.name in inputs and n.op == "Identity")
    assert sum(name.startswith("^") for name in identity.input) == 2


# Styles


@pytest.mark.slow
def test_one_style_of_several_is_frozen_in(tiny_painter, tmp_path):
    network = tiny_painter(names=("calm", "storm"))
    painter = SavedModelPainter(write_saved_model(network, tmp_path, ExportConfig(style="storm")))
    assert painter.metadata["styles"] == [{"name": "storm", "index": 1, "about": "about storm"}]
    assert painter.metadata["style_weights"] is None
    expected = network(images(), np.float32([0, 1]))[0]
    np.testing.assert_allclose(painter(images()[0]), expected, atol=1e-5)


def test_all_styles_take_weights_that_are_made_to_sum_to_one(bounded, tiny_painter):
    network, given = tiny_painter(names=("calm", "storm")), images()
    blend = network(given, np.float32([0.25, 0.75]))
    np.testing.assert_allclose(bounded(given[0], [1, 3]), blend[0], atol=1e-5)
    np.testing.assert_allclose(bounded(given[0]), network(given)[0], atol=1e-5)
    np.testing.assert_allclose(bounded.loaded(given), network(given), atol=1e-5)
    np.testing.assert_allclose(bounded.loaded(given, np.float32([[0.25, 0.75]])), blend, atol=1e-5)
    data = file_of(noise())
    assert bounded.paint_bytes(data, [0, 1]) != bounded.paint_bytes(data, [1, 0])
    with pytest.raises(tf.errors.InvalidArgumentError, match="must have a positive sum"):
        bounded(given[0], [0, 0])


def test_each_picture_of_a_batch_has_its_own_style_weights(bounded, tiny_painter):
    network, given = tiny_painter(names=("calm", "storm")), images(2, 20, 24)
    weights = np.eye(2, dtype=np.float32)
    expected = network(given, weights)
    painted = bounded.loaded.signatures["serving_default"](
        image=tf.constant(given), style_weights=tf.constant(weights)
    )["stylized"]
    np.testing.assert_allclose(painted, expected, atol=1e-5)


def test_freeze_lists_the_styles_where_one_is_unknown(tiny_painter):
    text = r"`style` must be one of the network's \['calm', 'storm'\]\. Received: 'wave'\."
    with pytest.raises(ValueError, match=text):
        freeze(tiny_painter(names=("calm", "storm")), ExportConfig(style="wave"))


# Folders


@pytest.fixture
def hollow(monkeypatch):
    """Save quickly what paints nothing, where the folders alone count."""

    def make_servable(frozen, config):
        image = tf.TensorSpec([None, None, None, 3], tf.float32)
        given = tf.function(lambda image: {"stylized": image})
        return tf.train.Checkpoint(), {"serving_default": given.get_concrete_function(image=image)}

    monkeypatch.setattr(module, "make_servable", make_servable)


def test_saved_model_holds_card_licence_and_thumbnail(saved):
    assets = saved / "assets"
    card = json.loads((assets / "card.json").read_text())
    assert card["styles"] == [{"name": "ripple", "index": 0, "about": "about ripple"}]
    assert card["image"] == {
        "dtype": "float32",
        "layout": "NHWC",
        "channels": "RGB",
        "range": [0, 1],
    }
    assert (card["multiple"], card["max_pixels"], card["encoding"]) == (4, 4_000_000, "jpeg")
    assert (assets / "licence.txt").read_text() == "ripple: about ripple\n"
    assert Image.open(assets / "thumbnail.jpg").size == (24, 16)


@pytest.mark.usefixtures("hollow")
def test_each_export_is_the_next_version(tiny_painter, tmp_path):
    folder = tmp_path / "models" / "ripple"
    assert write_saved_model(tiny_painter(), folder) == folder / "1"
    (folder / "0007").mkdir()
    (folder / "notes").mkdir()
    assert write_saved_model(tiny_painter(), folder) == folder / "8"
    assert newest_version(folder) == folder / "8"
    assert sorted(path.name for path in folder.iterdir()) == ["0007", "1", "8", "notes"]


@pytest.mark.usefixtures("hollow")
def test_a_version_that_another_export_took_is_passed_over(tiny_painter, tmp_path, monkeypatch):
    rename = os.rename

    def slower(source, target):
        if target.name == "1":
            target.mkdir()
            (target / "saved_model.pb").touch()
        rename(source, target)

    monkeypatch.setattr(module.os, "rename", slower)
    assert write_saved_model(tiny_painter(), tmp_path) == tmp_path / "2"


@pytest.mark.usefixtures("hollow")
def test_a_version_has_no_number_before_it_is_whole_and_checked(tiny_painter, tmp_path):
    def refuse(path):
        seen.append(path)
        assert is_temporary(path.name)
        assert SavedModelPainter(path)(images()[0]).shape == (33, 46, 3)
        raise RuntimeError("not good enough")

    seen = []
    with pytest.raises(RuntimeError, match="not good enough"):
        write_saved_model(tiny_painter(), tmp_path, check=refuse)
    assert seen
    assert list(tmp_path.iterdir()) == []


def test_saved_model_painter_refuses_what_is_not_ours(saved_styles, tmp_path):
    with pytest.raises(ValueError, match="but not one of tfstyle"):
        SavedModelPainter(saved_styles)
    with pytest.raises(FileNotFoundError, match="There is no SavedModel in"):
        SavedModelPainter(tmp_path)


# Warm-up


def test_warmup_requests_run(saved, loaded, bounded):
    pytest.importorskip("tensorflow_serving")
    assert replay_warmup(saved, loaded) == 2
    assert replay_warmup(bounded.path, bounded.loaded) == 2  # with style weights, small


@pytest.mark.usefixtures("hollow")
def test_without_the_package_there_are_no_warmup_requests(tiny_painter, tmp_path, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    path = write_saved_model(tiny_painter(), tmp_path)
    assert not (path / FILE).exists()
    assert replay_warmup(path, None) == 0
