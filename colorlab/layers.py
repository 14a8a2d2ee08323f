"""Shared blocks, from which each lesson builds its network. Taught in lessons 04 and 05.

Names of children are keys of released weights: a renamed child needs new weights.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch.nn.functional as F
from torch import Tensor, nn

CHROMA_STRIDE = 4  # a pixel of ab covers 4x4 pixels of L


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

    Source: He et al. 2016, "Deep residual learning for image recognition", figure 2. The scales of
    the last normalization start at one. Started at zero, so that each block begins as its shortcut,
    the deep half of the UNet was never used: after 25 passes they were still 0.02 to 0.09, and
    leaving the coarsest block out changed nothing.
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
    """Attention between all positions: (N, C, H, W) to the same shape.

    For coarse maps only (8x8, 16x16), because the cost is the square of H*W. It lets a patch of sky
    learn that the image is of a beach. Source: Vaswani et al. 2017, equation 1, with a residual
    path that starts at zero.
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
    """A 3x3 convolution block, then bilinear: (N, in, H, W) to (N, out, 2H, 2W).

    The convolution comes first, because it costs a quarter there.
    """

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.block = ConvBlock(in_channels, out_channels)

    def forward(self, x: Tensor) -> Tensor:
        """(N, in, H, W) to (N, out, 2H, 2W)."""
        return enlarge(self.block(x), 2)


def enlarge(x: Tensor, factor: int) -> Tensor:
    """(N, C, H, W) to (N, C, factor H, factor W), bilinear."""
    return F.interpolate(x, scale_factor=factor, mode="bilinear", align_corners=False)


class TransposedUpsample(nn.Sequential):
    """Twice the size by a transposed convolution: (N, in, H, W) to (N, out, 2H, 2W).

    With a kernel of 3 the kernels overlap unevenly, because 3 is not a multiple of the stride 2: an
    output pixel is a sum of one, two or four products, in a checkerboard (Odena et al. 2016,
    "Deconvolution and checkerboard artifacts"). With a kernel of 4 they overlap evenly.
    """

    def __init__(self, in_channels: int, out_channels: int, kernel: int = 3) -> None:
        super().__init__(
            nn.ConvTranspose2d(
                in_channels,
                out_channels,
                kernel,
                stride=2,
                padding=1,
                output_padding=kernel % 2,
                bias=False,
            ),
            nn.BatchNorm2d(out_channels),
            nn.SiLU(inplace=True),
        )


class LightnessStem(nn.Module):
    """Lightness at full size to a coarse map, without discarding a pixel.

    ``PixelUnshuffle(fold)`` turns each square of fold x fold pixels into channels, then one
    convolution mixes them.
    """

    def __init__(self, out_channels: int, fold: int = CHROMA_STRIDE) -> None:
        super().__init__()
        self.unshuffle = nn.PixelUnshuffle(fold)
        self.block = ConvBlock(fold**2, out_channels)

    def forward(self, L: Tensor) -> Tensor:
        """(N, 1, H, W) in [0, 100] to (N, out, H/fold, W/fold)."""
        return self.block(self.unshuffle(L / 50 - 1))  # (N, fold^2, H/fold, W/fold) inside


class ChromaHead(nn.Module):
    """Features to *ab*, which starts at gray: no other first prediction is as safe."""

    def __init__(self, channels: int, fold: int = CHROMA_STRIDE) -> None:
        super().__init__()
        finer = fold // CHROMA_STRIDE
        self.project = nn.Conv2d(channels, 2 * finer**2, 3, padding=1)
        self.shuffle = nn.PixelShuffle(finer)  # with a fold of 4, nothing is left to unfold
        nn.init.zeros_(self.project.weight)
        nn.init.zeros_(self.project.bias)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H/fold, W/fold) to (N, 2, H/4, W/4), CIE units."""
        return self.shuffle(self.project(x)).float() * 110


class PictureHead(nn.Module):
    """Features to a whole image, lightness included.

    ``PixelShuffle(fold)`` is the inverse of the stem's: with a fold of 4, 48 channels to 3 at four
    times the size.
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
