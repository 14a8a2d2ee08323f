"""ResNet colorizer: a residual encoder, then a plain convolutional upsampler, no skips.

Sources: He et al. 2016, "Deep residual learning for image recognition" (the encoder); Zhang et
al. 2016, "Colorful image colorization" (the shape of the task). What the encoder throws away
the upsampler cannot find again: colours leak over borders, which lesson 05 mends with skips.
Built piece by piece in notebook 04.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn

from colorlab.layers import HEADS, LightnessStem, ResidualBlock, Upsample
from colorlab.models.base import Regressor


@dataclass(frozen=True)
class ResNetConfig:
    """Settings of :class:`ResNet`; each default carries its reason.

    Attributes:
        target: "ab" keeps the input's lightness; "rgb" predicts the whole picture.
        size: side of the training pictures; other sizes are brought to about this area.
        widths: channels at 1/4, 1/8 and 1/16 of the picture, about the parameters of the UNet
            so that the two lessons compare architectures and not sizes.
        encoder: "small" trains from scratch on a laptop; "resnet18" takes torchvision's first
            three stages (11 times the arithmetic), with ImageNet weights if ``pretrained``.
        pretrained: load torchvision's ImageNet weights; they are downloaded at first use.
        loss: of the lesson, "mse"; "l1" and "huber" are alternatives.
    """

    target: str = "ab"
    size: int = 256
    widths: tuple[int, int, int] = (32, 64, 128)
    encoder: str = "small"
    pretrained: bool = False
    loss: str = "mse"


class SmallEncoder(nn.Module):
    """L (N, 1, H, W) in [0, 100] to features (N, widths[2], H/16, W/16)."""

    def __init__(self, widths: tuple[int, int, int]) -> None:
        super().__init__()
        w0, w1, w2 = widths
        self.out_channels = w2
        self.stem = LightnessStem(w0)
        self.blocks = nn.Sequential(
            ResidualBlock(w0, w0),  # (N, w0, H/4, W/4)
            ResidualBlock(w0, w1, stride=2),
            ResidualBlock(w1, w1),  # (N, w1, H/8, W/8)
            ResidualBlock(w1, w2, stride=2),
            ResidualBlock(w2, w2),
            ResidualBlock(w2, w2),  # (N, w2, H/16, W/16)
        )

    def forward(self, L: Tensor) -> Tensor:
        """(N, 1, H, W) to (N, widths[2], H/16, W/16)."""
        return self.blocks(self.stem(L))


class TorchvisionEncoder(nn.Module):
    """torchvision's ResNet-18 up to its third stage: L to features (N, 256, H/16, W/16).

    Gray is fed as three equal channels, normalized as ImageNet pictures are.
    """

    out_channels = 256

    def __init__(self, pretrained: bool) -> None:
        super().__init__()
        from torchvision.models import ResNet18_Weights, resnet18

        net = resnet18(weights=ResNet18_Weights.IMAGENET1K_V1 if pretrained else None)
        self.blocks = nn.Sequential(
            net.conv1, net.bn1, net.relu, net.maxpool, net.layer1, net.layer2, net.layer3
        )

    def forward(self, L: Tensor) -> Tensor:
        """(N, 1, H, W) to (N, 256, H/16, W/16)."""
        gray = (L / 100).expand(-1, 3, -1, -1)
        mean = gray.new_tensor([0.485, 0.456, 0.406])[:, None, None]
        std = gray.new_tensor([0.229, 0.224, 0.225])[:, None, None]
        return self.blocks((gray - mean) / std)


class ResNet(Regressor):
    """L (N, 1, H, W) in [0, 100] to chroma (N, 2, H/4, W/4) or a picture (N, 3, H, W)."""

    def __init__(self, config: ResNetConfig = ResNetConfig()) -> None:
        super().__init__(config)
        if config.encoder not in ("small", "resnet18"):
            raise ValueError(f"encoder must be 'small' or 'resnet18', got {config.encoder!r}")
        small = config.encoder == "small"
        w0, w1, _ = config.widths
        self.encoder = (
            SmallEncoder(config.widths) if small else TorchvisionEncoder(config.pretrained)
        )
        self.upsampler = nn.Sequential(
            Upsample(self.encoder.out_channels, w1),  # (N, w1, H/8, W/8)
            Upsample(w1, w0),  # (N, w0, H/4, W/4)
        )
        self.head = HEADS[config.target](w0)

    def forward(self, L: Tensor) -> Tensor:
        """See the class; H and W are multiples of 32."""
        return self.head(self.upsampler(self.encoder(L)))
