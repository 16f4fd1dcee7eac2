"""`tfstyle recipes`: list the recipes, or print one as JSON."""

import json
from typing import Annotated

import tyro

from tfstyle.cli import flags
from tfstyle.config import RECIPES, PaintConfig, recipe_with


def recipes(name: Annotated[str | None, tyro.conf.Positional] = None) -> None:
    """List the recipes, or print one as JSON.

    Args:
        name: Recipe to print. Default: a line for each.
    """
    if name == "instant":
        print(json.dumps(vars(PaintConfig()), indent=2))
        return
    if name is not None:
        print(recipe_with(name).to_json())
        return
    print("instant      in one pass, by the network of any style")
    for key, recipe in RECIPES.items():
        print(
            f"{key:<12} {recipe.optimizer:<5} {recipe.steps:>5} steps  {recipe.size:>4} px  "
            f"from {recipe.start:<8} content {', '.join(recipe.content_layers)}"
        )


def run(arguments):
    """Parse `arguments` and run the command."""
    flags.call(recipes, "tfstyle recipes", arguments)
