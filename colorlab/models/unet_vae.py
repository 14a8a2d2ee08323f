"""UNetVAE: a UNet whose decoder also gets a latent, at several scales.

Sources: Kohl et al. 2018, "A probabilistic U-Net for segmentation of ambiguous images" (a
conditional prior beside a UNet); Kohl et al. 2019, "A hierarchical probabilistic U-Net" (latents
at several scales); Jang et al. 2017, "Categorical reparameterization with Gumbel-softmax"
(categorical latents). Built in lesson 07, which also shows how skip connections let a decoder
ignore z.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from colorlab.latents import CategoricalField, DiagonalGaussian
from colorlab.layers import ConvBlock, enlarge
from colorlab.models.encoders import Maps
from colorlab.models.unet import UNetSettings, inner_unet
from colorlab.models.vae import (
    POSTERIOR_WIDTH,
    ChromaEncoder,
    Distributions,
    LatentColorizer,
    Latents,
    LatentSettings,
    posterior_conv,
    spatial_mean,
    zero_conv,
)

HUE_GAIN = 5.0  # lead of a hue's logit at a chroma of 50: 1.5 above the next of eight hues


@dataclass(frozen=True)
class UNetVAEConfig(LatentSettings, UNetSettings):
    """Settings of :class:`UNetVAE`, in addition to :class:`LatentSettings` and the UNet's.

    In the reference recipe the vector takes the place of the coarsest map, beside the skip
    connections. ``beta`` of 1 gives the bound for positions that are sampled independently.

    Attributes:
        latents: size of the vector, a Gaussian; number of categorical variables of the coarsest
            map and of the map at 1/8 of the image, 0 for no map. With Gaussians in the maps, half
            of the samples of an object in a scene lay between two colours of its palette. On
            photographs the vector alone does better: see lesson 07.
        choices: categories of each variable; as hues they start 45 degrees apart, and three
            colours of a palette rarely share one.
        reach: correlation length of the map at 1/8, in positions, since one object has one
            colour; see :class:`colorlab.latents.CategoricalField`.
        sigma: standard deviation of the colours about the decoder's prediction, CIE units; it sets
            how many nats a colour is worth. At 30 the latent ignored the small and pale objects
            (sails, cars, apples) of scenes. It may be smaller than a VAE's: a variable holds log 8
            nats a position at most, whatever sigma is. On photographs, with the vector alone, 30.
        free_bits: nats of each channel that are not penalized, so that no channel collapses.
    """

    latents: tuple[int, int, int] = (8, 1, 2)
    choices: int = 8
    reach: float = 12.0
    sigma: float = 6.0
    free_bits: float = 0.1


class UNetVAE(LatentColorizer):
    """L (N, 1, H, W) in [0, 100] to *ab* (N, 2, H/4, W/4) or an image (N, 3, H, W)."""

    def __init__(self, config: UNetVAEConfig = UNetVAEConfig()) -> None:
        super().__init__(config)
        self.unet = inner_unet(config)
        self.multiple = self.unet.multiple
        w0, w1, w2, w3 = config.widths
        whole = config.latents[0]
        if not self.learns_prior:
            self.encode_whole = nn.Conv2d(w3, 2 * whole, 1)
            self.inject3 = nn.Conv2d(whole, w3, 1)
            return
        coarse, fine = (variables * config.choices for variables in config.latents[1:])
        seen = POSTERIOR_WIDTH
        self.chroma_fine = ChromaEncoder(config.fold, halvings=1)
        self.chroma_coarse = nn.Sequential(
            ConvBlock(seen + 2, seen, stride=2), ConvBlock(seen, seen, stride=2)
        )
        self.prior_whole = zero_conv(w3, 2 * whole)
        self.posterior_whole = posterior_conv(w3 + seen, whole)
        if coarse:
            self.prior_coarse = zero_conv(w3, coarse)
            self.posterior_coarse = hue_conv(w3 + seen, coarse, config.choices)
        if fine:
            self.prior_fine = zero_conv(w1, fine)
            self.posterior_fine = hue_conv(w1 + seen, fine, config.choices)
        total = whole + coarse + fine
        self.inject3 = zero_conv(total, w3)
        self.inject2 = zero_conv(total, w2)
        self.inject1 = zero_conv(total, w1)
        self.inject0 = zero_conv(total, w0)

    def look(self, L: Tensor, maps: Maps = None) -> tuple[Tensor, ...]:
        """The UNet's four maps, see :meth:`colorlab.models.unet.UNet.encode`."""
        return self.unet.encode(L, maps)

    def conditional_prior(self, seen: tuple[Tensor, ...]) -> Distributions:
        """p(z | L): a vector "whole" and, where the settings have them, maps "coarse", "fine"."""
        _, x1, _, x3 = seen
        return self._latents("prior", spatial_mean(x3), x3, x1)

    def conditional_posterior(
        self, seen: tuple[Tensor, ...], L: Tensor, ab: Tensor
    ) -> Distributions:
        """q(z | L, ab), with the names of :meth:`conditional_prior`."""
        _, x1, _, x3 = seen
        fine = self.chroma_fine(L, ab)
        coarse = torch.cat((self.chroma_coarse(fine), F.avg_pool2d(fine[:, -2:], 4)), dim=1)
        at3, at1 = torch.cat((x3, coarse), dim=1), torch.cat((x1, fine), dim=1)
        return self._latents("posterior", spatial_mean(at3), at3, at1)

    def _latents(self, who: str, whole: Tensor, coarse: Tensor, fine: Tensor) -> Distributions:
        config = self.config
        latents: Distributions = {
            "whole": DiagonalGaussian.of(getattr(self, f"{who}_whole")(whole))
        }
        for name, features, reach in (
            ("coarse", coarse, config.reach / 4),
            ("fine", fine, config.reach),
        ):
            if hasattr(self, f"{who}_{name}"):
                logits = getattr(self, f"{who}_{name}")(features)
                latents[name] = CategoricalField(logits, config.choices, reach)
        return latents

    def reference_posterior(self, seen: tuple[Tensor, ...]) -> DiagonalGaussian:
        """q(z | L), a vector."""
        return DiagonalGaussian.of(self.encode_whole(spatial_mean(seen[3])))

    def decode(self, seen: tuple[Tensor, ...], z: Latents) -> Tensor:
        """The UNet's decoder, with the latents added to the encoder's maps."""
        x0, x1, x2, x3 = seen
        if not self.learns_prior:
            return self.unet.decode(x0, x1, x2, self.inject3(z["whole"]).expand_as(x3))
        at3 = z["whole"].expand(-1, -1, *x3.shape[-2:])
        if "coarse" in z:
            at3 = torch.cat((at3, z["coarse"]), dim=1)
        at2, at1 = enlarge(at3, 2), enlarge(at3, 4)
        if "fine" in z:
            at3 = torch.cat((at3, F.avg_pool2d(z["fine"], 4)), dim=1)
            at2 = torch.cat((at2, F.avg_pool2d(z["fine"], 2)), dim=1)
            at1 = torch.cat((at1, z["fine"]), dim=1)
        return self.unet.decode(
            x0 + enlarge(self.inject0(at1), 2),
            x1 + self.inject1(at1),
            x2 + self.inject2(at2),
            x3 + self.inject3(at3),
        )


def hue_conv(features: int, channels: int, choices: int) -> nn.Conv2d:
    """The 1x1 convolution to a posterior's logits, from features and two channels of mean *ab*.

    The categories of the first variable start as hues around the colour circle: they are
    informative before any training, so the decoder learns to use them from the first step.
    """
    conv = nn.Conv2d(features + 2, channels, 1)
    angle = torch.arange(choices) * (2 * math.pi / choices)
    with torch.no_grad():
        conv.weight[:, :-2] *= 0.5
        conv.weight[:, -2:] = 0
        conv.weight[:choices, -2:] = (
            HUE_GAIN * torch.stack((angle.cos(), angle.sin()), dim=1)[:, :, None, None]
        )
        conv.bias.zero_()
    return conv
