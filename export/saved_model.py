"""Networks as SavedModels, ready for TensorFlow Serving, tf.saved_model, TFSMLayer and hub.load."""

import json
import os
import tempfile
from pathlib import Path

import numpy as np
import tensorflow as tf

from tfstyle.export.config import ExportConfig
from tfstyle.export.frozen import describe, freeze, licence, thumbnails
from tfstyle.export.signatures import make_servable
from tfstyle.export.warmup import write_warmup
from tfstyle.painting.hub import version_folder
from tfstyle.pictures.files import (
    error_of_tensorflow,
    refuse_for_tensorflow,
    sync,
    writing_folder,
)


def write_saved_model(network, folder, config=None, *, check=None):
    """Write a network as the next version in a folder that TensorFlow Serving watches.

    The signature `serving_default` takes `image`, float32 `(batch, height, width, 3)`, RGB in
    [0, 1], and returns `stylized`, of the same shape and range. `stylize_bytes` takes
    `image_bytes`, a string tensor `(batch,)` of JPEG, PNG or WebP files, of any sizes (TensorFlow
    2.18 reads no WebP), and returns `stylized_bytes`, JPEG or PNG files; what is transparent is put
    on white, and what EXIF says of turning is not looked at. Refused by their headers, before they
    are decoded: animated WebP, JPEGs of over 1000 scans, other kinds of files, and pictures of too
    many pixels. Where the network keeps several styles, both take `style_weights`, float32
    `(batch, number of styles)`, too; a network of any style takes `painting`, pictures as `image`
    is, and `painting_bytes`, one for all or one each. The object itself can be called with the
    image (and style weights; default: the first style); that of any style as Magenta's on
    TensorFlow Hub,
    `module(photographs, paintings)[0]`.

    Args:
        network: `tfstyle.networks.Generator`.
        folder: Folder of all versions, such as `models/wave`; made if it does not exist.
        config: `ExportConfig`.
        check: Function that is called with the path of what was written before it gets its number
            and a server finds it; it may raise an exception.

    Returns:
        Path of the version, such as `models/wave/1`.

    Raises:
        ValueError: If the network has no such style, or the folder a name of no use.
        OSError: If it cannot be written.
    """
    config = config or ExportConfig()
    refuse_for_tensorflow(folder)
    frozen = freeze(network, config)
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    with writing_folder(folder) as temporary:  # a server takes whole numbers for versions
        try:
            with tempfile.TemporaryDirectory() as assets:
                root, signatures = make_servable(frozen, config)
                root.assets = _assets(frozen, config, Path(assets))
                tf.saved_model.save(root, str(temporary), signatures=signatures)
            write_warmup(temporary, config, frozen)
        except tf.errors.OpError as error:  # TensorFlow's, of a full disk too
            raise error_of_tensorflow(folder, error) from error
        if check is not None:
            check(temporary)
        return _publish(temporary, folder)


class SavedModelPainter:
    """Paint with a SavedModel that `write_saved_model` wrote.

    Args:
        path: The version's folder, or the folder of all versions, whose newest is taken.

    Attributes:
        metadata: What `tfstyle.export.frozen.describe` said, with the network's card.
        signature: Name of the signature that takes pictures as numbers.
        size: None: pictures may be of any size.

    Raises:
        FileNotFoundError: If there is no SavedModel.
        ValueError: If it is not one of tfstyle.
    """

    signature, size = "serving_default", None

    def __init__(self, path):
        self.path = newest_version(path)
        self.loaded = tf.saved_model.load(str(self.path))
        try:
            card = self.loaded.assets["card"].asset_path.numpy()
            self.metadata = json.loads(Path(os.fsdecode(card)).read_text())
        except (AttributeError, KeyError) as error:
            raise ValueError(f"'{path}' holds a SavedModel, but not one of tfstyle.") from error

    def __call__(self, image, style=None):
        """Paint a float32 array `(height, width, 3)` in [0, 1] with `serving_default`.

        Args:
            image: The photograph.
            style: Style weights, where it keeps several; a painting, an array as `image` is, where
                it paints in the style of any.
        """
        inputs = {"image": tf.constant(image[None], tf.float32)} | self._style(style)
        return self.loaded.signatures[self.signature](**inputs)["stylized"].numpy()[0]

    def paint_bytes(self, data, style=None):
        """Paint a picture's file, as bytes, with `stylize_bytes`; return the bytes of another."""
        inputs = {"image_bytes": tf.constant([data])} | self._style(style)
        if "painting" in inputs:
            pixels = tf.cast(tf.round(255 * inputs.pop("painting")[0]), tf.uint8)
            inputs["painting_bytes"] = tf.io.encode_png(pixels)[None]
        return self.loaded.signatures["stylize_bytes"](**inputs)["stylized_bytes"].numpy()[0]

    def _style(self, style):
        if self.metadata.get("painting"):
            return {"painting": tf.constant(style[None], tf.float32)}
        if count := self.metadata["style_weights"]:
            weights = np.eye(1, count) if style is None else style
            return {"style_weights": tf.constant(np.reshape(weights, (1, count)), tf.float32)}
        return {}


def newest_version(path):
    """Return the folder of a SavedModel: `path`, or the newest version in it.

    Raises:
        FileNotFoundError: If there is none.
    """
    folder = version_folder(path)
    if folder is None:
        raise FileNotFoundError(f"There is no SavedModel in '{path}'.")
    return folder


def _versions(folder):
    """Return the names of all versions in a folder, the newest last."""
    if not folder.is_dir():
        return []
    return sorted((p.name for p in folder.iterdir() if p.name.isdecimal()), key=int)


def _publish(temporary, folder):
    """Rename a finished folder to the next free number; return its path."""
    sync(temporary)
    while True:
        version = folder / str(int((_versions(folder) or ["0"])[-1]) + 1)
        try:
            os.rename(temporary, version)
            return version
        except OSError:
            if not version.exists():  # or another export was quicker: take the next number
                raise


def _assets(frozen, config, folder):
    """Write card, licence and thumbnails to a folder and return them as assets."""
    card = {key: value for key, value in frozen.card.items() if key != "styles"}
    served = {"max_pixels": config.max_pixels, "encoding": config.encoding}
    files = {
        "card": ("card.json", json.dumps(describe(frozen, config) | served | card, indent=2)),
        "licence": ("licence.txt", licence(frozen)),
    }
    assets = {}
    for name, (file, text) in files.items():
        (folder / file).write_text(text, "utf-8")
        assets[name] = tf.saved_model.Asset(str(folder / file))
    for number, thumbnail in enumerate(thumbnails(frozen).values()):
        file = folder / ("thumbnail.jpg" if number == 0 else f"thumbnail_{number}.jpg")
        file.write_bytes(thumbnail)
        assets[file.stem] = tf.saved_model.Asset(str(file))
    return assets
