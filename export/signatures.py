"""What a SavedModel of a network can be asked: pictures as numbers, pictures as files."""

import tensorflow as tf

from tfstyle.config import CODE_SIDE, LEAST_CODE_SIDE
from tfstyle.export.frozen import style_input
from tfstyle.pictures import MIN_SIDE

JPEG_QUALITY = 95
JPEG, PNG = b"\xff\xd8\xff", b"\x89PNG"  # how files begin
MAX_SCANS = 1000  # of a JPEG: ten are usual, but their mark may stand in its metadata by chance


def make_servable(frozen, config):
    """Make of a network what `tf.saved_model.save` saves.

    Args:
        frozen: What `tfstyle.export.frozen.freeze` returned.
        config: `ExportConfig`.

    Returns:
        Tuple of an object that can be called with `image` (and `style_weights`, or a painting) and
        its signatures as a dictionary; `tfstyle.export.saved_model.write_saved_model` has more.
    """
    # Not Model.export: what it writes cannot be called, and holds the weights twice.
    root = tf.train.Checkpoint()
    root.variables = [weight.value for weight in frozen.weights]
    root.trainable_variables, root.regularization_losses = list(root.variables), []

    pictures, files = tf.TensorSpec([None, None, None, 3]), tf.TensorSpec([None], tf.string)
    points = tf.TensorSpec([None, frozen.num_styles])
    takes, point = style_input(frozen), {} if frozen.num_styles == 1 else {"point": points}
    # Once for all, or the file would hold it thrice.
    paint = _traced(lambda image, point=None: frozen(image, point), {"image": pictures} | point)
    read = takes == "painting" and _traced(
        lambda painting: frozen.encode(_at_code_side(painting)), {"painting": pictures}
    )

    def serve(image, **style):
        return {"stylized": paint(image=_bounded(image, config), **to_point(style))}

    def serve_bytes(image_bytes, **style):
        def paint_one(given):
            data, *point = given
            pixels = paint(
                image=_decode(data, config)[None], **({"point": point[0][None]} if point else {})
            )[0]
            return encode(tf.cast(tf.round(255 * pixels), tf.uint8), config.encoding)

        points = [
            tf.broadcast_to(point, [tf.size(image_bytes), frozen.num_styles])
            for point in to_point(style).values()
        ]
        return {"stylized_bytes": _one_by_one(paint_one, (image_bytes, *points), tf.string)}

    def to_point(style):
        """Return what `paint` takes for what a signature does beside the photograph."""
        if "painting_bytes" in style:
            codes = _one_by_one(
                lambda given: read(painting=_decode(given[0], config)[None])[0],
                (style["painting_bytes"],),
                tf.float32,
            )
            return {"point": tf.ensure_shape(codes, points.shape)}
        if "painting" in style:
            return {"point": read(painting=_bounded(style["painting"], config))}
        if "style_weights" in style:
            total = tf.reduce_sum(style["style_weights"], -1, keepdims=True)
            positive = tf.debugging.assert_positive(total, "style weights must have a positive sum")
            return {"point": _after([positive], style["style_weights"]) / total}
        return {}

    root.__call__ = _callable(paint, read, takes, pictures, points)
    given = {None: {}, "style_weights": {takes: points}, "painting": {takes: pictures}}[takes]
    given_bytes = {"painting_bytes": files} if takes == "painting" else given
    return root, {
        "serving_default": _traced(serve, {"image": pictures} | given),
        "stylize_bytes": _traced(serve_bytes, {"image_bytes": files} | given_bytes),
    }


def _callable(paint, read, takes, pictures, points):
    """Return the function that a SavedModel is when it is called."""
    if takes == "painting":
        # As the network of any style on TensorFlow Hub is called: `module(content, style)[0]`.
        def call(content, style, training=False):
            return [paint(image=content, point=read(painting=style))]

        given: list[tuple] = [(pictures, pictures)]
    elif takes == "style_weights":

        def call(image, style_weights=None, training=False):  # type: ignore[misc]
            first = tf.one_hot([0], points.shape[1])
            return paint(image=image, point=first if style_weights is None else style_weights)

        given = [(pictures,), (pictures, points)]
    else:

        def call(image, training=False):  # type: ignore[misc]
            return paint(image=image)

        given = [(pictures,)]
    function = tf.function(call, autograph=False)
    for training in (False, True):
        for specs in given:
            function.get_concrete_function(*specs, training=training)
    return function


def _at_code_side(paintings):
    """Resize paintings `(batch, height, width, 3)` to the size at which their codes are read."""
    sides = tf.cast(tf.shape(paintings)[1:3], tf.float32)
    sides = tf.cast(tf.round(sides * (CODE_SIDE / tf.reduce_max(sides))), tf.int32)
    resized = tf.image.resize(
        paintings, tf.maximum(sides, LEAST_CODE_SIDE), "lanczos3", antialias=True
    )
    return tf.clip_by_value(resized, 0, 1)


def _one_by_one(function, given, dtype):
    """Map a function over tensors: each picture may take all the memory that there is for one."""
    return tf.map_fn(function, given, fn_output_signature=dtype, parallel_iterations=1)


def encode(pixels, encoding):
    """Return a uint8 tensor `(height, width, 3)` as the bytes of a file, "jpeg" or "png"."""
    if encoding == "png":
        return tf.io.encode_png(pixels, compression=1)  # a third of the time, an eighth larger
    return tf.io.encode_jpeg(pixels, quality=JPEG_QUALITY)


def _traced(function, given):
    return tf.function(function, autograph=False).get_concrete_function(**given)


def _bounded(image, config):
    """Return pictures `(…, height, width, 3)` once it is sure that their size can be painted."""
    sides = tf.shape(image, tf.int64)[-3:-1]
    return _after(_size_checks(sides, config), image)


def _size_checks(sides, config):
    few, many = MIN_SIDE, config.max_pixels
    return [
        tf.debugging.assert_less_equal(
            tf.reduce_prod(sides), tf.constant(many, tf.int64), f"a picture has over {many} pixels"
        ),
        tf.debugging.assert_greater_equal(
            tf.reduce_min(sides), tf.constant(few, tf.int64), f"a side is under {few} pixels"
        ),
    ]


def _after(checks, x):
    """Return `x`, computed after the checks; a check that nothing waits for may come too late."""
    with tf.control_dependencies(checks):
        return tf.identity(x)


def _decode(data, config):
    """Decode a file to `(height, width, 3)` in [0, 1], on white, unless its header is too much."""

    def starts_with(magic, at=0):
        return tf.equal(tf.strings.substr(data, at, len(magic)), magic)

    def numbers(at, length, dtype=tf.uint8, little=True):
        found = tf.io.decode_raw(tf.strings.substr(data, at, length), dtype, little_endian=little)
        return tf.cast(found, tf.int64)

    def declared_by_jpeg():
        scans = tf.raw_ops.StringSplitV2(input=data[None], sep=b"\xff\xda", maxsplit=MAX_SCANS + 1)
        few = tf.debugging.assert_less_equal(
            tf.size(scans.values), MAX_SCANS + 1, f"a JPEG has over {MAX_SCANS} scans"
        )
        return _after([few], tf.cast(tf.io.extract_jpeg_shape(data)[:2], tf.int64))

    def declared_by_png():
        return numbers(16, 8, tf.int32, little=False)

    def declared_by_webp():
        kind = tf.strings.substr(data, 12, 4)
        extended = tf.equal(kind, "VP8X")
        # TensorFlow 2.21 writes past its buffer when it takes one frame of an animation.
        still = tf.debugging.Assert(
            tf.logical_not(extended & (numbers(20, 1)[0] // 2 % 2 > 0)),
            ["a WebP must not be animated"],
        )
        sides = tf.case(
            [
                (extended, lambda: tf.reshape(numbers(24, 6), [2, 3]) @ [[1], [256], [65536]] + 1),
                (
                    tf.equal(kind, "VP8L"),
                    lambda: numbers(21, 4, tf.int32) // [[1], [16384]] % 16384 + 1,
                ),
            ],
            default=lambda: numbers(26, 4, tf.uint16)[:, None] % 16384,
        )
        return _after([still], tf.reshape(sides, [2]))

    def unknown():
        fault = tf.debugging.Assert(
            False, ["Unknown image file format. One of JPEG, PNG, WebP required."]
        )
        return _after([fault], tf.zeros([2], tf.int64))

    # Everything that a decoder would spend minutes or its memory on is refused by the header.
    sides = tf.case(
        [
            (starts_with(JPEG), declared_by_jpeg),
            (starts_with(PNG), declared_by_png),
            (starts_with(b"RIFF"), declared_by_webp),
        ],
        default=unknown,
    )
    data = _after(_size_checks(sides, config), data)
    image = tf.cond(
        starts_with(JPEG),
        lambda: tf.io.decode_jpeg(data, 3, dct_method="INTEGER_ACCURATE"),  # default: the fast one
        lambda: tf.io.decode_image(data, expand_animations=False),
    )
    image = _bounded(tf.ensure_shape(image, [None, None, None]), config)
    image = tf.cast(image, tf.float32) / 255
    channels = tf.shape(image)[-1]  # grey, grey and alpha, RGB, RGB and alpha
    colors = channels - (1 - channels % 2)
    alpha = tf.concat([image, tf.ones_like(image[..., :1])], -1)[..., colors : colors + 1]
    image = image[..., :colors] * alpha + (1 - alpha)
    return image * tf.ones([3])
