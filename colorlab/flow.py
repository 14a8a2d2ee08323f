"""Rectified flow: the straight path from noise to images, and a sampler that follows it.

A state is a mixture ``t * clean + (1 - t) * noise``, from noise at t = 0 to the image at t = 1, and
the velocity is ``clean - noise``.

Sources: Liu et al. 2023, "Flow straight and fast" (rectified flow); Esser et al. 2024, "Scaling
rectified flow transformers" (logit-normal times, equation 19; shifted times, equation 23); Ho and
Salimans 2022, "Classifier-free diffusion guidance", equation 6; Lin et al. 2024, "Common diffusion
noise schedules and sample steps are flawed", algorithm 1 (zero terminal SNR). Taught in notebook
10. The samples of released weights depend on this code, to the last digit.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise

import torch
from torch import Tensor

# (state (N, ...), time, a scalar) to a prediction of the state's shape.
Predict = Callable[[Tensor, Tensor], Tensor]


def along(t: Tensor, x: Tensor) -> Tensor:
    """One number a sample (N,) as (N, 1, 1, ...), to multiply x (N, ...); a scalar stays one."""
    return t if t.ndim == 0 else t.view(-1, *[1] * (x.ndim - 1))


def mix(clean: Tensor, noise: Tensor, t: Tensor) -> Tensor:
    """The state t * clean + (1 - t) * noise of the straight path.

    Args:
        clean: (N, ...), the state at t = 1.
        noise: of the same shape, the state at t = 0.
        t: (N,) or a scalar, in [0, 1].
    """
    t = along(t, clean)
    return t * clean + (1 - t) * noise


def velocity_from_clean(clean: Tensor, state: Tensor, t: Tensor) -> Tensor:
    """The velocity (N, ...) that leads from ``state`` at time t < 1 straight to ``clean``."""
    return (clean - state) / (1 - along(t, state))


def normalize(state: Tensor, t: Tensor) -> Tensor:
    """A state of the straight path, scaled to unit variance where clean and noise have it."""
    t = along(t, state)
    return state / (t.square() + (1 - t).square()).sqrt()


def logit_normal_times(
    count: int, shift: float = 1.0, scale: float = 1.0, generator: torch.Generator | None = None
) -> Tensor:
    """Times (count,) in (0, 1) whose logit is N(-log(shift), scale^2), one in each quantile.

    ``shift`` above 1 moves them towards noise, where the colour of a large object is decided.
    Time i lies between the quantiles i / count and (i + 1) / count: a batch then covers all times,
    and its loss varies less (Kingma et al. 2021, "Variational diffusion models", appendix I.1).
    """
    if not (shift > 0 and scale > 0):
        raise ValueError(f"shift and scale must be positive, got {shift} and {scale}")
    quantile = (torch.arange(count) + torch.rand(count, generator=generator).double()) / count
    normal = torch.special.ndtri(quantile.clamp(1e-6, 1 - 1e-6))
    return torch.sigmoid(scale * normal - math.log(shift)).float()


def time_grid(steps: int, shift: float = 1.0) -> Tensor:
    """Times (steps + 1,) from 0 to 1 for a sampler: even ones, moved towards noise by ``shift``.

    t = u / (u + shift * (1 - u)). A state of white noise determines the mean colour of n positions
    at a signal of 1 / sqrt(n) already, so even steps jump over that decision, although the velocity
    may be exact, see exercise 5 of lesson 10.
    """
    if steps < 1 or not shift > 0:
        raise ValueError(f"want at least one step and a positive shift, got {steps} and {shift}")
    u = torch.linspace(0, 1, steps + 1, dtype=torch.float64)
    return (u / (u + shift * (1 - u))).float()


def zero_terminal_snr(alpha_bar: Tensor) -> Tensor:
    """Stretch a schedule of DDPM so that its last step is noise alone: alpha_bar (T,) to (T,).

    alpha_bar is the share of the signal's variance that is left after each step. Its root is moved
    and scaled so that its last value is exactly 0 and its first stays.
    """
    signal = alpha_bar.sqrt()
    signal = (signal - signal[-1]) * signal[0] / (signal[0] - signal[-1])
    return signal.square()


def euler(velocity: Predict, noise: Tensor, times: Tensor) -> Tensor:
    """Follow ``velocity`` from noise (N, ...) along ``times``, one evaluation a step.

    Args:
        velocity: d state / dt of a state at a time; not evaluated at the last time.
        noise: the state at ``times[0]``.
        times: (steps + 1,) rising, see :func:`time_grid`.

    Returns:
        (N, ...) the state at ``times[-1]``.
    """
    state = noise
    for now, then in pairwise(times):
        state = state + (then - now) * velocity(state, now)
    return state


def guided(conditional: Predict, unconditional: Predict, scale: float) -> Predict:
    """Classifier-free guidance: ``scale`` times the way from the prediction without L to that with.

    1 is the conditional model, without a second evaluation. More than 1 makes colours stronger and
    samples more alike, so their frequencies are no longer those of the data.
    """
    if scale == 1:
        return conditional

    def predict(state: Tensor, t: Tensor) -> Tensor:
        without = unconditional(state, t)
        return without + scale * (conditional(state, t) - without)

    return predict
