"""Presets of trainings: the published figures, overrides, errors. Recipes: test_config.py."""

import json

import numpy as np
import pytest

from tfstyle.config import RECIPES, TRAININGS, TrainConfig, training_with
from tfstyle.losses import content_loss, gram_matrix, style_loss
from tfstyle.networks import GENERATORS, Convolution, ResidualBlock

COCO = 82_783  # photographs of train2014

# METHODS.md, "Training a network once".
FIGURES = {
    "johnson": {
        "architecture": "full",
        "width": 1,
        "blocks": None,
        "network": "vgg16",
        "pooling": "max",
        "content_layers": ("block3_conv3",),
        "style_layers": ("block1_conv2", "block2_conv2", "block3_conv3", "block4_conv3"),
        "content_weight": 1,
        "style_weight": 220,
        "tv_weight": 0,
        "grid_weight": 0,
        "sizes": (256,),
        "content_size": (256, 256),
        "batch_size": 4,
        "learning_rate": 1e-3,
        "gradient_norm": None,
    },
    "stylefusion": {
        "architecture": "full",
        "width": 1,
        "blocks": None,
        "network": "vgg19",
        "pooling": "max",
        "content_layers": ("block2_conv1", "block3_conv1"),
        "style_layers": tuple(f"block{i}_conv1" for i in range(1, 6)),
        # Weights for torchvision's activations, which are 57 times smaller than Keras'.
        "content_weight": pytest.approx(1 / 57**2),
        "style_weight": pytest.approx(15 / 57**4),
        "tv_weight": 0,
        "grid_weight": 0,
        "sizes": (300,),
        "content_size": (300, 300),
        "batch_size": 4,
        "learning_rate": 1e-3,
        "gradient_norm": 1,
    },
}


@pytest.mark.parametrize("name", FIGURES)
def test_trainings_have_the_published_figures(name):
    assert {field: getattr(TRAININGS[name], field) for field in FIGURES[name]} == FIGURES[name]


@pytest.mark.parametrize(("name", "least", "most"), [("johnson", 1.95, 2), ("stylefusion", 1, 20)])
def test_trainings_see_coco_as_often_as_published(name, least, most):
    epochs = TRAININGS[name].steps * TRAININGS[name].batch_size / COCO
    assert least <= epochs <= most


def test_full_network_is_the_published_one():
    stages = GENERATORS["full"]().stages
    described = [
        (stage.filters, stage.kernel_size, stage.strides, stage.upsample)
        if isinstance(stage, Convolution)
        else stage.filters
        for stage in stages
    ]
    assert described == [
        (32, 9, 1, False),
        (64, 3, 2, False),
        (128, 3, 2, False),
        *[128] * 5,
        (64, 3, 1, True),
        (32, 3, 1, True),
        (3, 9, 1, False),
    ]
    assert all(isinstance(stage, ResidualBlock) for stage in stages[3:8])


# The formulas, on features F of N positions and C channels with Gram matrix FᵀF = G.


def features(channels, seed):
    return np.random.default_rng(seed).normal(2, 1, (1, 4, 6, channels)).astype(np.float32)


def gram(x):
    x = np.float64(x).reshape(-1, x.shape[-1])
    return x.T @ x, *x.shape


def johnson_style(x, y):
    (g, n, c), (h, *_) = gram(x), gram(y)
    return np.mean((g / (n * c) - h / (n * c)) ** 2)


def stylefusion_style(x, y):
    (g, n, c), (h, *_) = gram(x), gram(y)
    return np.sum((g - h) ** 2) / (4 * c**2 * n**2)


@pytest.mark.parametrize(
    ("name", "channels", "layer_weights", "formula"),
    [
        ("johnson", (64, 128, 256, 512), [1] * 4, johnson_style),
        # 0.2 each, with the layer's share of 1/57 in fourth power.
        (
            "stylefusion",
            (64, 128, 256, 512, 512),
            [0.2, 0.02592, 0.02592, 0.00032, 0.00162],
            stylefusion_style,
        ),
    ],
)
def test_trainings_have_the_published_style_loss(name, channels, layer_weights, formula):
    config = TRAININGS[name]
    weights = config.layer_weights("style")
    assert tuple(weights) == config.style_layers
    for count, weight, expected in zip(channels, weights.values(), layer_weights, strict=True):
        x, y = features(count, 0), features(count, 1)
        ours = style_loss(gram_matrix(x), gram_matrix(y), config.style_norm, positions=24, pixels=0)
        assert float(weight * ours) == pytest.approx(expected * formula(x, y), rel=1e-3)


@pytest.mark.parametrize(
    ("name", "layer_weights", "formula"),
    [
        ("johnson", [1], lambda x, y: np.mean((x - y) ** 2)),
        ("stylefusion", [0.18] * 2, lambda x, y: np.sum((x - y) ** 2) / (2 * 4 * 6 * 8)),
    ],
)
def test_trainings_have_the_published_content_loss(name, layer_weights, formula):
    config, x, y = TRAININGS[name], features(8, 0), features(8, 1)
    assert list(config.layer_weights("content").values()) == pytest.approx(layer_weights)
    assert float(content_loss(x, y, config.content_norm)) == pytest.approx(formula(x, y), rel=1e-5)


# By name


def test_training_with_replaces_the_fields_given_and_no_other():
    changed = training_with("johnson", steps=5, network="vgg19", content_size=[300, 320])
    assert (changed.steps, changed.network, changed.content_size) == (5, "vgg19", (300, 320))
    back = training_with(changed, steps=41_000, network="vgg16", content_size=(256, 256))
    assert back == TRAININGS["johnson"]
    assert training_with() == TRAININGS["default"]


@pytest.mark.parametrize(
    ("training", "error", "text"),
    [
        (
            "monet",
            ValueError,
            r"`config` must be one of \('default', 'lean', .*: 'monet'\.",
        ),
        (7, TypeError, r"`config` must be a name or a TrainConfig\. Received: 7\."),
        (RECIPES["gatys"], TypeError, r"`config` must be a name or a TrainConfig\."),
    ],
)
def test_training_with_rejects_what_is_no_training(training, error, text):
    with pytest.raises(error, match=text):
        training_with(training)


def test_training_with_lists_the_fields_where_one_is_unknown():
    with pytest.raises(
        TypeError, match=r"no field 'size'\. Its fields: network, .*sizes.*, seed\."
    ):
        training_with(size=3)


@pytest.mark.parametrize("name", TRAININGS)
def test_trainings_survive_json_and_print(name):
    config = TRAININGS[name]
    assert TrainConfig.from_json(config.to_json()) == config
    assert json.loads(config.to_json())["sizes"] == list(config.sizes)
    assert eval(repr(config), {"TrainConfig": TrainConfig}) == config
