import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import ops

from tfstyle.config import recipe_with
from tfstyle.losses import content_loss, gram_matrix, style_loss, terms_of, total_variation
from tfstyle.model import StyleContentModel
from tfstyle.networks import Canvas
from tfstyle.networks.features import FeatureExtractor
from tfstyle.optimize.callbacks import StopOnNaN

LOSSES = ("loss", "content_loss", "style_loss", "total_variation")
RECIPE = recipe_with(
    content_layers=("block2_conv1", "block3_conv1"),
    content_layer_weights=(0.3, 0.7),
    style_layers=("block1_conv1", "block2_conv1"),
    content_weight=2.0,
    style_weight=3.0,
    tv_norm="smooth",
    tv_weight=0.01,
)


def pictures(count, height=24, width=20, seed=0):
    return np.random.default_rng(seed).random((count, height, width, 3), np.float32)


@pytest.fixture
def extractor(tiny_network):
    return FeatureExtractor(tiny_network, RECIPE.layers)


@pytest.fixture
def model(extractor):
    model = StyleContentModel(Canvas(24, 20), extractor, terms_of(RECIPE))
    model.set_style([pictures(1, 40, 30, seed=1)])
    model.stylizer.paint(pictures(1, seed=2))
    return model


def two_layers():
    return keras.Sequential(
        [
            keras.Input((None, None, 3)),
            keras.layers.Conv2D(8, 3, padding="same", activation="relu"),
            keras.layers.Conv2D(3, 3, padding="same", activation="sigmoid", dtype="float32"),
        ]
    )


def test_losses_of_is_the_weighted_sum_of_every_layer(model, extractor):
    stylized, content = pictures(1, seed=3), pictures(1, seed=4)
    losses = model.losses_of(stylized, content)
    seen, kept = extractor(stylized), extractor(content)
    expected_content = sum(
        w * content_loss(seen[n], kept[n], "relative")
        for n, w in zip(RECIPE.content_layers, (0.3, 0.7), strict=True)
    )
    expected_style = sum(
        0.5 * style_loss(gram_matrix(seen[n]), model.style_targets["style_loss"][n], "relative")
        for n in RECIPE.style_layers
    )
    variation = total_variation(stylized, "smooth")
    np.testing.assert_allclose(losses["content_loss"], expected_content, rtol=1e-5)
    np.testing.assert_allclose(losses["style_loss"], expected_style, rtol=1e-5)
    np.testing.assert_allclose(losses["total_variation"], variation, rtol=1e-5)
    np.testing.assert_allclose(
        losses["loss"], 2 * expected_content + 3 * expected_style + 0.01 * variation, rtol=1e-5
    )


def test_losses_of_the_content_itself_has_no_content_loss(model):
    content = pictures(1)
    assert float(model.losses_of(content, content)["content_loss"]) == 0


def test_losses_of_before_set_style_says_so(extractor):
    model = StyleContentModel(Canvas(24, 20), extractor, terms_of(RECIPE))
    with pytest.raises(ValueError, match=r"no style to teach\. Call `set_style`"):
        model.losses_of(pictures(1), pictures(1))


def test_set_content_spares_looking_at_the_batch(model):
    content, stylized = pictures(1, seed=5), pictures(1, seed=6)
    looked = model.losses_of(stylized, content)
    model.set_content(content)
    remembered = model.losses_of(stylized, None)
    for name in LOSSES:
        np.testing.assert_allclose(looked[name], remembered[name], rtol=1e-6)


def test_set_style_weighs_paintings_of_different_sizes(model, extractor):
    first, second = pictures(1, 40, 30, seed=7), pictures(1, 18, 50, seed=8)
    model.set_style([first, second], [3.0, 1.0])
    for layer, target in model.style_targets["style_loss"].items():
        grams = [gram_matrix(extractor(p)[layer]) for p in (first, second)]
        np.testing.assert_allclose(target, 0.75 * grams[0] + 0.25 * grams[1], rtol=1e-5)


def test_fit_on_one_picture_lowers_the_loss_of_a_canvas(model):
    content = pictures(1)
    model.compile(keras.optimizers.Adam(0.02))
    history = model.fit(content, epochs=30, batch_size=1, verbose=0).history
    assert set(history) == set(LOSSES)
    assert history["loss"][-1] < 0.7 * history["loss"][0]


@pytest.mark.slow
def test_fit_teaches_a_network_on_a_dataset(extractor):
    network = two_layers()
    model = StyleContentModel(network, extractor, terms_of(RECIPE))
    model.set_style([pictures(1, 40, 30, seed=1)])
    model.compile(keras.optimizers.Adam(0.01))
    photographs = tf.data.Dataset.from_tensor_slices(pictures(16)).batch(4).repeat()
    before = [ops.convert_to_numpy(weight) for weight in network.weights]
    first = model.evaluate(photographs, steps=4, return_dict=True, verbose=0)
    model.fit(photographs, steps_per_epoch=40, shuffle=False, verbose=0)
    last = model.evaluate(photographs, steps=4, return_dict=True, verbose=0)
    assert last["loss"] < 0.8 * first["loss"]
    assert all(np.any(old != new) for old, new in zip(before, network.get_weights(), strict=True))
    assert not extractor.trainable_variables


@pytest.mark.slow
def test_fit_reports_the_latest_step_not_a_mean(model):
    seen = []

    class Watch(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            seen.append(float(logs["loss"]))

    model.compile(keras.optimizers.SGD(0.0))
    data = tf.data.Dataset.from_tensor_slices(pictures(3)).batch(1)
    model.fit(data, callbacks=[Watch()], shuffle=False, verbose=0)
    alone = [float(model.losses_of(model.stylizer.picture, p[None])["loss"]) for p in pictures(3)]
    np.testing.assert_allclose(seen, alone, rtol=1e-5)


@pytest.mark.slow
def test_fit_scales_the_loss_under_mixed_float16(extractor):
    model = StyleContentModel(two_layers(), extractor, terms_of(RECIPE), dtype="mixed_float16")
    model.set_style([pictures(1, 40, 30, seed=1)])
    model.compile(keras.optimizers.SGD(0.1))
    plain = StyleContentModel(keras.models.clone_model(model.stylizer), extractor, terms_of(RECIPE))
    plain.stylizer.set_weights(model.stylizer.get_weights())
    plain.set_style([pictures(1, 40, 30, seed=1)])
    plain.compile(keras.optimizers.SGD(0.1))
    for each in (model, plain):
        each.fit(pictures(2), batch_size=2, verbose=0)
    assert isinstance(model.optimizer, keras.optimizers.LossScaleOptimizer)
    for scaled, unscaled in zip(
        model.stylizer.get_weights(), plain.stylizer.get_weights(), strict=True
    ):
        np.testing.assert_allclose(scaled, unscaled, atol=1e-5)


def test_loss_and_gradient_is_that_of_the_losses(model):
    content = ops.convert_to_tensor(pictures(1))
    losses, gradient = model.loss_and_gradient()(content)
    direction = np.sign(gradient)
    start, step = ops.convert_to_numpy(model.stylizer.picture), 1e-3

    def loss_at(picture):
        model.stylizer.picture.assign(picture)
        return float(model.losses_of(model.stylizer(None), content)["loss"])

    slope = (loss_at(start + step * direction) - loss_at(start - step * direction)) / (2 * step)
    assert float(losses["loss"]) == pytest.approx(loss_at(start), rel=1e-5)
    assert float(np.sum(gradient * direction)) == pytest.approx(slope, rel=0.02)


def test_nan_stops_a_fit_and_names_the_step(model):
    class Poison(keras.callbacks.Callback):
        def on_train_batch_begin(self, batch, logs=None):
            if batch == 2:
                self.model.stylizer.picture.assign(pictures(1) * np.nan)

    model.compile(keras.optimizers.SGD(0.0))
    data = tf.data.Dataset.from_tensor_slices(pictures(4)).batch(1)
    with pytest.raises(FloatingPointError, match=r"nan at step 3. Lower the learning rate"):
        model.fit(data, callbacks=[Poison(), StopOnNaN()], shuffle=False, verbose=0)


@pytest.mark.parametrize("scaled", [False, True])
@pytest.mark.slow
def test_fit_leaves_nothing_in_tensorflows_registry_of_gradients(model, scaled):
    from tensorflow.python.framework.ops import gradient_registry

    def fit():
        optimizer = keras.optimizers.Adam(0.1)
        model.compile(keras.optimizers.LossScaleOptimizer(optimizer) if scaled else optimizer)
        before = model.stylizer.read()
        model.fit(pictures(1), batch_size=1, verbose=0)
        assert abs(model.stylizer.read() - before).max() > 0.01
        return len(gradient_registry.list())

    assert fit() == fit()


def test_evaluate_averages_over_pictures(model):
    model.compile()
    content = pictures(3)
    two, one = (float(model.losses_of(model(p), p)["loss"]) for p in (content[:2], content[2:]))
    mean = model.evaluate(content, batch_size=2, return_dict=True, verbose=0)["loss"]
    np.testing.assert_allclose(mean, (2 * two + one) / 3, rtol=1e-5)


@pytest.mark.slow
def test_metrics_given_to_compile_compare_with_the_photographs(model):
    content = pictures(2)
    model.compile(keras.optimizers.SGD(0.0), metrics=[keras.metrics.MeanSquaredError()])
    seen = model.fit(content, batch_size=1, verbose=0).history["mean_squared_error"]
    error = np.mean((ops.convert_to_numpy(model.stylizer(content[:1])) - content) ** 2)
    np.testing.assert_allclose(seen, [error], rtol=1e-5)
    seen = model.evaluate(content, batch_size=1, return_dict=True, verbose=0)
    np.testing.assert_allclose(seen["mean_squared_error"], error, rtol=1e-5)


@pytest.mark.slow
def test_model_checkpoint_keeps_weights_to_go_on_from(model, tmp_path):
    model.compile(keras.optimizers.Adam(0.02))
    path = tmp_path / "best.weights.h5"
    keep = keras.callbacks.ModelCheckpoint(path, save_weights_only=True)
    model.fit(pictures(1), epochs=2, batch_size=1, verbose=0, callbacks=[keep])
    painted = model.stylizer.read()
    model.stylizer.paint(pictures(1, seed=9))
    model.load_weights(path)
    np.testing.assert_array_equal(model.stylizer.read(), painted)


def test_save_says_what_to_save(model, tmp_path):
    with pytest.raises(NotImplementedError, match=r"model\.stylizer\.save"):
        model.save(tmp_path / "model.keras")
    assert not list(tmp_path.iterdir())


def test_evaluate_tells_the_loss_once(model):
    model.compile()
    values = model.evaluate(pictures(1), batch_size=1, verbose=0)
    assert len(values) == len(LOSSES)


def test_compile_refuses_a_loss(model):
    with pytest.raises(ValueError, match=r"The losses of a StyleContentModel are its terms\."):
        model.compile("adam", loss="mse")
