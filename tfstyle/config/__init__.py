"""What "good" means and how to get there. Loads neither Keras nor TensorFlow."""

from tfstyle.config.checks import with_fields
from tfstyle.config.digits import DigitsConfig
from tfstyle.config.looks import LAYERS, Losses
from tfstyle.config.painting import (
    CODE_SIDE,
    LEAST_CODE_SIDE,
    BatchConfig,
    HubConfig,
    OnePass,
    PaintConfig,
)
from tfstyle.config.presets import RECIPES, TRAININGS, recipe_with, training_with
from tfstyle.config.recipe import Recipe
from tfstyle.config.training import TrainConfig

__all__ = [
    "CODE_SIDE",
    "LAYERS",
    "LEAST_CODE_SIDE",
    "RECIPES",
    "TRAININGS",
    "BatchConfig",
    "DigitsConfig",
    "HubConfig",
    "Losses",
    "OnePass",
    "PaintConfig",
    "Recipe",
    "TrainConfig",
    "recipe_with",
    "training_with",
    "with_fields",
]
