"""Neural style transfer in Keras 3 and TensorFlow, from one picture to a served model."""

import importlib
import sys

from tfstyle.version import __version__

TYPE_CHECKING = False  # that of `typing` takes longer to load than all the rest here
if TYPE_CHECKING:
    from tfstyle.config import RECIPES, TRAININGS, Recipe, TrainConfig
    from tfstyle.painting.doors import load, stylize
    from tfstyle.painting.films import stylize_video
    from tfstyle.painting.zoo import styles
    from tfstyle.training.feed_forward import train

_LOADED_WHEN_ASKED_FOR = {  # they take a while, in which Ctrl-C may come, or load Keras
    "RECIPES": "tfstyle.config",
    "TRAININGS": "tfstyle.config",
    "Recipe": "tfstyle.config",
    "TrainConfig": "tfstyle.config",
    "load": "tfstyle.painting.doors",
    "stylize": "tfstyle.painting.doors",
    "styles": "tfstyle.painting.zoo",
    "stylize_video": "tfstyle.painting.films",
    "train": "tfstyle.training.feed_forward",
}

__all__ = [
    "RECIPES",
    "TRAININGS",
    "Recipe",
    "TrainConfig",
    "__version__",
    "load",
    "styles",
    "stylize",
    "stylize_video",
    "train",
]


def __getattr__(name):
    if name in _LOADED_WHEN_ASKED_FOR:
        return getattr(importlib.import_module(_LOADED_WHEN_ASKED_FOR[name]), name)
    raise AttributeError(f"module 'tfstyle' has no attribute {name!r}")


if "keras" in sys.modules:  # `keras.saving.load_model` then knows our networks
    importlib.import_module("tfstyle.networks")
