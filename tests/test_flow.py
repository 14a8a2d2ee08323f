"""Paths and schedules against published values, samplers against exactly known velocities."""

import pytest
import torch
from scipy import stats

from colorlab import flow
from colorlab.flow import euler, guided


def states(n: int = 5):
    """Clean, noise, and times."""
    g = torch.Generator().manual_seed(0)
    clean, noise = (torch.randn(n, 2, 4, 4, generator=g, dtype=torch.float64) for _ in range(2))
    signal = torch.linspace(0, 0.9, n, dtype=torch.float64)
    return clean, noise, signal, (1 - signal**2).sqrt()


def start() -> torch.Tensor:
    g = torch.Generator().manual_seed(0)
    return torch.randn(20_000, 1, dtype=torch.float64, generator=g)


class Gaussian:
    """N(1.5, 0.25): its clean prediction and velocity in closed form."""

    mean, std = 1.5, 0.5

    def clean(self, x: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        t = t.double()
        gain = t * self.std**2 / (t**2 * self.std**2 + (1 - t) ** 2)
        return self.mean + gain * (x - t * self.mean)

    def velocity(self, x: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        # E[clean - noise | x], regular at t = 1 too.
        t = t.double()
        var = t**2 * self.std**2 + (1 - t) ** 2
        return self.mean + (t * self.std**2 - (1 - t)) / var * (x - t * self.mean)


class TwoModes:
    """A narrow mode at -2 with probability 0.3 and one at 1 with 0.7; noise of any scale."""

    std = 0.1

    def __init__(self, noise: float = 1.0) -> None:
        self.noise = noise
        self.at, self.prob = torch.tensor([-2.0, 1.0]).double(), torch.tensor([0.3, 0.7]).double()

    def clean(self, x: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        t = t.double()
        var = t**2 * self.std**2 + ((1 - t) * self.noise) ** 2
        logits = -((x - t * self.at) ** 2) / (2 * var) + self.prob.log()
        each = self.at + t * self.std**2 / var * (x - t * self.at)
        return (logits.softmax(dim=1) * each).sum(dim=1, keepdim=True)

    def velocity(self, x: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        return flow.velocity_from_clean(self.clean(x, t), x, t.double())


def test_the_path_runs_straight_from_noise_to_clean():
    clean, noise, t, _ = states()
    assert torch.equal(flow.mix(clean, noise, torch.tensor(0.0)), noise)
    assert torch.equal(flow.mix(clean, noise, torch.tensor(1.0)), clean)
    state = flow.mix(clean, noise, t)
    torch.testing.assert_close(flow.velocity_from_clean(clean, state, t), clean - noise)


def test_normalized_states_have_unit_variance():
    g = torch.Generator().manual_seed(0)
    clean, noise = (torch.randn(3, 200_000, generator=g) for _ in range(2))
    t = torch.tensor([0.0, 0.3, 0.9])
    got = flow.normalize(flow.mix(clean, noise, t), t).var(dim=1)
    torch.testing.assert_close(got, torch.ones(3), rtol=0.02, atol=0)


@pytest.mark.parametrize(("shift", "scale"), [(1.0, 1.0), (2.0, 1.5)])
def test_times_are_logit_normal(shift, scale):
    t = flow.logit_normal_times(4000, shift, scale, torch.Generator().manual_seed(0))
    logit = torch.logit(t.double()).numpy()
    want = stats.norm(-torch.tensor(shift).log().item(), scale)
    assert stats.kstest(logit, want.cdf).statistic < 0.005  # one in each quantile
    assert ((t > 0) & (t < 1)).all()


def test_a_grid_is_even_and_moves_towards_noise():
    torch.testing.assert_close(flow.time_grid(4), torch.tensor([0, 0.25, 0.5, 0.75, 1]))
    # Esser et al. 2024, equation 23, in noise levels 1 - t: s / (1 + (s - 1) n) n.
    noise = 1 - torch.linspace(0, 1, 11)
    want = 1 - 3 * noise / (1 + 2 * noise)
    torch.testing.assert_close(flow.time_grid(10, 3.0), want, atol=1e-6, rtol=1e-5)


def test_wrong_settings_are_told():
    for call, values in ((flow.time_grid, (0,)), (flow.time_grid, (3, -1.0))):
        with pytest.raises(ValueError, match=r"positive.*got"):
            call(*values)
    with pytest.raises(ValueError, match=r"positive.*got 0.0"):
        flow.logit_normal_times(3, 0.0)


@pytest.mark.parametrize("steps", [50, 1000])
def test_terminal_snr_is_zero_and_the_first_step_stays(steps):
    before = (1 - torch.linspace(1e-4, 0.02, steps, dtype=torch.float64)).cumprod(dim=0)
    after = flow.zero_terminal_snr(before)
    assert after[-1] == 0
    assert after[0].item() == pytest.approx(before[0].item(), abs=1e-12)
    assert (after.diff() < 0).all()


def test_a_known_gaussian_is_recovered():
    # The map from t = 0 to t = 1 is x -> mean + std * x, because the flow keeps the order.
    got = euler(Gaussian().velocity, start(), flow.time_grid(100))
    torch.testing.assert_close(got, 1.5 + 0.5 * start(), atol=0.03, rtol=0.02)


def test_a_known_mixture_is_recovered():
    got = euler(TwoModes().velocity, start(), flow.time_grid(40, 2.0))
    low = got < -0.5
    assert low.double().mean().item() == pytest.approx(0.3, abs=0.015)
    assert got[low].mean().item() == pytest.approx(-2, abs=0.02)
    assert got[~low].mean().item() == pytest.approx(1, abs=0.02)
    assert ((got + 2).abs().minimum((got - 1).abs()) < 0.5).double().mean() > 0.99, "none between"


def test_the_error_falls_with_the_length_of_the_steps():
    noise = start()[:200]

    def error(steps: int) -> float:
        got = euler(Gaussian().velocity, noise, flow.time_grid(steps))
        return (got - 1.5 - 0.5 * noise).abs().mean().item()

    assert error(20) / error(40) == pytest.approx(2, rel=0.15)


def test_even_steps_jump_over_the_decision_of_a_large_object():
    def miss(shift: float) -> float:  # the mean noise of 256 positions has a std of 1/16
        got = euler(TwoModes(1 / 16).velocity, start() / 16, flow.time_grid(10, shift))
        return abs((got < -0.5).double().mean().item() - 0.3)

    assert miss(10.0) < 0.03
    assert miss(1.0) > 3 * miss(10.0)


def test_guidance_goes_beyond_the_condition_and_a_scale_of_one_evaluates_once():
    with_it, without = (lambda x, t, c=c: torch.full_like(x, c) for c in (3.0, 1.0))
    x, t = torch.zeros(2, 1), torch.tensor(0.5)
    for scale, want in ((0.0, 1.0), (2.0, 5.0)):
        assert torch.equal(guided(with_it, without, scale)(x, t), torch.full_like(x, want))
    assert guided(with_it, without, 1.0) is with_it
