"""UNetGAN: a UNet that paints against a patch discriminator.

Source: Isola et al. 2017, "Image-to-image translation with conditional adversarial networks"
(pix2pix). Built piece by piece in notebook 09.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn

from colorlab.models.discriminators import PatchDiscriminator
from colorlab.models.encoders import SCRATCH, Maps
from colorlab.models.game import AdversarialColorizer, Noise
from colorlab.models.unet import UNet, UNetConfig


@dataclass(frozen=True)
class UNetGANConfig:
    """Settings of :class:`UNetGAN`; each default carries its reason.

    Attributes:
        target: "ab" keeps the input's lightness; "rgb" predicts the whole picture.
        size: side of the training pictures; other sizes are brought to about this area.
        fold: of the UNet, as are widths and attention: its defaults, so that a game can begin with
            a trained UNet, from which a discriminator learns something in the first minute.
        widths: see fold.
        attention: see fold.
        dropout: share of the coarsest map's channels dropped while training.
        dropout_at_test: drop them in draws too, pix2pix's source of diversity.
        noise: channels of Gaussian noise, the other source; 0 for a generator with one answer.
            L1 teaches the generator to ignore it: with 8 channels, draws of a scene lay 1.4 CIE
            units apart at an l1_weight of 5, and 8 without L1, at a worse LPIPS.
        l1_weight: of the mean absolute error in ab / 110 (or sRGB), against 1 for the
            adversarial term; pix2pix takes 100. With 10, 200 steps from the trained UNet brought
            the colourfulness of validation photographs from 19 to 38, where the truth has 47.
        label_smoothing: real pictures count as 1 - label_smoothing.
        normalization: of the discriminator: "group", "none" or "spectral", see
            :func:`colorlab.models.discriminators.convolution`.
        r1: weight of the gradient penalty on real pictures, in the same units as L1.
        discriminator_widths: channels at 1/8 and 1/16 of the picture.
        discriminator_rate: factor on its learning rate; two time scales (Heusel et al. 2017).
        encoder: of the UNet.
        input_skip: add the gray picture to an RGB prediction, see
            :meth:`colorlab.models.base.Colorizer.with_input`.
    """

    target: str = "ab"
    size: int = 256
    fold: int = 4
    widths: tuple[int, int, int, int] = (32, 64, 96, 128)
    attention: bool = True
    dropout: float = 0.0
    dropout_at_test: bool = False
    noise: int = 0
    l1_weight: float = 10.0
    label_smoothing: float = 0.0
    normalization: str = "group"
    r1: float = 0.0
    discriminator_widths: tuple[int, int] = (64, 128)
    discriminator_rate: float = 1.0
    encoder: str = SCRATCH
    input_skip: bool = False


class UNetGAN(AdversarialColorizer):
    """L (N, 1, H, W) in [0, 100] to chroma (N, 2, H/4, W/4) or a picture (N, 3, H, W)."""

    def __init__(self, config: UNetGANConfig = UNetGANConfig()) -> None:
        super().__init__(config)
        shared = ("target", "size", "fold", "widths", "attention", "encoder")
        self.unet = UNet(UNetConfig(**{name: getattr(config, name) for name in shared}))
        self.multiple = self.unet.multiple
        self.noise = Noise(config.noise, config.widths) if config.noise else None
        self.discriminator = PatchDiscriminator(
            config.target, config.discriminator_widths, config.normalization
        )

    @property
    def head(self) -> nn.Module:
        """The generator's head."""
        return self.unet.head

    def encode(self, L: Tensor, maps: Maps = None) -> tuple[Tensor, ...]:
        """Maps at 1/4, 1/8, 1/16 and 1/32 of L's size (with a fold of 4)."""
        return self.unet.encode(L, maps)

    def decode(self, maps: tuple[Tensor, ...]) -> Tensor:
        """The UNet's way up."""
        return self.unet.decode(*maps)
