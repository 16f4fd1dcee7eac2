"""A painter's hand: the critic, its share of the gradient, drawn paintings, a run."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import ops
from PIL import Image

from tfstyle.config import training_with
from tfstyle.losses import AdversaryTerm, terms_of, two_ways, value_and_gradient
from tfstyle.losses.terms import PictureTerm
from tfstyle.model import StyleContentModel
from tfstyle.networks import AnyNet, FeatureExtractor, LeanNet, PatchCritic
from tfstyle.painting.instant import Paintings
from tfstyle.training import feed_forward
from tfstyle.training.data import batches
from tfstyle.training.feed_forward import train
from tfstyle.training.gallery import HELD_OUT, Works
from tfstyle.training.hand import HandModel
from tfstyle.training.watching import CriticWon

TINY = {
    "config": "collection",
    "width": 0.125,
    "blocks": 0,
    "sizes": (48,),
    "content_size": (48, 52),
    "painting_size": (50, 52),
    "batch_size": 2,
    "steps": 6,
    "precision": "float32",
    "content_layers": ("block2_conv1",),
    "style_layers": ("block1_conv1", "block2_conv1"),
}
FILTERS = (4, 4, 4, 4)


def pictures(count=2, side=48, seed=0):
    """Coarse noise, float32 `(count, side, side, 3)`."""
    coarse = np.random.default_rng(seed).random((count, side // 4, side // 4, 3), np.float32)
    return coarse.repeat(4, 1).repeat(4, 2)


@pytest.fixture
def folder(tmp_path, monkeypatch, fake_vgg):
    """A current folder with photos/ and monet/ of coarse noise; the loss network is tiny."""
    monkeypatch.chdir(tmp_path)
    for name, count in (("photos", 3), ("monet", HELD_OUT + 1)):
        (tmp_path / name).mkdir()
        for i, picture in enumerate(pictures(count, 64)):
            Image.fromarray(np.uint8(255 * picture)).save(tmp_path / name / f"{i:02}.png")
    return tmp_path


def hand_model(network, weight=0.5, terms=None, **config):
    """A model of a tiny network with a tiny critic, not compiled."""
    keras.utils.set_random_seed(0)
    small = {name: TINY[name] for name in ("content_layers", "style_layers")}
    config = training_with("collection", **small | config)
    terms = terms_of(config) if terms is None else terms
    if weight:
        terms = [*terms, AdversaryTerm("adversary", weight, PatchCritic(FILTERS))]
    return HandModel(
        LeanNet(0.125, 0),
        FeatureExtractor(network, config.layers),
        terms,
        critic_optimizer=keras.optimizers.Adam(1e-2) if weight else None,
        layer_metrics=True,
    )


# The gradient's share


def test_the_second_way_counts_as_told(call):
    x = np.random.default_rng(0).random((3, 4, 2), np.float32)
    a, b = np.random.default_rng(1).normal(size=(2, 3, 4, 2)).astype(np.float32)

    def slope(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            one, other = two_ways(x, 0.3)
            loss = ops.sum(a * one) + 1e5 * ops.sum(b * other)
        return tape.gradient(loss, x)

    expected = a + 0.3 * b * np.linalg.norm(a) / np.linalg.norm(b)
    np.testing.assert_allclose(call(slope, x), expected, rtol=1e-4, atol=1e-5)


def test_a_way_without_a_gradient_does_no_harm():
    variable = keras.Variable(np.ones(3, np.float32))
    for shares in ((0, 1), (1, 0)):

        def loss(shares=shares):
            one, other = two_ways(variable.value, 0.5)
            return (shares[0] * ops.sum(one) + shares[1] * ops.sum(other),)

        gradient = value_and_gradient(loss, [variable])[1][0]
        np.testing.assert_array_equal(gradient, [shares[0]] * 3)


# The critic


def test_a_logit_judges_a_patch():
    critic = PatchCritic(FILTERS)
    assert tuple(critic(np.zeros((2, 46, 62, 3), np.float32)).shape) == (2, 1, 2, 1)
    picture = pictures(1, 80)
    before = np.asarray(critic(picture))
    picture[:, 46:, :] = 0
    after = np.asarray(critic(picture))
    np.testing.assert_array_equal(after[:, 0], before[:, 0])  # of rows 0 to 45
    assert not np.allclose(after[:, -1], before[:, -1])


@pytest.mark.slow
def test_normalized_kernels_have_a_spectral_norm_of_one():
    critic = PatchCritic(FILTERS)
    for stage in critic.stages:
        stage.kernel.assign(5 * stage.kernel)
    small = np.asarray(critic.stages[-1].kernel) / 100
    for _ in range(60):
        critic.normalize()
    for stage in critic.stages:
        matrix = np.asarray(stage.kernel).reshape(-1, stage.filters)
        assert np.linalg.norm(matrix, 2) == pytest.approx(1, abs=1e-3)
    critic.stages[-1].kernel.assign(small)
    critic.normalize()
    np.testing.assert_array_equal(critic.stages[-1].kernel, small)  # is not enlarged


# The model


@pytest.mark.parametrize("weight", [0.0, 0.5])
def test_each_photograph_is_held_against_the_painting_beside_it(tiny_network, weight):
    model = hand_model(tiny_network, weight)
    photographs, paintings = pictures(2), pictures(2, 52, seed=1)
    losses = model.losses_of(model((photographs, paintings)), (photographs, paintings))
    single = StyleContentModel(
        model.stylizer,
        model.extractor,
        terms_of(
            training_with(
                "collection",
                content_layers=TINY["content_layers"],
                style_layers=TINY["style_layers"],
            )
        ),
    )
    alone = []
    for photograph, painting in zip(photographs, paintings, strict=True):
        single.set_style([painting[None]])
        photograph = photograph[None]
        alone.append(single.losses_of(single(photograph), photograph))
    for name in ("content_loss", "style_loss", "total_variation"):
        mean = np.mean([float(each[name]) for each in alone])
        assert float(losses[name]) == pytest.approx(mean, rel=1e-3), name
    assert ("critic_real" in losses) == bool(weight)


@pytest.mark.parametrize("eager", [True, False])
@pytest.mark.slow
def test_a_critic_learns_and_the_network_by_it(tiny_network, eager):
    """With nothing but the critic's word, and a little else for it to be weighed by, a network
    comes nearer to the paintings' color."""
    level = PictureTerm("level", 1.0, lambda pictures: ops.mean((pictures - 0.5) ** 2))
    model = hand_model(tiny_network, 30.0, [level])
    model.compile(keras.optimizers.Adam(3e-3), run_eagerly=eager)
    red = np.full((4, 48, 48, 3), (0.9, 0.2, 0.2), np.float32)
    photographs = pictures(4)

    def redness():
        painted = np.asarray(model.stylizer(photographs))
        return (painted[..., 0] - painted[..., 1:].mean(-1)).mean()

    before = redness()
    dataset = tf.data.Dataset.from_tensors(((photographs, red),)).repeat(12 if eager else 60)
    history = model.fit(dataset, verbose=0).history
    assert redness() > before + 0.02
    assert history["critic_real"][-1] > history["critic_fake"][-1]
    frozen = [np.array(weight) for weight in model.critic.weights]
    model.evaluate(dataset.take(1), verbose=0)
    for weight, kept in zip(model.critic.weights, frozen, strict=True):
        np.testing.assert_array_equal(weight, kept)


def test_a_critic_counts_as_far_as_it_can_tell(tiny_network):
    """Of a critic that scores by brightness alone, and paintings of three levels."""
    level = PictureTerm("level", 1.0, lambda pictures: ops.mean(pictures))
    model = hand_model(tiny_network, 0.5, [level])

    def bright(pictures):
        return 4 * ops.mean(pictures, (1, 2, 3))

    picture, shares = np.full((1, 48, 48, 3), 0.5, np.float32), []
    model.critic = model.terms[-1].critic = bright
    for other in (0.4, 0.75, 1.0, 1.5):  # scores 1.6, 3, 4, 6 beside the picture's 2
        variable = keras.Variable(picture)
        (_,), (slope,) = value_and_gradient(
            lambda x=variable, y=other * 2 * picture: (
                model.losses_of(x.value, (picture, y))["loss"],
            ),
            [variable],
        )
        own = 1 / picture.size
        shares.append(float(ops.mean(slope)) / own)
    np.testing.assert_allclose(shares, [1, 1 - 0.5 * 0.5, 1 - 0.5, 1 - 0.5], rtol=1e-4)


def test_two_critics_or_none_to_optimize_are_refused(tiny_network):
    extractor = FeatureExtractor(tiny_network, [])
    terms = [AdversaryTerm(name, 1.0, PatchCritic(FILTERS)) for name in "ab"]
    for found, optimizer in ((terms, keras.optimizers.Adam()), (terms[:1], None)):
        with pytest.raises(
            ValueError, match=rf"at most one critic.*Received: {len(found)} critics"
        ):
            HandModel(None, extractor, found, critic_optimizer=optimizer)


# Works


def test_works_are_drawn_evenly_in_their_own_colors(folder):
    works = Works("monet")
    assert (len(works), len(works.unseen)) == (HELD_OUT - 1, 2)
    drawn = [works.number(position) for position in range(len(works))]
    assert sorted(drawn) == list(range(len(works)))
    found = works.crop(3, 64, (64, 64))
    with Image.open(works.read(works.number(3))) as picture:
        own = np.asarray(picture)
    assert (found == own).all() or (found == own[:, ::-1]).all()


def test_one_painting_is_a_work(folder):
    works = Works("monet/03.png")
    assert works.names == ["03.png"]
    ((photographs, pieces),) = next(
        iter(batches(works, 48, (48, 52), 2, gallery=(works, (50, 50))))
    )
    assert (photographs.shape, pieces.shape) == ((2, 48, 48, 3), (2, 50, 50, 3))


# A run


class Stop(keras.callbacks.Callback):
    """End a run after a step."""

    def __init__(self, step):
        super().__init__()
        self.step = step

    def on_train_batch_end(self, batch, logs=None):
        self.model.stop_training = batch + 1 == self.step


@pytest.mark.parametrize(
    ("style", "changes"),
    [
        ("monet", {}),
        ("monet/00.png", {"config": "lean", "adversary_weight": 0.5, "style_size": 64}),
    ],
    ids=["collection", "one painting"],
)
@pytest.mark.slow
def test_a_broken_run_ends_as_one_that_was_not(folder, style, changes, capsys):
    settings = TINY | changes
    whole = train(style, "photos", "whole.keras", **settings)
    train(style, "photos", "a.keras", callbacks=[Stop(3)], **settings)
    network = train(style, "photos", "a.keras", **settings)
    for mine, theirs in zip(network.get_weights(), whole.get_weights(), strict=True):
        np.testing.assert_allclose(mine, theirs, atol=1e-6)
    losses = network.card["losses"]
    told = f"critic {losses['critic_real']:.2f} / {losses['critic_fake']:.2f}"
    assert told in capsys.readouterr().err
    card = keras.saving.load_model("a.keras").card
    assert [entry["name"] for entry in card["styles"]] == ["a"]
    assert "thumbnail" in card["styles"][0]


def test_a_critic_that_has_won_is_said_once():
    class Standing:
        step, losses = 300, {"critic_real": 0.9, "critic_fake": -0.9}

    watch = CriticWon(Standing)
    with pytest.warns(UserWarning, match=r"^Step 300: the critic tells paintings \(0\.90\) from"):
        watch.on_train_batch_end(0)
    watch.on_train_batch_end(1)  # warnings are errors here
    Standing.losses = {"critic_real": 0.9, "critic_fake": -0.3}
    CriticWon(Standing).on_train_batch_end(2)


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(
    ("style", "changes", "text"),
    [
        (["monet", "photos"], {}, r"one folder of paintings\. Received: 2 paths"),
        ("monet", {"config": "default"}, r"of one painter's hand \(`config='collection'`\)"),
        ("monet", {"sizes": (32,)}, r"patches of 46 px: `sizes` must not be below.*\(32,\)"),
        ("monet", {"config": "any"}, r"learns from no `collection` and no critic"),
        ("monet", {"critic_learning_rate": 0.0}, r"`critic_learning_rate` must be positive"),
        (
            "monet/00.png",
            {"config": "default", "style_size": 32},
            r"patches of 46 px, and the painting has 32\. Raise `style_size`",
        ),
    ],
)
def test_train_refuses(style, changes, text):
    settings = TINY | {"adversary_weight": 0.5} | changes
    with pytest.raises(ValueError, match=text):
        train(style, "photos", "a.keras", **settings)


@pytest.mark.usefixtures("folder")
def test_a_critic_learns_on_one_device(monkeypatch):
    monkeypatch.setattr(feed_forward, "strategy_for", lambda *args: "two devices")
    with pytest.raises(ValueError, match="A critic learns on one device: leave `devices`"):
        train("monet", "photos", "a.keras", devices=2, **TINY)


@pytest.mark.slow
def test_a_hand_starts_from_the_mean_code_of_its_works(folder):
    any_style = AnyNet(0.125, 0, card={"styles": [{"name": "any", "about": ""}]})
    any_style.save("any.keras")
    (folder / "monet" / "04.png").write_bytes(b"no picture")
    settings = TINY | {"architecture": "crisp", "steps": 1, "learning_rate": 1e-6}
    network = train("monet", "photos", "a.keras", init="any.keras", **settings)
    seen = [f"monet/{i:02}.png" for i in range(HELD_OUT + 1) if i not in (0, 4, HELD_OUT)]
    expected = Paintings(seen, "any.keras").network("a")
    for mine, theirs in zip(network.get_weights(), expected.get_weights(), strict=True):
        np.testing.assert_allclose(mine, theirs, atol=3e-6)
