"""Averaged weights: smoother than the last step's, and usually better."""

from __future__ import annotations

import copy
from itertools import chain

import torch
from torch import nn


class Average:
    """Exponential moving average of a model's weights and of its normalization statistics.

    Statistics copied from the last steps do not belong to averaged weights: validation on
    photographs then jumps by half a Delta-E from one epoch to the next.

    After step t (from 0) the decay is min(decay, (1 + t) / (10 + t)), so that the first,
    poor weights are soon forgotten.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.decay = decay
        self.model = copy.deepcopy(model).eval().requires_grad_(False)

    @torch.no_grad()
    def update(self, model: nn.Module, step: int) -> None:
        """Move the average towards ``model``; counters are copied."""
        decay = min(self.decay, (1 + step) / (10 + step))
        # Not by name: to build two state dicts takes a twentieth of a small model's step.
        mine, theirs = (list(chain(m.parameters(), m.buffers())) for m in (self.model, model))
        floating = [i for i, value in enumerate(mine) if value.is_floating_point()]
        torch._foreach_lerp_([mine[i] for i in floating], [theirs[i] for i in floating], 1 - decay)
        for i in set(range(len(mine))).difference(floating):
            mine[i].copy_(theirs[i])
