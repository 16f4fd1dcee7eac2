import numpy as np
import pytest

from tfstyle.config import recipe_with
from tfstyle.losses import terms_of
from tfstyle.model import StyleContentModel
from tfstyle.networks import Canvas, FeatureExtractor
from tfstyle.optimize import pieces
from tfstyle.optimize.pieces import PiecewiseModel, spans

RECIPE = recipe_with(
    content_layers=("block2_conv1", "block3_conv2"),
    style_layers=("block1_conv1", "block2_conv1", "block4_conv1"),
    style_norm="pixels",
    tv_norm="smooth",
    tv_weight=0.1,
)


def picture(height, width, seed=0):
    return np.random.default_rng(seed).random((1, height, width, 3), np.float32)


@pytest.fixture(params=[pytest.param({}, marks=pytest.mark.slow), {"moments_weight": 2.0}])
def both(request, tiny_network):
    """A model that looks at the whole, and one that looks at pieces of it."""
    terms = terms_of(recipe_with(RECIPE, **request.param))
    extractor = FeatureExtractor(tiny_network, [layer for term in terms for layer in term.layers])
    canvas = Canvas(203, 170)
    whole = StyleContentModel(canvas, extractor, terms)
    model = PiecewiseModel(canvas, extractor, terms, megapixels=0.02)
    for each in (whole, model):
        each.set_content(picture(203, 170, seed=1))
        each.set_style([picture(180, 150, seed=2)])
    canvas.paint(picture(203, 170, seed=3))
    return whole, model


@pytest.mark.slow
def test_pieces_have_the_losses_and_gradient_of_the_whole(both):
    assert len(list(both[1]._pieces(picture(203, 170)))) > 4
    (theirs, expected), (losses, gradient) = (each.loss_and_gradient()(None) for each in both)
    assert losses.keys() == theirs.keys()
    for name, loss in losses.items():
        np.testing.assert_allclose(loss, theirs[name], rtol=1e-4)
    scale = np.abs(expected).max()
    np.testing.assert_allclose(gradient, expected, atol=1e-4 * scale)


def test_pieces_remember_the_painting_as_the_whole_does(both):
    whole, model = both
    for name, layers in whole.style_targets.items():
        for layer, target in layers.items():
            np.testing.assert_allclose(
                model.style_targets[name][layer], target, rtol=1e-4, atol=1e-4 * np.max(target)
            )


@pytest.mark.parametrize(("length", "side"), [(16, 16), (40, 16), (47, 100), (203, 64), (64, 33)])
def test_spans_cover_an_axis_once(length, side):
    cores = [span.core for span in spans(length, side, 32, 16)]
    assert [*np.concatenate([np.arange(length)[core] for core in cores])] == [*range(length)]
    assert all(core.start % 16 == 0 for core in cores)
    assert all(core.stop - core.start >= 16 for core in cores)
    for stride in (1, 2, 4, 8, 16):
        at = [span.at(stride) for span in spans(length, side, 32, 16)]
        assert sum(each.stop - each.start for each in at) == length // stride


def test_piece_size_is_none_where_there_is_memory_for_the_whole():
    assert pieces.piece_size((512, 512), 4) is None
    assert pieces.piece_size((2048, 2048), 24) is None
    size = pieces.piece_size((2048, 2048), 4)
    assert pieces.LEAST_PIECE < size < 1
    assert pieces.piece_size((8192, 8192), 2) == pieces.LEAST_PIECE


def test_free_memory_is_told():
    assert pieces.free_memory_gb() > 0.01
