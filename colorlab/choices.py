"""Discrete latents: maps of choices, drawn so that neighbours agree, and their distance in nats.

Sources: Jang et al. 2017, "Categorical reparameterization with Gumbel-softmax"; Maddison et al.
2017, "The concrete distribution". That neighbours agree is a Gaussian copula (Song 2000,
"Multivariate dispersion models generated from Gaussian copula"). Taught in notebook 07.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor

from colorlab.latents import distances, mixed


@dataclass(frozen=True)
class CategoricalField:
    """Choices, one of K for each variable and each place of a map.

    A colour is often a choice: a balloon is red or blue, and nothing between. A Gaussian has a
    middle, and many of its draws fall there; a choice has none.

    Attributes:
        logits: (N, C, h, w), C = variables * K; the K logits of a variable lie together.
        choices: K.
        reach: how far places agree, in places; 0 to draw each by itself.
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
        """The probabilities (N, C, h, w): what draws are on average."""
        return self.log_prob.exp().flatten(1, 2)

    def sample(self, generator: torch.Generator | None = None) -> Tensor:
        """A draw (N, C, h, w): 1 at the choice of each variable and place, 0 elsewhere.

        The choice is the largest logit plus Gumbel noise, which has exactly the stated
        probabilities. The gradient is that of the softmax of the same sums (straight-through).

        The noise of one place comes from a Gaussian field by its quantiles. So every place keeps
        its probabilities, and near places, of nearly the same noise, choose alike.
        """
        log_prob = self.log_prob
        device = generator.device if generator else log_prob.device
        normal = torch.randn(log_prob.shape, generator=generator, device=device)
        normal = normal.to(log_prob.device)
        if self.reach:
            factor = _factor(*log_prob.shape[-2:], self.reach)
            normal = mixed(normal.flatten(1, 2), factor).view_as(normal)
        quantile = torch.special.ndtr(normal.double()).clamp(1e-12, 1 - 1e-12)
        score = log_prob - (-quantile.log()).log().float()
        soft = score.softmax(dim=2)
        hard = torch.zeros_like(soft).scatter_(2, score.argmax(dim=2, keepdim=True), 1.0)
        return (hard + (soft - soft.detach())).flatten(1, 2)  # 0 and 1 exactly

    def kl(self, other: CategoricalField) -> Tensor:
        """Kullback-Leibler divergence KL(self || other) of each variable and place, nats.

        (N, variables, h, w). Its sum over the places is the divergence of choices made place by
        place. It says nothing of the reach: a composite likelihood (Varin et al. 2011, "An
        overview of composite likelihood methods"), whose best prior has the right probabilities
        at each place.
        """
        mine, others = self.log_prob, other.log_prob
        return (mine.exp() * (mine - others)).sum(dim=2)


@cache
@torch.inference_mode(False)  # what a colorization makes first, training may differentiate by
def _factor(height: int, width: int, reach: float) -> Tensor:
    """Cholesky factor (P, P) of the correlations exp(-d^2 / (2 reach^2)) of P places.

    Smooth in the distance d, unlike exp(-d / reach): direct neighbours must nearly always agree.
    """
    correlation = (-distances(height, width).square() / (2 * reach**2)).exp()
    # A smooth kernel's matrix is nearly singular: a grain of independent noise mends that.
    correlation = (correlation + 1e-6 * torch.eye(len(correlation))) / (1 + 1e-6)
    return torch.linalg.cholesky(correlation).float()
