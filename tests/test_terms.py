"""Terms: what a model sums, against the formulas written out, and a user's own."""

import runpy
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from keras import ops

from tfstyle.config import RECIPES, TRAININGS, recipe_with, training_with
from tfstyle.losses import (
    Seen,
    Term,
    content_loss,
    gram_matrix,
    grid_variation,
    style_loss,
    terms_of,
    total_variation,
)
from tfstyle.model import StyleContentModel
from tfstyle.networks import AnyNet, Canvas, FeatureExtractor, LeanNet
from tfstyle.training.any_style import AnyStyleModel

EXAMPLES = Path(__file__).parents[1] / "examples"


def pictures(count=1, height=40, width=36, seed=0):
    return np.random.default_rng(seed).random((count, height, width, 3), np.float32)


def written_out(config, extractor, grams, photographs, stylized):
    """The losses in one function, as they were before there were terms."""
    seen, kept = extractor(stylized), extractor(photographs, layers=config.content_layers)
    height, width = ops.shape(stylized)[1:3]
    losses = {
        f"style_loss/{layer}": style_loss(
            gram_matrix(seen[layer]),
            grams[layer],
            config.style_norm,
            positions=seen[layer].shape[1] * seen[layer].shape[2],
            pixels=height * width,
        )
        for layer in config.style_layers
    }
    losses["content_loss"] = sum(
        weight * content_loss(seen[layer], kept[layer], config.content_norm)
        for layer, weight in config.layer_weights("content").items()
    )
    losses["style_loss"] = sum(
        weight * losses[f"style_loss/{layer}"]
        for layer, weight in config.layer_weights("style").items()
    )
    losses["total_variation"] = total_variation(stylized, config.tv_norm)
    losses["loss"] = (
        config.content_weight * losses["content_loss"]
        + config.style_weight * losses["style_loss"]
        + config.tv_weight * losses["total_variation"]
    )
    if config.grid_weight:
        losses["loss"] += config.grid_weight * grid_variation(stylized)
    return losses


LATER = {"any", "crowsonkb", "default"}  # those with terms that there were none of before
QUICK = {"lean"}
SHARED = {name: config for name, config in {**RECIPES, **TRAININGS}.items() if name not in LATER}


@pytest.mark.parametrize(
    "config",
    [
        pytest.param(each, marks=() if each[0] in QUICK else pytest.mark.slow)
        for each in SHARED.items()
    ],
    ids=lambda c: c[0],
)
def test_terms_sum_to_the_bit_what_was_written_out(tiny_network, config):
    config = config[1]
    extractor = FeatureExtractor(tiny_network, config.layers, config.pooling)
    painting, photographs = pictures(seed=1), pictures(2, seed=2)
    model = StyleContentModel(None, extractor, terms_of(config))
    model.set_style([painting])
    grams = {layer: gram_matrix(extractor(painting)[layer]) for layer in config.style_layers}

    def with_gradient(losses_of):
        @tf.function(autograph=False)
        def compute(stylized):
            with tf.GradientTape() as tape:
                tape.watch(stylized)
                losses = losses_of(stylized)
            return losses, tape.gradient(losses["loss"], stylized)

        return compute(tf.constant(pictures(2, seed=3)))

    expected, slope = with_gradient(
        lambda stylized: written_out(config, extractor, grams, photographs, stylized)
    )
    losses, gradient = with_gradient(lambda stylized: model.losses_of(stylized, photographs))
    assert {*losses} - {*expected} <= {"grid"}
    for name in expected:
        np.testing.assert_array_equal(losses[name], expected[name], err_msg=name)
    np.testing.assert_array_equal(gradient, slope)


def test_terms_of_leave_out_what_has_no_weight():
    config = training_with("lean", tv_weight=0, grid_weight=0)
    names = ["content_loss", "style_loss", "total_variation"]
    assert [term.name for term in terms_of(config)] == names
    assert [term.weight for term in terms_of(config)] == [1, 6, 0]


# A term of one's own


class Mirrored(Term):
    """Ask for pictures that equal their mirror image."""

    def __call__(self, seen, target):
        return ops.mean((seen.pictures - seen.pictures[:, :, ::-1]) ** 2)


class Energy(Term):
    """Keep how strongly a painting's layers fire."""

    against = "style"

    def summary(self, features):
        return [ops.mean(ops.cast(features[n], "float32") ** 2, (1, 2, 3)) for n in self.layers]

    def __call__(self, seen, target):
        pairs = zip(self.summary(seen.features), target, strict=True)
        return sum(ops.mean((mine - theirs) ** 2) for mine, theirs in pairs)


def canvas_model(network, terms):
    layers = [layer for term in terms for layer in term.layers]
    model = StyleContentModel(Canvas(40, 36), FeatureExtractor(network, layers), terms)
    model.set_style([pictures(seed=1), pictures(1, 20, 52, seed=2)], [3.0, 1.0])
    return model


def test_a_term_of_ones_own_is_weighed_and_a_metric(tiny_network):
    recipe = recipe_with(style_layers=("block1_conv1",), content_layers=("block2_conv1",))
    plain = canvas_model(tiny_network, terms_of(recipe))
    model = canvas_model(tiny_network, [*terms_of(recipe), Mirrored("mirrored", 5.0)])
    picture, photograph = pictures(seed=3), pictures(seed=4)
    losses, without = (m.losses_of(picture, photograph) for m in (model, plain))
    expected = np.mean((picture - picture[:, :, ::-1]) ** 2)
    np.testing.assert_allclose(losses["mirrored"], expected, rtol=1e-5)
    np.testing.assert_allclose(losses["loss"], without["loss"] + 5 * expected, rtol=1e-5)
    model.compile("sgd")
    assert "mirrored" in model.fit(photograph, batch_size=1, verbose=0).history


def test_the_examples_term_asks_for_a_paintings_shares_of_dark_and_light():
    tones = runpy.run_path(str(EXAMPLES / "tones.py"))["Tones"]
    painting = np.kron(pictures(1, 10, 9)[0] > 0.3, np.ones((4, 4, 1))).astype(np.float32)
    term = tones("tones", 1.0, painting)
    shuffled = np.random.default_rng(1).permutation(painting.reshape(-1, 3)).reshape(1, 36, 40, 3)
    grey = np.full_like(shuffled, painting.mean())
    same, other = (float(term(Seen(pictures=each), None)) for each in (shuffled, grey))
    assert same < 1e-6
    assert other > 0.1


def test_a_style_term_of_ones_own_remembers_what_it_wants(tiny_network):
    model = canvas_model(tiny_network, [Energy("energy", layers=["block1_conv1", "block2_conv1"])])
    features = [model.extractor(p) for p in (pictures(seed=1), pictures(1, 20, 52, seed=2))]
    for layer, target in zip(model.terms[0].layers, model.style_targets["energy"], strict=True):
        squares = [np.mean(np.float64(f[layer]) ** 2) for f in features]
        np.testing.assert_allclose(target, [0.75 * squares[0] + 0.25 * squares[1]], rtol=1e-4)
    losses = model.losses_of(pictures(seed=1), None)  # no term looks at the photograph
    assert set(losses) == {"energy", "loss"}
    assert float(losses["loss"]) > 0


class Repainted(Term):
    """Tell how far a picture is from what is painted of the same photographs once more."""

    def __call__(self, seen, target):
        return ops.mean((seen.paint(seen.photographs) - seen.pictures) ** 2)


@pytest.mark.parametrize("kind", ["one style", "several", "any"])
def test_a_term_may_let_the_network_paint_once_more(tiny_network, kind):
    extractor, terms = FeatureExtractor(tiny_network, []), [Repainted("repainted")]
    photographs, paintings = pictures(2), pictures(3, 48, 44, seed=1)
    if kind == "any":
        model, batch = AnyStyleModel(AnyNet(0.1, 0), extractor, terms), (photographs, paintings)
    elif kind == "several":
        model = StyleContentModel(LeanNet(0.1, 0, num_styles=2), extractor, terms)
        batch = photographs, np.float32([[0.3, 0.7], [1, 0]])
    else:
        model, batch = StyleContentModel(LeanNet(0.1, 0), extractor, terms), photographs
    assert float(model.losses_of(model(batch), batch)["repainted"]) < 1e-9


def test_noise_is_painted_over_where_that_is_asked_for(tiny_network):
    terms = terms_of(training_with(stability_weight=0.5))
    (term,) = (term for term in terms if term.name == "stability")
    model = StyleContentModel(lambda x, training: 3 * x, FeatureExtractor(tiny_network, []), [term])
    photographs = 0.15 + 0.01 * pictures(2)  # of which nothing is cut off
    assert float(model.losses_of(3 * photographs, photographs)["loss"]) == pytest.approx(4.5, 1e-4)


def test_noise_is_as_strong_as_is_asked_for(tiny_network):
    def loss(noise):
        config = training_with(stability_weight=1, stability_noise=noise)
        terms = [term for term in terms_of(config) if term.name == "stability"]
        extractor = FeatureExtractor(tiny_network, [])
        model = StyleContentModel(lambda x, training: x**2, extractor, terms)
        black = np.zeros((1, 64, 64, 3), np.float32)
        return float(model.losses_of(black, black)["loss"])

    assert loss(0.03) == pytest.approx(4 * loss(0.015), 1e-4)


def test_term_layers_are_names_of_equal_weight_or_weighed():
    assert Term("a", layers=("x", "y")).layers == {"x": 0.5, "y": 0.5}
    assert Term("a", layers={"x": 0.2, "y": 3}).layers == {"x": 0.2, "y": 3}


def test_term_without_a_loss_or_summary_says_what_is_missing():
    with pytest.raises(NotImplementedError, match="Term must say in `__call__` what its loss is"):
        Term("a")(Seen(pictures=pictures()), None)
    with pytest.raises(NotImplementedError, match="Term has no `summary` of a painting"):
        Term("a").summary({})


@pytest.mark.parametrize("names", [["same", "same"], ["loss"]])
def test_model_refuses_names_twice_and_loss(tiny_network, names):
    extractor = FeatureExtractor(tiny_network, [])
    with pytest.raises(ValueError, match=rf"different names, .*Received: {', '.join(names)}\."):
        StyleContentModel(None, extractor, [Mirrored(name) for name in names])


def test_model_names_layers_that_its_extractor_lacks(tiny_network):
    extractor = FeatureExtractor(tiny_network, ["block1_conv1"])
    term = Energy("energy", layers=["block1_conv1", "block2_conv2"])
    with pytest.raises(ValueError, match=r"layers=\('block1_conv1',\), without block2_conv2\."):
        StyleContentModel(None, extractor, [term])
