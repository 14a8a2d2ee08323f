"""Adversarial objectives: what a discriminator and a generator minimize.

All take logits of any shape, one a picture or one a patch, and return a scalar. A logit is the
discriminator's belief before the sigmoid: positive means real. Taught in notebooks 08 and 09.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def bce(logits: Tensor, label: float) -> Tensor:
    """Mean binary cross entropy of logits against one label in [0, 1].

    With p = sigmoid(logit): -label log p - (1 - label) log(1 - p), computed from the logit so
    that no logarithm of a rounded 0 is taken. It is log 2 = 0.693 where the logit is 0.
    """
    return F.binary_cross_entropy_with_logits(logits, torch.full_like(logits, label))


def discriminator_loss(real: Tensor, fake: Tensor, smoothing: float = 0.0) -> Tensor:
    """Half the sum of both cross entropies: real logits against 1 - smoothing, fake against 0.

    One-sided label smoothing keeps the discriminator from being certain (Salimans et al. 2016,
    "Improved techniques for training GANs", section 3.4): the best logit of a real picture is
    then log((1 - smoothing) / smoothing) and not infinity. The half is pix2pix's: guessing
    scores log 2.
    """
    return (bce(real, 1 - smoothing) + bce(fake, 0.0)) / 2


def generator_loss(fake: Tensor) -> Tensor:
    """Cross entropy of fake logits against 1, the non-saturating loss.

    Goodfellow et al. 2014, section 3: log(1 - p) has no slope where the discriminator is sure,
    and it is sure early on; -log p has its steepest slope there.
    """
    return bce(fake, 1.0)


def r1_penalty(logits: Tensor, colour: Tensor) -> Tensor:
    """Half the mean squared gradient of each picture's mean logit with respect to its colour.

    Mescheder et al. 2018, "Which training methods for GANs do actually converge?", equation 9,
    without its weight. It flattens the discriminator at the real pictures, so that a generator
    that has arrived there is not pushed away again.

    Args:
        logits: (N, ...) of real pictures, computed from ``colour``.
        colour: (N, C, h, w), the discriminator's input; ``requires_grad`` is on.

    Returns:
        A scalar that can be differentiated again.
    """
    per_picture = logits.flatten(1).mean(dim=1)  # (N,)
    (slope,) = torch.autograd.grad(per_picture.sum(), colour, create_graph=True)
    return slope.square().flatten(1).sum(dim=1).mean() / 2
