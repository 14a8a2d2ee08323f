"""Samplers against distributions whose velocity is known exactly."""

from __future__ import annotations

import pytest
import torch

from colorlab import flow
from colorlab.samplers import ddim, ddim_steps, euler, guided, heun, hinted

MANY = 20_000


def noise(seed: int = 0) -> torch.Tensor:
    g = torch.Generator().manual_seed(seed)
    return torch.randn(MANY, 1, dtype=torch.float64, generator=g)


class Gaussian:
    """N(mean, std^2): its clean prediction and velocity in closed form."""

    def __init__(self, mean: float = 1.5, std: float = 0.5) -> None:
        self.mean, self.std = mean, std

    def clean(self, x: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        t = t.double()
        gain = t * self.std**2 / (t**2 * self.std**2 + (1 - t) ** 2)
        return self.mean + gain * (x - t * self.mean)

    def velocity(self, x: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        # E[clean - noise | x], regular at t = 1 too.
        t = t.double()
        var = t**2 * self.std**2 + (1 - t) ** 2
        return self.mean + (t * self.std**2 - (1 - t)) / var * (x - t * self.mean)


class TwoModes(Gaussian):
    """A narrow mode at -2 with probability 0.3 and one at 1 with 0.7."""

    def __init__(self, std: float = 0.1) -> None:
        self.at, self.prob, self.std = torch.tensor([-2.0, 1.0]).double(), (0.3, 0.7), std

    def clean(self, x: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        t = t.double()
        var = t**2 * self.std**2 + (1 - t) ** 2
        logits = -((x - t * self.at) ** 2) / (2 * var) + torch.tensor(self.prob).double().log()
        each = self.at + t * self.std**2 / var * (x - t * self.at)
        return (logits.softmax(dim=1) * each).sum(dim=1, keepdim=True)

    def velocity(self, x: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        return flow.velocity_from_clean(self.clean(x, t), x, t.double())


@pytest.mark.parametrize(("sampler", "steps"), [(euler, 100), (heun, 20)])
def test_a_known_gaussian_is_recovered(sampler, steps):
    # To t = 1 exactly the map is x -> mean + std * x, for a Gaussian's flow keeps the order.
    start = noise()
    got = sampler(Gaussian().velocity, start, flow.time_grid(steps))
    torch.testing.assert_close(got, 1.5 + 0.5 * start, atol=0.03, rtol=0.02)


@pytest.mark.parametrize(("sampler", "steps"), [(euler, 40), (heun, 20)])
def test_a_known_mixture_is_recovered(sampler, steps):
    known = TwoModes()
    got = sampler(known.velocity, noise(), flow.time_grid(steps, 2.0))
    low = got < -0.5
    assert low.double().mean().item() == pytest.approx(0.3, abs=0.015)
    assert got[low].mean().item() == pytest.approx(-2, abs=0.02)
    assert got[~low].mean().item() == pytest.approx(1, abs=0.02)
    assert ((got + 2).abs().minimum((got - 1).abs()) < 0.5).double().mean() > 0.99, "none between"


def test_the_error_falls_with_the_order_of_the_sampler():
    start, exact = noise()[:200], 1.5 + 0.5 * noise()[:200]

    def error(sampler, steps: int) -> float:
        got = sampler(Gaussian().velocity, start, flow.time_grid(steps))
        return (got - exact).abs().mean().item()

    assert error(euler, 20) / error(euler, 40) == pytest.approx(2, rel=0.15)
    assert error(heun, 20) / error(heun, 40) > 3
    assert error(heun, 10) < error(euler, 20)


def test_even_steps_jump_over_the_decision_of_a_large_thing():
    # The mean of 256 places of white noise: a std of 1/16. Shifted steps mend it.
    known = TwoModes()

    def velocity(x: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        t, small = t.double(), 1 / 16
        var = t**2 * known.std**2 + ((1 - t) * small) ** 2
        logits = -((x - t * known.at) ** 2) / (2 * var) + torch.tensor(known.prob).log()
        each = known.at + t * known.std**2 / var * (x - t * known.at)
        clean = (logits.softmax(dim=1) * each).sum(dim=1, keepdim=True)
        return (clean - x) / (1 - t)

    def miss(shift: float) -> float:
        got = euler(velocity, noise() / 16, flow.time_grid(10, shift))
        return abs((got < -0.5).double().mean().item() - 0.3)

    assert miss(10.0) < 0.03
    assert miss(1.0) > 3 * miss(10.0)


@pytest.mark.parametrize("known", [Gaussian(), TwoModes()])
def test_ddim_makes_the_pictures_of_euler_at_the_same_ratios(known):
    signal, level = flow.levels(flow.zero_terminal_snr(flow.ddpm_alpha_bar()))
    steps = ddim_steps(12, signal, level, flow.time_grid(12, 2.0))

    def v(state: torch.Tensor, k: int) -> torch.Tensor:
        t = flow.straight_time(signal[k], level[k])
        clean = known.clean(state / (signal[k] + level[k]), t)
        return flow.v_from_clean(clean, state, signal[k], level[k])

    times = flow.straight_time(signal[steps], level[steps])

    def velocity(x: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        return flow.velocity_from_clean(known.clean(x, t), x, t)

    straight = euler(velocity, noise(), torch.cat((times, torch.ones(1).double())))
    torch.testing.assert_close(ddim(v, noise(), signal, level, steps), straight)


def test_ddim_recovers_the_gaussian():
    signal, level = flow.levels(flow.zero_terminal_snr(flow.ddpm_alpha_bar()))
    known, steps = Gaussian(), torch.arange(999, -1, -5)

    def v(state: torch.Tensor, k: int) -> torch.Tensor:
        t = flow.straight_time(signal[k], level[k])
        return flow.v_from_clean(
            known.clean(state / (signal[k] + level[k]), t), state, signal[k], level[k]
        )

    got = ddim(v, noise(), signal, level, steps)
    torch.testing.assert_close(got, 1.5 + 0.5 * noise(), atol=0.03, rtol=0.03)


def test_ddim_refuses_no_steps_and_a_schedule_that_still_holds_signal():
    signal, level = flow.levels(flow.ddpm_alpha_bar(350))
    with pytest.raises(ValueError, match=r"17\.\d% of the signal.*zero_terminal_snr"):
        ddim(lambda x, k: x, noise(), signal, level, torch.tensor([349, 0]))
    with pytest.raises(ValueError, match="at least one step"):
        ddim(lambda x, k: x, noise(), signal, level, torch.tensor([], dtype=torch.long))


def test_guidance_goes_beyond_the_condition():
    with_it, without = (lambda x, t, c=c: torch.full_like(x, c) for c in (3.0, 1.0))
    x, t = torch.zeros(2, 1), torch.tensor(0.5)
    for scale, want in ((0.0, 1.0), (1.0, 3.0), (2.0, 5.0)):
        assert torch.equal(guided(with_it, without, scale)(x, t), torch.full_like(x, want))


def test_guidance_of_one_asks_once():
    def never(x, t):
        raise AssertionError("the unconditional model was asked")

    guided(lambda x, t: x, never, 1.0)(torch.zeros(1), torch.tensor(0.0))


@pytest.mark.parametrize("sampler", [euler, heun])
def test_known_hints_are_kept(sampler):
    known = torch.full((3, 2, 4, 4), 0.7)
    mask = torch.zeros(3, 1, 4, 4)
    mask[..., 0] = 1
    predict = hinted(lambda x, t: torch.zeros_like(x), known, mask)
    got = sampler(
        lambda x, t: flow.velocity_from_clean(predict(x, t), x, t),
        torch.randn(3, 2, 4, 4),
        flow.time_grid(5),
    )
    torch.testing.assert_close(got, known * mask)
