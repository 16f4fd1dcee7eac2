"""A loss network in PyTorch with the weights that Keras has: what tfstyle is measured beside."""

import torch
from torch import nn


def convert(network, last):
    """Return the layers of a Keras VGG up to the layer `last`, by name, frozen."""
    layers = {}
    for layer in network.layers[1:]:
        if "conv" in layer.name:
            kernel, bias = layer.get_weights()
            conv = nn.Conv2d(kernel.shape[2], kernel.shape[3], 3, padding=1)
            conv.weight.data = torch.from_numpy(kernel.transpose(3, 2, 0, 1).copy())
            conv.bias.data = torch.from_numpy(bias)
            layers[layer.name] = nn.Sequential(conv, nn.ReLU())
        else:
            layers[layer.name] = nn.MaxPool2d(2)
        if layer.name == last:
            break
    return nn.ModuleDict(layers).requires_grad_(False)


def look(vgg, image, last=None):
    """Return what each layer up to `last` makes of an RGB image in [0, 1], by name."""
    mean = torch.tensor([103.939, 116.779, 123.68]).view(1, 3, 1, 1)
    x, seen = image.flip(1) * 255 - mean, {}
    for name, layer in vgg.items():
        x = seen[name] = layer(x)
        if name == last:
            break
    return seen


def gram(features):
    """Return the Gram matrices of features `(batch, channels, height, width)`."""
    flat = features.flatten(2)
    return flat @ flat.transpose(1, 2) / flat.shape[-1]
