"""The canvas and the networks: layers against NumPy, sizes, borders, styles, saving."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfstyle.networks import (
    GENERATORS,
    PIXELS,
    Canvas,
    Convolution,
    CrispNet,
    InstanceNormalization,
    LeanNet,
    ResidualBlock,
    TransformNet,
    depth_to_space,
    space_to_depth,
)
from tfstyle.networks.layers import FAINT, SQUARES, coring


def picture(height=6, width=5):
    image = np.random.default_rng(0).random((1, height, width, 3), np.float32)
    image[0, 0, :2] = [[0, 0, 0], [1, 1, 1]]
    return image


def step(canvas, gradient, learning_rate=1.0):
    """Take one step of gradient descent."""
    optimizer = keras.optimizers.SGD(learning_rate)
    optimizer.apply([tf.fill(canvas.picture.shape, gradient)], canvas.trainable_weights)


@pytest.mark.parametrize("pixels", PIXELS)
def test_canvas_shows_what_was_painted(call, pixels):
    canvas = Canvas(6, 5, pixels)
    canvas.paint(picture())
    np.testing.assert_allclose(call(canvas, picture(2, 2)), picture(), atol=1e-6)
    read = canvas.read()
    assert read.dtype == np.float32
    assert read.shape == (6, 5, 3)
    assert (read.min(), read.max()) == (0, pytest.approx(1))


@pytest.mark.parametrize(
    ("pixels", "expected"),
    [
        ("unit", (1, 0.5, 0)),
        ("imagenet", ((1 - 0.485) / 0.229, (0.5 - 0.456) / 0.224, -0.406 / 0.225)),
        ("caffe", (255 - 123.68, 127.5 - 116.779, -103.939)),
    ],
)
def test_canvas_holds_pixels_in_their_units(pixels, expected):
    canvas = Canvas(1, 1, pixels)
    canvas.paint(np.float32([[[[1, 0.5, 0]]]]))
    np.testing.assert_allclose(canvas.picture[0, 0, 0], expected, rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("pixels", PIXELS)
def test_canvas_clips_after_every_step(pixels):
    canvas = Canvas(6, 5, pixels, clip=True)
    canvas.paint(picture())
    for gradient, end in ((-1e3, 1), (1e3, 0)):
        step(canvas, gradient)
        np.testing.assert_allclose(canvas(None), np.full((1, 6, 5, 3), end), atol=1e-6)


@pytest.mark.parametrize("pixels", PIXELS)
def test_canvas_without_clip_goes_beyond_and_clips_when_read(pixels):
    canvas = Canvas(6, 5, pixels, clip=False)
    canvas.paint(picture())
    before = canvas.picture.numpy()
    step(canvas, -1e3)
    np.testing.assert_allclose(canvas.picture, before + 1e3, rtol=1e-5)
    assert np.min(canvas(None)) > 1.5
    np.testing.assert_array_equal(canvas.read(), np.ones((6, 5, 3)))


def test_canvas_learns_its_picture_alone():
    canvas = Canvas(6, 5)
    assert [weight.path.split("/")[-1] for weight in canvas.trainable_weights] == ["picture"]
    assert canvas.weights == canvas.trainable_weights


def test_canvas_is_float32_whatever_the_global_policy():
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        canvas = Canvas(6, 5)
        canvas.paint(picture())
        np.testing.assert_allclose(canvas(None), picture(), atol=1e-6)
    finally:
        keras.config.set_dtype_policy(before)


# Keeping it

SETTINGS = {"height": 6, "width": 5, "pixels": "caffe", "clip": False}


def test_canvas_returns_every_argument_from_its_config():
    config = Canvas(**SETTINGS, name="sky").get_config()
    assert {**SETTINGS, "name": "sky"}.items() <= config.items()
    assert Canvas.from_config(config).get_config() == config


def test_canvas_can_be_serialized_by_keras():
    canvas = Canvas(**SETTINGS)
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(canvas))
    assert type(again) is Canvas
    assert again.get_config() == canvas.get_config()


def test_canvas_is_saved_with_its_picture(tmp_path):
    inputs = keras.Input((None, None, 3))
    model = keras.Model(inputs, Canvas(6, 5, "caffe", name="canvas")(inputs))
    model.get_layer("canvas").paint(picture())
    model.save(tmp_path / "canvas.keras")
    again = keras.saving.load_model(tmp_path / "canvas.keras").get_layer("canvas")
    np.testing.assert_array_equal(again.read(), model.get_layer("canvas").read())
    step(again, -1e3)
    assert np.max(again(None)) == pytest.approx(1)  # clips as before


def test_canvas_lists_the_units_where_one_is_unknown():
    text = r"`pixels` must be one of \('unit', 'imagenet', 'caffe'\)\. Received: 'bytes'\."
    with pytest.raises(ValueError, match=text):
        Canvas(2, 2, "bytes")


# Layers


def noise(*shape, seed=0, mean=0.0, deviation=1.0):
    return np.random.default_rng(seed).normal(mean, deviation, shape).astype(np.float32)


def randomize(layer, seed=0):
    """Give a layer random weights that keep activations near 1, biases and shifts included."""
    for i, weight in enumerate(layer.weights):
        fan_in = np.prod(weight.shape[:3]) if len(weight.shape) == 4 else 1
        weight.assign(noise(*weight.shape, seed=seed + i, deviation=fan_in**-0.5))
    return layer


def normalized(x, scale=1, shift=0):
    """Instance normalization the textbook way, in float64."""
    x = np.asarray(x, np.float64)
    mean, variance = x.mean((1, 2), keepdims=True), x.var((1, 2), keepdims=True)
    return (x - mean) / np.sqrt(variance + 1e-5) * scale + shift


def convolved(x, kernel, strides=1):
    """A convolution without padding, in float64."""
    windows = np.lib.stride_tricks.sliding_window_view(x, kernel.shape[:2], (1, 2))
    full = np.einsum("bhwcyx,yxcf->bhwf", windows, kernel, dtype=np.float64, optimize=True)
    return full[:, ::strides, ::strides]


def padded(x, border, mode):
    return np.pad(x, ((0, 0), (border, border), (border, border), (0, 0)), mode)


def test_instance_normalization_is_the_textbooks(call):
    layer = InstanceNormalization()
    layer.build((None, None, None, 4))
    x = noise(2, 7, 9, 4, mean=3, deviation=2)
    np.testing.assert_allclose(call(layer, x), normalized(x), atol=1e-5)
    layer.gamma.assign([[1, 2, 3, 4]])
    layer.beta.assign([[0, 0, 5, -5]])
    expected = normalized(x, [1, 2, 3, 4], [0, 0, 5, -5])
    np.testing.assert_allclose(call(layer, x), expected, atol=1e-4)


def test_instance_normalization_blends_styles(call):
    layer = InstanceNormalization(num_styles=2)
    layer.build((None, None, None, 3))
    layer.gamma.assign([[1, 1, 1], [3, 5, 7]])
    layer.beta.assign([[0, 0, 0], [4, 4, 8]])
    x = noise(3, 5, 6, 3)
    out = call(layer, x, np.float32([[1, 0], [0, 1], [0.5, 0.5]]))
    blends = [(1, 0), ([3, 5, 7], [4, 4, 8]), ([2, 3, 4], [2, 2, 4])]
    for i, (scale, shift) in enumerate(blends):
        np.testing.assert_allclose(out[i], normalized(x, scale, shift)[i], atol=1e-4)


def test_instance_normalization_takes_given_moments(call):
    layer = InstanceNormalization(epsilon=0.0)
    layer.build((None, None, None, 2))
    x = noise(1, 4, 4, 2)
    moments = np.float32([[[[1, 2]]]]), np.float32([[[[4, 9]]]])
    out = call(lambda x, *moments: layer(x, moments=moments), x, *moments)
    np.testing.assert_allclose(out, (x - [1, 2]) / [2, 3], atol=1e-6)


def test_instance_normalization_moments_are_mean_and_variance(call):
    x = noise(2, 5, 6, 3, mean=1)
    mean, variance = call(InstanceNormalization.moments, x)
    np.testing.assert_allclose(mean, x.mean((1, 2), keepdims=True), atol=1e-6)
    np.testing.assert_allclose(variance, x.var((1, 2), keepdims=True), atol=1e-5)


@pytest.mark.parametrize(("dtype", "tolerance"), [("float16", 2e-3), ("bfloat16", 2e-2)])
def test_instance_normalization_counts_in_float32(call, dtype, tolerance):
    """In float16 the squares would overflow, in bfloat16 the sums would stall."""
    layer = InstanceNormalization(dtype=f"mixed_{dtype}")
    layer.build((None, None, None, 2))
    x = tf.cast(noise(1, 60, 60, 2, mean=500, deviation=100), dtype)
    out = call(layer, x)
    assert out.dtype == dtype
    np.testing.assert_allclose(
        tf.cast(out, "float32"), normalized(tf.cast(x, "float32")), atol=tolerance, rtol=tolerance
    )
    assert layer.gamma.dtype == "float32"


@pytest.mark.parametrize("kernel_size", [1, 3, 9])
@pytest.mark.parametrize("strides", [1, 2])
def test_convolution_mirrors_the_borders(call, kernel_size, strides):
    settings = {"strides": strides, "num_styles": 0, "activation": False}
    layer = Convolution(4, kernel_size, **settings)
    layer.build((None, None, None, 3))
    randomize(layer)
    x = noise(2, 9, 12, 3, seed=5)
    expected = convolved(padded(x, kernel_size // 2, "reflect"), layer.kernel.numpy(), strides)
    np.testing.assert_allclose(call(layer, x), expected + layer.bias.numpy(), atol=1e-5)


@pytest.mark.parametrize("kernel_size", [1, 3, 5])
def test_convolution_doubles_pixels_first(call, kernel_size):
    layer = Convolution(4, kernel_size, upsample=True, num_styles=0, activation=False)
    layer.build((None, None, None, 3))
    randomize(layer)
    x = noise(2, 5, 7, 3, seed=5)
    doubled = padded(x.repeat(2, 1).repeat(2, 2), kernel_size // 2, "edge")
    expected = convolved(doubled, layer.kernel.numpy()) + layer.bias.numpy()
    out = call(layer, x)
    assert out.shape == (2, 10, 14, 4)
    np.testing.assert_allclose(out, expected, atol=1e-5)


def test_convolution_normalizes_and_rectifies(call):
    layer = Convolution(4)
    layer.build((None, None, None, 3))
    randomize(layer)
    x = noise(2, 8, 6, 3, seed=9)
    expected = convolved(padded(x, 1, "reflect"), layer.kernel.numpy())
    expected = normalized(expected, layer.norm.gamma.numpy(), layer.norm.beta.numpy())
    np.testing.assert_allclose(call(layer, x), np.maximum(expected, 0), atol=1e-4)


@pytest.mark.parametrize("settings", [{"kernel_size": 4}, {"kernel_size": 7, "upsample": True}])
def test_convolution_refuses_kernels_it_cannot_use(settings):
    text = rf"must be odd, and at most 5 where.* Received: kernel_size={settings['kernel_size']}\."
    with pytest.raises(ValueError, match=text):
        Convolution(4, **settings)


def test_residual_block_adds_to_its_input(call):
    block = ResidualBlock(4)
    block.build((None, None, None, 4))
    randomize(block)
    x = noise(2, 8, 6, 4, seed=9)
    np.testing.assert_allclose(call(block, x), x + block.second(block.first(x)), atol=1e-5)
    block.second.norm.gamma.assign([[0, 0, 0, 0]])
    block.second.norm.beta.assign([[0, 1, 2, -3]])
    np.testing.assert_allclose(call(block, x), x + np.float32([0, 1, 2, -3]), atol=1e-5)


def test_residual_block_hands_both_normalizations_over():
    block, seen = ResidualBlock(4), []
    block.build((None, None, None, 4))
    block(noise(1, 4, 4, 4), normalize=lambda norm, x: seen.append(norm) or x)
    assert seen == [block.first.norm, block.second.norm]


LAYERS = [
    InstanceNormalization(num_styles=2, epsilon=1e-3),
    Convolution(4, 5, upsample=True, num_styles=0, activation=False),
    Convolution(4, strides=2, num_styles=3),
    ResidualBlock(4, num_styles=2),
]


@pytest.mark.parametrize("layer", LAYERS, ids=lambda layer: layer.name)
def test_layers_return_every_argument_from_their_config(layer):
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(layer))
    assert type(again) is type(layer)
    assert again.get_config() == layer.get_config()


def test_space_to_depth_folds_rows_first(call):
    x = np.arange(8, dtype=np.float32).reshape(1, 2, 4, 1)
    folded = call(lambda x: space_to_depth(x, 2), x)
    np.testing.assert_array_equal(folded, [[[[0, 1, 4, 5], [2, 3, 6, 7]]]])


@pytest.mark.parametrize("backend", ["tensorflow", "jax"])
def test_depth_to_space_is_the_inverse(monkeypatch, backend):
    x = noise(2, 8, 12, 3)
    expected = tf.nn.space_to_depth(x, 4)
    monkeypatch.setattr(keras.backend, "backend", lambda: backend)
    folded = space_to_depth(x, 4)
    np.testing.assert_array_equal(folded, expected)
    np.testing.assert_array_equal(depth_to_space(folded, 4), x)


# Coring


def folded(image):
    return space_to_depth(np.float32(image)[None], 2)


def cored(image):
    return np.asarray(depth_to_space(coring(folded(image)), 2))[0]


def slope(height, width):
    """A gradient that is flat to the eye, in three colors."""
    return np.linspace(0.3, 0.5, width)[:, None] * np.ones((height, 1, 3)) * [1, 0.8, 0.6]


def around(x, reduce, size, beyond):
    """Reduce what lies in the squares around each pixel of `(height, width, channels)`. Beyond the
    borders there is `beyond`: nothing, or slopes that go on as over the outermost four pixels."""
    far = size // 2
    if beyond == "nothing":
        x = np.pad(x, [(far, far), (far, far), (0, 0)], constant_values=np.nan)
    else:
        away = np.arange(1, far + 1)[:, None, None]
        for turn in (0, 1, 2, 3):
            x = np.rot90(x, turn)
            x = np.concatenate([x[:1] + (x[:1] - x[3:4]) / 3 * away[::-1], x])
            x = np.rot90(x, -turn)
    return reduce(np.lib.stride_tricks.sliding_window_view(x, (size, size), (0, 1)), (-2, -1))


def test_coring_is_what_numpy_makes_of_it(call):
    random = np.random.default_rng(0)
    image = slope(40, 48) + random.normal(0, 0.02, (40, 48, 3)) * random.random((40, 48, 1)) ** 2
    x = np.asarray(folded(image))[0]

    def left(band, faint):
        return band * np.clip(around(np.abs(band), np.nanmax, 3, "nothing") * 255 / faint - 1, 0, 1)

    def between(small):
        return folded(tf.image.resize(small, (40, 48)))[0]

    means = [x.reshape(20, 24, 4, 3).mean(2)]
    for side in SQUARES:
        means.append(around(means[-1], np.mean, side, "slopes"))
    expected = means[-1] + sum(
        left(means[i] - means[i + 1], faint) for i, faint in enumerate(FAINT[1:])
    )
    expected = between(expected) + left(x - between(means[0]), FAINT[0])
    np.testing.assert_allclose(call(coring, x[None])[0], expected, atol=1e-6)


def test_coring_takes_away_noise_of_two_levels():
    noise = np.random.default_rng(0).normal(0, 2 / 255, (96, 96, 3))
    calm = cored(slope(96, 96) + noise)
    inner = (slice(36, -36),) * 2
    assert np.std((calm - slope(96, 96))[inner]) < 0.15 * np.std(noise[inner])


def test_coring_leaves_strong_detail_and_gradients_as_they_are():
    random = np.random.default_rng(0)
    blocks = np.kron(random.random((24, 24, 1)) > 0.5, np.ones((4, 4, 3)))
    assert np.abs(cored(blocks) - blocks).mean() < 0.1 / 255
    inner = (slice(1, -1),) * 2  # single pixels at the border have no other to lie between
    np.testing.assert_allclose(cored(slope(96, 96))[inner], slope(96, 96)[inner], atol=1e-6)


def test_half_precision_begins_after_coring(monkeypatch):
    given = []
    monkeypatch.setattr("tfstyle.networks.generator.coring", lambda x: given.append(x) or x)
    network = CrispNet(0.25, 1, calm=True, dtype="mixed_bfloat16")
    image = np.float32(slope(16, 16))[None]
    network(image)
    np.testing.assert_array_equal(given[0], space_to_depth(image, 2))


def test_a_calm_network_reaches_as_far_as_coring():
    image = np.zeros((128, 128, 3))
    image[64, 64] = 0.3
    farthest = np.max(np.abs(np.argwhere(cored(image))[:, :2] - 64))
    more = CrispNet(0.25, 1, calm=True).reach - CrispNet(0.25, 1).reach
    assert more - 4 < farthest <= more  # the gates' own pixel is not seen on black


def test_a_calm_network_makes_nothing_of_noise():
    keras.utils.set_random_seed(0)
    network = CrispNet(0.25, 1, calm=True)
    image = slope(128, 128)
    image[:16] = np.random.default_rng(1).random((16, 128, 1))
    noisy = image + np.random.default_rng(0).normal(0, 1 / 255, image.shape)

    def effect():
        painted, other = (np.asarray(network(np.float32(x)[None])) for x in (image, noisy))
        return np.std((painted - other)[0, 64:])

    calm = effect()
    network.calm = False
    assert calm < 0.2 * effect()


# Generators

CARD = {"styles": ["waves"], "licence": "CC0", "settings": {"steps": 10, "sizes": [256, 384]}}


def generator(kind, seed=0, **settings):
    """A narrow network with random weights."""
    return randomize(GENERATORS[kind](**{"width": 0.1, "blocks": 1} | settings), seed)


def photo(height, width, batch=1, seed=0):
    return np.random.default_rng(seed).random((batch, height, width, 3), np.float32)


@pytest.fixture(params=["lean", "crisp", "full"])
def kind(request):
    return request.param


@pytest.mark.parametrize("size", [(16, 16), (37, 50), (33, 47)])
def test_generator_keeps_any_size(call, kind, size):
    network, images = generator(kind), photo(*size, batch=2)
    out = call(network, images)
    assert out.shape == images.shape
    assert out.dtype == tf.float32
    assert np.ptp(out) > 0.1
    np.testing.assert_allclose(out, network(images), atol=1e-4)


def test_generator_mirrors_what_lacks_to_a_multiple(kind):
    network, images = generator(kind), photo(37, 50)
    whole = np.pad(images, ((0, 0), (0, 3), (0, 2), (0, 0)), "reflect")
    np.testing.assert_allclose(network(images), network(whole)[:, :37, :50], atol=1e-6)


def test_generator_leaves_no_border_on_a_constant_picture(kind):
    network = generator(kind, blocks=4)
    images = np.broadcast_to(np.float32([0.2, 0.5, 0.9]), (1, 33, 47, 3))
    out = network(images, normalize=lambda norm, x: norm(x, moments=(0.1, 0.5)))
    np.testing.assert_allclose(out, np.broadcast_to(out[:, 16:17, 24:25], out.shape), atol=1e-5)
    # By its own moments, which divide by √epsilon, each layer magnifies rounding errors 300-fold.
    assert np.max(np.ptp(network(images), axis=(1, 2))) < 0.05


def test_generator_treats_pictures_of_a_batch_alone(kind):
    network, images = generator(kind), photo(20, 24, batch=3)
    for i in range(3):
        np.testing.assert_allclose(network(images[i : i + 1])[0], network(images)[i], atol=1e-5)


def test_generator_reaches_black_and_white_and_beyond_in_training(kind):
    network, images = generator(kind), photo(32, 32)
    kernel = network.stages[-1].kernel
    kernel.assign(kernel * 100)
    stylized, training = network(images), network(images, training=True)
    assert (np.min(stylized), np.max(stylized)) == (0, 1)
    low, high = np.min(training), np.max(training)
    if kind == "lean":
        assert (low, high) == pytest.approx((-0.05, 1.05), abs=1e-3)
    else:  # the gradient leads back from as far as it may be
        assert low < -0.1
        assert high > 1.1
    np.testing.assert_array_equal(np.clip(training, 0, 1), stylized)


def test_full_network_finds_back_from_far_beyond_black():
    network, images = generator("full"), photo(32, 32)
    bias = network.stages[-1].bias
    bias.assign(bias - 40)
    with tf.GradientTape() as tape:
        stylized = network(images, training=True)
    assert np.max(stylized) < -0.05 - 0.02 * 30
    gradient = tape.gradient(stylized, bias.value)
    np.testing.assert_allclose(gradient, [0.02 * 32 * 32] * 3, rtol=1e-3)


def test_generator_is_saved_with_its_card(kind, tmp_path):
    network, images = generator(kind, width=0.2, num_styles=2, card=CARD), photo(18, 21)
    network.save(tmp_path / "network.keras")
    again = keras.saving.load_model(tmp_path / "network.keras")
    assert type(again) is type(network)
    assert again.card == CARD
    assert again.get_config() == network.get_config()
    for style_weights in (None, np.float32([0, 1])):
        np.testing.assert_array_equal(again(images, style_weights), network(images, style_weights))


def single_style(network, style_weights):
    """The network of one style that a network of several is for some weights."""
    single = type(network)(width=network.width, blocks=network.blocks)
    for weight, source in zip(single.weights, network.weights, strict=True):
        several = source.path.endswith(("gamma", "beta"))
        weight.assign(style_weights @ source.numpy() if several else source)
    return single


def test_generator_of_several_styles_is_several_networks(call, kind):
    network, images = generator(kind, num_styles=3), photo(20, 24, batch=4)
    style_weights = np.float32([[1, 0, 0], [0, 1, 0], [0, 0, 1], [0.5, 0.25, 0.25]])
    out = call(network, images, style_weights)
    for i in range(4):
        expected = single_style(network, style_weights[i : i + 1])(images[i : i + 1])
        np.testing.assert_allclose(out[i : i + 1], expected, atol=1e-4)


def test_generator_gives_all_pictures_one_blend_or_the_first_style(kind):
    network, images = generator(kind, num_styles=3), photo(20, 24, batch=2)
    blend = np.float32([0.5, 0.5, 0])
    expected = network(images, np.stack([blend, blend]))
    np.testing.assert_allclose(network(images, blend), expected, atol=1e-6)
    first = network(images, np.float32([1, 0, 0]))
    np.testing.assert_allclose(network(images), first, atol=1e-6)
    assert np.max(np.abs(expected - first)) > 0.01


def test_generator_hands_every_normalization_over(kind):
    network, seen = generator(kind, num_styles=2), []
    out = network(photo(16, 16), normalize=lambda norm, x: seen.append(norm) or x)
    scales = [weight for weight in network.weights if weight.path.endswith("gamma")]
    assert len(seen) == len(scales)
    assert {id(norm.gamma) for norm in seen} == {id(scale) for scale in scales}
    assert out.shape == (1, 16, 16, 3)


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_generator_in_half_precision_is_near(kind, policy):
    network, images = generator(kind), photo(33, 47)
    half = type(network)(width=0.1, blocks=1, dtype=policy)
    half.set_weights(network.get_weights())
    out = half(images)
    assert out.dtype == tf.float32
    assert np.mean(np.abs(out - network(images))) < 0.05
    assert all(weight.dtype == "float32" for weight in half.weights)


def test_generator_learns_all_of_its_weights(kind):
    network, images = generator(kind, num_styles=2), photo(16, 16)
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(network(images, np.float32([0.4, 0.6]), training=True) ** 2)
    gradients = tape.gradient(loss, [weight.value for weight in network.trainable_weights])
    assert len(gradients) == len(network.weights)
    assert all(np.max(np.abs(gradient)) > 0 for gradient in gradients)


def test_generator_grows_by_width_and_blocks(kind):
    def kernels(**settings):
        network = GENERATORS[kind](**settings)
        return [tuple(w.shape) for w in network.weights if w.path.endswith("kernel")]

    few, many = kernels(blocks=0), kernels(blocks=3)
    widest = max(shape[-1] for shape in few)
    assert sorted(many) == sorted(few + [(3, 3, widest, widest)] * 6)
    narrow = kernels(width=0.5, blocks=0)
    assert [shape[-1] * 2 for shape in narrow[:-1]] == [shape[-1] for shape in few[:-1]]
    assert narrow[-1][-1] == 3


def test_lean_net_has_the_layers_that_its_docstring_names():
    shapes = [w.shape for w in LeanNet().weights if w.path.endswith("kernel")]
    assert shapes == [(3, 3, 48, 48)] * 9 + [(3, 3, 48, 24), (5, 5, 24, 3)]


def test_transform_net_has_the_layers_that_its_docstring_names():
    shapes = [w.shape for w in TransformNet().weights if w.path.endswith("kernel")]
    assert shapes == [
        (9, 9, 3, 32), (3, 3, 32, 64), (3, 3, 64, 128), *[(3, 3, 128, 128)] * 10,
        (3, 3, 128, 64), (3, 3, 64, 32), (9, 9, 32, 3),
    ]  # fmt: skip


@pytest.mark.parametrize("settings", [{"width": 0}, {"blocks": -1}, {"num_styles": 0}])
def test_generator_refuses_what_is_no_network(kind, settings):
    ((name, value),) = settings.items()
    with pytest.raises(ValueError, match=rf"positive `width`, no negative .*{name}={value}[,.]"):
        GENERATORS[kind](**settings)


@pytest.mark.parametrize("num_styles", [pytest.param(1, marks=pytest.mark.slow), 2])
def test_keras_exports_a_network_before_its_first_call(num_styles, tmp_path):
    network = LeanNet(0.25, 1, num_styles)
    network.export(tmp_path / "model", verbose=False)
    image = np.random.default_rng(0).random((1, 32, 40, 3), np.float32)
    given = (image, np.float32([[0, 1]]))[:num_styles]
    loaded = tf.saved_model.load(str(tmp_path / "model"))
    np.testing.assert_allclose(loaded.serve(*given), network(*given), atol=1e-5)


def test_a_network_of_fewer_blocks_starts_from_one_of_more():
    deep, shallow = CrispNet(0.25, 5), CrispNet(0.25, 3)
    shallow.start_from(deep)
    kept = [*deep.stages[:2], deep.stages[2], deep.stages[4], deep.stages[6], *deep.stages[-2:]]
    for mine, theirs in zip(shallow.stages, kept, strict=True):
        for weight, expected in zip(mine.get_weights(), theirs.get_weights(), strict=True):
            np.testing.assert_array_equal(weight, expected)


@pytest.mark.parametrize(
    ("kind", "shape"),
    [(CrispNet, (0.5, 1)), (CrispNet, (0.25, 1, 2)), (CrispNet, (0.25, 0)), (LeanNet, (0.25, 3))],
)
def test_a_network_starts_from_none_of_another_shape(kind, shape):
    with pytest.raises(ValueError, match=r"weight|shape|shorter"):
        CrispNet(0.25, 1).start_from(kind(*shape))
