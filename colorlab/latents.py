"""Latent variables: Gaussian and categorical, alone or correlated over a map.

Each has a ``mean``, a ``sample`` that is differentiable, and ``kl``, the divergence in nats.
Sources: Kingma and Welling 2014, "Auto-encoding variational Bayes" (reparameterization, section
2.4; closed-form divergence, appendix B); Kingma et al. 2016, "Improved variational inference with
inverse autoregressive flow", appendix C.8 (free bits); Jang et al. 2017, "Categorical
reparameterization with Gumbel-softmax"; Maddison et al. 2017, "The concrete distribution". Taught
in lessons 06 and 07. The samples of released weights depend on this code, to the last digit.
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
        """Split a network's output (N, 2C, h, w) into mean and log_std, in float32 and clamped."""
        mean, log_std = parameters.float().chunk(2, dim=1)
        return cls(mean, log_std.clamp(*LOG_STD_RANGE))

    @classmethod
    def standard_like(cls, other: DiagonalGaussian) -> DiagonalGaussian:
        """N(0, I) of the shape of ``other``."""
        return cls(torch.zeros_like(other.mean), torch.zeros_like(other.log_std))

    def sample(self, generator: torch.Generator | None = None) -> Tensor:
        """Mean + std * noise (N, C, h, w): random, but differentiable in mean and std."""
        return self.mean + self.log_std.exp() * _normal(self.mean, generator)

    def kl(self, other: DiagonalGaussian) -> Tensor:
        """Kullback-Leibler divergence KL(self || other) of each element (N, C, h, w), nats."""
        ratio = (2 * (self.log_std - other.log_std)).exp()
        distance = ((self.mean - other.mean) * (-other.log_std).exp()).square()
        return 0.5 * (ratio + distance - 1) - (self.log_std - other.log_std)


@dataclass(frozen=True)
class GaussianField(DiagonalGaussian):
    """Gaussians with correlation exp(-distance / reach) between the positions of a map.

    All positions of one balloon have one colour, so their latents should agree. Independent
    latents average out over an object, and samples then show the middle of the palette. Two fields
    of the same reach differ in mean and standard deviation only, so their divergence has a closed
    form. Source: Casale et al. 2018, "Gaussian process prior variational autoencoders", here with a
    fixed kernel.

    Attributes:
        reach: distance at which the correlation has fallen to 1/e, in positions of the map.
    """

    reach: float = 2.0

    @classmethod
    def of(cls, parameters: Tensor, reach: float = 2.0) -> GaussianField:
        """As :meth:`DiagonalGaussian.of`, with a reach."""
        plain = DiagonalGaussian.of(parameters)
        return cls(plain.mean, plain.log_std, reach)

    def sample(self, generator: torch.Generator | None = None) -> Tensor:
        """Mean + std * correlated noise (N, C, h, w), differentiable in mean and std."""
        factor, _ = _exponential(*self.mean.shape[-2:], self.reach)
        noise = _mix(_normal(self.mean, generator), factor)
        return self.mean + self.log_std.exp() * noise

    def kl(self, other: GaussianField) -> Tensor:
        """Each position's share (N, C, h, w) of KL(self || other), nats; the sum is the divergence.

        With K the correlations, e the difference of the means and f the ratio of the standard
        deviations, both in standard deviations of ``other``:
        KL = (e' K^-1 e + f' (K * K^-1) f - n) / 2 - sum log f.
        """
        factor, inverse = _exponential(*self.mean.shape[-2:], self.reach)
        e = (self.mean - other.mean) * (-other.log_std).exp()
        log_f = self.log_std - other.log_std
        f = log_f.exp()
        with torch.autocast(factor.device.type, enabled=False):
            both = factor @ factor.T * inverse
        return 0.5 * (e * _mix(e, inverse) + f * _mix(f, both) - 1) - log_f


@dataclass(frozen=True)
class CategoricalField:
    """Categorical variables, each with K categories, at every position of a map.

    The colour of a balloon is red or blue, and nothing between. A Gaussian has a middle, where
    many of its samples lie; a categorical variable has none.

    Attributes:
        logits: (N, C, h, w), C = variables * K; the K logits of a variable lie together.
        choices: K.
        reach: distance over which positions agree, in positions; 0 for independent ones.
    """

    logits: Tensor
    choices: int
    reach: float = 0.0

    @property
    def log_prob(self) -> Tensor:
        """Natural logarithms of the probabilities (N, variables, K, h, w), in float32."""
        return self.logits.float().unflatten(1, (-1, self.choices)).log_softmax(dim=2)

    @property
    def mean(self) -> Tensor:
        """The probabilities (N, C, h, w), which are the mean of the samples."""
        return self.log_prob.exp().flatten(1, 2)

    def sample(self, generator: torch.Generator | None = None) -> Tensor:
        """One-hot samples (N, C, h, w): 1 at each variable's category, 0 elsewhere.

        The category is that of the largest logit plus Gumbel noise, which has exactly the stated
        probabilities. The gradient is that of the softmax of the same sums (straight-through). The
        noise is made from a Gaussian field by its quantiles, a Gaussian copula (Song 2000): every
        position keeps its probabilities, and near positions, of nearly the same noise, agree.
        """
        log_prob = self.log_prob
        normal = _normal(log_prob, generator)
        if self.reach:
            factor = _squared_exponential(*log_prob.shape[-2:], self.reach)
            normal = _mix(normal.flatten(1, 2), factor).view_as(normal)
        quantile = torch.special.ndtr(normal.double()).clamp(1e-12, 1 - 1e-12)
        score = log_prob - (-quantile.log()).log().float()
        soft = score.softmax(dim=2)
        hard = torch.zeros_like(soft).scatter_(2, score.argmax(dim=2, keepdim=True), 1.0)
        return (hard + (soft - soft.detach())).flatten(1, 2)  # 0 and 1 exactly

    def kl(self, other: CategoricalField) -> Tensor:
        """Kullback-Leibler divergence KL(self || other) of each variable and position, nats.

        (N, variables, h, w). The sum over positions is the divergence of independent positions,
        whatever the reach: a composite likelihood (Varin et al. 2011, "An overview of composite
        likelihood methods"), least for the prior with the right probabilities at each position.
        """
        mine, others = self.log_prob, other.log_prob
        return (mine.exp() * (mine - others)).sum(dim=2)


def nats_by_channel(kl: Tensor) -> Tensor:
    """(N, C, h, w) nats to (C,): summed over the positions, averaged over the images."""
    return kl.sum(dim=(2, 3)).mean(dim=0)


def charged(nats: Tensor, free_bits: float) -> Tensor:
    """The penalty for the nats of channels (C,), each of which has ``free_bits`` free: a scalar.

    A channel below that has no gradient, so nothing pushes it to zero before the decoder has
    learned to use it.
    """
    return nats.clamp(min=free_bits).sum()


def _normal(like: Tensor, generator: torch.Generator | None) -> Tensor:
    """White noise of a tensor's shape, generated on the generator's device."""
    device = generator.device if generator else like.device
    return torch.randn(like.shape, generator=generator, device=device).to(like.device)


def _mix(x: Tensor, matrix: Tensor) -> Tensor:
    """A matrix (P, P) applied to the positions of (N, C, h, w).

    In the precision of x under autocast too: in bfloat16, the divergence of a field from itself
    was up to 0.76 nats instead of 0.
    """
    with torch.autocast(x.device.type, enabled=False):
        return (x.flatten(2) @ matrix.T.to(x)).view_as(x)


# Of the two kernels below: what a colorization makes first, training may differentiate by.


@cache
@torch.inference_mode(False)
def _exponential(height: int, width: int, reach: float) -> tuple[Tensor, Tensor]:
    """Cholesky factor and inverse (P, P) of the correlations exp(-d / reach) of P positions."""
    factor = torch.linalg.cholesky((-_distances(height, width) / reach).exp())
    return factor.float(), torch.cholesky_inverse(factor).float()


@cache
@torch.inference_mode(False)
def _squared_exponential(height: int, width: int, reach: float) -> Tensor:
    """Cholesky factor (P, P) of the correlations exp(-d^2 / (2 reach^2)) of P positions.

    Smooth in the distance d, unlike exp(-d / reach): direct neighbours must nearly always agree.
    """
    correlation = (-_distances(height, width).square() / (2 * reach**2)).exp()
    # The matrix of a smooth kernel is nearly singular: a little independent noise mends that.
    correlation = (correlation + 1e-6 * torch.eye(len(correlation))) / (1 + 1e-6)
    return torch.linalg.cholesky(correlation).float()


def _distances(height: int, width: int) -> Tensor:
    """Distances (P, P) between the P = height * width positions of a map, row by row."""
    rows, columns = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    at = torch.stack((rows, columns), dim=-1).flatten(0, 1).double()
    return torch.cdist(at, at)
