"""L-BFGS within bounds, in float32 and where the model computes."""

import functools
import math

from keras import ops

from tfstyle.networks.graphs import compiled

TRIALS = 12  # of a line search, each at most half as far, before it is given up
SUFFICIENT = 1e-4  # share of the loss that the slope promises
FIRST = 0.01  # mean length over all numbers; what a much shorter step gains, bfloat16 hides
SHORTEST, LONGEST = 0.1, 0.5  # of the last trial's length


def minimize(evaluate, x, bounds=None, corrections=10, sparing=False):
    """Move a picture to where a function of it is lower, until nothing more is gained.

    Args:
        evaluate: Function of a picture that returns the loss, a number, and its gradient, a
            tensor. It may raise an exception to end the search.
        x: Float32 tensor to start from, of any shape; brought within the bounds.
        bounds: Least and greatest value, numbers or tensors that broadcast; None: no bounds.
        corrections: Steps that are remembered.
        sparing: Whether to remember them in bfloat16, which takes half the memory.

    Returns:
        The picture. The search ends where no step along the gradient lowers the loss by more than
        arithmetic's noise.

    Raises:
        FloatingPointError: If the gradient stops being a number.

    Source: Liu & Nocedal (1989), https://doi.org/10.1007/BF01589116; with bounds: projected
    directions as Bertsekas (1982), https://doi.org/10.1137/0320018.
    Departs from them: a step is taken once it lowers the loss enough (Armijo), without a condition
    on the slope; pairs whose curvature is not positive are forgotten.
    """
    low, high = (-float("inf"), float("inf")) if bounds is None else bounds
    low, high = ops.convert_to_tensor(low, "float32"), ops.convert_to_tensor(high, "float32")
    directed, moved = _compiled()
    remembered = "bfloat16" if sparing else "float32"
    if sparing:
        directed = _direction  # compiled, it would hold all of them in float32 at once
    x = ops.clip(x, low, high)
    nothing = ops.zeros_like(x, remembered)
    empty = [(nothing, nothing)] * corrections
    pairs, curvatures = empty, [0.0] * corrections
    loss, gradient = evaluate(x)
    while True:
        steps, changes = zip(*pairs, strict=True)
        direction, sum_of_it = directed(
            x, gradient, low, high, steps, changes, ops.convert_to_tensor(curvatures, "float32")
        )
        if not math.isfinite(sum_of_it := float(sum_of_it)):
            raise FloatingPointError(
                f"The gradient became {sum_of_it}. Lower the weights of the losses, or compute in "
                "float32 (precision='float32')."
            )
        size = 1.0 if curvatures[-1] else FIRST * math.prod(x.shape) / max(sum_of_it, 1e-30)
        for _ in range(TRIALS):
            length = ops.convert_to_tensor(size, "float32")  # a number would be compiled anew
            there, step, slope = moved(x, direction, length, low, high, gradient)
            slope = float(slope)
            if slope >= 0:
                break
            its_loss, its_gradient = evaluate(there)
            if its_loss < loss and its_loss <= loss + SUFFICIENT * slope:
                break
            # Where a parabola through both losses is least.
            least = -0.5 * slope / (its_loss - loss - slope)
            size *= min(max(least, SHORTEST), LONGEST)
        else:
            slope = 0.0
        if slope >= 0:
            if not curvatures[-1]:
                return x
            pairs, curvatures = empty, [0.0] * corrections  # once more along the gradient
            continue
        pair = [ops.cast(each, remembered) for each in (step, its_gradient - gradient)]
        step, change = map(_exact, pair)
        curvature = float(ops.sum(step * change))
        if curvature > 1e-10 * float(ops.sum(change * change)):
            pairs = [*pairs[1:], pair]
            curvatures = [*curvatures[1:], curvature]
        x, loss, gradient = there, its_loss, its_gradient


@functools.cache
def _compiled():
    """Compile once for all runs of a process."""
    return compiled(_direction), compiled(_move)


def _direction(x, gradient, low, high, steps, changes, curvatures):
    """Return the way to go, 0 where a bound is in the way, and the sum of its absolute values.

    Steps that were taken and changes of the gradient are lists, oldest first; a curvature of 0
    says that there is none.
    """
    free = ops.where(gradient > 0, x > low, x < high)
    free = ops.cast(free, "float32")
    downhill = way = -gradient * free
    known = ops.cast(curvatures > 0, "float32")
    inverse = known / ops.where(curvatures > 0, curvatures, 1)
    shares = []
    for i in reversed(range(len(steps))):
        shares.insert(0, inverse[i] * ops.sum(_exact(steps[i]) * way))
        way = way - shares[0] * _exact(changes[i])
    newest = ops.sum(_exact(changes[-1]) ** 2)
    way = way * ops.where(known[-1] > 0, curvatures[-1] / ops.maximum(newest, 1e-30), 1)
    for i in range(len(steps)):
        way = way + _exact(steps[i]) * (shares[i] - inverse[i] * ops.sum(_exact(changes[i]) * way))
    way = way * free
    way = ops.where(ops.sum(way * gradient) < 0, way, downhill)
    return way, ops.sum(ops.abs(way))


def _exact(remembered):
    return ops.cast(remembered, "float32")


def _move(x, direction, size, low, high, gradient):
    """Return where a step leads, the step within the bounds, and what the slope promises of it."""
    there = ops.clip(x + size * direction, low, high)
    step = there - x
    return there, step, ops.sum(step * gradient)
