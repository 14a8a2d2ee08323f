"""UNetGAN: a UNet as the generator against a patch discriminator.

Source: Isola et al. 2017, "Image-to-image translation with conditional adversarial networks"
(pix2pix). Built piece by piece in lesson 09.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from colorlab.models.encoders import Maps
from colorlab.models.gan import AdversarialColorizer, AdversarialSettings, Noise, PatchDiscriminator
from colorlab.models.unet import UNetSettings, inner_unet


@dataclass(frozen=True)
class UNetGANConfig(AdversarialSettings, UNetSettings):
    """Settings of :class:`UNetGAN`, in addition to the GAN's and the UNet's.

    The UNet's defaults are those of :class:`colorlab.models.unet.UNet`, so that training can begin
    with a trained UNet, from which a discriminator learns something in the first minute.

    Attributes:
        discriminator_widths: channels at 1/8 and 1/16 of the image.
    """

    discriminator_widths: tuple[int, int] = (64, 128)


class UNetGAN(AdversarialColorizer):
    """L (N, 1, H, W) in [0, 100] to *ab* (N, 2, H/4, W/4) or an image (N, 3, H, W)."""

    def __init__(self, config: UNetGANConfig = UNetGANConfig()) -> None:
        super().__init__(config)
        self.unet = inner_unet(config, dropout=0.0)  # AdversarialColorizer drops channels itself
        self.multiple = self.unet.multiple
        self.noise = Noise(config.noise, config.widths) if config.noise else None
        self.discriminator = PatchDiscriminator(
            config.target, config.discriminator_widths, config.normalization
        )

    def encode(self, L: Tensor, maps: Maps = None) -> tuple[Tensor, ...]:
        """Maps at 1/4, 1/8, 1/16 and 1/32 of L's size (with a fold of 4)."""
        return self.unet.encode(L, maps)

    def decode(self, maps: tuple[Tensor, ...]) -> Tensor:
        """The UNet's decoder."""
        return self.unet.decode(*maps)
