"""GAN: a convolutional generator without skips against a convolutional discriminator.

Source: Radford et al. 2016, "Unsupervised representation learning with deep convolutional
generative adversarial networks" (the shape of both networks). Built in notebook 08.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn

from colorlab.layers import HEADS, Upsample
from colorlab.models.discriminators import PictureDiscriminator
from colorlab.models.encoders import SCRATCH, Maps
from colorlab.models.game import AdversarialColorizer, Noise
from colorlab.models.resnet import SmallEncoder


@dataclass(frozen=True)
class GANConfig:
    """Settings of :class:`GAN`; each default carries its reason.

    Attributes:
        target: "ab" keeps the input's lightness; "rgb" predicts the whole picture.
        size: side of the training pictures; other sizes are brought to about this area.
        widths: channels at 1/4, 1/8 and 1/16, those of the ResNet, whose weights it can begin
            with: all of them with "bilinear", the encoder and the head with "transposed".
        upsampling: "bilinear", or "transposed" as in the reference recipe, with a checkerboard.
        dropout: share of the coarsest map's channels dropped while training.
        dropout_at_test: drop them in draws too.
        noise: channels of Gaussian noise at the coarsest map; 0 for one answer.
        l1_weight: of the mean absolute error in ab / 110 (or sRGB), against 1 for the
            adversarial term; 0 is the reference recipe, binary cross entropy alone.
        label_smoothing: real pictures count as 1 - label_smoothing.
        normalization: of the discriminator: "group", "none" or "spectral", see
            :func:`colorlab.models.discriminators.convolution`.
        r1: weight of the gradient penalty on real pictures, in the same units as L1.
        discriminator_widths: channels at 1/8, 1/16 and 1/32.
        discriminator_rate: factor on its learning rate; two time scales (Heusel et al. 2017).
        encoder: of the generator, see :mod:`colorlab.models.encoders`.
        input_skip: add the gray picture to an RGB prediction, see
            :meth:`colorlab.models.base.Colorizer.with_input`.
    """

    target: str = "ab"
    size: int = 256
    widths: tuple[int, int, int] = (32, 64, 128)
    upsampling: str = "bilinear"
    dropout: float = 0.0
    dropout_at_test: bool = False
    noise: int = 0
    l1_weight: float = 10.0
    label_smoothing: float = 0.0
    normalization: str = "group"
    r1: float = 0.0
    discriminator_widths: tuple[int, int, int] = (32, 64, 128)
    discriminator_rate: float = 1.0
    encoder: str = SCRATCH
    input_skip: bool = False


class TransposedUpsample(nn.Sequential):
    """Twice the size by a transposed 3x3 convolution: (N, in, H, W) to (N, out, 2H, 2W).

    Its kernel's footprints overlap unevenly, for 3 is no multiple of the stride 2: an output
    pixel is a sum of one, two or four products, in a checkerboard (Odena et al. 2016,
    "Deconvolution and checkerboard artifacts").
    """

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__(
            nn.ConvTranspose2d(
                in_channels, out_channels, 3, stride=2, padding=1, output_padding=1, bias=False
            ),
            nn.BatchNorm2d(out_channels),
            nn.SiLU(inplace=True),
        )


UPSAMPLINGS = {"bilinear": Upsample, "transposed": TransposedUpsample}


class GAN(AdversarialColorizer):
    """L (N, 1, H, W) in [0, 100] to chroma (N, 2, H/4, W/4) or a picture (N, 3, H, W)."""

    def __init__(self, config: GANConfig = GANConfig()) -> None:
        super().__init__(config)
        if config.upsampling not in UPSAMPLINGS:
            raise ValueError(
                f"upsampling must be one of {', '.join(UPSAMPLINGS)}, got {config.upsampling!r}"
            )
        w0, w1, w2 = config.widths
        up = UPSAMPLINGS[config.upsampling]
        self.encoder = SmallEncoder(config.widths, config.encoder)
        self.upsampler = nn.Sequential(
            up(w2, w1),  # (N, w1, H/8, W/8)
            up(w1, w0),  # (N, w0, H/4, W/4)
        )
        self.head = HEADS[config.target](w0)
        self.noise = Noise(config.noise, (w2,)) if config.noise else None
        self.discriminator = PictureDiscriminator(
            config.target, config.discriminator_widths, config.normalization
        )

    def encode(self, L: Tensor, maps: Maps = None) -> tuple[Tensor, ...]:
        """The encoder's one map, (N, widths[2], H/16, W/16)."""
        return (self.encoder(L, maps),)

    def decode(self, maps: tuple[Tensor, ...]) -> Tensor:
        """The way up, from the encoder's map."""
        return self.head(self.upsampler(maps[0]))
