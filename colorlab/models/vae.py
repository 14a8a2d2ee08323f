"""VAE: an encoder, a latent, a decoder of transposed convolutions, and no skips.

Sources: Kingma and Welling 2014, "Auto-encoding variational Bayes"; Sohn et al. 2015, "Learning
structured output representation using deep conditional generative models". Built piece by piece
in notebook 06, first by the reference course's recipe, then conditional on gray.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from colorlab.latents import DiagonalGaussian, GaussianField
from colorlab.layers import CHROMA_STRIDE, HEADS, ConvBlock
from colorlab.models.encoders import SCRATCH, Maps
from colorlab.models.latent import (
    POSTERIOR_WIDTH,
    ChromaEncoder,
    Distributions,
    LatentColorizer,
    Latents,
    posterior_conv,
    spatial_mean,
    zero_conv,
)
from colorlab.models.resnet import SmallEncoder

GRID = 4  # the reference recipe's vector sees, and becomes, GRID x GRID places


@dataclass(frozen=True)
class VAEConfig:
    """Settings of :class:`VAE`; each default carries its reason.

    Attributes:
        target: "ab" keeps the input's lightness; "rgb" predicts the whole picture.
        size: side of the training pictures; other sizes are brought to about this area, in the
            reference recipe to this very square, a power of two from 32 on.
        widths: channels at 1/4, 1/8 and 1/16 of the picture, those of the ResNet, so that its
            encoder may be taken over.
        recipe: "conditional", or "reference": gray through one narrow vector, prior N(0, I),
            trained on averaged MSE + 0.001 KL.
        bottleneck: numbers of the reference recipe's vector; 64 for 16,384 pixels is narrow.
        latents: channels of the conditional recipe's vector and of its map at 1/16.
        reach: how far the places of the map agree, in places.
        sigma: standard deviation of the colours about the decoder's answer, CIE units: what a
            colour is worth in nats. Wider than the errors are, for neighbours err together: a
            thing of twenty places is not twenty witnesses. On scenes 60 let small and pale
            things fall silent; at 6 the posterior said 60 nats where 8 suffice, from corners
            where the prior draws nothing.
        beta, warm_up, free_bits: see :class:`colorlab.models.unet_vae.UNetVAEConfig`.
        encoder: frozen and pretrained, see :mod:`colorlab.models.encoders`.
        input_skip: add the gray picture to an RGB prediction, see
            :meth:`colorlab.models.base.Colorizer.with_input`.
    """

    target: str = "ab"
    size: int = 256
    widths: tuple[int, int, int] = (32, 64, 128)
    recipe: str = "conditional"
    bottleneck: int = 64
    latents: tuple[int, int] = (8, 4)
    reach: float = 2.0
    sigma: float = 30.0
    beta: float = 1.0
    warm_up: int = 300
    free_bits: float = 0.25
    encoder: str = SCRATCH
    input_skip: bool = False


class TransposedUp(nn.Sequential):
    """Twice the size by a transposed convolution: (N, in, H, W) to (N, out, 2H, 2W).

    Kernel 4 with stride 2: every place of the answer hears two kernel values a side, so the
    overlap is even, and the checkerboard of kernel 3 has no cause.
    """

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__(
            nn.ConvTranspose2d(in_channels, out_channels, 4, stride=2, padding=1, bias=False),
            nn.BatchNorm2d(out_channels),
            nn.SiLU(inplace=True),
        )


class VAE(LatentColorizer):
    """L (N, 1, H, W) in [0, 100] to chroma (N, 2, H/4, W/4) or a picture (N, 3, H, W)."""

    def __init__(self, config: VAEConfig = VAEConfig()) -> None:
        super().__init__(config)
        w0, w1, w2 = config.widths
        self.encoder = SmallEncoder(config.widths, config.encoder)
        if self.learns_prior:
            whole, fine = config.latents
            self.chroma = ChromaEncoder(CHROMA_STRIDE)
            self.prior_whole = zero_conv(w2, 2 * whole)
            self.prior_fine = zero_conv(w2, 2 * fine)
            self.posterior_whole = posterior_conv(w2 + POSTERIOR_WIDTH, whole)
            self.posterior_fine = posterior_conv(w2 + POSTERIOR_WIDTH, fine)
            self.join = ConvBlock(w2 + whole + fine, w2)
            channels = (w2, w1, w0)  # at 1/16, 1/8, 1/4
        else:
            doublings = (config.size // 4 // GRID).bit_length() - 1
            if doublings < 1 or config.size != 4 * GRID * 2**doublings:
                raise ValueError(
                    f"the reference recipe wants a size of 32, 64, 128, ..., got {config.size}"
                )
            self.to_vector = nn.Linear(w2 * GRID**2, 2 * config.bottleneck)
            self.from_vector = nn.Linear(config.bottleneck, w1 * GRID**2)
            wide = doublings // 2
            channels = (w1, *[w1] * wide, *[w0] * (doublings - wide))
        self.decoder = nn.Sequential(*(TransposedUp(*pair) for pair in pairwise(channels)))
        self.head = HEADS[config.target](w0)

    def resize(self, L: Tensor) -> Tensor:
        """See the base; the reference recipe's vector belongs to one square size."""
        size = (self.config.size, self.config.size)
        if self.learns_prior or L.shape[-2:] == size:
            return super().resize(L)
        return F.interpolate(L, size=size, mode="bilinear", antialias=True)

    def look(self, L: Tensor, maps: Maps = None) -> tuple[Tensor, ...]:
        """One map, (N, widths[2], H/16, W/16)."""
        return (self.encoder(L, maps),)

    def prior(self, seen: tuple[Tensor, ...]) -> Distributions:
        """p(z | L): a vector "whole" and, in the conditional recipe, a map "fine"."""
        (x,) = seen
        if not self.learns_prior:
            return {"whole": DiagonalGaussian.standard_like(self.given_gray(seen)["whole"])}
        return {
            "whole": DiagonalGaussian.of(self.prior_whole(spatial_mean(x))),
            "fine": GaussianField.of(self.prior_fine(x), self.config.reach),
        }

    def posterior(self, seen: tuple[Tensor, ...], L: Tensor, ab: Tensor) -> Distributions:
        """q(z | L, ab); the reference recipe does not look at ab."""
        if not self.learns_prior:
            return self.given_gray(seen)
        both = torch.cat((*seen, self.chroma(L, ab)), dim=1)
        return {
            "whole": DiagonalGaussian.of(self.posterior_whole(spatial_mean(both))),
            "fine": GaussianField.of(self.posterior_fine(both), self.config.reach),
        }

    def given_gray(self, seen: tuple[Tensor, ...]) -> Distributions:
        """See the base; the reference recipe's encoder sees gray alone."""
        if self.learns_prior:
            return self.prior(seen)
        pooled = F.adaptive_avg_pool2d(seen[0], GRID).flatten(1)
        return {"whole": DiagonalGaussian.of(self.to_vector(pooled)[:, :, None, None])}

    def decode(self, seen: tuple[Tensor, ...], z: Latents) -> Tensor:
        """See the base; in the reference recipe nothing but the vector reaches the decoder."""
        (x,) = seen
        if self.learns_prior:
            whole = z["whole"].expand(-1, -1, *x.shape[-2:])
            x = self.join(torch.cat((x, whole, z["fine"]), dim=1))
        else:
            x = self.from_vector(z["whole"].flatten(1)).unflatten(1, (-1, GRID, GRID))
        return self.head(self.decoder(x))
