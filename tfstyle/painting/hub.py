"""Networks of others, and this package's exports: SavedModels from TensorFlow Hub or a folder."""

import functools
import hashlib
import os
import re
import tempfile
import warnings
from pathlib import Path

import numpy as np

from tfstyle.pictures import MIN_SIDE, resize
from tfstyle.pictures.files import refuse_for_tensorflow

FILE = "saved_model.pb"
PADDED = 32  # a result that is larger by less was padded for the network's strides: cut that off


def load(handle):
    """Load a SavedModel that paints, once as long as it stays the same.

    Args:
        handle: An address, such as
            "https://tfhub.dev/google/magenta/arbitrary-image-stylization-v1-256/2", which
            `hub.load` downloads, or finds in the cache that TFHUB_CACHE_DIR names. Or the folder
            of a SavedModel, or of its versions 1, 2, …, whose newest is taken; that needs no
            TensorFlow Hub.

    Returns:
        `HubPainter`.

    Raises:
        FileNotFoundError: If there is no SavedModel in the folder.
        ValueError: If it cannot be loaded, or takes something else than pictures.
        TypeError: If `handle` is neither text nor a path.
        OSError: If it is not in the cache and cannot be downloaded.
        ImportError: If it has an address and tensorflow-hub cannot be imported.
    """
    place = find(handle)
    if _is_address(place):
        return _load(place, None)
    return _load(os.path.realpath(place), os.stat(os.path.join(place, FILE)).st_mtime_ns)


def find(handle):
    """Return an address as it is, and of a folder the one that holds the SavedModel.

    Raises:
        FileNotFoundError: If there is no SavedModel in the folder.
        TypeError: If `handle` is neither text nor a path.
    """
    if not isinstance(handle, (str, os.PathLike)):
        raise TypeError(f"`model` must be an address or a folder. Received: model={handle!r}.")
    handle = os.fsdecode(handle)
    if _is_address(handle):
        return handle
    folder = version_folder(handle)
    if folder is None:
        raise FileNotFoundError(
            f"`model` must be an address, or a folder with a {FILE}. Received: '{handle}', where "
            "there is none. A trained style, by name or .keras file, is given as `style`."
        )
    return str(folder)


def version_folder(path):
    """Return the folder of a SavedModel, `path` or the newest version in it; None if there is
    none.

    Raises:
        ValueError: If TensorFlow cannot open a path like that.
    """
    folder = Path(path).expanduser()
    if not (folder / FILE).is_file() and folder.is_dir():
        versions = [path for path in folder.iterdir() if path.name.isdecimal()]
        folder = max(versions, key=lambda path: int(path.name), default=folder)
    if not (folder / FILE).is_file():
        return None
    refuse_for_tensorflow(folder)
    return folder


class HubPainter:
    """Paint with a SavedModel.

    If it can be called with one picture or two, it is; else its signature `serving_default` is
    used, with its inputs in the order of their names. The first picture is the photograph, the
    second the painting. In place of a second picture it may take weights of styles, as this
    package's exports do.

    Args:
        handle: Where it is from, for messages.
        loaded: What `tf.saved_model.load` returned.

    Attributes:
        takes_painting: Whether it takes two pictures.
        num_styles: How many styles it takes weights for; 1 if it takes none.

    Raises:
        ValueError: If it takes something else.

    Source: the interface of Magenta's network, Ghiasi et al. (2017), "Exploring the structure of a
    real-time, arbitrary neural artistic stylization network", on TensorFlow Hub.
    """

    def __init__(self, handle, loaded):
        self.handle, self._loaded = handle, loaded  # without its object a function loses weights
        ways = list(_ways(loaded))
        kinds = [(_kind(specs), specs, function) for specs, function in ways]
        known = [way for way in kinds if way[0]]
        if not known:
            takes = " or ".join(dict.fromkeys(_text(specs) for specs, _ in ways))
            raise ValueError(
                "A SavedModel must take float32 pictures (1, height, width, 3), the photograph or "
                "the photograph and the painting, when called or as `serving_default`. "
                f"Received: '{handle}', which takes {takes or 'nothing in either way'}."
            )
        kind, self._specs, self._function = max(known, key=lambda way: way[0])
        self.takes_painting, self.num_styles = kind

    def __call__(self, image, painting=None, style_weights=None):
        """Paint a picture.

        Args:
            image: Float32 array `(height, width, 3)` in [0, 1].
            painting: Float32 array `(height, width, 3)` in [0, 1], of any size, if the SavedModel
                takes one.
            style_weights: A weight for each style. Default: the first style.

        Returns:
            Float32 array of the shape of `image`, in [0, 1].

        Raises:
            ValueError: If a painting is missing or not taken, the style weights cannot be used, or
                the SavedModel cannot paint these pictures.
        """
        from tfstyle.networks.generator import blend

        if self.takes_painting and painting is None:
            raise ValueError(
                f"'{self.handle}' takes a photograph and a painting. Received: no painting. "
                "Give one as `style`."
            )
        if painting is not None and not self.takes_painting:
            raise ValueError(
                f"'{self.handle}' takes a photograph alone. Received: a painting, too. "
                "Leave `style` out."
            )
        photo = _large_enough(image)
        weights = blend(self.num_styles, style_weights)
        second = weights if painting is None else _large_enough(painting)[None]
        stylized = self._run([photo[None], second][: len(self._specs)])
        return resize(_without_padding(stylized, photo.shape[:2]), image.shape[:2])

    def _run(self, arrays):
        """Return the picture `(height, width, 3)` that the SavedModel makes of its inputs."""
        import tensorflow as tf

        for spec, array in zip(self._specs, arrays, strict=True):
            if not spec.shape.is_compatible_with(array.shape):
                raise ValueError(
                    f"'{self.handle}' takes pictures of shape {spec.shape}. "
                    f"Received: {array.shape}."
                )
        try:
            result = self._function(*map(tf.constant, arrays))
        except (TypeError, ValueError, tf.errors.OpError) as error:
            raise ValueError(
                f"'{self.handle}' cannot paint these pictures: {first_line(error)}"
            ) from error
        stylized = np.asarray(tf.nest.flatten(result)[0])
        if stylized.ndim != 4 or len(stylized) != 1 or stylized.shape[-1] != 3:
            raise ValueError(
                "A SavedModel must return a picture (1, height, width, 3). "
                f"Received: shape {stylized.shape} from '{self.handle}'."
            )
        return stylized[0].astype(np.float32).clip(0, 1)


def _ways(loaded):
    """Yield (specs of its tensors, function that takes them) of each way to run a SavedModel."""
    import tensorflow as tf

    def tensors(signature):
        return [spec for spec in tf.nest.flatten(signature) if isinstance(spec, tf.TensorSpec)]

    if callable(loaded):
        for function in loaded.__call__.concrete_functions:
            positional, _ = function.structured_input_signature
            specs = tensors(function.structured_input_signature)
            if list(positional[: len(specs)]) == specs:
                yield specs, loaded
    if "serving_default" in loaded.signatures:
        signature = loaded.signatures["serving_default"]
        specs = dict(sorted(signature.structured_input_signature[1].items()))
        yield (
            list(specs.values()),
            lambda *given: signature(**dict(zip(specs, given, strict=True))),
        )


def _kind(specs):
    """Return (whether tensors hold a painting, number of styles); None if they are others."""
    if not all(spec.dtype.name == "float32" for spec in specs):
        return None
    pictures = [spec.shape.is_compatible_with([1, None, None, 3]) for spec in specs]
    if pictures in ([True], [True, True]):
        return len(specs) == 2, 1
    if pictures == [True, False] and specs[1].shape.rank == 2 and specs[1].shape[1]:
        return False, specs[1].shape[1]
    return None


def _text(specs):
    return ", ".join(f"{spec.dtype.name} {spec.shape}" for spec in specs) or "nothing"


def _large_enough(image):
    return resize(image, tuple(max(MIN_SIDE, side) for side in image.shape[:2]))


def _without_padding(stylized, size):
    """Bring a result to the photograph's size: cut what a network added, resize all else."""
    more = [have - side for have, side in zip(stylized.shape, size, strict=False)]
    if all(0 <= added < PADDED for added in more):
        return stylized[: size[0], : size[1]]
    return resize(stylized, size)


def _is_address(handle):
    return re.match(r"\w{2,}://", handle) is not None


@functools.lru_cache(maxsize=8)
def _load(place, time):
    import tensorflow as tf

    open_folder, folder = tf.saved_model.load, place
    if _is_address(place):
        hub = _tensorflow_hub()
        open_folder, folder = hub.load, _fetch(hub, place)
    try:
        loaded = open_folder(folder)
    except (OSError, ValueError, KeyError, tf.errors.OpError) as error:
        raise ValueError(
            f"The SavedModel in '{folder}' cannot be loaded: {first_line(error)}"
        ) from error
    return HubPainter(place, loaded)


def _tensorflow_hub():
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of pkg_resources, which it still needs
            import tensorflow_hub
    except Exception as error:  # what it needs raises anything where versions do not fit
        raise ImportError(
            f"TensorFlow Hub cannot be imported ({first_line(error)}). Install it, and the "
            "setuptools that it needs, with: pip install 'tfstyle[hub]'"
        ) from error
    return tensorflow_hub


def _fetch(hub, address):
    """Return the folder in the cache that an address stands for, downloaded if need be."""
    try:
        return hub.resolve(address)
    except Exception as error:  # urllib, tarfile, gzip and TensorFlow raise anything
        cache = os.environ.get("TFHUB_CACHE_DIR") or os.path.join(
            tempfile.gettempdir(), "tfhub_modules"
        )
        name = hashlib.sha1(address.encode()).hexdigest()
        raise OSError(
            f"'{address}' could not be downloaded ({first_line(error)}). Unpack it to "
            f"'{os.path.join(cache, name)}', in the cache that TFHUB_CACHE_DIR names, or give its "
            "folder as `model`."
        ) from error


def first_line(error):
    """Say in a line what an error of TensorFlow says, without its preamble on graphs."""
    text = str(error).rpartition("<stack traces unavailable>\n")[2].strip()
    return (text or type(error).__name__).splitlines()[0]
