"""A network that a user registers is trained, saved, painted with in pieces, and exported."""

import keras
import numpy as np
import pytest
from PIL import Image

import tfstyle
from tfstyle.config import PaintConfig, TrainConfig
from tfstyle.config.training import ARCHITECTURES
from tfstyle.export.config import ExportConfig
from tfstyle.export.litert import LiteRTPainter, write_litert
from tfstyle.export.saved_model import SavedModelPainter, write_saved_model
from tfstyle.networks import GENERATORS, Generator, LeanNet, register
from tfstyle.painting.sizes import paint


@pytest.fixture(scope="module", autouse=True)
def own():
    """A registered network of two convolutions and a block, at half size."""

    @register("own")
    class OwnNet(Generator):
        multiple, fold, default_blocks, leak = 2, 2, 1, 0.02

        def make_stages(self, convolution, residual):
            return [
                convolution(8, 5),
                *(residual(8) for _ in range(self.blocks)),
                convolution(3, 5, upsample=True, num_styles=0, activation=False),
            ]

    yield OwnNet
    del GENERATORS["own"]
    ARCHITECTURES.remove("own")


def picture(height, width):
    coarse = np.random.default_rng(0).random((1, height // 8, width // 8, 3), np.float32)
    return np.array(keras.ops.image.resize(coarse, (height, width)))[0]


def test_it_tells_how_far_it_reaches(own):
    network = own()
    # Folded 2; 5×5 and twice 3×3 at half size; 5×5 after a doubling reaches one pixel before it.
    assert network.reach == 2 + 2 * 2 + 2 * 2 + 2
    assert len(network.convolutions()) == 4
    image = picture(64, 64)[None]
    moments = {}

    def with_moments_of_all(norm, x):
        moments.setdefault(id(norm), norm.moments(x))
        return norm(x, moments=moments[id(norm)])

    before = np.asarray(network(image, normalize=with_moments_of_all))
    image[:, 32, 32] = 1 - image[:, 32, 32]
    changed = np.abs(np.asarray(network(image, normalize=with_moments_of_all)) - before).max((0, 3))
    rows = np.flatnonzero(changed.max(1) > 1e-6)
    assert 32 - network.reach <= rows.min() <= rows.max() <= 32 + network.reach


@pytest.mark.usefixtures("fake_vgg")
def test_it_is_trained_saved_and_painted_with(own, tmp_path):
    for name in ("style.png", "photos/one.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        Image.effect_noise((60, 52), 80).convert("RGB").save(tmp_path / name)
    settings = {"sizes": (32,), "content_size": (32, 40), "style_size": 32, "batch_size": 2}
    network = tfstyle.train(
        tmp_path / "style.png",
        tmp_path / "photos",
        tmp_path / "mine.keras",
        "lean",
        architecture="own",
        steps=2,
        precision="float32",
        content_layers=("block2_conv1",),
        style_layers=("block1_conv1",),
        **settings,
    )
    assert isinstance(network, own)
    result = tfstyle.stylize(picture(40, 48), tmp_path / "mine.keras")
    expected = np.asarray(network(picture(40, 48)[None]))[0]
    np.testing.assert_allclose(np.asarray(result) / 255, expected, atol=1 / 255)


@pytest.mark.slow
def test_pieces_cannot_be_told_from_the_whole(own):
    keras.utils.set_random_seed(0)
    network, image = own(), picture(96, 160)
    whole, exact = (
        paint(network, image, PaintConfig(statistics=kind)) for kind in ("whole", "exact")
    )
    np.testing.assert_allclose(exact, whole, atol=2e-3)


@pytest.mark.slow
def test_it_is_exported(own, tmp_path):
    keras.utils.set_random_seed(0)
    network, image = own(num_styles=2), picture(32, 40)
    alone = network.of_style(1)
    network.card = {"styles": [{"name": "one"}, {"name": "two"}]}
    saved = write_saved_model(network, tmp_path / "models", ExportConfig(style="two"))
    lite = write_litert(
        network, tmp_path / "two.tflite", ExportConfig(format="litert", style="two")
    )
    expected = np.asarray(alone(image[None]))[0]
    np.testing.assert_allclose(SavedModelPainter(saved)(image), expected, atol=1e-4)
    np.testing.assert_allclose(LiteRTPainter(lite)(image), expected, atol=1e-4)


def test_a_name_is_given_once():
    with pytest.raises(ValueError, match="There is a network 'lean' already: LeanNet"):
        register("lean")(LeanNet)
    with pytest.raises(ValueError, match=r"`architecture` must be one of .*'own'\).*'huge'"):
        TrainConfig(architecture="huge")
