"""Terms: what a picture is asked to be, each a small object with a weight. A model sums them."""

import functools
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np
from keras import ops

from tfstyle.config import TrainConfig
from tfstyle.losses.codes import code_size, contrast_loss
from tfstyle.losses.distributions import gaussian, quantiles, sorted_loss, wasserstein_loss
from tfstyle.losses.equations import (
    content_loss,
    grid_variation,
    moments_loss,
    normed_content_loss,
    octave_noise,
    stability_loss,
    style_loss,
    total_variation,
)
from tfstyle.losses.statistics import channel_moments, gram_matrix


@dataclass(frozen=True, kw_only=True)
class Seen:
    """What terms look at in a step."""

    pictures: Any
    """Stylized pictures, float32 `(batch, height, width, 3)`, [0, 1] and in training a little
    beyond."""
    photographs: Any = None
    """The photographs they were painted from, of that shape. None where nobody gave any."""
    features: dict = field(default_factory=dict)
    """Features of the stylized pictures at every term's layers, by layer,
    `(batch, height', width', channels)`."""
    grams: dict = field(default_factory=dict)
    """Where Gram matrices were summed piece by piece: those, and their number of positions."""
    paint: Any = None
    """Function that paints other photographs of that shape in the same styles."""
    codes: Any = None
    """`Codes`, where a network of any style is trained."""
    judged: Any = None
    """The stylized pictures once more, as a critic is shown them: what it teaches is weighed."""
    paintings: Any = None
    """Pieces of paintings `(batch, height', width', 3)`, in [0, 1], where a critic is trained."""


@dataclass(frozen=True, kw_only=True)
class Codes:
    """What terms look at besides where a network of any style paints n photographs in the style of
    each of m paintings, painting by painting."""

    paintings: Any
    """Codes of the paintings, float32 `(m, code_size)`."""
    photographs: Any
    """Codes of the photographs, `(n, code_size)`."""
    painted: Any
    """Codes of the stylized pictures, `(m·n, code_size)`."""
    same: Any
    """The first photograph, painted by its own code, `(1, height, width, 3)`."""


class Term:
    """Something that a picture is asked to be, and how much it counts.

    A subclass says in `__call__` what the loss is. Two kinds of subclass set `against`, and are
    given what to compare with as `target`:

    - `"content"`: the photographs' features, `{layer: features}` at all layers of such terms;
    - `"style"`: what `summary` made of the painting's features. It is made once, is blended
      where several paintings are, and has the batch of the stylized pictures, or of 1.

    Args:
        name: What the loss is called among the metrics.
        weight: What the model multiplies it by in the sum.
        layers: Names of the loss network's layers that the term looks at; or `{name: weight}`.
            Of names alone the mean is meant.

    Example:

    >>> class Dark(Term):
    ...     def __call__(self, seen, target):
    ...         return ops.mean(seen.pictures)
    >>> float(Dark("dark", 2.0)(Seen(pictures=ops.ones((1, 2, 2, 3))), None))
    1.0
    """

    against: str | None = None

    def __init__(self, name, weight=1.0, layers=()):
        self.name, self.weight = name, weight
        equal = {layer: 1 / len(layers) for layer in layers}
        self.layers = dict(layers) if isinstance(layers, dict) else equal

    @property
    def names(self):
        """Names of what `losses` returns."""
        return (self.name,)

    def summary(self, features):
        """Return what is remembered of paintings.

        Args:
            features: `{layer: features}` of paintings, `(count, height, width, channels)`.

        Returns:
            Tensors with `count` along their first axis, in dictionaries or tuples.
        """
        raise NotImplementedError(f"{type(self).__name__} has no `summary` of a painting.")

    def blend(self, summaries, weights):
        """Return the target that summaries of several paintings make.

        Args:
            summaries: What `summary` returned of each.
            weights: A weight for each, which sum to 1.

        Returns:
            Their weighted mean: of Gram matrices it has the same gradient as the weighted mean of
            the losses.
        """
        return keras.tree.map_structure(
            lambda *each: sum(w * one for w, one in zip(weights, each, strict=True)), *summaries
        )

    def __call__(self, seen, target):
        """Return the loss before its weight.

        Args:
            seen: `Seen`.
            target: What it is held against, see above; None where that is nothing.

        Returns:
            Float32 scalar, averaged over the batch.
        """
        raise NotImplementedError(f"{type(self).__name__} must say in `__call__` what its loss is.")

    def losses(self, seen, target):
        """Return `{name: float32 scalar}`: the loss by the term's name, and what else it tells."""
        return {self.name: self(seen, target)}


class ContentTerm(Term):
    """Keep the photograph's features where they are.

    Args:
        loss: Function of features and target of a layer. Default: `content_loss`.
    """

    against = "content"

    def __init__(self, name, weight=1.0, layers=(), loss=content_loss):
        super().__init__(name, weight, layers)
        self.loss = loss

    def __call__(self, seen, target):
        return sum(
            weight * self.loss(seen.features[layer], target[layer])
            for layer, weight in self.layers.items()
        )


class GramTerm(Term):
    """Take on the painting's Gram matrices; each layer's loss is reported as `NAME/LAYER`.

    Args:
        norm: A key of `STYLE_NORMS`.
    """

    against = "style"

    def __init__(self, name, weight=1.0, layers=(), norm="relative"):
        super().__init__(name, weight, layers)
        self.norm = norm

    @property
    def names(self):
        return (self.name, *(f"{self.name}/{layer}" for layer in self.layers))

    def summary(self, features):
        return {layer: gram_matrix(features[layer]) for layer in self.layers}

    def __call__(self, seen, target):
        return self.losses(seen, target)[self.name]

    def losses(self, seen, target):
        grams = seen.grams or {
            layer: (gram_matrix(seen.features[layer]), _positions(seen.features[layer]))
            for layer in self.layers
        }
        return self._compare(grams, seen, target)

    def _compare(self, grams, seen, target):
        pixels = _positions(seen.pictures)
        losses = {}
        for layer in self.layers:
            gram, positions = grams[layer]
            losses[layer] = style_loss(
                gram, target[layer], self.norm, positions=positions, pixels=pixels
            )
        total = sum(weight * losses[layer] for layer, weight in self.layers.items())
        return {self.name: total} | {f"{self.name}/{layer}": losses[layer] for layer in losses}


class RegionsTerm(GramTerm):
    """Take on each painting's Gram matrices in a region of its own.

    Args:
        masks: Where each painting is taken on, float array `(count, height, width)` in [0, 1], of
            any size: its weight at each place.
        style_masks: What of each painting is taken on, such arrays, each of its own size, or None
            for all of a painting.

    Source: Gatys et al. (2017), "Controlling perceptual factors in neural style transfer",
    https://arxiv.org/abs/1611.07865: guided Gram matrices. Departs from it: guides are scaled to
    each layer, without erosion.
    """

    def __init__(self, name, weight, layers, norm, masks, style_masks=None):
        super().__init__(name, weight, layers, norm)
        self.masks = np.asarray(masks, np.float32)
        self.style_masks = style_masks or [None] * len(self.masks)
        areas = np.maximum(self.masks.mean((1, 2)), 1e-6)
        self.shares = (areas / areas.sum()).tolist()

    def summary(self, features):
        return {layer: features[layer] for layer in self.layers}

    def blend(self, summaries, weights):
        return [
            {layer: gram_where(seen, mask) for layer, seen in features.items()}
            for features, mask in zip(summaries, self.style_masks, strict=True)
        ]

    def losses(self, seen, target):
        regions = []
        for mask, grams in zip(self.masks, target, strict=True):
            inside = {
                layer: (gram_where(features, mask), _positions(features))
                for layer, features in seen.features.items()
                if layer in self.layers
            }
            regions.append(self._compare(inside, seen, grams))
        return {
            name: sum(w * losses[name] for w, losses in zip(self.shares, regions, strict=True))
            for name in self.names
        }


def gram_where(features, mask):
    """Correlate the channels of features as `gram_matrix` does, each place by its weight.

    Args:
        features: Float tensor `(batch, height, width, channels)`.
        mask: Float array `(height, width)` in [0, 1], of any size; None: alike everywhere.

    Returns:
        Float32 tensor `(batch, channels, channels)`: Σ m·F·Fᵀ / Σ m.

    Example:

    >>> x = ops.reshape(ops.array([1.0, 3.0]), (1, 1, 2, 1))
    >>> float(gram_where(x, [[0.0, 1.0]])[0, 0, 0])
    9.0
    """
    if mask is None:
        return gram_matrix(features)
    mask = ops.convert_to_tensor(np.float32(mask))[None, :, :, None]
    size = ops.shape(features)[1:3]
    if tuple(size) != tuple(mask.shape[1:3]):
        mask = ops.image.resize(mask, size, antialias=True, data_format="channels_last")
    mask = ops.clip(mask, 0, 1)
    weighted = features * ops.cast(ops.sqrt(mask), features.dtype)
    return gram_matrix(weighted) / ops.maximum(ops.mean(mask), 1e-6)


class StatisticTerm(Term):
    """Take on a statistic of the painting's features.

    Args:
        statistic: Function of features `(batch, height, width, channels)`.
        loss: Function of what it returns and the same of the painting.
    """

    against = "style"

    def __init__(self, name, weight, layers, statistic, loss):
        super().__init__(name, weight, layers)
        self.statistic, self.loss = statistic, loss

    def summary(self, features):
        return {layer: self.statistic(features[layer]) for layer in self.layers}

    def __call__(self, seen, target):
        return sum(
            weight * self.loss(self.statistic(seen.features[layer]), target[layer])
            for layer, weight in self.layers.items()
        )


class PictureTerm(Term):
    """Ask something of the stylized pictures themselves.

    Args:
        loss: Function of pictures `(batch, height, width, 3)`.
    """

    def __init__(self, name, weight, loss):
        super().__init__(name, weight)
        self.loss = loss

    def __call__(self, seen, target):
        return self.loss(seen.pictures)


class StabilityTerm(Term):
    """What noise changes in photographs changes little in the pictures: `stability_loss` with
    `octave_noise`. The network paints once more for it.

    Args:
        deviation: Of the noise.
    """

    def __init__(self, name, weight, deviation):
        super().__init__(name, weight)
        self.deviation = deviation

    def __call__(self, seen, target):
        height, width = ops.shape(seen.photographs)[1:3]
        noise = octave_noise(height, width, self.deviation)
        return stability_loss(seen.pictures, seen.paint(seen.photographs + noise), noise)


class IdentityTerm(Term):
    """A photograph painted by its own code is itself: mean squared error of pixels."""

    def __call__(self, seen, target):
        return ops.mean((seen.codes.same - seen.photographs[:1]) ** 2)


class ContrastTerm(Term):
    """The code of a painted picture is near its own painting's, and far from all others and from
    those of the photographs: `contrast_loss`."""

    def __call__(self, seen, target):
        codes = seen.codes
        paintings, photographs = (ops.shape(c)[0] for c in (codes.paintings, codes.photographs))
        known = ops.concatenate([codes.paintings, codes.photographs])
        labels = ops.repeat(ops.arange(paintings), photographs)
        return contrast_loss(codes.painted, known, labels)


class CodeSizeTerm(Term):
    """Codes of paintings stay small: `code_size`."""

    def __call__(self, seen, target):
        return code_size(seen.codes.paintings)


class AdversaryTerm(Term):
    """Be taken for paintings by a critic; what it takes paintings and pictures for is reported as
    `critic_real` and `critic_fake`.

    Its weight stands for how much it counts at most beside all other terms, see
    `tfstyle.training.hand.HandModel`; in the sum it changes nothing else.

    Args:
        critic: `tfstyle.networks.PatchCritic`, or another model from pictures to logits.
    """

    def __init__(self, name, weight, critic):
        super().__init__(name, weight)
        self.critic = critic

    @property
    def names(self):
        return (self.name, "critic_real", "critic_fake")

    def __call__(self, seen, target):
        return -ops.mean(self.critic(seen.judged))

    def losses(self, seen, target):
        loss = self(seen, target)
        real = ops.mean(self.critic(seen.paintings))
        return {self.name: loss, "critic_real": real, "critic_fake": -loss}


def in_regions(terms, masks, style_masks=None):
    """Return terms of which those for Gram matrices look at each painting in its region.

    Args:
        terms: What `terms_of` a recipe returned.
        masks: As for `RegionsTerm`.
        style_masks: As for `RegionsTerm`.

    Raises:
        ValueError: If another term looks at paintings, which knows no regions.
    """
    result = []
    for term in terms:
        if type(term) is GramTerm:
            settings = (term.name, term.weight, term.layers, term.norm)
            term = RegionsTerm(*settings, masks, style_masks)
        elif term.against == "style":
            raise ValueError(
                f"Regions are known to Gram matrices alone. Received: the term {term.name!r}, too: "
                "set its weight to 0."
            )
        result.append(term)
    return result


def terms_of(config):
    """Return the terms that a recipe or a training sums.

    Args:
        config: `Recipe` or `TrainConfig`.

    Returns:
        List of `Term`: `content_loss`, `style_loss` and `total_variation`, which are metrics at
        any weight, then those whose weight is not 0.

    Example:

    >>> from tfstyle.config import training_with
    >>> [term.name for term in terms_of(training_with("lean"))]
    ['content_loss', 'style_loss', 'total_variation', 'grid']
    """
    content, style = config.layer_weights("content"), config.layer_weights("style")
    loss = functools.partial(content_loss, norm=config.content_norm)
    variation = functools.partial(total_variation, norm=config.tv_norm)
    wasserstein = functools.partial(wasserstein_loss, norm=config.style_norm)
    terms = [
        ContentTerm("content_loss", config.content_weight, content, loss),
        GramTerm("style_loss", config.style_weight, style, config.style_norm),
        PictureTerm("total_variation", config.tv_weight, variation),
    ]
    others = [
        PictureTerm("grid", config.grid_weight, grid_variation),
        ContentTerm("normed_content", config.normed_content_weight, content, normed_content_loss),
        StatisticTerm("moments", config.moments_weight, style, channel_moments, moments_loss),
        StatisticTerm("wasserstein", config.wasserstein_weight, style, gaussian, wasserstein),
        StatisticTerm("sorted", config.sorted_weight, style, quantiles, sorted_loss),
    ]
    if isinstance(config, TrainConfig):
        others += [
            StabilityTerm("stability", config.stability_weight, config.stability_noise),
            IdentityTerm("identity", config.identity_weight),
            ContrastTerm("contrast", config.contrast_weight),
            CodeSizeTerm("code_size", config.code_weight),
        ]
    return terms + [term for term in others if term.weight]


def _positions(pictures):
    height, width = ops.shape(pictures)[1:3]
    return height * width
