"""Several styles in one picture, each where its mask says."""

import numpy as np

from tfstyle.pictures import as_list_of_pictures, read_image, resize


def read_masks(masks, count, argument="masks"):
    """Read masks.

    Args:
        masks: Pictures in the forms that `tfstyle.pictures.read_image` takes, or one: white where a
            style is, black where it is not, grey in between.
        count: How many there must be.
        argument: What users call them.

    Returns:
        List of float32 arrays `(height, width)` in [0, 1], each of its own size.

    Raises:
        ValueError: If there are more or fewer.
    """
    masks = as_list_of_pictures(masks)
    if len(masks) != count:
        raise ValueError(
            f"`{argument}` must be one for each of {count} styles. Received: {len(masks)}."
        )
    return [read_image(mask).rgb.mean(-1) for mask in masks]


def regions(masks, shape):
    """Return masks as float32 `(count, height, width)`, whose sum is nowhere above 1.

    Args:
        masks: What `read_masks` returned.
        shape: Height and width.
    """
    masks = np.stack([np.clip(resize(mask, shape), 0, 1) for mask in masks])
    return masks / np.maximum(masks.sum(0), 1)


def compose(photo, painted, masks):
    """Lay paintings over a photograph, each by its mask.

    Args:
        photo: Float array `(height, width, 3)`.
        painted: Such arrays, one for each mask; or one for all.
        masks: What `regions` returned.

    Returns:
        Float32 array `(height, width, 3)`: where all masks are 0, the photograph.
    """
    if not isinstance(painted, (list, tuple)):
        painted, masks = [painted], masks.sum(0, keepdims=True)
    layers = zip(painted, masks[..., None], strict=True)
    return np.float32(photo + sum(mask * (picture - photo) for picture, mask in layers))
