"""Averaged weights: smoother than the last step's, and usually better."""

from __future__ import annotations

import copy

import torch
from torch import nn


class Average:
    """Exponential moving average of a model's weights.

    After step t (from 0) the decay is min(decay, (1 + t) / (10 + t)), so that the first,
    poor weights are soon forgotten.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.decay = decay
        self.model = copy.deepcopy(model).eval().requires_grad_(False)

    @torch.no_grad()
    def update(self, model: nn.Module, step: int) -> None:
        """Move the average towards ``model``; buffers are copied."""
        decay = min(self.decay, (1 + step) / (10 + step))
        averaged = [p for p in self.model.parameters()]
        torch._foreach_lerp_(averaged, [p.detach() for p in model.parameters()], 1 - decay)
        for mine, theirs in zip(self.model.buffers(), model.buffers(), strict=True):
            mine.copy_(theirs)
