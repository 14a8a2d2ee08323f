"""UNetVAE: a UNet whose decoder also hears a latent, at several scales.

Sources: Kohl et al. 2018, "A probabilistic U-Net for segmentation of ambiguous images" (a
conditional prior beside a UNet); Kohl et al. 2019, "A hierarchical probabilistic U-Net" (latents
at several scales). Built in notebook 07, which also shows how skips let a decoder ignore z.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from colorlab.latents import DiagonalGaussian, GaussianField
from colorlab.layers import ConvBlock
from colorlab.models.latent import (
    POSTERIOR_WIDTH,
    ChromaEncoder,
    Gaussians,
    LatentColorizer,
    Latents,
    posterior_conv,
    spatial_mean,
    zero_conv,
)
from colorlab.models.unet import UNet, UNetConfig


@dataclass(frozen=True)
class UNetVAEConfig:
    """Settings of :class:`UNetVAE`; each default carries its reason.

    Attributes:
        target: "ab" keeps the input's lightness; "rgb" predicts the whole picture.
        size: side of the training pictures; other sizes are brought to about this area.
        fold, widths, attention, dropout: of the UNet inside, see :class:`UNetConfig`.
        recipe: "conditional", or "reference": one vector with prior N(0, I) in place of the
            coarsest map, beside skips, trained on averaged MSE + 0.001 KL.
        latents: channels of the vector, of the coarsest map and of the next finer one.
        reach: how far the places of the finer map agree, in places: those of one thing have
            one colour, see :class:`colorlab.latents.GaussianField`.
        sigma: standard deviation of the colours about the decoder's answer, CIE units. It sets
            what a colour is worth in nats, and is wider than the errors are: neighbours err
            together, so a thing of twenty places is not twenty witnesses. On scenes, 60 lets
            the small and pale things (sails, cars) fall silent, and at 6 the posterior says 60
            nats where 8 suffice, from corners where the prior draws nothing.
        beta: weight of the KL divergence; 1 is the bound itself.
        warm_up: steps in which beta rises from zero, by the cube. Without it all was silent
            after 100 steps, whatever sigma between 4 and 20.
        free_bits: nats of each channel that cost nothing, so that none falls silent for good.
    """

    target: str = "ab"
    size: int = 256
    fold: int = 4
    widths: tuple[int, int, int, int] = (32, 64, 96, 128)
    attention: bool = True
    dropout: float = 0.0
    recipe: str = "conditional"
    latents: tuple[int, int, int] = (8, 4, 4)
    reach: float = 2.0
    sigma: float = 30.0
    beta: float = 1.0
    warm_up: int = 300
    free_bits: float = 0.25


class UNetVAE(LatentColorizer):
    """L (N, 1, H, W) in [0, 100] to chroma (N, 2, H/4, W/4) or a picture (N, 3, H, W)."""

    def __init__(self, config: UNetVAEConfig = UNetVAEConfig()) -> None:
        super().__init__(config)
        shared = ("target", "size", "fold", "widths", "attention", "dropout")
        self.unet = UNet(UNetConfig(**{name: getattr(config, name) for name in shared}))
        self.multiple = self.unet.multiple
        _, w1, w2, w3 = config.widths
        whole, coarse, fine = config.latents
        total = whole + coarse + fine
        if not self.learns_prior:
            self.encode_whole = nn.Conv2d(w3, 2 * whole, 1)
            self.inject3 = nn.Conv2d(whole, w3, 1)
            return
        seen = POSTERIOR_WIDTH
        self.chroma_fine = ChromaEncoder(config.fold)
        self.chroma_coarse = ConvBlock(seen + 2, seen, stride=2)
        self.prior_whole = zero_conv(w3, 2 * whole)
        self.prior_coarse = zero_conv(w3, 2 * coarse)
        self.prior_fine = zero_conv(w2, 2 * fine)
        self.posterior_whole = posterior_conv(w3 + seen, whole)
        self.posterior_coarse = posterior_conv(w3 + seen, coarse, sees_chroma=False)
        self.posterior_fine = posterior_conv(w2 + seen, fine)
        self.inject3 = zero_conv(total, w3)
        self.inject2 = zero_conv(total, w2)
        self.inject1 = zero_conv(total, w1)

    @property
    def head(self) -> nn.Module:
        """The UNet's last layer."""
        return self.unet.head

    def look(self, L: Tensor) -> tuple[Tensor, ...]:
        """The UNet's four maps, see :meth:`UNet.encode`."""
        return self.unet.encode(L)

    def prior(self, seen: tuple[Tensor, ...]) -> Gaussians:
        """p(z | L): a vector "whole" and, in the conditional recipe, maps "coarse", "fine"."""
        _, _, x2, x3 = seen
        if not self.learns_prior:
            return {"whole": DiagonalGaussian.standard_like(self.given_gray(seen)["whole"])}
        return {
            "whole": DiagonalGaussian.of(self.prior_whole(spatial_mean(x3))),
            "coarse": DiagonalGaussian.of(self.prior_coarse(x3)),
            "fine": GaussianField.of(self.prior_fine(x2), self.config.reach),
        }

    def posterior(self, seen: tuple[Tensor, ...], L: Tensor, ab: Tensor) -> Gaussians:
        """q(z | L, ab); the reference recipe does not look at ab."""
        if not self.learns_prior:
            return self.given_gray(seen)
        _, _, x2, x3 = seen
        fine = self.chroma_fine(L, ab)
        coarse = torch.cat((self.chroma_coarse(fine), F.avg_pool2d(fine[:, -2:], 2)), dim=1)
        at3 = torch.cat((x3, coarse), dim=1)
        return {
            "whole": DiagonalGaussian.of(self.posterior_whole(spatial_mean(at3))),
            "coarse": DiagonalGaussian.of(self.posterior_coarse(at3)),
            "fine": GaussianField.of(
                self.posterior_fine(torch.cat((x2, fine), dim=1)), self.config.reach
            ),
        }

    def given_gray(self, seen: tuple[Tensor, ...]) -> Gaussians:
        """See the base; the reference recipe's encoder sees gray alone."""
        if self.learns_prior:
            return self.prior(seen)
        return {"whole": DiagonalGaussian.of(self.encode_whole(spatial_mean(seen[3])))}

    def decode(self, seen: tuple[Tensor, ...], z: Latents) -> Tensor:
        """The UNet's way up, with the latents added to its maps."""
        x0, x1, x2, x3 = seen
        if not self.learns_prior:
            return self.unet.decode(x0, x1, x2, self.inject3(z["whole"]).expand_as(x3))
        fine = z["fine"]
        at3 = torch.cat((z["whole"].expand(-1, -1, *x3.shape[-2:]), z["coarse"]), dim=1)
        at2 = torch.cat((_twice(at3), fine), dim=1)
        return self.unet.decode(
            x0,
            x1 + self.inject1(_twice(at2)),
            x2 + self.inject2(at2),
            x3 + self.inject3(torch.cat((at3, F.avg_pool2d(fine, 2)), dim=1)),
        )


def _twice(x: Tensor) -> Tensor:
    """(N, C, h, w) to (N, C, 2h, 2w)."""
    return F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)
