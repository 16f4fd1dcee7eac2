"""The lesson's adversaries: losses and a step against NumPy, a run, what is said of it."""

import warnings
from pathlib import Path

import keras
import numpy as np
import pytest
from PIL import Image

from tfstyle.config import DigitsConfig
from tfstyle.losses import discriminator_loss, generator_loss, hinge_loss, value_and_gradient
from tfstyle.networks import Sampler, discriminator
from tfstyle.training import lesson
from tfstyle.training.adversarial import Adversarial
from tfstyle.training.lesson import Watch, train_digits

TINY = {"latent": 3, "hidden": 8, "epochs": 3, "batch_size": 4, "sheet_epochs": 2}


def pictures(count=18, seed=0):
    """Small pictures, uint8 `(count, 6, 5)`."""
    return np.random.default_rng(seed).integers(0, 256, (count, 6, 5), dtype=np.uint8)


@pytest.fixture
def content(tmp_path, monkeypatch):
    """A file of Keras' layout in the current folder."""
    monkeypatch.chdir(tmp_path)
    np.savez("mnist.npz", x_train=pictures(), y_train=np.zeros(18, np.uint8))
    return "mnist.npz"


# Losses


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def test_losses_are_cross_entropies(call):
    real, fake = np.random.default_rng(0).normal(0, 3, (2, 5, 1)).astype(np.float32)
    expected = -np.log(sigmoid(real)).mean() - np.log(1 - sigmoid(fake)).mean()
    np.testing.assert_allclose(call(discriminator_loss, real, fake), expected, rtol=1e-5)
    np.testing.assert_allclose(call(generator_loss, fake), -np.log(sigmoid(fake)).mean(), rtol=1e-5)


def test_hinge_loss_is_that_of_numpy(call):
    real, fake = np.random.default_rng(1).normal(0, 2, (2, 3, 4, 4, 1)).astype(np.float32)
    expected = np.maximum(0, 1 - real).mean() + np.maximum(0, 1 + fake).mean()
    np.testing.assert_allclose(call(hinge_loss, real, fake), expected, rtol=1e-5)


def test_a_sure_discriminator_still_has_a_gradient():
    logit = keras.Variable([-200.0])
    (loss,), (slope,) = value_and_gradient(lambda: (generator_loss(logit.value),), [logit])
    assert (float(loss), float(slope[0])) == (200.0, -1.0)


# A step


class Dense:
    """Layers of a Keras model in NumPy: dense ones with a rectifier of a leak between them."""

    def __init__(self, model, leak, last):
        self.weights = [np.float64(w) for w in model.get_weights()]
        self.leak, self.last = leak, last

    def __call__(self, x):
        self.inputs, count = [], len(self.weights) // 2
        for i in range(count):
            self.inputs.append(x)
            x = x @ self.weights[2 * i] + self.weights[2 * i + 1]
            if i < count - 1:
                x = np.where(x > 0, x, self.leak * x)
        return sigmoid(x) if self.last else x

    def gradient(self, slope):
        """Return gradients of all weights and of the input, given that of the last layer's."""
        found = []
        for i in reversed(range(len(self.inputs))):
            x = self.inputs[i]
            found[:0] = [x.T @ slope, slope.sum(0)]
            slope = slope @ self.weights[2 * i].T
            if i:  # x is what the rectifier before gave, which has the sign of what it got
                slope = slope * np.where(x > 0, 1, self.leak)
        return found, slope

    def descend(self, gradient, rate):
        self.weights = [w - rate * g for w, g in zip(self.weights, gradient, strict=True)]


def test_a_step_is_that_of_numpy():
    rate, count = 0.05, 4
    images = pictures(count)[..., None]
    sampler, judge = Sampler(3, 8, (6, 5, 1)), discriminator(8, (6, 5, 1))
    model = Adversarial(sampler, judge, seed=7)
    model.compile(keras.optimizers.SGD(rate), keras.optimizers.SGD(rate))
    makes, judges = Dense(sampler, 0.0, True), Dense(judge, 0.2, False)
    told = model.fit(images, batch_size=count, shuffle=False, verbose=0).history

    where = np.float64(keras.random.normal((count, 3), seed=keras.random.SeedGenerator(7)))
    real, fake = images.reshape(count, -1) / 255, makes(where)
    on_real = judges(real)
    first, _ = judges.gradient((sigmoid(on_real) - 1) / count)
    on_fake = judges(fake)
    second, _ = judges.gradient(sigmoid(on_fake) / count)
    judges.descend([a + b for a, b in zip(first, second, strict=True)], rate)

    after = judges(fake)  # by the discriminator that has learned
    _, slope = judges.gradient((sigmoid(after) - 1) / count)
    gradient, _ = makes.gradient(slope * fake * (1 - fake))
    makes.descend(gradient, rate)

    for mine, theirs in ((sampler, makes), (judge, judges)):
        for weight, expected in zip(mine.get_weights(), theirs.weights, strict=True):
            np.testing.assert_allclose(weight, expected, atol=1e-6)
    expected = {
        "D(x)": sigmoid(on_real).mean(),
        "D(G(z))": sigmoid(on_fake).mean(),
        "discriminator_loss": -np.log(sigmoid(on_real)).mean()
        - np.log(1 - sigmoid(on_fake)).mean(),
        "generator_loss": -np.log(sigmoid(after)).mean(),
    }
    assert {name: values[0] for name, values in told.items()} == pytest.approx(expected, rel=1e-4)


@pytest.mark.slow
def test_pictures_may_be_float():
    images, found = pictures(4)[..., None], []
    for form in (images, np.float32(images) / 255):
        keras.utils.set_random_seed(0)
        model = Adversarial(Sampler(3, 8, (6, 5, 1)), discriminator(8, (6, 5, 1)))
        model.compile(keras.optimizers.SGD(0.1), keras.optimizers.SGD(0.1))
        model.fit(form, batch_size=4, verbose=0)
        found.append(model.discriminator.get_weights())
    for one, other in zip(*found, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)


def test_networks_are_the_lessons():
    sampler, judge = Sampler(), discriminator()
    shapes = [[tuple(w.shape) for w in model.weights[::2]] for model in (sampler, judge)]
    assert shapes == [[(64, 256), (256, 256), (256, 784)], [(784, 256), (256, 256), (256, 1)]]
    config = DigitsConfig()
    assert (config.batch_size, config.epochs, config.learning_rate) == (32, 100, 2e-4)


# A run


class Stop(keras.callbacks.Callback):
    """End a run in its second epoch."""

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch

    def on_train_batch_end(self, batch, logs=None):
        self.model.stop_training = self.epoch == 1


@pytest.mark.slow
def test_a_broken_run_ends_as_one_that_was_not(content, capsys):
    whole = train_digits("whole.keras", content, **TINY)
    stopped = train_digits("digits.keras", content, callbacks=Stop(), **TINY)
    assert stopped.card["training"]["epochs_done"] == 1
    assert not Path("digits.keras").exists()
    capsys.readouterr()
    sampler = train_digits("digits.keras", content, **TINY)
    for mine, theirs in zip(sampler.get_weights(), whole.get_weights(), strict=True):
        np.testing.assert_array_equal(mine, theirs)
    assert "epoch 3/3  step 4/4  D(x) 0." in capsys.readouterr().err
    loaded = keras.saving.load_model("digits.keras")
    assert loaded.card["training"]["pictures"] == 18
    assert set(loaded.card["losses"]) == {*Adversarial.METRICS, "spread"}
    again = train_digits("digits.keras", content, **TINY)  # there is nothing left to do
    assert again.card == sampler.card
    points = np.ones((2, 3), np.float32)
    np.testing.assert_array_equal(loaded(points), sampler(points))


@pytest.mark.slow
def test_sheets_show_the_same_points(content):
    train_digits("digits.keras", content, **TINY)
    assert [p.name for p in sorted(Path("digits.training").glob("*.png"))] == [
        "epoch-002.png",
        "epoch-003.png",
    ]
    with Image.open("digits.training/epoch-003.png") as sheet:
        shown = np.asarray(sheet)
    from tfstyle.painting.samples import load_sampler, pictures_of, points, sheet

    pictures = pictures_of(load_sampler("digits.keras"), points(64, 3))
    np.testing.assert_array_equal(shown, sheet(pictures, 2))


@pytest.mark.slow
def test_a_run_is_not_gone_on_with_other_pictures(content):
    train_digits("digits.keras", content, **TINY)
    np.savez("mnist.npz", x_train=pictures(seed=1))
    with pytest.raises(ValueError, match=r"holds a run of other settings: content='"):
        train_digits("digits.keras", content, **TINY)


@pytest.mark.slow
def test_losses_that_are_no_numbers_end_a_run(content):
    with pytest.raises(FloatingPointError, match=r"The losses became .*Lower `learning_rate`"):
        train_digits("digits.keras", content, **TINY, learning_rate=1e30)


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"batch_size": 19}, r"as many pictures as in a step, batch_size=19\. Received: 18"),
        ({"latent": 0}, r"`latent` must be at least 1\. Received: latent=0"),
        ({"learning_rate": 0.0}, r"`learning_rate` must be positive"),
        ({"seed": -1}, r"`seed` must not be negative"),
    ],
)
def test_train_digits_refuses(content, fields, text):
    with pytest.raises(ValueError, match=text):
        train_digits("digits.keras", content, **TINY | fields)


# What is said of a game that is lost


def said(monkeypatch, tmp_path, sampler, scores, epochs=(0,)):
    """Return what a watch warns of after epochs with a sampler."""
    monkeypatch.setattr(lesson, "EARLY", 0)
    watch = Watch(DigitsConfig(**TINY), pictures()[..., None], tmp_path)
    watch.set_model(Adversarial(sampler, discriminator(8, (6, 5, 1))))
    watch.model.stop_training = False
    names = "discriminator_loss", "generator_loss"
    logs = dict(zip(("D(x)", "D(G(z))"), scores, strict=True)) | dict.fromkeys(names, 1.0)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for epoch in epochs:
            watch.on_epoch_begin(epoch)
            watch.on_train_batch_end(3, logs)
            watch.on_epoch_end(epoch, logs)
    return [str(each.message) for each in caught]


def lively(gain):
    sampler = Sampler(3, 8, (6, 5, 1))
    sampler.set_weights([gain * weight for weight in sampler.get_weights()])
    return sampler


def test_collapse_is_said_once(monkeypatch, tmp_path):
    (told,) = said(monkeypatch, tmp_path, lively(0.1), (0.6, 0.4), epochs=(0, 1))
    assert told.startswith("Epoch 1: the samples are all but one picture (they differ 0.0")
    assert said(monkeypatch, tmp_path, lively(5), (0.6, 0.4)) == []


def test_a_discriminator_that_has_won_is_said(monkeypatch, tmp_path):
    (told,) = said(monkeypatch, tmp_path, lively(5), (0.999, 0.001))
    assert told.startswith("Epoch 1: the discriminator tells every sample from a picture (D(x) 0.9")
