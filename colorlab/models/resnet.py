"""ResNet colorizer: a residual encoder, then a convolutional upsampler, without skip connections.

Sources: He et al. 2016, "Deep residual learning for image recognition" (the encoder); Zhang et
al. 2016, "Colorful image colorization" (the task). The upsampler cannot recover the detail that
the encoder discards, so colours leak over borders; the skip connections of lesson 05 prevent
that. Built piece by piece in lesson 04.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn

from colorlab.layers import CHROMA_STRIDE, HEADS, LightnessStem, ResidualBlock, Upsample
from colorlab.models.base import Regressor, Settings
from colorlab.models.encoders import SCRATCH, Maps, encode, fusion


@dataclass(frozen=True)
class ResNetConfig(Settings):
    """Settings of :class:`ResNet`, in addition to :class:`colorlab.models.base.Settings`.

    Attributes:
        widths: channels at 1/4, 1/8 and 1/16 of the image; about as many parameters as the UNet
            has, so that the two lessons compare architectures and not sizes.
        loss: "mse" as in the lesson; "l1" and "huber" are alternatives.
    """

    widths: tuple[int, int, int] = (32, 64, 128)
    loss: str = "mse"


class SmallEncoder(nn.Module):
    """L (N, 1, H, W) in [0, 100] to features (N, widths[2], H/16, W/16).

    The maps of the pretrained encoder called ``encoder`` are added at 1/8 and 1/16.
    """

    def __init__(self, widths: tuple[int, int, int], encoder: str = SCRATCH) -> None:
        super().__init__()
        w0, w1, w2 = widths
        self.encoder = encoder
        self.out_channels = w2
        self.stem = LightnessStem(w0)
        self.fusion = fusion(encoder, CHROMA_STRIDE, widths)
        self.blocks = nn.Sequential(
            ResidualBlock(w0, w0),  # (N, w0, H/4, W/4)
            ResidualBlock(w0, w1, stride=2),
            ResidualBlock(w1, w1),  # (N, w1, H/8, W/8)
            ResidualBlock(w1, w2, stride=2),
            ResidualBlock(w2, w2),
            ResidualBlock(w2, w2),  # (N, w2, H/16, W/16)
        )

    def forward(self, L: Tensor, maps: Maps = None) -> Tensor:
        """(N, 1, H, W) to (N, widths[2], H/16, W/16)."""
        seen = encode(self.encoder, L) if maps is None else maps
        x = self.blocks[0](self.stem(L))
        x = self.blocks[2](self.fusion(self.blocks[1](x), 8, seen))
        x = self.blocks[4](self.fusion(self.blocks[3](x), 16, seen))
        return self.blocks[5](x)


class ResNet(Regressor):
    """L (N, 1, H, W) in [0, 100] to *ab* (N, 2, H/4, W/4) or an image (N, 3, H, W)."""

    def __init__(self, config: ResNetConfig = ResNetConfig()) -> None:
        super().__init__(config)
        w0, w1, _ = config.widths
        self.encoder = SmallEncoder(config.widths, config.encoder)
        self.upsampler = nn.Sequential(
            Upsample(self.encoder.out_channels, w1),  # (N, w1, H/8, W/8)
            Upsample(w1, w0),  # (N, w0, H/4, W/4)
        )
        self.head = HEADS[config.target](w0)

    def forward(self, L: Tensor, maps: Maps = None) -> Tensor:
        """See the class; H and W are multiples of 32."""
        return self.with_input(self.head(self.upsampler(self.encoder(L, maps))), L)
