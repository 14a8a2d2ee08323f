"""What the VAE and the UNetVAE share: a latent drawn given gray, and a bound as the loss.

A conditional VAE (Sohn et al. 2015, "Learning structured output representation using deep
conditional generative models") has three parts: a posterior q(z | L, ab) that sees the colour,
a prior p(z | L) that does not, and a decoder p(ab | L, z). Training draws z from the posterior
and pays for the distance to the prior; at test time z comes from the prior. Built in notebooks
06 and 07.
"""

from __future__ import annotations

import math
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from colorlab.choices import CategoricalField
from colorlab.data.loaders import Batch
from colorlab.latents import DiagonalGaussian, charged, nats_by_channel
from colorlab.layers import CHROMA_STRIDE, ConvBlock
from colorlab.models.base import Colorizer, Player
from colorlab.models.encoders import Maps

RECIPES = ("conditional", "reference")
POSTERIOR_WIDTH = 32  # channels: 40 k parameters, what a released UNet leaves free
SHARPNESS = 5.0  # how much narrower than N(0, I) a posterior starts
REFERENCE_BETA = 0.001  # of the reference course: averaged MSE + 0.001 KL

Distributions = dict[str, DiagonalGaussian | CategoricalField]
Latents = dict[str, Tensor]


class LatentColorizer(Colorizer):
    """A colorizer that draws a latent z given gray, and decodes it.

    A model gives ``look``, ``prior``, ``posterior`` and ``decode``. Latents are named maps
    (N, C, h, w), a vector being a map of one place; so a slider may move one channel and leave
    the others, and two pictures may exchange theirs.

    Training keeps the last weights. The score that would choose the best ones, the colour error
    of the single answer, is lowest where the latent says least.
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
        # In the state, so that a resumed run goes on with the same beta.
        self.register_buffer("steps_taken", torch.zeros((), dtype=torch.int64))

    def look(self, L: Tensor, maps: Maps = None) -> tuple[Tensor, ...]:
        """What the network sees in L (N, 1, h, w): features, computed once for many latents.

        ``maps`` are those of the pretrained encoder, where they are known already.
        """
        raise NotImplementedError

    def prior(self, seen: tuple[Tensor, ...]) -> Distributions:
        """p(z | L), which knows no colour. N(0, I) in the reference recipe."""
        raise NotImplementedError

    def posterior(self, seen: tuple[Tensor, ...], L: Tensor, ab: Tensor) -> Distributions:
        """q(z | L, ab), which has seen the true colour; q(z | L) in the reference recipe."""
        raise NotImplementedError

    def decode(self, seen: tuple[Tensor, ...], z: Latents) -> Tensor:
        """Answer (N, 2, h/4, w/4) in CIE units or (N, 3, h, w) sRGB to features and latents."""
        raise NotImplementedError

    def given_gray(self, seen: tuple[Tensor, ...]) -> Distributions:
        """Where z comes from when no colour is known.

        The prior; the reference recipe's encoder takes gray alone, so there it is the encoder.
        """
        raise NotImplementedError

    def forward(self, L: Tensor, maps: Maps = None) -> Tensor:
        """The single answer: the mean of z given gray, decoded."""
        seen = self.look(L, maps)
        answer = self.decode(seen, {k: g.mean for k, g in self.given_gray(seen).items()})
        return self.with_input(answer, L)

    def draw(self, L: Tensor, n: int, generator: torch.Generator | None) -> Tensor:
        """``n`` answers (n, N, C, h, w), each from a z drawn given gray."""
        seen = self.look(L)
        gaussians = self.given_gray(seen)
        answers = [self.decode(seen, sample(gaussians, generator)) for _ in range(n)]
        return torch.stack([self.with_input(answer, L) for answer in answers])

    @torch.inference_mode()
    def reconstruct(
        self, L: Tensor, ab: Tensor, generator: torch.Generator | None = None
    ) -> Tensor:
        """Decode z drawn from the posterior, which has seen the true colour. NOT a colorization.

        It tells what the latent can hold. Scored as a colorization it would be cheating: at
        test time nobody gives the model ``ab``.

        Args:
            L: (N, 1, H, W) lightness in [0, 100].
            ab: (N, 2, H/4, W/4) true chroma in CIE units.
            generator: of the random numbers; torch's own unless given.

        Returns:
            (N, 3, H, W) sRGB in [0, 1].
        """
        was_training = self.training
        self.eval()
        try:
            small = self.resize(L)
            size = [side // CHROMA_STRIDE for side in small.shape[-2:]]
            if list(ab.shape[-2:]) != size:
                ab = F.interpolate(ab, size=size, mode="bilinear", antialias=True)
            seen = self.look(small)
            z = sample(self.posterior(seen, small, ab), generator)
            return self.finish(L, self.with_input(self.decode(seen, z), small))
        finally:
            self.train(was_training)

    @torch.inference_mode()
    def kl_per_dimension(self, batch: Batch) -> dict[str, Tensor]:
        """Nats that the posterior says beyond the prior, by latent and channel: name to (C,).

        Summed over the places of a map, averaged over the pictures. A collapsed channel says 0.
        """
        was_training = self.training
        self.eval()
        try:
            seen = self.look(batch.L)
            return self._nats(seen, self.posterior(seen, batch.L, batch.ab))
        finally:
            self.train(was_training)

    def players(self) -> list[Player]:
        """One player; its terms are "reconstruction" and "kl"."""
        return [Player("colorizer", self, self._loss)]

    def _nats(self, seen: tuple[Tensor, ...], posterior: Distributions) -> dict[str, Tensor]:
        prior = self.prior(seen)
        return {k: nats_by_channel(posterior[k].kl(prior[k])) for k in prior}

    def _loss(self, batch: Batch) -> dict[str, Tensor]:
        """The negative evidence lower bound, divided by the number of chroma values.

        Squared errors are summed with weight 1 / (2 sigma^2), nats are summed, and both are
        divided by the same number, so that beta means the same for any batch and picture size. In
        the reference recipe the error is averaged, the nats are not.

        Beta rises as the cube of the step (Bowman et al. 2016, "Generating sentences from a
        continuous space", section 3.1, anneal it likewise): charged in full from the first step,
        the nats were gone after 100, before the decoder had learned to listen.
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
        # The 16 pixels below a chroma value are one observation: they err together.
        values = answer.shape[1] * batch.ab[0, 0].numel()
        return {
            "reconstruction": error / (2 * (config.sigma / 110) ** 2),
            "kl": beta * charged(nats, config.free_bits) / values,
        }


class ChromaEncoder(nn.Sequential):
    """The slim eye of a posterior: L and ab to a map (N, width + 2, H/(2^k fold), W/(2^k fold)).

    k is ``halvings``, 1 or 2. The last two channels are the mean chroma of each place, ab / 50.

    Slim, since a colour, once seen, is easy to tell; what the thing is, the features of L tell.
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
    """One draw of every latent, by name."""
    return {name: gaussian.sample(generator) for name, gaussian in gaussians.items()}


def zero_conv(in_channels: int, out_channels: int) -> nn.Conv2d:
    """A 1x1 convolution that starts at zero: what it feeds starts as if it were not there."""
    conv = nn.Conv2d(in_channels, out_channels, 1)
    nn.init.zeros_(conv.weight)
    nn.init.zeros_(conv.bias)
    return conv


def spatial_mean(x: Tensor) -> Tensor:
    """(N, C, h, w) to (N, C, 1, 1)."""
    return x.mean(dim=(2, 3), keepdim=True)


def posterior_conv(features: int, channels: int) -> nn.Conv2d:
    """The 1x1 convolution to a posterior, from features and two channels of mean chroma.

    Its first two means start as that chroma, in units of 50, and its widths at a SHARPNESS-th of
    one. Started at random, one channel took up all that there is to say, with the colours of a
    palette in one row: draws of the prior then had too much of the middle one.
    """
    conv = nn.Conv2d(features + 2, 2 * channels, 1)
    with torch.no_grad():
        conv.weight[:, -2:] = 0
        rows = min(2, channels)
        conv.weight[:rows, -2:] = torch.eye(rows, 2)[:, :, None, None]
        conv.weight[:, :-2] *= 0.2
        conv.bias[channels:] = -math.log(SHARPNESS)
    return conv
