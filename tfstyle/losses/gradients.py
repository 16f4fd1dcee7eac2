"""Gradients: of a function's variables, and functions with one of their own."""

import keras
from keras import ops


def with_gradient(gradient):
    """Let a function of tensors have the gradient that is given.

    As `keras.ops.custom_gradient`, but made once: TensorFlow keeps what that makes within a call,
    and with it the call's graph and all weights in it, as long as the process lives.

    Args:
        gradient: Function of the gradient of the result, of the result, and of the arguments, to
            the gradient of the first argument; none reaches the others.

    Returns:
        A decorator of functions of tensors.

    Example:

    >>> @with_gradient(lambda upstream, y, x: 3 * upstream)
    ... def twice(x):
    ...     return 2 * x
    """

    def decorate(function):
        if keras.backend.backend() == "tensorflow":
            return _for_tensorflow(function, gradient)

        def differentiable(*tensors):
            first, *others = map(ops.convert_to_tensor, tensors)

            @ops.custom_gradient
            def run(first):
                y = function(first, *others)
                return y, lambda upstream: gradient(upstream, y, first, *others)

            return run(first)

        return differentiable

    return decorate


def _for_tensorflow(function, gradient):
    import tensorflow as tf

    name = f"tfstyle_{function.__name__}_{id(function)}"

    @tf.RegisterGradient(name)
    def registered(operation, upstream):
        (y,) = operation.outputs
        return gradient(upstream, y, *operation.inputs), *[None] * (len(operation.inputs) - 1)

    def differentiable(*inputs):
        tensors = [tf.convert_to_tensor(each) for each in inputs]
        y = function(*tensors)
        # Tapes take this as the way that `y` came about, in place of the operations above; whoever
        # differentiates a finished graph sees these, whose gradient is the same, only slower.
        tf.__internal__.record_gradient(name, tensors, (), [y])
        return y

    return differentiable


def _second_brought_to_size(upstream, y, x, weight):
    first, second = ops.split(upstream, 2)
    sizes = [ops.sqrt(ops.sum(each**2)) for each in (first, second)]
    return first + weight * sizes[0] / ops.maximum(sizes[1], 1e-12) * second


@with_gradient(_second_brought_to_size)
def _twice(x, weight):
    return ops.concatenate([x, x])


def two_ways(x, weight):
    """Give a tensor two ways on, and what comes back by the second a size.

    Losses of different kinds that are computed so need no weights to be tried out: whatever their
    units are, and however they change, the second counts `weight` times as much as the first.

    Args:
        x: Float tensor.
        weight: Norm of the gradient that comes back by the second way, as a multiple of that which
            comes back by the first.

    Returns:
        `x`, twice.

    Example:

    >>> x = keras.Variable([3.0, 4.0])
    >>> def loss():
    ...     one, other = two_ways(x.value, 0.5)
    ...     return (ops.sum(one) + 1e6 * ops.sum(other),)
    >>> print(ops.convert_to_numpy(value_and_gradient(loss, [x])[1][0]))
    [1.5 1.5]

    Source: the weight of the adversarial loss in Esser et al. (2021), "Taming transformers",
    https://arxiv.org/abs/2012.09841, eq. 7. Departs from it: gradients at the picture in place of
    the last layer's weights.
    """
    return ops.split(_twice(x, ops.convert_to_tensor(weight, dtype=x.dtype)), 2)


def value_and_gradient(function, variables, constants=()):
    """Compute a function and its gradient, with any of Keras' backends that has one.

    Args:
        function: Function of no arguments that reads variables, and returns a scalar and whatever
            else it has to tell.
        variables: List of the variables that the gradient is taken to.
        constants: Other variables that the function reads. It must not change any.

    Returns:
        What the function returned, and the list of gradients.

    Raises:
        NotImplementedError: If Keras computes with something else than TensorFlow or JAX.

    Example:

    >>> x = keras.Variable(3.0)
    >>> (value, told), (slope,) = value_and_gradient(lambda: (x**2, "told"), [x])
    >>> float(value), told, float(slope)
    (9.0, 'told', 6.0)
    """
    backend = keras.backend.backend()
    if backend == "tensorflow":
        import tensorflow as tf

        with tf.GradientTape(watch_accessed_variables=False) as tape:
            values = [variable.value for variable in variables]
            tape.watch(values)
            told = function()
        return told, tape.gradient(told[0], values)
    if backend != "jax":
        raise NotImplementedError(f"Gradients are known of TensorFlow and JAX, not of {backend}.")
    import jax

    known = [(variable, variable.value) for variable in constants]

    def at(values):
        changed = zip(variables, values, strict=True)
        with keras.StatelessScope(state_mapping=[*known, *changed]):
            value, *others = function()
        return value, others

    differentiate = jax.value_and_grad(at, has_aux=True)
    (value, others), gradient = differentiate([variable.value for variable in variables])
    return (value, *others), gradient
