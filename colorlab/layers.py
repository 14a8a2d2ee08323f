"""Shared blocks: each lesson puts its network together from these.

Shapes are written as (N, C, H, W). The networks see lightness as ``L / 50 - 1`` and
answer in ``ab / 110``; the blocks here know neither. Taught in notebooks 04 and 05.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch.nn.functional as F
from torch import Tensor, nn

CHROMA_STRIDE = 4  # a chroma pixel stands for 4x4 lightness pixels


class ConvBlock(nn.Sequential):
    """3x3 convolution, batch normalization, SiLU: (N, in, H, W) to (N, out, H/stride, W/stride).

    Batch and not group normalization: on photographs at 128x128 it explained 12 % of the colour
    error after 400 steps, groups of 16 channels 10 %, and a step took two thirds of the time.
    """

    def __init__(self, in_channels: int, out_channels: int, stride: int = 1) -> None:
        super().__init__(
            nn.Conv2d(in_channels, out_channels, 3, stride=stride, padding=1, bias=False),
            nn.BatchNorm2d(out_channels),
            nn.SiLU(inplace=True),
        )


class ResidualBlock(nn.Module):
    """Two convolutions beside a shortcut: x + f(x), halved in size if ``stride`` is 2.

    Source: He et al. 2016, "Deep residual learning for image recognition", figure 2. The last
    normalization starts at one, its usual start. Started at zero, so that each block begins as
    its shortcut, the deep half of the UNet was never taken into use: after 25 passes its scales
    were still 0.02 to 0.09, and leaving the coarsest block out changed nothing.
    """

    def __init__(self, in_channels: int, out_channels: int, stride: int = 1) -> None:
        super().__init__()
        self.first = ConvBlock(in_channels, out_channels, stride)
        self.second = nn.Conv2d(out_channels, out_channels, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(out_channels)
        same = in_channels == out_channels and stride == 1
        self.shortcut = (
            nn.Identity() if same else nn.Conv2d(in_channels, out_channels, 1, stride=stride)
        )

    def forward(self, x: Tensor) -> Tensor:
        """(N, in, H, W) to (N, out, H/stride, W/stride)."""
        return F.silu(self.shortcut(x) + self.norm(self.second(self.first(x))))


class SelfAttention(nn.Module):
    """Every place looks at every other one: (N, C, H, W) to the same shape.

    Meant for coarse maps only (8x8, 16x16), where cost H*W squared is small. It lets a
    patch of sky learn that the picture is a beach. Source: Vaswani et al. 2017, equation 1,
    with a residual path that starts at zero.
    """

    def __init__(self, channels: int, heads: int = 4) -> None:
        super().__init__()
        if channels % heads:
            raise ValueError(f"{channels} channels cannot be shared by {heads} heads")
        self.heads = heads
        self.norm = nn.BatchNorm2d(channels)
        self.to_qkv = nn.Conv2d(channels, 3 * channels, 1)
        self.to_out = nn.Conv2d(channels, channels, 1)
        nn.init.zeros_(self.to_out.weight)
        nn.init.zeros_(self.to_out.bias)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to the same shape."""
        n, c, h, w = x.shape
        qkv = self.to_qkv(self.norm(x)).flatten(2)  # (N, 3C, H*W)
        qkv = qkv.view(n, 3, self.heads, c // self.heads, h * w).transpose(-1, -2)
        q, k, v = qkv.unbind(1)  # each (N, heads, H*W, C/heads)
        mixed = F.scaled_dot_product_attention(q, k, v)
        return x + self.to_out(mixed.transpose(-1, -2).reshape(n, c, h, w))


class Upsample(nn.Module):
    """Twice the size: a 3x3 convolution block, then bilinear.

    Bilinear and not a transposed convolution, whose overlapping strides draw a
    checkerboard (Odena et al. 2016, "Deconvolution and checkerboard artifacts"). The
    convolution comes first: it costs a quarter there.
    """

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.block = ConvBlock(in_channels, out_channels)

    def forward(self, x: Tensor) -> Tensor:
        """(N, in, H, W) to (N, out, 2H, 2W)."""
        return F.interpolate(self.block(x), scale_factor=2, mode="bilinear", align_corners=False)


class LightnessStem(nn.Module):
    """Bring full-size lightness to a coarse grid without throwing a pixel away.

    ``PixelUnshuffle(fold)`` turns each cell of fold x fold pixels into channels, then one
    convolution mixes them: (N, 1, H, W) in [0, 100] to (N, out, H/fold, W/fold).
    """

    def __init__(self, out_channels: int, fold: int = CHROMA_STRIDE) -> None:
        super().__init__()
        self.unshuffle = nn.PixelUnshuffle(fold)
        self.block = ConvBlock(fold**2, out_channels)

    def forward(self, L: Tensor) -> Tensor:
        """(N, 1, H, W) in [0, 100] to (N, out, H/fold, W/fold)."""
        return self.block(self.unshuffle(L / 50 - 1))  # (N, fold^2, H/fold, W/fold) inside


class ChromaHead(nn.Module):
    """Features (N, C, H/fold, W/fold) to chroma (N, 2, H/4, W/4) in CIE units."""

    def __init__(self, channels: int, fold: int = CHROMA_STRIDE) -> None:
        super().__init__()
        finer = fold // CHROMA_STRIDE
        self.project = nn.Conv2d(channels, 2 * finer**2, 3, padding=1)
        self.shuffle = nn.PixelShuffle(finer)  # with a fold of 4, nothing is left to unfold
        nn.init.zeros_(self.project.weight)  # start at gray, the safest first answer
        nn.init.zeros_(self.project.bias)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H/fold, W/fold) to (N, 2, H/4, W/4), CIE units."""
        return self.shuffle(self.project(x)).float() * 110


class PictureHead(nn.Module):
    """Features (N, C, H/fold, W/fold) to a whole picture (N, 3, H, W), sRGB around [0, 1].

    ``PixelShuffle(fold)`` is the way back of the stem: with a fold of 4, 48 channels to 3 at four
    times the size. The model must then draw lightness too, which the other head never touches.
    """

    def __init__(self, channels: int, fold: int = CHROMA_STRIDE) -> None:
        super().__init__()
        self.project = nn.Conv2d(channels, 3 * fold**2, 3, padding=1)
        self.shuffle = nn.PixelShuffle(fold)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H/fold, W/fold) to (N, 3, H, W), sRGB around [0, 1]."""
        return self.shuffle(self.project(x)).float() + 0.5


class Fusion(nn.Module):
    """Add a pretrained encoder's maps to a network's own maps of the same size.

    Each map of :mod:`colorlab.models.encoders` is normalized, brought to the own map's channels by
    a 1x1 convolution, and added. A map coarser than the network's coarsest is enlarged to that.

    Args:
        channels: of the encoder's maps, finest first; () for no encoder, which adds nothing.
        strides: of the encoder's maps, pixels.
        widths: channels of the network's own maps by their stride.
        dropout: share of the encoder's channels dropped while training.
    """

    def __init__(
        self,
        channels: Sequence[int],
        strides: Sequence[int],
        widths: Mapping[int, int],
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.places = [min(stride, max(widths)) for stride in strides[: len(channels)]]
        self.project = nn.ModuleList(
            nn.Sequential(
                nn.BatchNorm2d(count), nn.Dropout2d(dropout), nn.Conv2d(count, widths[place], 1)
            )
            for count, place in zip(channels, self.places, strict=True)
        )

    def forward(self, x: Tensor, stride: int, maps: Sequence[Tensor]) -> Tensor:
        """The network's own map x (N, C, H, W) at ``stride`` and the encoder's maps: as x."""
        for place, project, seen in zip(self.places, self.project, maps, strict=True):
            if place == stride:
                added = project(seen)
                if added.shape[-2:] != x.shape[-2:]:
                    added = F.interpolate(added, size=x.shape[-2:], mode="bilinear")
                x = x + added
        return x


HEADS = {"ab": ChromaHead, "rgb": PictureHead}


def count_parameters(module: nn.Module) -> int:
    """Number of trainable values."""
    return sum(p.numel() for p in module.parameters() if p.requires_grad)
