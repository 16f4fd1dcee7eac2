"""Losses: equations as pure functions, and terms, the objects that a model sums."""

from tfstyle.losses.adversaries import discriminator_loss, generator_loss, hinge_loss
from tfstyle.losses.codes import code_size, contrast_loss
from tfstyle.losses.distributions import gaussian, quantiles, sorted_loss, wasserstein_loss
from tfstyle.losses.equations import (
    content_loss,
    detail_kept,
    grid_variation,
    moments_loss,
    normed_content_loss,
    octave_noise,
    stability_loss,
    style_loss,
    total_variation,
)
from tfstyle.losses.gradients import two_ways, value_and_gradient
from tfstyle.losses.norms import CONTENT_NORMS, STYLE_NORMS, TV_NORMS
from tfstyle.losses.statistics import channel_moments, gram_matrix
from tfstyle.losses.terms import AdversaryTerm, Codes, Seen, Term, in_regions, terms_of

__all__ = [
    "CONTENT_NORMS",
    "STYLE_NORMS",
    "TV_NORMS",
    "AdversaryTerm",
    "Codes",
    "Seen",
    "Term",
    "channel_moments",
    "code_size",
    "content_loss",
    "contrast_loss",
    "detail_kept",
    "discriminator_loss",
    "gaussian",
    "generator_loss",
    "gram_matrix",
    "grid_variation",
    "hinge_loss",
    "in_regions",
    "moments_loss",
    "normed_content_loss",
    "octave_noise",
    "quantiles",
    "sorted_loss",
    "stability_loss",
    "style_loss",
    "terms_of",
    "total_variation",
    "two_ways",
    "value_and_gradient",
    "wasserstein_loss",
]
