"""Maps of choices: their probabilities, that neighbours agree, divergence and gradient."""

from __future__ import annotations

import pytest
import torch
from torch.distributions import Categorical, kl_divergence

from colorlab.choices import CategoricalField


def logits(n=2, variables=2, choices=3, h=4, w=5, seed=0) -> torch.Tensor:
    return torch.randn(n, variables * choices, h, w, generator=torch.Generator().manual_seed(seed))


def by_torch(field: CategoricalField) -> Categorical:
    """The same choices, by torch: (N, variables, h, w) of them."""
    return Categorical(logits=field.logits.unflatten(1, (-1, field.choices)).movedim(2, -1))


@pytest.mark.parametrize("reach", [0.0, 2.0])
def test_every_place_keeps_its_probabilities_however_far_neighbours_agree(reach):
    field = CategoricalField(logits(n=1).expand(4000, -1, -1, -1), 3, reach)
    drawn = field.sample(torch.Generator().manual_seed(0)).mean(dim=0)
    want = by_torch(CategoricalField(logits(n=1), 3)).probs[0].movedim(-1, 1).flatten(0, 1)
    # A share of 4,000 draws scatters by at most 0.008; five times that is no chance.
    assert (drawn - want).abs().max() < 0.04
    torch.testing.assert_close(field.mean[0], want)


def test_a_draw_is_one_choice_of_each_variable_and_place():
    drawn = CategoricalField(logits(), 3, 2.0).sample().unflatten(1, (2, 3))
    assert torch.equal(drawn.sum(dim=2), torch.ones(2, 2, 4, 5))
    assert set(drawn.unique().tolist()) == {0.0, 1.0}


def test_near_places_choose_alike_and_far_ones_by_chance():
    field = CategoricalField(torch.zeros(2000, 4, 1, 40), 4, 3.0)
    drawn = field.sample(torch.Generator().manual_seed(0)).argmax(dim=1)[:, 0]  # (2000, 40)
    same = [(drawn[:, 0] == drawn[:, d]).float().mean().item() for d in (1, 3, 39)]
    assert same[0] > 0.75 > same[1] > 0.4
    assert same[2] == pytest.approx(0.25, abs=0.05)
    alone = CategoricalField(torch.zeros(2000, 4, 1, 40), 4).sample().argmax(dim=1)[:, 0]
    assert (alone[:, 0] == alone[:, 1]).float().mean().item() == pytest.approx(0.25, abs=0.05)


def test_divergence_is_that_of_torch():
    one, two = CategoricalField(logits(seed=1), 3), CategoricalField(logits(seed=2), 3)
    torch.testing.assert_close(one.kl(two), kl_divergence(by_torch(one), by_torch(two)))
    assert one.kl(one).abs().max() < 1e-6


def test_a_draw_passes_the_gradient_of_its_probabilities():
    # More of a liked choice: the gradient must say so, though a choice itself has no slope.
    scores = torch.zeros(500, 3, 2, 2, requires_grad=True)
    drawn = CategoricalField(scores, 3, 1.0).sample(torch.Generator().manual_seed(0))
    drawn[:, 0].sum().backward()
    slope = scores.grad.mean(dim=(0, 2, 3))
    assert slope[0] > 0.05 and slope[1] < -0.02 and slope[2] < -0.02


def test_the_same_generator_draws_the_same():
    field = CategoricalField(logits(), 3, 2.0)
    one, two, other = (field.sample(torch.Generator().manual_seed(s)) for s in (0, 0, 1))
    assert torch.equal(one, two) and not torch.equal(one, other)
