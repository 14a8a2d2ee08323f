"""Conditional VAEs: what the VAE and the UNetVAE share, and the VAE itself.

A conditional VAE (Sohn et al. 2015, "Learning structured output representation using deep
conditional generative models") has three parts: a posterior q(z | L, ab) that sees the colour,
a prior p(z | L) that does not, and a decoder p(ab | L, z). Training samples z from the posterior
and adds its KL divergence from the prior to the loss; at test time z is sampled from the prior.
Source of the reference recipe: Kingma and Welling 2014, "Auto-encoding variational Bayes". Built
piece by piece in lessons 06 and 07.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from colorlab.data.loaders import Batch
from colorlab.latents import (
    CategoricalField,
    DiagonalGaussian,
    GaussianField,
    charged,
    nats_by_channel,
)
from colorlab.layers import CHROMA_STRIDE, HEADS, ConvBlock, TransposedUpsample
from colorlab.models.base import Colorizer, Player, Settings
from colorlab.models.encoders import Maps
from colorlab.models.resnet import SmallEncoder

RECIPES = ("conditional", "reference")
POSTERIOR_WIDTH = 32  # channels: 40 k parameters, which still fit beside a UNet in a checkpoint
SHARPNESS = 5.0  # the standard deviations of a posterior start at 1 / SHARPNESS
REFERENCE_BETA = 0.001  # of the reference course: averaged MSE + 0.001 KL
GRID = 4  # side of the map that the reference recipe turns into a vector and back

Distributions = dict[str, DiagonalGaussian | CategoricalField]
Latents = dict[str, Tensor]


@dataclass(frozen=True)
class LatentSettings(Settings):
    """Settings of every model with a latent variable.

    Attributes:
        recipe: "conditional", or "reference": one vector, encoded from the gray image alone, with
            prior N(0, I), trained on averaged MSE + 0.001 KL.
        beta: weight of the KL divergence; 1 gives the evidence lower bound.
        warm_up: steps in which beta rises from zero, as the cube of the step. Without it the
            posterior collapses in the first 50 steps: see lesson 07.
    """

    recipe: str = "conditional"
    beta: float = 1.0
    warm_up: int = 300


class LatentColorizer(Colorizer):
    """A colorizer that samples a latent z given the gray image, and decodes it.

    A model defines

    - ``look(L, maps)``: features of L, computed once for any number of latents;
    - ``conditional_prior(seen)`` and ``conditional_posterior(seen, L, ab)``: p(z | L) and
      q(z | L, ab) of the conditional recipe, from these features;
    - ``reference_posterior(seen)``: q(z | L) of the reference recipe;
    - ``decode(seen, z)``: features and latents to *ab* in CIE units or sRGB.

    Its config has the :class:`LatentSettings` with ``sigma`` and ``free_bits``. Latents are named
    maps (N, C, h, w); a vector is a map of size 1x1.

    Training keeps the last weights. The score that would choose the best ones, the colour error
    of the single prediction, is lowest where the latent carries the least information.
    """

    deterministic = False
    keeps_best: ClassVar[bool] = False

    def __init__(self, config: Any) -> None:
        super().__init__(config)
        if config.recipe not in RECIPES:
            raise ValueError(f"recipe must be one of {', '.join(RECIPES)}, got {config.recipe!r}")
        if not config.sigma > 0:
            raise ValueError(f"sigma must be positive, got {config.sigma}")
        if config.beta < 0 or config.free_bits < 0:
            raise ValueError(
                f"beta and free_bits must not be negative, got {config.beta}, {config.free_bits}"
            )
        self.learns_prior = config.recipe == "conditional"
        # A buffer, so that a resumed run continues with the same beta.
        self.register_buffer("steps_taken", torch.zeros((), dtype=torch.int64))

    def prior(self, seen: tuple[Tensor, ...]) -> Distributions:
        """p(z | L), which does not see the colour; N(0, I) in the reference recipe."""
        if self.learns_prior:
            return self.conditional_prior(seen)
        return {"whole": DiagonalGaussian.standard_like(self.reference_posterior(seen))}

    def posterior(self, seen: tuple[Tensor, ...], L: Tensor, ab: Tensor) -> Distributions:
        """q(z | L, ab), which sees the true colour; q(z | L) in the reference recipe."""
        if self.learns_prior:
            return self.conditional_posterior(seen, L, ab)
        return {"whole": self.reference_posterior(seen)}

    def given_gray(self, seen: tuple[Tensor, ...]) -> Distributions:
        """The distribution of z at test time: the prior, or the reference recipe's q(z | L)."""
        if self.learns_prior:
            return self.conditional_prior(seen)
        return {"whole": self.reference_posterior(seen)}

    def forward(self, L: Tensor, maps: Maps = None) -> Tensor:
        """The single prediction: the mean of z given the gray image, decoded."""
        seen = self.look(L, maps)
        answer = self.decode(seen, {k: g.mean for k, g in self.given_gray(seen).items()})
        return self.with_input(answer, L)

    def draw(self, L: Tensor, n: int, generator: torch.Generator | None) -> Tensor:
        """``n`` samples (n, N, C, h, w), each decoded from a z that is sampled given L."""
        seen = self.look(L)
        gaussians = self.given_gray(seen)
        answers = [self.decode(seen, sample(gaussians, generator)) for _ in range(n)]
        return torch.stack([self.with_input(answer, L) for answer in answers])

    @torch.inference_mode()
    def reconstruct(
        self, L: Tensor, ab: Tensor, generator: torch.Generator | None = None
    ) -> Tensor:
        """Decode z sampled from the posterior, which has seen the true colour. NOT a colorization.

        It shows how much the latent can hold. At test time the model does not get ``ab``.

        Args:
            L: (N, 1, H, W) lightness in [0, 100].
            ab: (N, 2, H/4, W/4) true *ab* in CIE units.
            generator: of the random numbers.

        Returns:
            (N, 3, H, W) sRGB in [0, 1].
        """
        with self.evaluating():
            small = self.resize(L)
            size = [side // CHROMA_STRIDE for side in small.shape[-2:]]
            if list(ab.shape[-2:]) != size:
                ab = F.interpolate(ab, size=size, mode="bilinear", antialias=True)
            seen = self.look(small)
            z = sample(self.posterior(seen, small, ab), generator)
            return self.finish(L, self.with_input(self.decode(seen, z), small))

    @torch.inference_mode()
    def kl_per_dimension(self, batch: Batch) -> dict[str, Tensor]:
        """KL divergence of the posterior from the prior, nats, by latent and channel: name to (C,).

        Summed over the positions of a map, averaged over the images. It is 0 for a channel whose
        posterior has collapsed.
        """
        with self.evaluating():
            seen = self.look(batch.L)
            return self._nats(seen, self.posterior(seen, batch.L, batch.ab))

    def players(self) -> list[Player]:
        """One player with the terms "reconstruction" and "kl"."""
        return [Player("colorizer", self, self._loss)]

    def _nats(self, seen: tuple[Tensor, ...], posterior: Distributions) -> dict[str, Tensor]:
        prior = self.prior(seen)
        return {k: nats_by_channel(posterior[k].kl(prior[k])) for k in prior}

    def _loss(self, batch: Batch) -> dict[str, Tensor]:
        """The negative evidence lower bound, divided by the number of *ab* values.

        Squared errors are summed with weight 1 / (2 sigma^2), nats are summed, and both sums are
        divided by the same number, so that beta means the same for any batch size and image size.
        In the reference recipe the error is averaged and the nats are summed.

        Beta rises as the cube of the step (Bowman et al. 2016, "Generating sentences from a
        continuous space", section 3.1, anneal it likewise): with the full weight from the first
        step, the KL fell to zero in 100 steps, before the decoder had learned to use z.
        """
        config = self.config
        beta = config.beta
        if self.training:
            if config.warm_up:
                beta = beta * (self.steps_taken / config.warm_up).clamp(max=1) ** 3
            self.steps_taken += 1
        seen = self.look(batch.L, batch.maps)
        posterior = self.posterior(seen, batch.L, batch.ab)
        answer = self.with_input(self.decode(seen, sample(posterior)), batch.L)
        nats = torch.cat(list(self._nats(seen, posterior).values()))
        if config.target == "ab":
            error = F.mse_loss(answer / 110, batch.ab / 110)
        else:
            error = F.mse_loss(answer, batch.rgb)
        if not self.learns_prior:
            return {"reconstruction": error, "kl": REFERENCE_BETA * nats.sum()}
        # The 16 pixels below an ab value count as one observation: their errors are correlated.
        values = answer.shape[1] * batch.ab[0, 0].numel()
        return {
            "reconstruction": error / (2 * (config.sigma / 110) ** 2),
            "kl": beta * charged(nats, config.free_bits) / values,
        }


class ChromaEncoder(nn.Sequential):
    """The part of a posterior that sees the colour: L and *ab* to a map at reduced size.

    (N, width + 2, H/(2^k fold), W/(2^k fold)), where k is ``halvings``, 1 or 2. The last two
    channels are the mean *ab* of each position, divided by 50. The network is small: the features
    of L tell what an object is, and its colour is easy to read.
    """

    def __init__(self, fold: int, halvings: int = 2, width: int = POSTERIOR_WIDTH) -> None:
        finer = fold // CHROMA_STRIDE
        super().__init__(
            ConvBlock(fold**2 + 2 * finer**2, 3 * width // 4),
            ConvBlock(3 * width // 4, width, stride=2),
            *(ConvBlock(width, width, stride=2) for _ in range(halvings - 1)),
            ConvBlock(width, width),
        )
        self.fold, self.finer = fold, finer

    def forward(self, L: Tensor, ab: Tensor) -> Tensor:
        """L (N, 1, H, W) in [0, 100] and ab (N, 2, H/4, W/4) in CIE units; see the class."""
        folded = F.pixel_unshuffle(L / 50 - 1, self.fold), F.pixel_unshuffle(ab / 50, self.finer)
        features = super().forward(torch.cat(folded, dim=1))
        chroma = F.adaptive_avg_pool2d(ab / 50, features.shape[-2:])
        return torch.cat((features, chroma), dim=1)


def sample(gaussians: Distributions, generator: torch.Generator | None = None) -> Latents:
    """One sample of every latent, by name."""
    return {name: gaussian.sample(generator) for name, gaussian in gaussians.items()}


def zero_conv(in_channels: int, out_channels: int) -> nn.Conv2d:
    """A 1x1 convolution that starts at zero, so that its output has no effect at first."""
    conv = nn.Conv2d(in_channels, out_channels, 1)
    nn.init.zeros_(conv.weight)
    nn.init.zeros_(conv.bias)
    return conv


def spatial_mean(x: Tensor) -> Tensor:
    """(N, C, h, w) to (N, C, 1, 1)."""
    return x.mean(dim=(2, 3), keepdim=True)


def posterior_conv(features: int, channels: int) -> nn.Conv2d:
    """The 1x1 convolution to a posterior, from features and two channels of mean *ab*.

    Its first two means start as that mean *ab*, in units of 50, and its standard deviations at
    1 / SHARPNESS. With a random start, one channel held all the information, with the colours of a
    palette along one line: samples of the prior then had the middle colour too often.
    """
    conv = nn.Conv2d(features + 2, 2 * channels, 1)
    with torch.no_grad():
        conv.weight[:, -2:] = 0
        rows = min(2, channels)
        conv.weight[:rows, -2:] = torch.eye(rows, 2)[:, :, None, None]
        conv.weight[:, :-2] *= 0.2
        conv.bias[channels:] = -math.log(SHARPNESS)
    return conv


@dataclass(frozen=True)
class VAEConfig(LatentSettings):
    """Settings of :class:`VAE`, in addition to :class:`LatentSettings`.

    In the reference recipe ``size`` is a power of two from 32 on, and every image is resized to
    exactly that square.

    Attributes:
        widths: channels at 1/4, 1/8 and 1/16 of the image, those of the ResNet, so that its
            encoder may be taken over.
        bottleneck: size of the reference recipe's vector; 64 numbers for 16,384 pixels are few.
        latents: channels of the conditional recipe's vector and of its map at 1/16.
        reach: correlation length of the map, in positions.
        sigma: standard deviation of the colours about the decoder's prediction, CIE units; it sets
            how many nats a colour is worth. It is larger than the errors, because neighbouring
            errors are correlated: twenty positions of one object are not twenty observations. On
            scenes, at 60 the latent ignored small and pale objects; at 6 the posterior used 60
            nats where 8 suffice, in regions that the prior never samples.
        free_bits: nats of each channel that are not penalized, so that no channel collapses.
    """

    widths: tuple[int, int, int] = (32, 64, 128)
    bottleneck: int = 64
    latents: tuple[int, int] = (8, 4)
    reach: float = 2.0
    sigma: float = 30.0
    free_bits: float = 0.25


class VAE(LatentColorizer):
    """L (N, 1, H, W) in [0, 100] to *ab* (N, 2, H/4, W/4) or an image (N, 3, H, W).

    An encoder, a latent, and a decoder of transposed convolutions, without skip connections.
    """

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
        steps = pairwise(channels)
        self.decoder = nn.Sequential(*(TransposedUpsample(*pair, kernel=4) for pair in steps))
        self.head = HEADS[config.target](w0)

    def resize(self, L: Tensor) -> Tensor:
        """As the base class; the reference recipe's vector needs one square size."""
        size = (self.config.size, self.config.size)
        if self.learns_prior or L.shape[-2:] == size:
            return super().resize(L)
        return F.interpolate(L, size=size, mode="bilinear", antialias=True)

    def look(self, L: Tensor, maps: Maps = None) -> tuple[Tensor, ...]:
        """One map, (N, widths[2], H/16, W/16)."""
        return (self.encoder(L, maps),)

    def conditional_prior(self, seen: tuple[Tensor, ...]) -> Distributions:
        """p(z | L): a vector "whole" and a map "fine"."""
        (x,) = seen
        return {
            "whole": DiagonalGaussian.of(self.prior_whole(spatial_mean(x))),
            "fine": GaussianField.of(self.prior_fine(x), self.config.reach),
        }

    def conditional_posterior(
        self, seen: tuple[Tensor, ...], L: Tensor, ab: Tensor
    ) -> Distributions:
        """q(z | L, ab), with the names of :meth:`conditional_prior`."""
        both = torch.cat((*seen, self.chroma(L, ab)), dim=1)
        return {
            "whole": DiagonalGaussian.of(self.posterior_whole(spatial_mean(both))),
            "fine": GaussianField.of(self.posterior_fine(both), self.config.reach),
        }

    def reference_posterior(self, seen: tuple[Tensor, ...]) -> DiagonalGaussian:
        """q(z | L), a vector."""
        pooled = F.adaptive_avg_pool2d(seen[0], GRID).flatten(1)
        return DiagonalGaussian.of(self.to_vector(pooled)[:, :, None, None])

    def decode(self, seen: tuple[Tensor, ...], z: Latents) -> Tensor:
        """As the base class; in the reference recipe the decoder sees the vector alone."""
        (x,) = seen
        if self.learns_prior:
            whole = z["whole"].expand(-1, -1, *x.shape[-2:])
            x = self.join(torch.cat((x, whole, z["fine"]), dim=1))
        else:
            x = self.from_vector(z["whole"].flatten(1)).unflatten(1, (-1, GRID, GRID))
        return self.head(self.decoder(x))
