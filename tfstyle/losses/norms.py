"""Forms of the losses, by the names that recipes use. All are averaged over the batch."""

from keras import ops

# Content: of features `(batch, height, width, channels)` that differ from those of a target.


def content_mean(difference, target):
    """Σ(F − F')² / (N·C), the TensorFlow tutorial's."""
    return ops.mean(difference**2)


def content_half_mean(difference, target):
    """Σ(F − F')² / (2·N·C), StyleFusion's."""
    return ops.mean(difference**2) / 2


def content_sum(difference, target):
    """Σ(F − F')², early Keras'."""
    return _sum_per_picture(difference**2)


def content_half_sum(difference, target):
    """Σ(F − F')² / 2, Gatys' 2016."""
    return _sum_per_picture(difference**2) / 2


def content_relative(difference, target):
    """Σ(F − F')² / ΣF'², which needs no weight of its own for each layer."""
    return relative_square(difference, target)


def content_scaled(difference, target):
    """Σ(F − F')² / Σ|F − F'|, whose gradient is of one size, crowsonkb's."""
    axes = tuple(range(1, len(difference.shape)))
    size = ops.maximum(ops.sum(ops.abs(difference), axis=axes), 1e-8)
    return ops.mean(ops.sum(difference**2, axis=axes) / size)


CONTENT_NORMS = {
    "mean": content_mean,
    "half_mean": content_half_mean,
    "sum": content_sum,
    "half_sum": content_half_sum,
    "relative": content_relative,
    "scaled": content_scaled,
}

# Style: of Gram matrices `(batch, channels, channels)`, means over N positions of C channels in
# pictures of P pixels. Published forms that sum over positions, G = N·A, are written in A.


def style_mean(difference, target, positions, pixels):
    """Mean (A − A')², the TensorFlow tutorial's."""
    return ops.mean(difference**2)


def style_gatys(difference, target, positions, pixels):
    """Σ(G − G')² / (4·N²·C²), of Gatys et al. and StyleFusion."""
    return _sum_per_picture(difference**2) / (4 * difference.shape[-1] ** 2)


def style_pixels(difference, target, positions, pixels):
    """Σ(G − G')² / (4·3²·P²), early Keras'."""
    return _sum_per_picture(difference**2) * positions**2 / (4 * 3**2 * pixels**2)


def style_channels(difference, target, positions, pixels):
    """Mean (G − G')² / (C·N), the five-layer lesson's."""
    return ops.mean(difference**2) * positions / difference.shape[-1]


def style_relative(difference, target, positions, pixels):
    """Σ(A − A')² / ΣA'², which needs no weight of its own for each layer."""
    return relative_square(difference, target)


STYLE_NORMS = {
    "mean": style_mean,
    "gatys": style_gatys,
    "pixels": style_pixels,
    "channels": style_channels,
    "relative": style_relative,
}

# Total variation: of pictures `(batch, height, width, 3)` in [0, 1], with dx and dy the differences
# to the right and lower neighbor.


def variation_absolute(image):
    """Σ|dx| + Σ|dy|, as `tf.image.total_variation` sums it."""
    return sum(_sum_per_picture(ops.abs(_difference(image, *way))) for way in ((1, 0), (0, 1)))


def variation_power(image):
    """Σ(dx² + dy²)^1.25 of pixels in 0–255, early Keras'."""
    image = 255 * image
    down, right = _difference(image[:, :, :-1], 1, 0), _difference(image[:, :-1], 0, 1)
    return _sum_per_picture((down**2 + right**2) ** 1.25)


def variation_smooth(image):
    """Mean square of dx, dy and both diagonal differences, weighted 4 to 1 (1/3 and 1/12) as in
    the nine-point Laplacian, so that no direction is preferred.

    Source: the nine-point stencil of crowsonkb/style-transfer-pytorch.
    Departs from it: each neighbor is counted once.
    """
    ways = {(1, 0): 1 / 3, (0, 1): 1 / 3, (1, 1): 1 / 12, (1, -1): 1 / 12}
    return sum(share * ops.mean(_difference(image, *way) ** 2) for way, share in ways.items())


TV_NORMS = {
    "absolute": variation_absolute,
    "power": variation_power,
    "smooth": variation_smooth,
}


def relative_square(difference, target):
    """Return Σ difference² / Σ target², each sum over a picture, averaged over the batch."""
    axes = tuple(range(1, len(difference.shape)))
    total = ops.maximum(ops.sum(target**2, axis=axes), 1e-12)  # finite where the target is all zero
    return ops.mean(ops.sum(difference**2, axis=axes) / total)


def _difference(image, down, right):
    """Return how much the pixel so many rows below and columns to the right differs from each that
    has such a neighbor, `(batch, height', width'·3)`."""
    batch, height, width, channels = ops.shape(image)
    # As `ops.slice` of flat rows: with its gradient several times as fast on a CPU as indexing.
    rows = ops.reshape(image, (batch, height, width * channels))
    shape = (batch, height - down, (width - abs(right)) * channels)
    here = ops.slice(rows, (0, 0, max(0, -right) * channels), shape)
    return ops.slice(rows, (0, down, max(0, right) * channels), shape) - here


def _sum_per_picture(values):
    return ops.sum(values) / ops.cast(ops.shape(values)[0], "float32")
