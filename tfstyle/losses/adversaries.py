"""Losses of two networks that play against each other, as pure functions of what one says.

A critic, or discriminator, gives pictures logits: above 0 it takes them for real.
"""

from keras import ops


def discriminator_loss(real, fake):
    """Binary cross-entropy of a discriminator that is to call real pictures 1 and fakes 0.

    Args:
        real: Float tensor of any shape, logits of real pictures.
        fake: Logits of fakes.

    Returns:
        Float32 scalar −E log D(x) − E log(1 − D(G(z))), D the sigmoid of a logit.

    Example:

    >>> round(float(discriminator_loss(ops.zeros(2), ops.zeros(2))), 3)  # 2 log 2
    1.386

    Source: Goodfellow et al. (2014), eq. 1, https://arxiv.org/abs/1406.2661. Departs from it:
    computed from logits, so that a sure discriminator still has a gradient.
    """
    return ops.mean(ops.softplus(-real)) + ops.mean(ops.softplus(fake))


def generator_loss(fake):
    """Binary cross-entropy of a generator whose pictures are to be called real, −E log D(G(z)).

    Arguments as for `discriminator_loss`. Source: the same, section 3: the form that does not fade
    while the discriminator is ahead.
    """
    return ops.mean(ops.softplus(-fake))


def hinge_loss(real, fake):
    """Hinge loss of a critic that is to lift real pictures to 1 and push fakes to −1.

    Args:
        real: Float tensor of any shape, logits of real pictures.
        fake: Logits of fakes.

    Returns:
        Float32 scalar E max(0, 1 − D(x)) + E max(0, 1 + D(G(z))): 2 for a critic that knows
        nothing, 0 for one that has won.

    Example:

    >>> float(hinge_loss(ops.array([0.5, 3.0]), ops.array([-2.0])))
    0.25

    Source: Lim and Ye (2017), "Geometric GAN", https://arxiv.org/abs/1705.02894.
    """
    return ops.mean(ops.relu(1 - real)) + ops.mean(ops.relu(1 + fake))
