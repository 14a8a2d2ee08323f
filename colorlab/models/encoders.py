"""Frozen pretrained encoders: features of a network that was trained on a million photographs.

3,600 photographs cannot teach what a sunflower is; a classifier trained on ImageNet knows. Its
frozen feature maps are added to a colorizer's own (:class:`colorlab.layers.Fusion`). Larsson et
al. 2016, "Learning representations for automatic colorization", also start from such a network.

An encoder is named by a model's setting ``encoder``: ``"scratch"`` for none; ``"imagenet"``,
EfficientNet-Lite0 (Tan and Le 2019), released with the course; or any model of the ``timm``
library, which fetches its weights at first use. An encoder is not part of a model's weights: it is
loaded once in a process and shared.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from copy import deepcopy
from functools import cache
from typing import Any

import torch
from safetensors.torch import load as read_tensors
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from colorlab.data.cache import released_data
from colorlab.layers import Fusion

Maps = tuple[Tensor, ...] | None  # an encoder's, or None if they are still to be computed

SCRATCH, IMAGENET = "scratch", "imagenet"
STRIDES = (8, 16, 32)  # of the maps; the colorizer's own stem sees the finer detail
FOLDER = released_data() / "checkpoints"
FILE = "encoder-{}.safetensors"


class Encoder(nn.Module):
    """A frozen network: L to its feature maps.

    Args:
        net: a ``timm`` network made with ``features_only=True``.
        sha256: of its weights' file; "" where ``timm`` fetched them.
    """

    def __init__(self, net: nn.Module, sha256: str = "") -> None:
        super().__init__()
        reductions = tuple(net.feature_info.reduction())
        if reductions != (4, *STRIDES):
            raise ValueError(f"want maps at strides {(4, *STRIDES)}, the network has {reductions}")
        self.channels = tuple(net.feature_info.channels()[1:])  # of the maps at STRIDES
        self.sha256 = sha256
        self.net = fused(net.eval()).to(memory_format=torch.channels_last)
        self.eval().requires_grad_(False)

    @torch.no_grad()
    def forward(self, L: Tensor) -> tuple[Tensor, ...]:
        """L (N, 1, H, W) in [0, 100], multiples of 32, to maps (N, C, H/s, W/s), finest first.

        The network sees L/50 - 1 on three equal channels: gray in the range of its training.
        """
        return tuple(self.net((L / 50 - 1).expand(-1, 3, -1, -1))[1:])


def encode(name: str, L: Tensor) -> tuple[Tensor, ...]:
    """The maps of the encoder called ``name``, see :class:`Encoder`; none for "scratch"."""
    if name == SCRATCH:
        return ()
    encoder = load(name) if L.device.type == "cpu" else _copy(name, L.device)
    return encoder(L)


def fusion(name: str, stride: int, widths: Sequence[int], dropout: float = 0.0) -> Fusion:
    """The module that adds the maps of the encoder called ``name`` to a network's own maps.

    Args:
        name: of the encoder; "scratch" adds nothing.
        stride: of the network's finest map, pixels; each further map has twice that.
        widths: channels of the network's maps, finest first.
        dropout: share of the encoder's channels dropped while training.
    """
    channels = () if name == SCRATCH else load(name).channels
    own = {stride * 2**i: width for i, width in enumerate(widths)}
    return Fusion(channels, STRIDES, own, dropout)


@cache
@torch.inference_mode(False)  # what a colorization loads first must also serve training
def load(name: str) -> Encoder:
    """The encoder of that name, frozen, in evaluation mode, on the CPU; one for each process.

    Raises:
        ValueError: no such encoder, or a file that does not match its model card.
        FileNotFoundError: the file of ``"imagenet"`` is missing.
    """
    if name != IMAGENET:
        return Encoder(_from_timm(name))
    file = FOLDER / FILE.format(name)
    if not file.is_file():
        raise FileNotFoundError(f"{file} is missing; it is part of the repository, fetch it again")
    data, card = file.read_bytes(), read_card(name)
    if hashlib.sha256(data).hexdigest() != card["sha256"]:
        raise ValueError(
            f"{file} is not what its card describes (SHA-256 differs): it was damaged or "
            "exchanged; fetch both files again"
        )
    net = make_net(card["architecture"])
    net.load_state_dict(read_tensors(data))
    return Encoder(net, card["sha256"])


@cache
@torch.inference_mode(False)
def _copy(name: str, device: torch.device) -> Encoder:
    return deepcopy(load(name)).to(device)


def read_card(name: str) -> dict[str, Any]:
    """The released encoder's model card: architecture, source, licence, limits, SHA-256."""
    return json.loads((FOLDER / FILE.format(name)).with_suffix(".json").read_text("utf-8"))


def make_net(architecture: str, pretrained: bool = False) -> nn.Module:
    """A ``timm`` network with maps at :data:`STRIDES`; random weights unless ``pretrained``."""
    import timm  # takes two seconds, and most of colorlab does not need it

    with torch.random.fork_rng(devices=[]):  # a model's initial weights must not depend on these
        return timm.create_model(
            architecture, features_only=True, pretrained=pretrained, out_indices=(1, 2, 3, 4)
        )


def _from_timm(name: str) -> nn.Module:
    import timm

    if not timm.is_model(name):
        near = ", ".join(timm.list_models(f"*{name.split('_')[0]}*", pretrained=True)[:5])
        raise ValueError(
            f"unknown encoder {name!r}; choose {SCRATCH}, {IMAGENET}, or a model of timm"
            + (f" such as {near}" if near else "")
        )
    try:
        return make_net(name, pretrained=True)
    except (OSError, RuntimeError, AttributeError) as error:
        raise ValueError(
            f"the weights of encoder {name!r} could not be fetched ({type(error).__name__}); "
            f"{IMAGENET} needs no network"
        ) from error


# Convolution and normalization of timm's EfficientNet blocks, by the name of the class.
_PAIRS = {
    "EfficientNetFeatures": (("conv_stem", "bn1"),),
    "DepthwiseSeparableConv": (("conv_dw", "bn1"), ("conv_pw", "bn2")),
    "InvertedResidual": (("conv_pw", "bn1"), ("conv_dw", "bn2"), ("conv_pwl", "bn3")),
}


def fused(net: nn.Module) -> nn.Module:
    """Fold each normalization into its convolution, in place: the same maps in 4/5 of the time."""
    for module in net.modules():
        for convolution, norm in _PAIRS.get(type(module).__name__, ()):
            both = fuse_conv_bn_eval(getattr(module, convolution), getattr(module, norm))
            setattr(module, convolution, both)
            setattr(module, norm, getattr(module, norm).act)
    return net
