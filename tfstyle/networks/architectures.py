"""The networks that can be trained, by name."""

import keras

from tfstyle.config.training import ARCHITECTURES
from tfstyle.networks.any_style import AnyNet
from tfstyle.networks.generator import CrispNet, LeanNet, TransformNet

GENERATORS = {"lean": LeanNet, "crisp": CrispNet, "full": TransformNet, "any": AnyNet}


def register(name):
    """Let a network be trained by a name, and be loaded by Keras.

    Args:
        name: What `TrainConfig.architecture` calls it.

    Returns:
        A decorator of subclasses of `Generator`.

    Raises:
        ValueError: If there is one of that name.

    Example:

    ```python
    @register("leaner")
    class LeanerNet(LeanNet):
        default_blocks = 2
    ```
    """

    def decorate(kind):
        if name in GENERATORS:
            raise ValueError(f"There is a network {name!r} already: {GENERATORS[name].__name__}.")
        GENERATORS[name] = kind
        ARCHITECTURES.append(name)
        return keras.saving.register_keras_serializable(f"tfstyle.{name}")(kind)

    return decorate
