"""UNet: an encoder, a decoder, and skips that carry detail across.

Source: Ronneberger et al. 2015, "U-Net: convolutional networks for biomedical image
segmentation", figure 1; here with residual blocks, bilinear upsampling, and attention at the
coarsest maps. Built piece by piece in notebook 05.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from colorlab.layers import (
    HEADS,
    ConvBlock,
    LightnessStem,
    ResidualBlock,
    SelfAttention,
    Upsample,
)
from colorlab.models.base import Regressor
from colorlab.models.encoders import SCRATCH, Maps, encode, fusion


@dataclass(frozen=True)
class UNetConfig:
    """Settings of :class:`UNet`; each default carries its reason.

    Attributes:
        target: "ab" keeps the input's lightness; "rgb" predicts the whole picture.
        size: side of the training pictures; other sizes are brought to about this area.
        fold: pixels a side that become one place of the finest map, 4 or 8. The released weights
            have 4; pictures of 256x256 with 8 cost what those of 128x128 cost with 4. The answer
            has a quarter of the size either way.
        widths: channels of the finest map and of each map half as large, at 1/4, 1/8, 1/16 and
            1/32 of the picture with a fold of 4. The finest maps are
            narrow: half of the arithmetic is there, and most of the parameters are not.
        attention: self-attention at 1/16 and 1/32, for context that spans the picture.
        dropout: share of the coarsest features, and of the pretrained encoder's, dropped while
            training; 3,600 photographs are few. Nothing is dropped at test time.
        loss: of the lesson, "mse"; "l1" and "huber" are the alternatives it explores.
        perceptual: weight of :func:`colorlab.models.encoders.perceptual_distance` beside the loss;
            0 to do without.
        encoder: frozen and pretrained, whose maps are added to the UNet's own; see
            :mod:`colorlab.models.encoders`. The lesson's UNet does without.
        input_skip: add the gray picture to an RGB prediction, see
            :meth:`colorlab.models.base.Colorizer.with_input`.
    """

    target: str = "ab"
    size: int = 256
    fold: int = 4
    widths: tuple[int, int, int, int] = (32, 64, 96, 128)
    attention: bool = True
    dropout: float = 0.0
    loss: str = "mse"
    perceptual: float = 0.0
    encoder: str = SCRATCH
    input_skip: bool = False


class UNet(Regressor):
    """L (N, 1, H, W) in [0, 100] to chroma (N, 2, H/4, W/4) or a picture (N, 3, H, W)."""

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
        """The encoder: maps at 1/4, 1/8, 1/16 and 1/32 of L's size (with a fold of 4).

        ``maps`` are those of the pretrained encoder, where they are known already.
        """
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
        """The way up, from the maps of :meth:`encode`: maps at 1/4, 1/8 and 1/16."""
        x = self.bottom(self.drop(x3))
        y2 = self.merge2(torch.cat((self.up2(x), x2), dim=1))  # (N, w2, H/16, W/16)
        y1 = self.merge1(torch.cat((self.up1(y2), x1), dim=1))  # (N, w1, H/8, W/8)
        y0 = self.merge0(torch.cat((self.up0(y1), x0), dim=1))  # (N, w0, H/4, W/4)
        return y0, y1, y2

    def decode(self, x0: Tensor, x1: Tensor, x2: Tensor, x3: Tensor) -> Tensor:
        """From the maps of :meth:`encode` to the head's answer."""
        return self.head(self.climb(x0, x1, x2, x3)[0])

    def forward(self, L: Tensor, maps: Maps = None) -> Tensor:
        """See the class; H and W are multiples of 8 times the fold. ``maps`` as :meth:`encode`."""
        return self.with_input(self.decode(*self.encode(L, maps)), L)
