import subprocess
import sys
import types

import keras
import numpy as np
import pytest

from tfstyle.config import RECIPES, recipe_with
from tfstyle.optimize.picture import optimize_image

pytestmark = pytest.mark.usefixtures("fake_vgg")

QUICK = ("default", "tutorial")
SMALL = {"steps": 12, "size": 40, "scales": (1.0,), "precision": "float32"}


def picture(height=32, width=40, seed=0):
    coarse = np.random.default_rng(seed).random((height // 4, width // 4, 3), np.float32)
    return np.repeat(np.repeat(coarse, 4, 0), 4, 1)


class Watch(keras.callbacks.Callback):
    """Note what a run tells its callbacks."""

    def __init__(self, stop_at=None):
        super().__init__()
        self.losses, self.sizes, self.begun, self.ended = [], [], 0, 0
        self.stop_at = stop_at

    def on_train_begin(self, logs=None):
        self.begun += 1
        self.sizes.append((self.model.stylizer.height, self.model.stylizer.width))

    def on_train_batch_end(self, batch, logs=None):
        self.losses.append(float(logs["loss"]))
        if len(self.losses) == self.stop_at:
            self.model.stop_training = True

    def on_train_end(self, logs=None):
        self.ended += 1


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=() if name in QUICK else pytest.mark.slow) for name in RECIPES],
)
def test_every_recipe_paints(name):
    watch = Watch()
    recipe = recipe_with(name, size=40, steps=3)
    result = optimize_image(picture(), [picture(seed=1)], recipe, callbacks=[watch])
    assert result.shape == (32, 40, 3)
    assert result.dtype == np.float32
    assert result.min() >= 0
    assert result.max() <= 1
    assert np.abs(result - picture()).max() > 1e-3
    assert len(watch.losses) == 3 * len(recipe.scales)


@pytest.mark.parametrize("optimizer", [pytest.param("adam", marks=pytest.mark.slow), "lbfgs"])
def test_a_run_lowers_the_loss_and_repeats_exactly(optimizer):
    recipe = recipe_with(**SMALL, optimizer=optimizer, start="noise")
    runs = [Watch(), Watch()]
    first, second = (
        optimize_image(picture(), [picture(seed=1)], recipe, seed=3, callbacks=[w]) for w in runs
    )
    assert runs[0].losses[-1] < 0.8 * runs[0].losses[0]
    assert runs[0].losses == runs[1].losses
    np.testing.assert_array_equal(first, second)
    other = optimize_image(picture(), [picture(seed=1)], recipe, seed=4)
    assert np.abs(first - other).max() > 0.01


@pytest.mark.slow
def test_lbfgs_returns_the_best_picture_it_saw(tiny_network):
    from tfstyle.losses import terms_of
    from tfstyle.model import StyleContentModel
    from tfstyle.networks import Canvas
    from tfstyle.networks.features import FeatureExtractor

    recipe, watch = recipe_with(**SMALL, optimizer="lbfgs"), Watch()
    result = optimize_image(picture(), [picture(seed=1)], recipe, callbacks=[watch])
    extractor = FeatureExtractor(tiny_network, recipe.layers)
    model = StyleContentModel(Canvas(32, 40), extractor, terms_of(recipe))
    model.set_style([picture(seed=1)[None]])
    loss = float(model.losses_of(result[None], picture()[None])["loss"])
    assert loss == pytest.approx(min(watch.losses), rel=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("fields", [{"optimizer": "lbfgs"}, {"average": 0.9}])
def test_a_picture_is_painted_the_same_in_little_memory(fields):
    given = picture(280, 260), [picture(64, 64, seed=1)]
    recipe = recipe_with(**(SMALL | {"size": 280, "steps": 3}) | fields)
    told = [], []
    whole, in_pieces = (
        optimize_image(
            *given,
            recipe_with(recipe, memory_gb=memory_gb),
            callbacks=keras.callbacks.LambdaCallback(
                on_train_batch_end=lambda step, logs, losses=losses: losses.append(logs["loss"])
            ),
        )
        for memory_gb, losses in zip((None, 0.1), told, strict=True)
    )
    assert len(told[0]) == 3
    np.testing.assert_allclose(*told, rtol=1e-4)
    assert np.abs(whole - given[0]).max() > 0.01
    np.testing.assert_allclose(in_pieces, whole, atol=1e-3)


@pytest.mark.slow
def test_lbfgs_goes_on_to_the_last_step_where_its_line_search_ends():
    watch = Watch()
    recipe = recipe_with(**(SMALL | {"steps": 150}), optimizer="lbfgs")
    optimize_image(picture(16, 16), [picture(16, 16, seed=1)], recipe, callbacks=[watch])
    assert min(watch.losses) < 0.3 * watch.losses[0]
    assert watch.begun == watch.ended == 1


@pytest.mark.slow
def test_scales_are_passed_coarse_to_fine():
    watch = Watch()
    recipe = recipe_with(**(SMALL | {"scales": (0.5, 0.75, 1.0), "steps": 2}))
    result = optimize_image(picture(), [picture(seed=1)], recipe, callbacks=[watch])
    assert watch.sizes == [(16, 20), (24, 30), (32, 40)]
    assert result.shape == (32, 40, 3)


@pytest.mark.parametrize("optimizer", [pytest.param("adam", marks=pytest.mark.slow), "lbfgs"])
def test_stop_training_keeps_the_picture_so_far(optimizer):
    watch = Watch(stop_at=4)
    recipe = recipe_with(**(SMALL | {"scales": (0.5, 1.0)}), optimizer=optimizer)
    result = optimize_image(picture(), [picture(seed=1)], recipe, callbacks=[watch])
    assert len(watch.losses) == 4
    assert watch.begun == watch.ended == 1
    assert result.shape == (32, 40, 3)
    assert np.isfinite(result).all()


@pytest.mark.slow
def test_start_from_takes_the_place_of_the_recipes_start():
    recipe = recipe_with(**(SMALL | {"steps": 1}), optimizer="adam", learning_rate=1e-6)
    start = picture(16, 20, seed=5)
    result = optimize_image(picture(), [picture(seed=1)], recipe, start_from=start)
    assert np.abs(np.asarray(result)[::2, ::2] - start).mean() < 0.1


@pytest.mark.slow
def test_blend_starts_between_noise_and_content():
    def start(kind):
        recipe = recipe_with(**(SMALL | {"steps": 1}), optimizer="lbfgs", start=kind, clip="end")
        return optimize_image(picture(), [picture(seed=1)], recipe, seed=2)

    mixed = 0.5 * start("noise") + 0.5 * start("content")
    assert np.abs(start("blend") - mixed).mean() < 0.02  # clipping apart


@pytest.mark.slow
def test_average_shows_the_mean_of_adams_iterates():
    noisy = {**SMALL, "steps": 40, "optimizer": "adam", "learning_rate": 0.1}
    last = optimize_image(picture(), [picture(seed=1)], recipe_with(**noisy))
    mean = optimize_image(picture(), [picture(seed=1)], recipe_with(**noisy, average=0.9))
    assert 1e-4 < np.abs(last - mean).mean() < 0.1


@pytest.mark.parametrize("optimizer", ["adam", "lbfgs"])
def test_nan_names_the_step(optimizer):
    recipe = recipe_with(**SMALL, optimizer=optimizer, style_weight=1e38, start="noise")
    with pytest.raises(FloatingPointError, match=r"became (nan|inf)( at step \d+)?\. Lower"):
        optimize_image(picture(), [picture(seed=1)], recipe)


@pytest.mark.vgg
@pytest.mark.slow
def test_tutorial_reaches_the_losses_of_an_independent_implementation(data, vgg, monkeypatch):
    """Total losses measured in another code of the same recipe, on the same pictures."""
    import tfstyle
    from tfstyle.optimize.callbacks import Record

    monkeypatch.setattr("tfstyle.optimize.picture.load_network", lambda *args: vgg)
    record = Record()
    tfstyle.stylize(
        data / "content/city.jpg",
        data / "styles/starry_night.jpg",
        "tutorial",
        size=288,
        style_size=512,
        callbacks=[record],
    )
    losses = record.record["scales"][0]["losses"]["loss"]
    for step, expected in ((350, 7.95e6), (650, 6.10e6), (1500, 5.28e6)):
        assert losses[step - 1] == pytest.approx(expected, rel=0.1)


@pytest.mark.parametrize("optimizer", ["adam", "lbfgs"])
@pytest.mark.slow
def test_a_run_leaves_nothing_in_tensorflows_registry_of_gradients(optimizer):
    from tensorflow.python.framework.ops import gradient_registry

    recipe = recipe_with(**SMALL | {"steps": 2}, optimizer=optimizer)
    sizes = []
    for _ in range(2):
        optimize_image(picture(), [picture(seed=1)], recipe)
        sizes.append(len(gradient_registry.list()))
    assert sizes[0] == sizes[1]


@pytest.mark.slow
@pytest.mark.vgg
@pytest.mark.parametrize("optimizer", ["adam", "lbfgs"])
def test_twenty_runs_take_the_memory_of_two(optimizer, data):
    weights = str(data / "weights" / "vgg19_notop.weights.h5")
    script = f"""
import numpy as np, tfstyle
noise = np.random.default_rng(0).random((2, 48, 64, 3), np.float32)
settings = dict(size=48, steps=2, scales=(1.0,), precision="float32", optimizer={optimizer!r})
for run in range(20):
    tfstyle.stylize(noise[0], noise[1], network_weights={weights!r}, **settings)
    status = open("/proc/self/status").read()
    print(int(status.split("VmRSS:")[1].split()[0]) // 1024)
"""
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    sizes = [int(line) for line in run.stdout.split()]
    assert sizes[-1] < sizes[1] + 50


def refused(callback=None, recipe="default"):
    photo = np.zeros((20, 20, 3), np.float32)
    return optimize_image(photo, [photo], recipe_with(recipe), callbacks=callback or ())


def test_lbfgs_refuses_callbacks_of_the_learning_rate():
    with pytest.raises(ValueError, match=r"no learning rate for ReduceLROnPlateau .*'adam'"):
        refused(keras.callbacks.ReduceLROnPlateau())


def test_optimize_image_refuses_to_be_shared_among_devices(monkeypatch):
    two = types.SimpleNamespace(num_replicas_in_sync=2)
    monkeypatch.setattr("tensorflow.distribute.get_strategy", lambda: two)
    with pytest.raises(RuntimeError, match=r"outside of the scope of the tf\.distribute strategy"):
        refused(recipe="tutorial")
