"""Shared objectives: how far an answer is from the truth, in network units.

A regression loss takes a prediction and a target of the same shape (N, C, h, w), chroma as
``ab / 110`` or sRGB in [0, 1], and returns a scalar. Which colour a network chooses when
several are possible is decided here: the mean under L2, a median under L1. Taught in
notebook 05.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

RegressionLoss = Callable[[Tensor, Tensor], Tensor]


def mse(prediction: Tensor, target: Tensor) -> Tensor:
    """Mean squared error. Best single answer: the mean of the possible colours."""
    return F.mse_loss(prediction, target)


def l1(prediction: Tensor, target: Tensor) -> Tensor:
    """Mean absolute error. Best single answer: the median, channel by channel."""
    return F.l1_loss(prediction, target)


def huber(prediction: Tensor, target: Tensor, delta: float = 0.1) -> Tensor:
    """Pseudo-Huber of the distance d in colour space: sqrt(d^2 + delta^2) - delta, averaged.

    A distance over the channels of a pixel, not channel by channel: for chroma, d is Delta-E 76
    over 110 at equal lightness. Below ``delta`` (11 CIE units) it is quadratic, far above it
    linear, so the best single answer lies between the mean and the geometric median, and reaches
    that median as ``delta`` goes to 0. Source: Charbonnier et al. 1994, equation 5.
    """
    squared = (prediction - target).square().sum(dim=1)  # (N, h, w)
    return (torch.sqrt(squared + delta**2) - delta).mean()


REGRESSION_LOSSES: dict[str, RegressionLoss] = {"mse": mse, "l1": l1, "huber": huber}


def regression_loss(name: str) -> RegressionLoss:
    """Look a regression loss up by name.

    Raises:
        ValueError: unknown name; the message lists the known ones.
    """
    if name not in REGRESSION_LOSSES:
        raise ValueError(f"unknown loss {name!r}; choose from {', '.join(REGRESSION_LOSSES)}")
    return REGRESSION_LOSSES[name]
