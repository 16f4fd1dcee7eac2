"""A network as it is exported: in float32, with one of its styles or all; what there is to say."""

import base64

import numpy as np
from keras import ops

from tfstyle.export.moments import moments_size
from tfstyle.networks import AnyNet
from tfstyle.version import __version__


def freeze(network, config):
    """Copy a network as it is exported.

    Args:
        network: `tfstyle.networks.Generator`, trained in any precision.
        config: `ExportConfig`; says which style.

    Returns:
        The network in float32. One style of several is frozen in, so that the copy has no other,
        unless the config says to keep all.

    Raises:
        ValueError: If the network has no such style.
    """
    if config.all_styles or isinstance(network, AnyNet):
        copy = type(network).from_config(network.get_config() | {"dtype": "float32"})
        copy.set_weights(network.get_weights())
        return copy
    index = style_index(network, config.style)
    copy = network.of_style(index, dtype="float32")
    copy.card["styles"] = labels(network)[index : index + 1]
    return copy


def equalize_channels(frozen, examples):
    """Scale convolutions so that their channels have the same largest value; change nothing else.

    All channels that a convolution returns share the 256 levels of int8. An instance norm after it
    makes a channel that uses few of them as large as the others, and its error with it. But it
    also undoes any factor that a channel was scaled with before, so that the factor is free.

    Args:
        frozen: What `freeze` returned; its kernels are changed.
        examples: Iterable of pictures to find the largest values with: tuples of float32 arrays
            `(1, height, width, 3)` and of style weights `(1, number of styles)`.
    """
    largest = {}

    def normalize_with(style_weights):
        def normalize(norm, x):
            found = np.max(np.abs(ops.convert_to_numpy(x)), (0, 1, 2))
            largest[norm] = np.maximum(largest.get(norm, 0), found)
            return norm(x, style_weights)

        return normalize

    for image, style_weights in examples:
        frozen.paint(image, normalize=normalize_with(style_weights))
    for convolution in frozen.convolutions():
        if convolution.norm is not None:
            factor = np.maximum(largest[convolution.norm], 1e-6)  # of a channel that is always 0
            kernel = ops.convert_to_numpy(convolution.kernel)
            convolution.kernel.assign(kernel * (factor.mean() / factor))


def style_input(frozen):
    """Return what an export takes beside the photograph: None, "style_weights" where it keeps
    several styles, or "painting" where it paints in the style of any."""
    if isinstance(frozen, AnyNet):
        return "painting"
    return "style_weights" if frozen.num_styles > 1 else None


def labels(network):
    """Return a dictionary of `name`, `about` and `thumbnail` for each style of a network."""
    known = network.card.get("styles") or [
        {"name": f"style {number}"} for number in range(1, network.num_styles + 1)
    ]
    return [{"index": index} | label for index, label in enumerate(known)]


def style_index(network, name=None):
    """Return the place of a style among a network's; of None the first.

    Raises:
        ValueError: If it has no such style.
    """
    names = [label["name"] for label in labels(network)]
    if name is None:
        return 0
    if name not in names:
        raise ValueError(f"`style` must be one of the network's {names}. Received: {name!r}.")
    return names.index(name)


def describe(frozen, config):
    """Return what users of an exported network must know, as a dictionary ready for JSON.

    Args:
        frozen: What `freeze` returned.
        config: `ExportConfig`.
    """
    takes = style_input(frozen)
    picture = {"dtype": "float32", "layout": "NHWC", "channels": "RGB", "range": [0, 1]}
    return {
        "tfstyle": __version__,
        "format": "litert" if config.format in ("android", "web") else config.format,
        "precision": config.chosen_precision,
        "architecture": type(frozen).__name__,
        "image": picture,
        "stylized": picture,
        "style_weights": frozen.num_styles if takes == "style_weights" else None,
        "painting": picture if takes == "painting" else None,
        "code": frozen.num_styles if takes == "painting" else None,
        "moments": moments_size(frozen) if config.format == "web" else None,
        "size": list(config.sides) if config.sides else None,
        "multiple": frozen.multiple,
        "styles": [
            {"name": label["name"], "index": label["index"], "about": label.get("about", "")}
            for label in labels(frozen)
        ],
    }


def licence(frozen):
    """Return a line for each style on painter, work and licence."""
    about = {label["name"]: label.get("about") or "unknown" for label in labels(frozen)}
    return "".join(f"{name}: {text}\n" for name, text in about.items())


def thumbnails(frozen):
    """Return `{name: bytes of a JPEG}` of the paintings, where the network has them."""
    return {
        label["name"]: base64.b64decode(label["thumbnail"])
        for label in labels(frozen)
        if label.get("thumbnail")
    }
