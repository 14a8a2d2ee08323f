"""Latent variables: diagonal Gaussians, the reparameterization trick, and their distance in nats.

Source: Kingma and Welling 2014, "Auto-encoding variational Bayes" (reparameterization, section
2.4; closed-form divergence, appendix B); Kingma et al. 2016, "Improved variational inference
with inverse autoregressive flow", appendix C.8 (free bits). Taught in notebook 06.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor

# exp(-6) is a point beside a standard Gaussian, exp(2) is flat: beyond, gradients explode.
LOG_STD_RANGE = (-6.0, 2.0)


@dataclass(frozen=True)
class DiagonalGaussian:
    """Independent Gaussians, one for each element of a map (N, C, h, w).

    Attributes:
        mean: (N, C, h, w).
        log_std: (N, C, h, w), natural logarithm of the standard deviation.
    """

    mean: Tensor
    log_std: Tensor

    @classmethod
    def of(cls, parameters: Tensor) -> DiagonalGaussian:
        """Split a network's answer (N, 2C, h, w) into mean and log_std, in float32 and clamped."""
        mean, log_std = parameters.float().chunk(2, dim=1)
        return cls(mean, log_std.clamp(*LOG_STD_RANGE))

    @classmethod
    def standard_like(cls, other: DiagonalGaussian) -> DiagonalGaussian:
        """N(0, I) of the shape of ``other``."""
        return cls(torch.zeros_like(other.mean), torch.zeros_like(other.log_std))

    def sample(self, generator: torch.Generator | None = None) -> Tensor:
        """A draw, mean + std * noise (N, C, h, w): random, yet differentiable in mean and std."""
        device = generator.device if generator else self.mean.device
        noise = torch.randn(self.mean.shape, generator=generator, device=device)
        return self.mean + self.log_std.exp() * noise.to(self.mean.device)

    def kl(self, other: DiagonalGaussian) -> Tensor:
        """Kullback-Leibler divergence KL(self || other) of each element (N, C, h, w), nats."""
        ratio = (2 * (self.log_std - other.log_std)).exp()
        distance = ((self.mean - other.mean) * (-other.log_std).exp()).square()
        return 0.5 * (ratio + distance - 1) - (self.log_std - other.log_std)


@dataclass(frozen=True)
class GaussianField(DiagonalGaussian):
    """Gaussians whose neighbours in the map vary together, with correlation exp(-distance/reach).

    The places of one balloon have one colour, and the latents drawn for them should agree.
    Independent ones cancel: draws then show the middle of the palette, for what the decoder
    hears of a thing is a mean. Two fields of the same reach differ in mean and width only, so
    that their divergence has a closed form. Source: Casale et al. 2018, "Gaussian process prior
    variational autoencoders", here with a fixed kernel.

    Attributes:
        reach: distance at which the correlation has fallen to 1/e, in places of the map.
    """

    reach: float = 2.0

    @classmethod
    def of(cls, parameters: Tensor, reach: float = 2.0) -> GaussianField:
        """As :meth:`DiagonalGaussian.of`, with a reach."""
        plain = DiagonalGaussian.of(parameters)
        return cls(plain.mean, plain.log_std, reach)

    def sample(self, generator: torch.Generator | None = None) -> Tensor:
        """A draw, mean + std * correlated noise (N, C, h, w), differentiable in mean and std."""
        standard = DiagonalGaussian.standard_like(self).sample(generator)
        factor, _ = _field(*self.mean.shape[-2:], self.reach)
        return self.mean + self.log_std.exp() * mixed(standard, factor)

    def kl(self, other: GaussianField) -> Tensor:
        """Each place's share (N, C, h, w) of KL(self || other), nats; the sum is the divergence.

        With K the correlations, e the difference of the means and f the ratio of the widths,
        both in widths of ``other``: KL = (e' K^-1 e + f' (K * K^-1) f - n) / 2 - sum log f.
        """
        factor, inverse = _field(*self.mean.shape[-2:], self.reach)
        e = (self.mean - other.mean) * (-other.log_std).exp()
        log_f = self.log_std - other.log_std
        f = log_f.exp()
        both = factor @ factor.T * inverse
        return 0.5 * (e * mixed(e, inverse) + f * mixed(f, both) - 1) - log_f


@cache
@torch.inference_mode(False)  # what a colorization makes first, training may differentiate by
def _field(height: int, width: int, reach: float) -> tuple[Tensor, Tensor]:
    """Cholesky factor and inverse (P, P) of the correlations between P = height * width places."""
    factor = torch.linalg.cholesky((-distances(height, width) / reach).exp())
    return factor.float(), torch.cholesky_inverse(factor).float()


def distances(height: int, width: int) -> Tensor:
    """Distances (P, P) between the P = height * width places of a map, row by row."""
    rows, columns = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    at = torch.stack((rows, columns), dim=-1).flatten(0, 1).double()
    return torch.cdist(at, at)


def mixed(x: Tensor, matrix: Tensor) -> Tensor:
    """A matrix (P, P) applied to the places of (N, C, h, w)."""
    return (x.flatten(2) @ matrix.T.to(x)).view_as(x)


def nats_by_channel(kl: Tensor) -> Tensor:
    """(N, C, h, w) nats to (C,): summed over the places, averaged over the pictures."""
    return kl.sum(dim=(2, 3)).mean(dim=0)


def charged(nats: Tensor, free_bits: float) -> Tensor:
    """What a loss charges for channels (C,) of which each has ``free_bits`` nats free: a scalar.

    A channel below its allowance has no gradient, so nothing pushes it to zero before the
    decoder has found a use for it.
    """
    return nats.clamp(min=free_bits).sum()
