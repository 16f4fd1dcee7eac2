"""The networks that can be trained, by name."""

from tfstyle.networks.any_style import AnyNet
from tfstyle.networks.generator import LeanNet, TransformNet

GENERATORS = {"lean": LeanNet, "full": TransformNet, "any": AnyNet}
