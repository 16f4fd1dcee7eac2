"""Functions with a gradient of their own, which no call leaves anything of."""

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
