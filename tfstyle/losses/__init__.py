"""Losses: the equations, and the model that sums them and takes the gradient."""

from tfstyle.losses.equations import (
    CONTENT_NORMS,
    STYLE_NORMS,
    TV_NORMS,
    content_loss,
    gram_matrix,
    grid_variation,
    style_loss,
    total_variation,
)

__all__ = [
    "CONTENT_NORMS",
    "STYLE_NORMS",
    "TV_NORMS",
    "content_loss",
    "gram_matrix",
    "grid_variation",
    "style_loss",
    "total_variation",
]
