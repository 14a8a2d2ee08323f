"""UNet: an encoder, a decoder, and skip connections that carry detail between them.

Source: Ronneberger et al. 2015, "U-Net: convolutional networks for biomedical image
segmentation", figure 1; here with residual blocks, bilinear upsampling, and attention at the
coarsest maps. Built piece by piece in lesson 05.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import torch
from torch import Tensor, nn

from colorlab.layers import HEADS, ConvBlock, LightnessStem, ResidualBlock, SelfAttention, Upsample
from colorlab.models.base import Regressor, Settings
from colorlab.models.encoders import Maps, encode, fusion


@dataclass(frozen=True)
class UNetSettings(Settings):
    """Settings of a UNet, and of every model with a UNet inside.

    Attributes:
        fold: side in pixels of the square that becomes one position of the finest map, 4 or 8. An
            image of 256x256 with a fold of 8 costs what one of 128x128 costs with 4. The *ab*
            prediction has a quarter of the image's size either way.
        widths: channels of the finest map and of each map half as large, at 1/4, 1/8, 1/16 and
            1/32 of the image with a fold of 4. The finest maps are narrow, because they take half
            of the arithmetic and hold few of the parameters.
        attention: self-attention at 1/16 and 1/32, for context that spans the image.
        dropout: share of the coarsest features, and of the pretrained encoder's, dropped during
            training, because 3,600 photographs are few. Nothing is dropped at test time.
    """

    fold: int = 4
    widths: tuple[int, int, int, int] = (32, 64, 96, 128)
    attention: bool = True
    dropout: float = 0.0


@dataclass(frozen=True)
class UNetConfig(UNetSettings):
    """Settings of :class:`UNet`, in addition to :class:`UNetSettings`.

    Attributes:
        loss: "mse" as in the lesson; "l1" and "huber" are the alternatives that it compares.
    """

    loss: str = "mse"


class UNet(Regressor):
    """L (N, 1, H, W) in [0, 100] to *ab* (N, 2, H/4, W/4) or an image (N, 3, H, W)."""

    def __init__(self, config: UNetConfig = UNetConfig()) -> None:
        super().__init__(config)
        if config.fold not in (4, 8):
            raise ValueError(f"fold must be 4 or 8, got {config.fold!r}")
        w0, w1, w2, w3 = config.widths
        self.multiple = 8 * config.fold  # three halvings
        self.stem = LightnessStem(w0, config.fold)
        self.fusion = fusion(config.encoder, config.fold, config.widths, config.dropout)
        self.down0 = ConvBlock(w0, w0)
        self.down1 = ResidualBlock(w0, w1, stride=2)
        self.down2 = ResidualBlock(w1, w2, stride=2)
        self.down3 = ResidualBlock(w2, w3, stride=2)
        self.attend2 = SelfAttention(w2) if config.attention else nn.Identity()
        self.attend3 = SelfAttention(w3) if config.attention else nn.Identity()
        self.drop = nn.Dropout2d(config.dropout)
        self.bottom = ResidualBlock(w3, w3)
        self.up2 = Upsample(w3, w2)
        self.merge2 = ResidualBlock(2 * w2, w2)
        self.up1 = Upsample(w2, w1)
        self.merge1 = ResidualBlock(2 * w1, w1)
        self.up0 = Upsample(w1, w0)
        self.merge0 = ResidualBlock(2 * w0, w0)
        self.head = HEADS[config.target](w0, config.fold)

    def encode(self, L: Tensor, maps: Maps = None) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """The encoder: maps at 1/4, 1/8, 1/16 and 1/32 of L's size (with a fold of 4)."""
        fold, fuse = self.config.fold, self.fusion
        seen = encode(self.config.encoder, L) if maps is None else maps
        x0 = fuse(self.down0(self.stem(L)), fold, seen)  # (N, w0, H/4, W/4)
        x1 = fuse(self.down1(x0), 2 * fold, seen)  # (N, w1, H/8, W/8)
        x2 = self.attend2(fuse(self.down2(x1), 4 * fold, seen))  # (N, w2, H/16, W/16)
        x3 = self.attend3(fuse(self.down3(x2), 8 * fold, seen))  # (N, w3, H/32, W/32)
        return x0, x1, x2, x3

    def climb(
        self, x0: Tensor, x1: Tensor, x2: Tensor, x3: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """The decoder, from the maps of :meth:`encode`: maps at 1/4, 1/8 and 1/16."""
        x = self.bottom(self.drop(x3))
        y2 = self.merge2(torch.cat((self.up2(x), x2), dim=1))  # (N, w2, H/16, W/16)
        y1 = self.merge1(torch.cat((self.up1(y2), x1), dim=1))  # (N, w1, H/8, W/8)
        y0 = self.merge0(torch.cat((self.up0(y1), x0), dim=1))  # (N, w0, H/4, W/4)
        return y0, y1, y2

    def decode(self, x0: Tensor, x1: Tensor, x2: Tensor, x3: Tensor) -> Tensor:
        """The prediction from the maps of :meth:`encode`."""
        return self.head(self.climb(x0, x1, x2, x3)[0])

    def forward(self, L: Tensor, maps: Maps = None) -> Tensor:
        """See the class; H and W are multiples of 8 times the fold."""
        return self.with_input(self.decode(*self.encode(L, maps)), L)


def inner_unet(config: UNetSettings, **changes: Any) -> UNet:
    """The UNet inside another model: with the settings that both have, except for ``changes``."""
    known = {field.name for field in fields(UNetConfig)}
    shared = {f.name: getattr(config, f.name) for f in fields(config) if f.name in known}
    return UNet(UNetConfig(**shared | changes))
