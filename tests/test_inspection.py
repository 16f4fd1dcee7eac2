import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from tfstyle.cli import main as cli
from tfstyle.networks.features import IMAGENET_MEAN_BGR
from tfstyle.painting import inspection


def noise(height=32, width=40, seed=0):
    return np.random.default_rng(seed).random((height, width, 3), np.float32)


def step(height=8, width=200, contrast=1.0):
    """Black to the left of the middle, bright to the right."""
    rgb = np.zeros((height, width, 3), np.float32)
    rgb[:, width // 2 :] = contrast
    return rgb


class Classifier:
    """Keeps what it was shown; sees class 281 in 60 % and class 7 in 30 %."""

    input_shape = (None, 24, 20, 3)

    def __call__(self, pixels):
        self.pixels = pixels
        probabilities = np.full((1, 1000), 0.1 / 998, np.float32)
        probabilities[0, [281, 7]] = 0.6, 0.3
        return probabilities


@pytest.fixture
def classifier(monkeypatch, tmp_path):
    """Let VGG-19 with its classifier be ours, its weights a file, and the names out of reach."""
    classifier = Classifier()
    classifier.weights = tmp_path / "full.weights.h5"
    classifier.weights.touch()

    def build(include_top, weights):
        assert include_top
        assert weights.startswith(str(tmp_path))
        return classifier

    def decode(probabilities, top):
        raise Exception("URL fetch failure")

    monkeypatch.setattr(keras.applications, "VGG19", build)
    monkeypatch.setattr(keras.applications.imagenet_utils, "decode_predictions", decode)
    return classifier


def test_layer_table_describes_vgg19():
    network = keras.applications.VGG19(include_top=False, weights=None)
    rows = inspection.layer_table(network)
    convolutions = [row for row in rows if row.kind == "Conv2D"]
    pools = [row for row in rows if row.kind == "MaxPooling2D"]
    assert [row.name for row in rows[:4]] == [
        "block1_conv1",
        "block1_conv2",
        "block1_pool",
        "block2_conv1",
    ]
    assert len(rows) == 21
    assert [row.filters for row in convolutions] == [64] * 2 + [128] * 2 + [256] * 4 + [512] * 8
    assert {row[3:] for row in convolutions} == {((3, 3), (1, 1), None, "same", "relu")}
    assert {row[2:] for row in pools} == {(None, None, (2, 2), (2, 2), "valid", None)}


def test_layer_statistics_equal_a_direct_computation(tiny_network):
    rgb, layers = noise(), ("block3_conv1", "block1_conv1", "block2_pool")
    rows = inspection.layer_statistics(tiny_network, rgb, layers)
    assert [row.name for row in rows] == list(layers)
    for row in rows:
        until = keras.Model(tiny_network.input, tiny_network.get_layer(row.name).output)
        x = until(rgb[np.newaxis, ..., ::-1] * 255 - np.float32(IMAGENET_MEAN_BGR)).numpy()[0]
        gram = np.einsum("hwc,hwd->cd", x, x) / (x.shape[0] * x.shape[1])
        assert row.shape == x.shape
        np.testing.assert_allclose(row.features, (x.min(), x.max(), x.mean()), rtol=1e-4)
        np.testing.assert_allclose(row.gram, (gram.min(), gram.max(), gram.mean()), rtol=1e-4)


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        ((), r"`layers` must name at least one layer\. Received: layers=\(\)\."),
        (("block9_conv1",), "no layer block9_conv1"),
        (("block5_pool",), "need 32 px a side. Received: 40 × 31 px"),
    ],
)
def test_layer_statistics_rejects_layers(tiny_network, layers, message):
    with pytest.raises(ValueError, match=message):
        inspection.layer_statistics(tiny_network, noise(height=31), layers)


def test_top_classes_without_names_gives_numbers(classifier):
    classes = inspection.top_classes(noise(), classifier.weights, count=2)
    assert [name for name, _ in classes] == ["class 281", "class 7"]
    assert [probability for _, probability in classes] == pytest.approx([0.6, 0.3])


def test_top_classes_gives_names(classifier, monkeypatch):
    monkeypatch.setattr(
        keras.applications.imagenet_utils,
        "decode_predictions",
        lambda probabilities, top: [[("n02123045", "tiger_cat", probabilities.max())]],
    )
    classes = inspection.top_classes(noise(), classifier.weights)
    assert classes == [("tiger cat", pytest.approx(0.6))]


def test_top_classes_preprocesses_as_keras_does(classifier):
    red = np.zeros((40, 60, 3), np.float32)
    red[..., 0] = 1
    inspection.top_classes(red, classifier.weights)
    assert classifier.pixels.shape == (1, 24, 20, 3)
    np.testing.assert_allclose(
        classifier.pixels[0, 5, 5], np.subtract((0, 0, 255), IMAGENET_MEAN_BGR), rtol=1e-5
    )
    assert red.max() == 1


def test_top_classes_says_what_is_wrong(monkeypatch, tmp_path):
    def build(include_top, weights):
        raise ValueError("Layer count mismatch")

    monkeypatch.setattr(keras.applications, "VGG16", build)
    path = tmp_path / "notop.h5"
    with pytest.raises(FileNotFoundError, match=r"no file '.*notop.h5' with weights of vgg16"):
        inspection.top_classes(noise(), path, name="vgg16")
    path.touch()
    with pytest.raises(ValueError, match=r"does not hold vgg16 with its classifier .*mismatch"):
        inspection.top_classes(noise(), path, name="vgg16")
    with pytest.raises(ValueError, match=r"must be one of .* Received: 'resnet'"):
        inspection.top_classes(noise(), path, name="resnet")


def test_high_pass_finds_a_step():
    expected = np.zeros((8, 10, 3))
    expected[:, 4] = 1
    np.testing.assert_array_equal(inspection.high_pass(step(8, 10), axis=1), expected)
    np.testing.assert_array_equal(inspection.high_pass(1 - step(8, 10), axis=1), -expected)
    assert not inspection.high_pass(step(8, 10), axis=0).any()
    turned = step(8, 10).transpose(1, 0, 2)
    np.testing.assert_array_equal(inspection.high_pass(turned, axis=0), expected.transpose(1, 0, 2))


def test_sobel_magnitude_of_a_step_is_4_on_both_sides():
    expected = np.zeros((8, 10))
    expected[:, 4:6] = 4
    np.testing.assert_allclose(inspection.sobel_magnitude(step(8, 10)), expected)
    np.testing.assert_allclose(
        inspection.sobel_magnitude(step(8, 10) * np.float32((1, 0, 0))),
        expected / np.sqrt(3),
        rtol=1e-6,
    )


def test_sobel_magnitude_agrees_with_tensorflow():
    rgb = noise()
    gradients = tf.image.sobel_edges(tf.constant(rgb[np.newaxis])).numpy()[0]
    np.testing.assert_allclose(
        inspection.sobel_magnitude(rgb),
        np.sqrt((gradients**2).sum(-1).mean(-1)),
        atol=1e-5,
    )


def tile(figure, row, column):
    """Cut a tile out of a figure of pictures 200 px wide and 8 high."""
    x, y = 12 + column * 212, 12 + row * 38 + 18
    return np.asarray(figure)[y : y + 8, x : x + 200].astype(int)


def test_edge_figure_lays_out_rows_on_white():
    rgb = noise(8, 200)
    figure = inspection.edge_figure([("content", rgb), ("result", 1 - rgb)])
    assert figure.mode == "RGB"
    assert figure.size == (12 + 4 * 212, 12 + 2 * 38)
    np.testing.assert_allclose(tile(figure, 0, 0), 255 * rgb, atol=0.51)
    np.testing.assert_allclose(tile(figure, 1, 0), 255 * (1 - rgb), atol=0.51)
    pixels = np.asarray(figure).copy()
    for row in range(2):
        for column in range(4):
            x, y = 12 + column * 212, 12 + row * 38
            assert pixels[y : y + 18, x : x + 200].min() < 128  # the caption
            pixels[y : y + 26, x : x + 200] = 255
    assert pixels.min() == 255


def test_edge_figure_shows_all_rows_in_one_contrast():
    figure = inspection.edge_figure([("a", step(contrast=1.0)), ("b", step(contrast=0.1))])
    for column in (1, 3):
        strong, weak = (np.ptp(tile(figure, row, column)) for row in (0, 1))
        assert strong > 2 * weak > 0


def test_edge_figure_of_a_constant_picture_is_grey_and_black():
    figure = inspection.edge_figure([("content", np.full((8, 200, 3), 0.3, np.float32))])
    for column in (1, 2):
        assert set(np.unique(tile(figure, 0, column))) <= {127, 128}
    assert not tile(figure, 0, 3).any()


@pytest.fixture
def photo(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    Image.effect_noise((80, 60), 80).convert("RGB").save("photo.jpg")
    transparent = Image.new("RGBA", (60, 90), (200, 30, 30, 255))
    transparent.paste((0, 0, 0, 0), (0, 0, 30, 90))
    transparent.save("result.png")
    return tmp_path / "photo.jpg"


@pytest.mark.usefixtures("fake_vgg")
def test_command_prints_tables_and_draws_edges(photo, capsys):
    assert cli.main(["inspect", "photo.jpg", "--size", "48"]) == 0
    out, err = capsys.readouterr()
    lines = out.splitlines()
    assert not err
    assert lines[0] == "content: photo.jpg, 80 × 60 px, opaque, looked at in 48 × 36 px"
    table = lines.index("layers of vgg19")
    assert lines[table + 1].split()[:4] == ["name", "kind", "filters", "kernel"]
    assert lines[table + 2].split() == [
        "block1_conv1",
        "Conv2D",
        "4",
        "3×3",
        "1×1",
        "-",
        "same",
        "relu",
    ]
    assert lines[table + 4].split() == [
        "block1_pool",
        "MaxPooling2D",
        "-",
        "-",
        "2×2",
        "2×2",
        "valid",
        "-",
    ]
    measured = lines.index("features and Gram matrices of the content")
    rows = [line.split() for line in lines[measured + 2 : measured + 8]]
    assert [row[0] for row in rows] == [f"block{i}_conv1" for i in range(1, 6)] + ["block5_conv2"]
    assert rows[0][1] == "36×48×4"
    assert all(len(row) == 8 for row in rows)
    assert lines[-3].endswith('python -c "import keras; keras.applications.VGG19()"')
    assert lines[-1] == "edges: photo_edges.png"
    assert max(map(len, lines)) <= 100
    assert {path.name for path in photo.parent.iterdir()} == {
        "photo.jpg",
        "photo_edges.png",
        "result.png",
    }


@pytest.mark.usefixtures("fake_vgg")
def test_command_compares_with_a_result(photo, capsys):
    arguments = ["photo.jpg", "result.png", "-o", "out.webp", "--layers", "block2_pool"]
    assert cli.main(["inspect", *arguments, "--size", "64"]) == 0
    out = capsys.readouterr().out
    assert "result: result.png, 60 × 90 px, 50 % transparent, seen on white, looked at in" in out
    assert "of the result\n" in out
    assert "block2_pool  16×10×6" in out
    assert Image.open("out.webp").height > 48 + 64


@pytest.mark.usefixtures("fake_vgg")
@pytest.mark.parametrize("source", ["flag", "cache"])
def test_command_names_classes(photo, classifier, capsys, source):
    flags = ["--weights", str(classifier.weights)]
    if source == "cache":
        flags = []
        cache = photo.parent / "keras" / "models"
        cache.mkdir(parents=True)
        (cache / "vgg19_weights_tf_dim_ordering_tf_kernels.h5").touch()
    assert cli.main(["inspect", "photo.jpg", "--size", "48", *flags]) == 0
    lines = capsys.readouterr().out.splitlines()
    rows = lines[lines.index("classes of the content") + 1 :]
    assert [line.split() for line in rows[:3]] == [
        ["class", "probability"],
        ["class", "281", "60.0", "%"],
        ["class", "7", "30.0", "%"],
    ]


@pytest.mark.usefixtures("fake_vgg", "photo")
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["missing.jpg"], "A picture must exist"),
        (["photo.jpg", "missing.png"], "A picture must exist"),
        (["photo.jpg", "-o", "edges.txt"], "The output path must end in one of"),
        (["photo.jpg", "--size", "15"], "`size` must be at least 16 px. Received: size=15."),
        (["photo.jpg", "--weights", "no.h5"], "There is no file 'no.h5' with weights of vgg19."),
        (["photo.jpg", "--layers", "conv1"], "The loss network has no layer conv1."),
    ],
)
def test_command_error_is_one_line_and_exit_code_2(capsys, arguments, message):
    assert cli.main(["inspect", *arguments]) == 2
    out, err = capsys.readouterr()
    assert not out
    assert err.count("\n") == 1
    assert err.startswith(f"tfstyle inspect: {message}")


def test_command_fails_before_tensorflow_is_loaded():
    code = (
        "import sys; from tfstyle.cli import main; code = main.main(['inspect', 'missing.jpg']);"
        "print(code, {'keras', 'tensorflow'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "2 set()\n"
