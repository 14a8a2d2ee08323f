"""Discriminants find what tells classes apart, however small it is."""

from __future__ import annotations

import pytest
import torch

from colorlab.classical.discriminants import discriminants


def test_discriminants_find_the_axis_that_tells():
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(3000) % 3
    x = torch.randn(3000, 4, generator=generator) * torch.tensor([20.0, 1.0, 5.0, 1.0])
    x[:, 1] += 3 * (labels - 1)  # a small feature tells, the large ones do not
    center, directions = discriminants(x, labels, 2)
    torch.testing.assert_close(center, x.mean(dim=0))
    first = directions[:, 0] * x.std(dim=0)
    assert first[1].abs() / first.norm() > 0.99
    assert directions[:, 1].norm() * 20 < directions[:, 0].norm()
    # Fisher's ratio along the first axis, computed without matrices; shrinkage takes a little.
    y = ((x - center) @ directions)[:, 0]
    groups = [y[labels == c] for c in range(3)]
    within = torch.stack([g.var(correction=0) for g in groups]).mean()
    between = torch.stack([g.mean() for g in groups]).var(correction=0)
    assert within.item() == pytest.approx((between / within).item(), rel=0.15)
