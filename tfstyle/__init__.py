"""Neural style transfer in Keras 3 and TensorFlow, from one picture to a served model."""

from tfstyle.config import RECIPES, Recipe
from tfstyle.painting.doors import stylize
from tfstyle.version import __version__

__all__ = ["RECIPES", "Recipe", "__version__", "stylize"]
