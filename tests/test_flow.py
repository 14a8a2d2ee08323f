"""Paths: both ends, both formulations, published values of the schedules."""

from __future__ import annotations

import pytest
import torch
from scipy import stats

from colorlab import flow
from colorlab.noise import correlated_noise


def states(n: int = 5):
    g = torch.Generator().manual_seed(0)
    clean, noise = (torch.randn(n, 2, 4, 4, generator=g, dtype=torch.float64) for _ in range(2))
    return clean, noise, torch.linspace(0, 0.9, n, dtype=torch.float64)


def test_the_path_runs_from_noise_to_the_picture_at_its_velocity():
    clean, noise, t = states()
    assert torch.equal(flow.mix(clean, noise, torch.tensor(0.0)), noise)
    assert torch.equal(flow.mix(clean, noise, torch.tensor(1.0)), clean)
    slope = (flow.mix(clean, noise, t + 1e-6) - flow.mix(clean, noise, t)) / 1e-6
    torch.testing.assert_close(slope, flow.velocity(clean, noise), rtol=1e-6, atol=1e-6)


def test_velocity_and_clean_tell_the_same():
    clean, noise, t = states()
    state = flow.mix(clean, noise, t)
    v = flow.velocity_from_clean(clean, state, t)
    torch.testing.assert_close(v, flow.velocity(clean, noise))
    torch.testing.assert_close(state + flow.along(1 - t, state) * v, clean)


def test_normalized_states_have_unit_variance():
    g = torch.Generator().manual_seed(0)
    clean, noise = (torch.randn(3, 200_000, generator=g) for _ in range(2))
    t = torch.tensor([0.0, 0.3, 0.9])
    got = flow.normalize(flow.mix(clean, noise, t), t).var(dim=1)
    torch.testing.assert_close(got, torch.ones(3), rtol=0.02, atol=0)


@pytest.mark.parametrize(("shift", "scale"), [(1.0, 1.0), (3.0, 1.0), (2.0, 1.5)])
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


def test_ddpm_schedule_has_its_published_end():
    # Lin et al. 2024, table 1: DDPM's linear schedule ends at a signal of 0.006353.
    signal = flow.ddpm_alpha_bar().sqrt()
    assert signal[-1].item() == pytest.approx(0.006353, abs=1e-6)
    # With the same betas in 350 steps, 17 % of the signal is left.
    assert flow.ddpm_alpha_bar(350)[-1].sqrt().item() == pytest.approx(0.17, abs=0.005)


@pytest.mark.parametrize("steps", [50, 350, 1000])
def test_terminal_snr_is_zero_and_the_first_step_stays(steps):
    before = flow.ddpm_alpha_bar(steps)
    after = flow.zero_terminal_snr(before)
    assert after[-1] == 0
    assert after[0].item() == pytest.approx(before[0].item(), abs=1e-12)
    assert (after.diff() < 0).all()
    signal, level = flow.levels(after)
    assert signal[-1] / level[-1] == 0
    torch.testing.assert_close(signal**2 + level**2, torch.ones_like(signal))


def test_v_holds_the_clean_part_and_the_noise():
    clean, noise, _ = states()
    signal = torch.linspace(0, 0.9, 5, dtype=torch.float64)
    level = (1 - signal**2).sqrt()
    state = flow.along(signal, clean) * clean + flow.along(level, clean) * noise
    v = flow.along(signal, clean) * noise - flow.along(level, clean) * clean
    for got, want in zip(flow.split_v(v, state, signal, level), (clean, noise), strict=True):
        torch.testing.assert_close(got, want)
    torch.testing.assert_close(flow.v_from_clean(clean, state, signal, level), v)
    torch.testing.assert_close(v[0], -clean[0])  # at no signal it still tells the picture


def test_a_ddpm_state_is_a_state_of_the_straight_path():
    clean, noise, _ = states()
    signal = torch.linspace(0, 0.99, 5, dtype=torch.float64)
    level = (1 - signal**2).sqrt()
    state = flow.along(signal, clean) * clean + flow.along(level, clean) * noise
    straight = flow.mix(clean, noise, flow.straight_time(signal, level))
    torch.testing.assert_close(state / flow.along(signal + level, state), straight)


@pytest.mark.parametrize("reach", [0.0, 1.5, 4.0, 12.0])
def test_noise_has_unit_variance_and_its_correlations(reach):
    noise = correlated_noise((3000, 1, 16, 12), reach, torch.Generator().manual_seed(0))
    assert noise.mean().abs() < 0.02
    torch.testing.assert_close(noise.var(dim=0).mean(), torch.tensor(1.0), rtol=0.02, atol=0)
    for dy, dx in ((0, 1), (2, 0), (3, 4)):
        away = (noise[..., dy:, dx:] * noise[..., : 16 - dy, : 12 - dx]).mean().item()
        far = (dy**2 + dx**2) ** 0.5 / reach if reach else torch.inf
        assert away == pytest.approx(torch.tensor(-far).exp().item(), abs=0.03)


def test_noise_is_of_its_seed_and_channels_are_independent():
    one, two, other = (
        correlated_noise((400, 2, 8, 8), 1.6, torch.Generator().manual_seed(seed))
        for seed in (0, 0, 1)
    )
    assert torch.equal(one, two)
    assert not torch.equal(one, other)
    assert (one[:, 0] * one[:, 1]).mean().abs() < 0.1


@pytest.mark.parametrize(
    "call",
    [
        lambda: flow.time_grid(0),
        lambda: flow.time_grid(3, -1.0),
        lambda: flow.logit_normal_times(3, 0.0),
        lambda: correlated_noise((1, 1, 4, 4), -0.5),
    ],
)
def test_wrong_settings_are_told(call):
    with pytest.raises(ValueError, match=r"got"):
        call()
