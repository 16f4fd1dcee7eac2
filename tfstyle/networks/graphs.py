"""Functions of tensors as graphs of the backend."""

import keras


def compiled(function, any_size=False):
    """Compile a function of tensors.

    Args:
        function: Function of tensors, in lists and dictionaries as well.
        any_size: Whether shapes differ from call to call. TensorFlow then takes one graph for all;
            JAX, which would compile for each, computes without.
    """
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        return tf.function(function, autograph=False, reduce_retracing=any_size)
    if keras.backend.backend() == "jax" and not any_size:
        import jax

        return jax.jit(function)
    return function
