"""A network of any style: codes, what they do, how it is saved."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfstyle.networks import AnyNet, LeanNet


@pytest.fixture(scope="module")
def network():
    keras.utils.set_random_seed(0)
    return AnyNet(width=0.25, blocks=1, num_styles=8)


def pictures(height, width, batch=1, seed=0):
    return np.random.default_rng(seed).random((batch, height, width, 3), np.float32)


def test_encode_begins_with_one_and_tells_paintings_apart(call, network):
    codes = call(network.encode, pictures(40, 52, batch=3))
    assert codes.shape == (3, 8)
    np.testing.assert_array_equal(codes[:, 0], 1)
    assert np.ptp(codes[:, 1:], axis=0).max() > 1e-3


def test_encode_reads_each_painting_alone(network):
    paintings = pictures(40, 52, batch=3)
    np.testing.assert_allclose(
        network.encode(paintings)[1:2], network.encode(paintings[1:2]), atol=1e-5
    )


def test_encode_hardly_sees_where_things_lie(network):
    painting = pictures(64, 64)
    mirrored = painting[:, :, ::-1]
    far = np.abs(network.encode(painting) - network.encode(painting**2)).max()
    assert np.abs(network.encode(painting) - network.encode(mirrored)).max() < far


@pytest.mark.parametrize("size", [(16, 16), (37, 50)])
def test_any_net_keeps_any_size_and_takes_a_code_a_picture(call, network, size):
    images, codes = pictures(*size, batch=2), network.encode(pictures(40, 40, batch=2, seed=1))
    out = call(network, images, codes)
    assert out.shape == images.shape
    for i in range(2):
        alone = network(images[i : i + 1], codes[i])
        np.testing.assert_allclose(out[i : i + 1], alone, atol=1e-4)


def test_a_network_saved_before_coring_paints_without(network):
    config = network.get_config()
    assert AnyNet.from_config(config).calm
    assert not AnyNet.from_config({name: config[name] for name in config if name != "calm"}).calm


def test_scales_and_shifts_are_linear_in_the_code(network):
    one, other = network.encode(pictures(40, 40, batch=2))
    norm = network.norms()[1]
    x = pictures(8, 8)[..., :1] * np.ones(norm.gamma.shape[-1], np.float32)
    middle = norm(x, [(one + other) / 2])
    np.testing.assert_allclose(middle, (norm(x, [one]) + norm(x, [other])) / 2, atol=1e-4)


def test_norms_are_those_that_are_called_in_their_order(network):
    seen = []
    network.paint(pictures(20, 24), normalize=lambda norm, x: seen.append(norm) or x)
    assert [id(norm) for norm in seen] == [id(norm) for norm in network.norms()]


@pytest.mark.parametrize("code", [None, np.ones(7), np.ones((2, 8))])
def test_point_wants_one_code(network, code):
    with pytest.raises(ValueError, match=r"needs the code of a painting, of 8 numbers"):
        network.point(code)


def test_any_net_without_a_code_says_what_it_needs(network):
    with pytest.raises(ValueError, match=r"`encode` reads it\. Received: none"):
        network(pictures(16, 16))


def test_any_net_learns_all_of_its_weights(network):
    with tf.GradientTape() as tape:
        codes = network.encode(pictures(32, 32, batch=2))
        loss = tf.reduce_mean(network(pictures(16, 16, batch=2), codes, training=True) ** 2)
    weights = network.trainable_weights
    gradients = tape.gradient(loss, [weight.value for weight in weights])
    assert all(gradient is not None for gradient in gradients)
    moved = sum(np.abs(gradient).max() > 0 for gradient in gradients)
    assert moved > 0.9 * len(weights)  # a bias behind a ReLU that is shut may rest


def test_any_net_is_saved_whole(network, tmp_path):
    network.save(tmp_path / "any.keras")
    again = keras.saving.load_model(tmp_path / "any.keras")
    codes, images = network.encode(pictures(40, 40)), pictures(16, 16)
    np.testing.assert_array_equal(again.encode(pictures(40, 40)), codes)
    np.testing.assert_array_equal(again(images, codes), network(images, codes))


@pytest.mark.parametrize("kind", [AnyNet, LeanNet])
def test_weights_that_float16_holds_take_half_the_file(kind, tmp_path):
    network = kind()
    network.save(tmp_path / "long.keras")
    network.set_weights([w.astype(np.float16).astype(np.float32) for w in network.get_weights()])
    network.save(tmp_path / "short.keras")
    long, short = ((tmp_path / f"{name}.keras").stat().st_size for name in ("long", "short"))
    assert short < 0.6 * long
    again = keras.saving.load_model(tmp_path / "short.keras")
    for weight, expected in zip(again.get_weights(), network.get_weights(), strict=True):
        assert weight.dtype == np.float32
        np.testing.assert_array_equal(weight, expected)


def test_a_painting_in_the_place_of_its_code_is_refused(network):
    with pytest.raises(ValueError, match=r"the code that `encode` reads off a .* \(1, 40, 40, 3\)"):
        network(pictures(16, 16), pictures(40, 40))
