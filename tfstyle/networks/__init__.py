"""Stylizers, which paint, and the loss network, which looks."""

from tfstyle.networks.adversaries import PatchCritic, Sampler, discriminator
from tfstyle.networks.any_style import AnyNet, StyleEncoder
from tfstyle.networks.architectures import GENERATORS, register
from tfstyle.networks.canvas import PIXELS, Canvas
from tfstyle.networks.features import FeatureExtractor, fastest_precision, load_network
from tfstyle.networks.generator import CrispNet, Generator, LeanNet, TransformNet
from tfstyle.networks.layers import (
    Convolution,
    InstanceNormalization,
    ResidualBlock,
    depth_to_space,
    space_to_depth,
)

__all__ = [
    "GENERATORS",
    "PIXELS",
    "AnyNet",
    "Canvas",
    "Convolution",
    "CrispNet",
    "FeatureExtractor",
    "Generator",
    "InstanceNormalization",
    "LeanNet",
    "PatchCritic",
    "ResidualBlock",
    "Sampler",
    "StyleEncoder",
    "TransformNet",
    "depth_to_space",
    "discriminator",
    "fastest_precision",
    "load_network",
    "register",
    "space_to_depth",
]
