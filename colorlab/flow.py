"""Paths from noise to pictures: where a state lies, which way it moves, which times are trained.

A state is a mixture ``signal * clean + noise_level * noise``; the two weights name its place. On
the straight path of a rectified flow they are t and 1 - t, from noise at t = 0 to the picture at
t = 1, and the velocity is ``clean - noise``. On the path of DDPM their squares sum to one. Both
tell the same story: divided by ``signal + noise_level``, a state of the second is a state of the
first, see :func:`straight_time`.

Sources: Liu et al. 2023, "Flow straight and fast" (rectified flow); Esser et al. 2024, "Scaling
rectified flow transformers" (logit-normal times, equation 19; shifted times, equation 23); Ho et
al. 2020, "Denoising diffusion probabilistic models"; Salimans and Ho 2022, "Progressive
distillation", appendix D (v-prediction); Lin et al. 2024, "Common diffusion noise schedules and
sample steps are flawed", algorithm 1 (zero terminal SNR). Taught in notebook 10.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

# Of DDPM (Ho et al. 2020, section 4): variances of the noise added by the first and last step.
STEPS, FIRST_BETA, LAST_BETA = 1000, 1e-4, 0.02


def along(t: Tensor, x: Tensor) -> Tensor:
    """One number a sample (N,) as (N, 1, 1, ...), to multiply x (N, ...); a scalar stays one."""
    return t if t.ndim == 0 else t.view(-1, *[1] * (x.ndim - 1))


def mix(clean: Tensor, noise: Tensor, t: Tensor) -> Tensor:
    """The state at time t on the straight path: t * clean + (1 - t) * noise.

    Args:
        clean: (N, ...) what t = 1 holds.
        noise: of the same shape, what t = 0 holds.
        t: (N,) or a scalar, in [0, 1].
    """
    t = along(t, clean)
    return t * clean + (1 - t) * noise


def velocity(clean: Tensor, noise: Tensor) -> Tensor:
    """Change of the state per unit of time on the straight path: the same at every t."""
    return clean - noise


def velocity_from_clean(clean: Tensor, state: Tensor, t: Tensor) -> Tensor:
    """The velocity (N, ...) that leads from ``state`` at time t < 1 straight to ``clean``."""
    return (clean - state) / (1 - along(t, state))


def normalize(state: Tensor, t: Tensor) -> Tensor:
    """A state of the straight path in units of its own spread, as a network wants it.

    Divided by sqrt(t^2 + (1 - t)^2), the standard deviation where clean and noise both have 1.
    """
    t = along(t, state)
    return state / (t.square() + (1 - t).square()).sqrt()


def logit_normal_times(
    count: int, shift: float = 1.0, scale: float = 1.0, generator: torch.Generator | None = None
) -> Tensor:
    """Times (count,) in (0, 1) whose logit is N(-log(shift), scale^2), one in each quantile.

    ``shift`` above 1 moves them towards noise, where the colour of a large thing is decided.
    Time i lies between the quantiles i / count and (i + 1) / count: a batch then covers all times,
    and its loss scatters less (Kingma et al. 2021, "Variational diffusion models", appendix I.1).

    Raises:
        ValueError: shift or scale is not positive.
    """
    if not (shift > 0 and scale > 0):
        raise ValueError(f"shift and scale must be positive, got {shift} and {scale}")
    quantile = (torch.arange(count) + torch.rand(count, generator=generator).double()) / count
    normal = torch.special.ndtri(quantile.clamp(1e-6, 1 - 1e-6))
    return torch.sigmoid(scale * normal - math.log(shift)).float()


def time_grid(steps: int, shift: float = 1.0) -> Tensor:
    """Times (steps + 1,) from 0 to 1 for a sampler: even ones, moved towards noise by ``shift``.

    t = u / (u + shift * (1 - u)). A white-noise state tells the mean colour of a thing of n places
    at a signal of 1 / sqrt(n) already, so even steps jump over the decision, although the velocity
    may be exact: notebook 10 has the table.

    Raises:
        ValueError: fewer than one step, or a shift that is not positive.
    """
    if steps < 1 or not shift > 0:
        raise ValueError(f"want at least one step and a positive shift, got {steps} and {shift}")
    u = torch.linspace(0, 1, steps + 1, dtype=torch.float64)
    return (u / (u + shift * (1 - u))).float()


def ddpm_alpha_bar(
    steps: int = STEPS, first: float = FIRST_BETA, last: float = LAST_BETA
) -> Tensor:
    """Share of the signal's variance left after each step of DDPM's linear schedule: (steps,).

    With the 1000 steps it was made for, its last value is 4e-5. Courses that take fewer keep the
    betas: 350 steps end at 0.029, so a root of it, 17 % of the signal, is still there.

    Returns:
        (steps,) float64, falling, first to last step of the forward process.
    """
    betas = torch.linspace(first, last, steps, dtype=torch.float64)
    return (1 - betas).cumprod(dim=0)


def zero_terminal_snr(alpha_bar: Tensor) -> Tensor:
    """Stretch a schedule so that its last step holds noise alone: alpha_bar (T,) to (T,).

    sqrt(alpha_bar) is moved and scaled so that its last value is 0, exactly, and its first stays.
    """
    signal = alpha_bar.sqrt()
    signal = (signal - signal[-1]) * signal[0] / (signal[0] - signal[-1])
    return signal.square()


def levels(alpha_bar: Tensor) -> tuple[Tensor, Tensor]:
    """Weights of clean and noise in a DDPM state: sqrt(alpha_bar) and sqrt(1 - alpha_bar)."""
    return alpha_bar.sqrt(), (1 - alpha_bar).sqrt()


def split_v(v: Tensor, state: Tensor, signal: Tensor, noise_level: Tensor) -> tuple[Tensor, Tensor]:
    """The clean part and the noise, each (N, ...), that v says a DDPM state consists of.

    v is signal * noise - noise_level * clean (Salimans and Ho 2022, appendix D): at a signal of 0
    it is -clean and still tells, where a prediction of the noise says nothing.

    Args:
        v: (N, ...).
        state: of the same shape.
        signal: (N,) or a scalar, as is noise_level; their squares sum to one.
        noise_level: see signal.
    """
    signal, noise_level = along(signal, state), along(noise_level, state)
    return signal * state - noise_level * v, noise_level * state + signal * v


def v_from_clean(clean: Tensor, state: Tensor, signal: Tensor, noise_level: Tensor) -> Tensor:
    """The v (N, ...) that says ``state`` holds ``clean``; noise_level must not be 0."""
    return (along(signal, state) * state - clean) / along(noise_level, state)


def straight_time(signal: Tensor, noise_level: Tensor) -> Tensor:
    """The time on the straight path with the same ratio of signal to noise.

    ``state / (signal + noise_level)`` is the state there.
    """
    return signal / (signal + noise_level)
