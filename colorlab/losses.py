"""Losses: for regression, and for the two players of a GAN.

A regression loss takes a prediction and a target of the same shape (N, C, h, w), *ab* / 110 or
sRGB in [0, 1], and decides which colour a network predicts where several are possible: the mean
under L2, a median under L1. An adversarial loss takes logits of any shape, one for each image or
patch; a positive one means real. All return a scalar. Taught in lessons 05, 08 and 09.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor


def huber(prediction: Tensor, target: Tensor, delta: float = 0.1) -> Tensor:
    """Pseudo-Huber of the distance d in colour space: sqrt(d^2 + delta^2) - delta, averaged.

    d is the Euclidean distance over the channels of a pixel: for *ab*, Delta-E 76 over 110 at equal
    lightness. Below ``delta`` (11 CIE units) the loss is quadratic, far above it linear. So the
    best prediction lies between the mean and the geometric median, and tends to that median as
    ``delta`` goes to 0. Source: Charbonnier et al. 1994, equation 5.
    """
    squared = (prediction - target).square().sum(dim=1)  # (N, h, w)
    return (torch.sqrt(squared + delta**2) - delta).mean()


REGRESSION_LOSSES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "mse": F.mse_loss,  # least for the mean of the possible colours
    "l1": F.l1_loss,  # least for the median of each channel
    "huber": huber,
}


def regression_loss(name: str) -> Callable[[Tensor, Tensor], Tensor]:
    """The regression loss of that name; a ValueError lists the known names."""
    if name not in REGRESSION_LOSSES:
        raise ValueError(f"unknown loss {name!r}; choose from {', '.join(REGRESSION_LOSSES)}")
    return REGRESSION_LOSSES[name]


def bce(logits: Tensor, label: float) -> Tensor:
    """Mean binary cross entropy of logits against one label in [0, 1].

    With p = sigmoid(logit): -label log p - (1 - label) log(1 - p), computed from the logit, so
    that no logarithm of a rounded 0 is taken. It is log 2 = 0.693 where the logit is 0.
    """
    return F.binary_cross_entropy_with_logits(logits, torch.full_like(logits, label))


def discriminator_loss(real: Tensor, fake: Tensor, smoothing: float = 0.0) -> Tensor:
    """Half the sum of both cross entropies: real logits against 1 - smoothing, fake against 0.

    One-sided label smoothing keeps the discriminator from being certain (Salimans et al. 2016,
    "Improved techniques for training GANs", section 3.4): the best logit of a real image is then
    log((1 - smoothing) / smoothing) instead of infinity. The half is that of pix2pix.
    """
    return (bce(real, 1 - smoothing) + bce(fake, 0.0)) / 2


def generator_loss(fake: Tensor) -> Tensor:
    """Cross entropy of fake logits against 1, the non-saturating loss.

    Goodfellow et al. 2014, section 3: log(1 - p) has no gradient where the discriminator is
    certain, as it is early in training; -log p has its steepest gradient there.
    """
    return bce(fake, 1.0)


def r1_penalty(logits: Tensor, colour: Tensor) -> Tensor:
    """Half the mean squared gradient of each image's mean logit with respect to its colour.

    Mescheder et al. 2018, "Which training methods for GANs do actually converge?", equation 9,
    without its weight. It flattens the discriminator at the real images, so that a generator that
    has reached them is not pushed away again.

    Args:
        logits: (N, ...) of real images, computed from ``colour``.
        colour: (N, C, h, w), the discriminator's input; ``requires_grad`` is on.

    Returns:
        A scalar that can be differentiated again.
    """
    per_image = logits.flatten(1).mean(dim=1)  # (N,)
    (gradient,) = torch.autograd.grad(per_image.sum(), colour, create_graph=True)
    return gradient.square().flatten(1).sum(dim=1).mean() / 2
