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
from functools import cache
from typing import Any

import torch
import torch.nn.functional as F
from safetensors.torch import load as read_tensors
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from colorlab.color import lab_to_rgb, upsample_chroma
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

    Attributes:
        channels: of the maps at :data:`STRIDES`.
        sha256: as given.
    """

    def __init__(self, net: nn.Module, sha256: str = "") -> None:
        super().__init__()
        reductions = tuple(net.feature_info.reduction())
        if reductions != (4, *STRIDES):
            raise ValueError(f"want maps at strides {(4, *STRIDES)}, the network has {reductions}")
        self.channels = tuple(net.feature_info.channels()[1:])
        self.sha256 = sha256
        self.net = fused(net.eval()).to(memory_format=torch.channels_last)
        self.eval().requires_grad_(False)

    @torch.no_grad()
    def forward(self, L: Tensor) -> tuple[Tensor, ...]:
        """L (N, 1, H, W) in [0, 100], multiples of 32, to maps (N, C, H/s, W/s), finest first.

        The network sees L/50 - 1 on three equal channels: gray in the range of its training.
        """
        return tuple(self.net((L / 50 - 1).expand(-1, 3, -1, -1))[1:])

    def features(self, rgb: Tensor) -> tuple[Tensor, ...]:
        """Maps at 1/4, 1/8 and 1/16 of a colour image (N, 3, H, W), sRGB in [0, 1].

        With gradient to the image, which the network sees as in its training: 2 rgb - 1.
        """
        x = (2 * rgb - 1).contiguous(memory_format=torch.channels_last)
        return tuple(self.net(x))[:3]


def encode(name: str, L: Tensor) -> tuple[Tensor, ...]:
    """The maps of the encoder called ``name``, see :class:`Encoder`; none for "scratch"."""
    return () if name == SCRATCH else _load_for(name, L)(L)


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


def perceptual_distance(L: Tensor, generated: Tensor, truth: Tensor) -> Tensor:
    """Distance of two colourings in the features of the ImageNet encoder: a loss for training.

    Squared distance of the unit feature vectors at each position of three maps, averaged over
    positions and summed over maps, as in LPIPS (R. Zhang et al. 2018, equation 1) but with another
    network and without its weights. The two are related, so a gain in LPIPS from this loss should
    be checked with other metrics. Images are compared at half size.

    Args:
        L: (N, 1, H, W) in [0, 100].
        generated: (N, 2, H/4, W/4) *ab* in CIE units.
        truth: as generated.

    Returns:
        A scalar with gradient to ``generated``.
    """
    network = _load_for(IMAGENET, L)
    half = F.avg_pool2d(L, 2)
    with torch.no_grad():
        wanted = network.features(_picture(half, truth))
    return sum(
        (F.normalize(f.float(), dim=1) - F.normalize(g.float(), dim=1)).square().sum(dim=1).mean()
        for f, g in zip(network.features(_picture(half, generated)), wanted, strict=True)
    )


def _picture(L: Tensor, ab: Tensor) -> Tensor:
    """The image (N, 3, h, w), a little beyond sRGB, so that its edge still has a gradient."""
    ab = upsample_chroma(ab, tuple(L.shape[-2:]))
    return lab_to_rgb(torch.cat((L, ab), dim=1), clip=False).clamp(-0.1, 1.1)


def _load_for(name: str, x: Tensor) -> Encoder:
    """The encoder on the device of x; on the CPU the one that ``load(name)`` keeps."""
    return load(name) if x.device.type == "cpu" else load(name, str(x.device))


@cache
@torch.inference_mode(False)  # one that a colorization loads first must also serve training
def load(name: str, device: str = "cpu") -> Encoder:
    """The encoder of that name, frozen, in evaluation mode; one for each process and device.

    Raises:
        ValueError: no such encoder, or a file that does not match its model card.
        FileNotFoundError: the file of ``"imagenet"`` is missing.
    """
    if device != "cpu":
        from copy import deepcopy

        return deepcopy(load(name)).to(device)
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


class Strided(nn.Module):
    """A depthwise convolution of stride 2 whose gradient is fast on a CPU too.

    There it takes many times as long as with stride 1. So if a gradient is needed, all positions
    are computed, and every second row and column is kept.
    """

    def __init__(self, convolution: nn.Conv2d) -> None:
        super().__init__()
        self.convolution = convolution

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to (N, C, H/2, W/2), H and W even."""
        own = self.convolution
        if not x.requires_grad or x.device.type != "cpu":
            return own(x)
        sides = own.weight.shape[-1] - 2  # as the "same" padding of stride 2
        x = F.pad(x, (sides // 2, sides - sides // 2) * 2)
        return F.conv2d(x, own.weight, own.bias, groups=own.groups)[..., ::2, ::2]


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
            if both.stride == (2, 2) and both.groups > 1:
                both = Strided(both)
            setattr(module, convolution, both)
            setattr(module, norm, getattr(module, norm).act)
    return net
