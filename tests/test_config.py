"""Recipes: the published figures, JSON, equality, overrides, errors."""

import dataclasses
import json
import subprocess
import sys
from typing import get_args, get_type_hints

import numpy as np
import pytest

from tfstyle.config import (
    LAYERS,
    RECIPES,
    PaintConfig,
    Recipe,
    TrainConfig,
    recipe_with,
    with_fields,
)
from tfstyle.config.training import ARCHITECTURES
from tfstyle.losses import CONTENT_NORMS, STYLE_NORMS, TV_NORMS
from tfstyle.networks import GENERATORS, PIXELS

FIRST = ("block1_conv1", "block2_conv1", "block3_conv1", "block4_conv1", "block5_conv1")

# METHODS.md, and the README of the test data for the mean activations that Gatys et al. divide by.
FIGURES = {
    "tutorial": {
        "content_layers": ("block5_conv2",),
        "content_norm": "mean",
        "content_weight": 1e4,
        "style_layers": FIRST,
        "style_norm": "mean",
        "style_weight": 1e-2,
        "tv_norm": "absolute",
        "tv_weight": 30,
        "start": "content",
        "optimizer": "adam",
        "learning_rate": 0.02,
        "beta_1": 0.99,
        "epsilon": 0.1,
        "pixels": "unit",
        "clip": "step",
        "size": 512,
        "style_size": 512,
        "steps": 1500,
    },
    "gatys-lbfgs": {
        "content_layers": ("block5_conv2",),
        "content_norm": "sum",
        "content_weight": 0.025,
        "style_layers": FIRST,
        "style_norm": "pixels",
        "style_weight": 1,
        "tv_norm": "power",
        "tv_weight": 1,
        "start": "content",
        "optimizer": "lbfgs",
        "steps": 100,
        "pixels": "caffe",
        "clip": "end",
        "size": 100,
        "style_size": "content",
    },
    "five-layer": {
        "content_layers": FIRST,
        "content_norm": "mean",
        "content_weight": pytest.approx(1 / 57**2),
        "style_layers": FIRST,
        "style_norm": "channels",
        "style_weight": pytest.approx(100 / 57**4),
        "tv_weight": 0,
        "start": "content",
        "optimizer": "adam",
        "learning_rate": 0.003,
        "beta_1": 0.5,
        "beta_2": 0.999,
        "steps": 2000,
        "pixels": "imagenet",
        "clip": "end",
        "size": 400,
        "style_size": "content",
    },
    "stylefusion": {
        "content_layers": ("block2_conv1", "block3_conv1"),
        "content_norm": "half_mean",
        "content_weight": pytest.approx(1 / 57**2),
        "style_layers": FIRST,
        "style_norm": "gatys",
        "style_weight": pytest.approx(15 / 57**4),
        "tv_weight": 0,
        "start": "noise",
        "optimizer": "adam",
        "learning_rate": 0.03,
        "gradient_norm": 1,
        "steps": 20 * 100,
        "pixels": "imagenet",
        "clip": "end",
        "size": 450,
    },
    "crowsonkb": {
        "content_layers": ("block4_conv2",),
        "content_norm": "scaled",
        "content_weight": pytest.approx(0.015 / 57),
        "style_layers": FIRST,
        "style_norm": "mean",
        "style_weight": 0,
        "wasserstein_weight": pytest.approx(1 / 57**2),
        "tv_norm": "smooth",
        "tv_weight": 2 * 2,
        "scales": pytest.approx([128 / 512, 181 / 512, 256 / 512, 362 / 512, 1], abs=1e-3),
        "start": "content",
        "optimizer": "adam",
        "learning_rate": 0.02,
        "beta_2": 0.99,
        "average": 0.99,
        "steps": 500,
        "size": 512,
    },
    "gatys": {
        "content_layers": ("block4_conv2",),
        "content_norm": "mean",
        "style_layers": FIRST,
        "style_norm": "gatys",
        "pooling": "average",
        "optimizer": "lbfgs",
        "start": "content",
        "tv_weight": 0,
    },
}
LAYER_WEIGHTS = {
    "tutorial": ([1], [1 / 5] * 5),
    "gatys-lbfgs": ([1], [1 / 5] * 5),
    "five-layer": ([1] * 5, [1] * 5),
    # 0.5 and 0.2, each with a layer's share of 1/57 in second and fourth power.
    "stylefusion": ([0.18] * 2, [0.2, 0.02592, 0.02592, 0.00032, 0.00162]),
    "crowsonkb": ([1], [w / 341 for w in (256, 64, 16, 4, 1)]),
    "gatys": ([1], [4 / channels**2 for channels in (64, 128, 256, 512, 512)]),
}


@pytest.mark.parametrize("name", FIGURES)
def test_recipes_have_the_published_figures(name):
    recipe = RECIPES[name]
    assert {field: getattr(recipe, field) for field in FIGURES[name]} == FIGURES[name]


@pytest.mark.parametrize("kind", ["content", "style"])
@pytest.mark.parametrize("name", LAYER_WEIGHTS)
def test_layer_weights_are_the_published_ones(name, kind):
    weights = RECIPES[name].layer_weights(kind)
    assert tuple(weights) == getattr(RECIPES[name], f"{kind}_layers")
    expected = LAYER_WEIGHTS[name][kind == "style"]
    assert list(weights.values()) == pytest.approx(expected, rel=1e-9, abs=0)


def test_gatys_weighs_style_a_thousand_times_content():
    assert RECIPES["gatys"].style_weight == 1e3 * RECIPES["gatys"].content_weight


@pytest.mark.parametrize(
    ("field", "names"),
    [
        ("network", tuple(LAYERS)),
        ("content_norm", CONTENT_NORMS),
        ("style_norm", STYLE_NORMS),
        ("tv_norm", TV_NORMS),
        ("pixels", PIXELS),
    ],
)
def test_recipe_offers_what_the_modules_offer(field, names):
    assert get_args(get_type_hints(Recipe)[field]) == tuple(names)


def test_importing_config_loads_no_framework():
    code = "import sys, tfstyle.config; print({'keras', 'tensorflow', 'jax'} & {*sys.modules})"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "set()"


# JSON, equality, print


@pytest.mark.parametrize("name", RECIPES)
def test_from_json_reads_what_to_json_wrote(name):
    assert Recipe.from_json(RECIPES[name].to_json()) == RECIPES[name]


def test_to_json_holds_every_field_in_order():
    fields = [field.name for field in dataclasses.fields(Recipe)]
    assert list(json.loads(Recipe().to_json())) == fields


def test_from_json_takes_defaults_for_fields_left_out():
    assert Recipe.from_json('{"steps": 51}') == Recipe(steps=51)


@pytest.mark.parametrize("name", RECIPES)
def test_print_shows_code_that_makes_the_recipe(name):
    assert eval(repr(RECIPES[name]), {"Recipe": Recipe}) == RECIPES[name]


def test_equal_recipes_hash_alike_whatever_sequences_they_were_given():
    one = Recipe(content_layers=["block1_conv1"], scales=[0.5, 1], content_weight=2)
    other = Recipe(content_layers=("block1_conv1",), scales=(0.5, 1.0), content_weight=2.0)
    assert one == other
    assert hash(one) == hash(other)
    assert len({one, other, Recipe()}) == 2


def test_recipe_is_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        Recipe().steps = 3


# Overrides


def test_recipe_with_replaces_the_fields_given_and_no_other():
    changed = recipe_with("tutorial", steps=51, style_size=None)
    assert (changed.steps, changed.style_size) == (51, None)
    assert dataclasses.replace(changed, steps=1500, style_size=512) == RECIPES["tutorial"]


def test_recipe_with_returns_a_recipe_as_it_is():
    assert recipe_with(RECIPES["gatys"]) == RECIPES["gatys"]
    assert recipe_with() == RECIPES["default"]


@pytest.mark.parametrize(
    ("given", "error", "text"),
    [
        ("tutorail", ValueError, r"`recipe` must be one of \('default', .*Received: 'tutorail'\."),
        (7, TypeError, r"`recipe` must be a name or a Recipe\. Received: 7\."),
    ],
)
def test_recipe_with_rejects_what_is_no_recipe(given, error, text):
    with pytest.raises(error, match=text):
        recipe_with(given)


def test_recipe_with_lists_the_fields_where_one_is_unknown():
    with pytest.raises(TypeError, match=r"no field 'step'\. Its fields: network, .*, color\."):
        recipe_with("tutorial", step=3)


# Values that no run could use


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"network": "vgg11"}, r"`network` must be one of \('vgg16', 'vgg19'\).*network='vgg11'\."),
        ({"pooling": None}, r"`pooling` must be one of \('max', 'average'\).*pooling=None\."),
        (
            {"content_layers": ()},
            r"`content_layers` must name .*content_layers=\(\)\.",
        ),
        ({"style_layers": ("conv1",)}, r"at least one layer of vgg19.*block5_pool.*\('conv1',\)\."),
        ({"network": "vgg16", "style_layers": ("block3_conv4",)}, r"layer of vgg16.*block3_conv4"),
        ({"style_layers": ("a", "a")}, r"`style_layers` must name .*each once.*\('a', 'a'\)\."),
        (
            {"content_layer_weights": (1, 2)},
            r"`content_layer_weights` must have one weight for each of \('block4_conv2',\), or be "
            r"empty\. Received: \(1\.0, 2\.0\)\.",
        ),
        ({"style_layer_weights": (1,)}, r"`style_layer_weights` must have one weight for each"),
        ({"size": 15}, r"`size` must be at least 16 px\. Received: size=15\."),
        ({"style_size": 15}, r"`style_size` must be at least 16 px\. Received: style_size=15\."),
        ({"scales": ()}, r"`scales` must be fractions .*end with 1.*scales=\(\)\."),
        ({"scales": (1, 0.5)}, r"`scales` must .*scales=\(1\.0, 0\.5\)\."),
        ({"scales": (1.5, 1)}, r"`scales` must .*scales=\(1\.5, 1\.0\)\."),
        ({"scales": (-0.5, 1)}, r"`scales` must .*scales=\(-0\.5, 1\.0\)\."),
        ({"steps": 0}, r"`steps` must be at least 1\. Received: steps=0\."),
        ({"memory_gb": 0}, r"`memory_gb` must be positive\. Received: memory_gb=0"),
        ({"corrections": 0}, r"`corrections` must be at least 1\. Received: corrections=0\."),
        ({"style_scale": 0}, r"`style_scale` must be positive\. Received: style_scale=0\.0\."),
        ({"learning_rate": -1}, r"`learning_rate` must be positive.*learning_rate=-1\.0\."),
        ({"epsilon": 0}, r"`epsilon` must be positive"),
        ({"gradient_norm": 0}, r"`gradient_norm` must be positive"),
        ({"content_weight": -1}, r"`content_weight` must not be negative.*content_weight=-1\.0\."),
        ({"style_weight": -1}, r"`style_weight` must not be negative"),
        ({"tv_weight": -1}, r"`tv_weight` must not be negative"),
        ({"noise": 1.5}, r"`noise` must lie between 0 and 1\. Received: noise=1\.5\."),
        ({"average": 1}, r"`average` must lie between 0 and 1, 1 excluded.*average=1\.0\."),
        ({"beta_1": 1}, r"`beta_1` must lie between 0 and 1, 1 excluded"),
        ({"beta_2": -0.1}, r"`beta_2` must lie between 0 and 1, 1 excluded"),
        ({"tv_weight": float("nan")}, r"`tv_weight` must be finite\. Received: tv_weight=nan\."),
        ({"gradient_norm": float("nan")}, r"`gradient_norm` must be finite"),
        ({"scales": (float("inf"), 1)}, r"`scales` must be finite\. Received: scales=inf\."),
    ],
)
def test_recipe_rejects_values_that_no_run_could_use(fields, text):
    with pytest.raises(ValueError, match=text):
        Recipe(**fields)


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"steps": 2.0}, r"`steps` must be int\. Received: steps=2\.0\."),
        ({"steps": True}, r"`steps` must be int\. Received: steps=True\."),
        ({"noise": "0.5"}, r"`noise` must be float\. Received: noise='0\.5'\."),
        ({"tv_weight": True}, r"`tv_weight` must be float\. Received: tv_weight=True\."),
        (
            {"content_layers": "block4_conv2"},
            r"`content_layers` must be a sequence of str\. .*'block4_conv2'\.",
        ),
        ({"scales": 1}, r"`scales` must be a sequence of float\. Received: scales=1\."),
        ({"scales": ("1",)}, r"`scales` must be a sequence of float\. Received: scales=\('1',\)\."),
        ({"style_size": "big"}, r"`style_size` must be int or 'content' or None\. .*'big'\."),
        ({"gradient_norm": "1"}, r"`gradient_norm` must be float or None\. .*gradient_norm='1'\."),
    ],
)
def test_recipe_rejects_values_of_the_wrong_type(fields, text):
    with pytest.raises(TypeError, match=text):
        Recipe(**fields)


@pytest.mark.parametrize("fields", [{"noise": 0}, {"noise": 1}, {"average": 0}, {"tv_weight": 0}])
def test_recipe_takes_the_ends_of_ranges(fields):
    ((field, value),) = fields.items()
    assert getattr(Recipe(**fields), field) == value


# How a trained network paints


def test_paint_config_leaves_size_and_painting_as_they_are_by_default():
    assert dataclasses.asdict(PaintConfig()) == {
        "size": None,
        "strength": 1.0,
        "stroke_size": 1.0,
        "color": "style",
        "statistics": "auto",
    }


@pytest.mark.parametrize(
    ("fields", "error", "text"),
    [
        ({"size": 15}, ValueError, r"`size` must be at least 16 px\. Received: size=15\."),
        ({"size": 40.0}, TypeError, r"`size` must be int or None\. Received: size=40\.0\."),
        ({"strength": -0.1}, ValueError, r"`strength` must lie between 0 and 1.*strength=-0\.1\."),
        ({"strength": 1.1}, ValueError, r"`strength` must lie between 0 and 1.*strength=1\.1\."),
        ({"strength": float("nan")}, ValueError, r"`strength` must be finite"),
        ({"strength": True}, TypeError, r"`strength` must be float\. Received: strength=True\."),
        ({"stroke_size": 0}, ValueError, r"`stroke_size` must lie between 0\.1 and 10\. .*=0\.0\."),
        ({"stroke_size": 11}, ValueError, r"`stroke_size` must lie between 0\.1 and 10"),
        ({"color": "recolor"}, ValueError, r"`color` must be one of \('style', 'content'\)"),
        ({"statistics": "some"}, ValueError, r"`statistics` must be one of \('auto', 'whole', 'sa"),
    ],
)
def test_paint_config_rejects_what_cannot_be_used(fields, error, text):
    with pytest.raises(error, match=text):
        PaintConfig(**fields)


@pytest.mark.parametrize(
    "fields",
    [{"size": 16}, {"strength": 0}, {"strength": 1}, {"stroke_size": 0.1}, {"stroke_size": 10}],
)
def test_paint_config_takes_the_ends_of_ranges(fields):
    ((field, value),) = fields.items()
    assert getattr(PaintConfig(**fields), field) == value


def test_with_fields_lists_the_fields_where_one_is_unknown():
    assert with_fields(PaintConfig(size=40), strength=0.5) == PaintConfig(size=40, strength=0.5)
    text = r"A PaintConfig has no field 'steps'\. Its fields: size, strength, color, stroke_size, "
    with pytest.raises(TypeError, match=text):
        with_fields(PaintConfig(), steps=3)


# How a network is trained


def test_train_config_is_frozen_equal_and_survives_json():
    config = TrainConfig(sizes=[32, 48], content_size=[40, 50], steps=3, blocks=0, width=1)
    assert TrainConfig.from_json(config.to_json()) == config
    assert list(json.loads(config.to_json())) == [f.name for f in dataclasses.fields(config)]
    assert hash(TrainConfig.from_json(config.to_json())) == hash(config)
    assert TrainConfig.from_json('{"sizes": [32]}') == TrainConfig(sizes=(32,))
    with pytest.raises(dataclasses.FrozenInstanceError):
        config.steps = 4


def test_train_config_offers_the_networks_there_are():
    assert set(GENERATORS) == set(ARCHITECTURES)


@pytest.mark.parametrize(
    ("fields", "error", "text"),
    [
        ({"steps": 0}, ValueError, r"`steps` must be at least 1\. Received: steps=0\."),
        ({"batch_size": 0}, ValueError, r"`batch_size` must be at least 1\..* batch_size=0\."),
        ({"steps": 1e3}, TypeError, r"`steps` must be int\. Received: steps=1000\.0\."),
        ({"width": 0}, ValueError, r"`width` must be positive\. Received: width=0\.0\."),
        ({"learning_rate": 0}, ValueError, r"`learning_rate` must be positive"),
        ({"learning_rate": float("inf")}, ValueError, r"`learning_rate` must be finite"),
        ({"gradient_norm": -1}, ValueError, r"`gradient_norm` must be positive"),
        ({"blocks": -1}, ValueError, r"`blocks` must not be negative\. Received: blocks=-1\."),
        ({"blocks": 1.5}, TypeError, r"`blocks` must be int or None\. Received: blocks=1\.5\."),
        ({"sizes": ()}, ValueError, r"`sizes` must name at least one side.*sizes=\(\)\."),
        ({"sizes": (32, 15)}, ValueError, r"`sizes` must .* none below 16 px.*sizes=\(32, 15\)\."),
        (
            {"sizes": (16,), "grid_weight": 1},
            ValueError,
            r"none below 32 px \(16 px where `grid_weight` is 0 and .*Received: sizes=\(16,\)\.",
        ),
        ({"sizes": (16,), "architecture": "any"}, ValueError, "none below 32 px"),
        ({"sizes": 256}, TypeError, r"`sizes` must be a sequence of int\. Received: sizes=256\."),
        ({"content_size": (300,)}, ValueError, r"`content_size` must be the shortest and the long"),
        ({"content_size": (300, 200)}, ValueError, r"Received: content_size=\(300, 200\)\."),
        ({"content_size": (15, 20)}, ValueError, r"at least 16 px\..*content_size=\(15, 20\)\."),
        ({"style_size": 15}, ValueError, r"`style_size` must be at least 16 px\..*style_size=15\."),
        ({"precision": "float16"}, ValueError, r"`precision` must be one of \('float32', 'mixed_f"),
        (
            {"architecture": "huge"},
            ValueError,
            r"`architecture` must be one of \('lean', 'crisp', 'full', 'any'",
        ),
        ({"xla": 1}, TypeError, r"`xla` must be bool\. Received: xla=1\."),
        ({"seed": "a"}, TypeError, r"`seed` must be int\. Received: seed='a'\."),
        ({"grid_weight": -1}, ValueError, r"`grid_weight` must not be negative"),
        ({"stability_noise": 0}, ValueError, r"`stability_noise` must be positive"),
        ({"stability_noise": 1.5}, ValueError, r"`stability_noise` must be at most 1, as pixels"),
        ({"style_layers": ("conv1",)}, ValueError, r"at least one layer of vgg19.*\('conv1',\)\."),
    ],
)
def test_train_config_rejects_what_no_run_could_use(fields, error, text):
    with pytest.raises(error, match=text):
        TrainConfig(**fields)


@pytest.mark.parametrize(
    "fields",
    [
        {"sizes": (16,)},
        {"content_size": (16, 16)},
        {"style_size": 16},
        {"blocks": 0},
        {"gradient_norm": None},
    ],
)
def test_train_config_takes_the_ends_of_ranges(fields):
    ((field, value),) = fields.items()
    assert getattr(TrainConfig(**fields), field) == value


def test_configs_take_numpys_scalars():
    given = {"steps": np.int64(7), "style_weight": np.float32(0.5), "scales": np.array([0.5, 1])}
    recipe = recipe_with(**given)
    assert recipe == recipe_with(steps=7, style_weight=0.5, scales=(0.5, 1.0))
    assert type(recipe.steps) is int
    assert TrainConfig(xla=np.bool_(True)).xla is True
    json.loads(recipe.to_json())
    with pytest.raises(TypeError, match="`steps` must be int"):
        recipe_with(steps=np.float64(7.5))
