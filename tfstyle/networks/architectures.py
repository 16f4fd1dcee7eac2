"""The networks that can be trained, by name."""

from tfstyle.networks.any_style import AnyNet
from tfstyle.networks.generator import CrispNet, LeanNet, TransformNet

GENERATORS = {"lean": LeanNet, "crisp": CrispNet, "full": TransformNet, "any": AnyNet}
