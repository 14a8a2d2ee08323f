"""Rectified flow and DDPM: paths from noise to images, and samplers that follow them.

A state is a mixture ``signal * clean + noise_level * noise``. On the straight path of a rectified
flow the two weights are t and 1 - t, from noise at t = 0 to the image at t = 1, and the velocity is
``clean - noise``. On the path of DDPM their squares sum to one. Divided by ``signal +
noise_level``, a state of the second path is a state of the first, see :func:`straight_time`; so
DDIM and Euler give the same images for the same network and the same ratios of signal to noise.

Sources of the paths: Liu et al. 2023, "Flow straight and fast" (rectified flow); Esser et al. 2024,
"Scaling rectified flow transformers" (logit-normal times, equation 19; shifted times, equation
23); Ho et al. 2020, "Denoising diffusion probabilistic models"; Salimans and Ho 2022, "Progressive
distillation", appendix D (v-prediction); Lin et al. 2024, "Common diffusion noise schedules and
sample steps are flawed", algorithm 1 (zero terminal SNR). Of the samplers: Karras et al. 2022,
"Elucidating the design space of diffusion-based generative models", algorithm 1 (Heun, and Euler
for its last step); Song et al. 2021, "Denoising diffusion implicit models", equation 12 with
eta = 0; Ho and Salimans 2022, "Classifier-free diffusion guidance", equation 6. Taught in notebook
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
    may be exact, see exercise 5 of notebook 10.
    """
    if steps < 1 or not shift > 0:
        raise ValueError(f"want at least one step and a positive shift, got {steps} and {shift}")
    u = torch.linspace(0, 1, steps + 1, dtype=torch.float64)
    return (u / (u + shift * (1 - u))).float()


def ddpm_alpha_bar(steps: int = 1000, first: float = 1e-4, last: float = 0.02) -> Tensor:
    """Share of the signal's variance left after each step of DDPM's linear schedule: (steps,).

    ``first`` and ``last`` are the variances of the noise that the first and the last step add (Ho
    et al. 2020, section 4). With 1000 steps the last share is 4e-5. Courses that take fewer keep
    the variances: 350 steps end at 0.029, so 17 % of the signal, its root, is still there.

    Returns:
        (steps,) float64, falling, first to last step of the forward process.
    """
    betas = torch.linspace(first, last, steps, dtype=torch.float64)
    return (1 - betas).cumprod(dim=0)


def zero_terminal_snr(alpha_bar: Tensor) -> Tensor:
    """Stretch a schedule so that its last step is noise alone: alpha_bar (T,) to (T,).

    sqrt(alpha_bar) is moved and scaled so that its last value is exactly 0 and its first stays.
    """
    signal = alpha_bar.sqrt()
    signal = (signal - signal[-1]) * signal[0] / (signal[0] - signal[-1])
    return signal.square()


def levels(alpha_bar: Tensor) -> tuple[Tensor, Tensor]:
    """Weights of clean and noise in a DDPM state: sqrt(alpha_bar) and sqrt(1 - alpha_bar)."""
    return alpha_bar.sqrt(), (1 - alpha_bar).sqrt()


def split_v(v: Tensor, state: Tensor, signal: Tensor, noise_level: Tensor) -> tuple[Tensor, Tensor]:
    """The clean part and the noise of a DDPM state, each (N, ...), given v.

    v is signal * noise - noise_level * clean (Salimans and Ho 2022, appendix D). At a signal of 0
    it is -clean, whereas a prediction of the noise would say nothing of the image.

    Args:
        v: (N, ...).
        state: of the same shape.
        signal: (N,) or a scalar, as is noise_level; their squares sum to one.
        noise_level: see signal.
    """
    signal, noise_level = along(signal, state), along(noise_level, state)
    return signal * state - noise_level * v, noise_level * state + signal * v


def v_from_clean(clean: Tensor, state: Tensor, signal: Tensor, noise_level: Tensor) -> Tensor:
    """The v (N, ...) of a ``state`` that consists of ``clean`` and noise; noise_level is not 0."""
    return (along(signal, state) * state - clean) / along(noise_level, state)


def straight_time(signal: Tensor, noise_level: Tensor) -> Tensor:
    """The time on the straight path with the same ratio of signal to noise.

    ``state / (signal + noise_level)`` is the state there.
    """
    return signal / (signal + noise_level)


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


def heun(velocity: Predict, noise: Tensor, times: Tensor) -> Tensor:
    """As :func:`euler`, with the mean of the velocities at both ends of each step.

    Two evaluations a step, and an error that falls with the square of its length. The last step is
    Euler's: at t = 1, a velocity made from a clean prediction is zero divided by zero.
    """
    state, last = noise, len(times) - 2
    for i, (now, then) in enumerate(pairwise(times)):
        v = velocity(state, now)
        if i < last:
            ahead = state + (then - now) * v
            v = (v + velocity(ahead, then)) / 2
        state = state + (then - now) * v
    return state


SAMPLERS = {"euler": euler, "heun": heun}


def ddim(
    v: Callable[[Tensor, int], Tensor],
    noise: Tensor,
    signal: Tensor,
    noise_level: Tensor,
    steps: Tensor,
) -> Tensor:
    """Follow a DDPM schedule backwards from noise (N, ...), without new noise.

    Each step splits the state into its clean part and its noise, and mixes the two with the weights
    of the next step. After the last one the clean part is returned.

    Args:
        v: prediction for a state at a step's number, see :func:`split_v`.
        noise: the state at ``steps[0]``. It is pure noise, so the signal there must be 0.
        signal: (T,) weight of the clean part at each step of the schedule.
        noise_level: (T,) weight of the noise.
        steps: (k,) falling step numbers to visit, see :func:`ddim_steps`.

    Raises:
        ValueError: no step, or a schedule that still holds signal at ``steps[0]``.
    """
    if not len(steps):
        raise ValueError("want at least one step")
    numbers = steps.tolist()
    if signal[numbers[0]] > 1e-4:
        raise ValueError(
            f"step {numbers[0]} of the schedule still holds {float(signal[numbers[0]]):.1%} of the "
            "signal, which pure noise lacks; rescale it with zero_terminal_snr"
        )

    def parts(state: Tensor, k: int) -> tuple[Tensor, Tensor]:
        return split_v(v(state, k), state, signal[k].to(state), noise_level[k].to(state))

    state = noise
    for k, then in pairwise(numbers):
        clean, eps = parts(state, k)
        state = signal[then].to(state) * clean + noise_level[then].to(state) * eps
    return parts(state, numbers[-1])[0]


def ddim_steps(count: int, signal: Tensor, noise_level: Tensor, times: Tensor) -> Tensor:
    """The steps (count,) of a schedule that are nearest to ``times`` of the straight path.

    Args:
        count: how many; the last of ``times``, 1, is the end and not a step.
        signal: (T,), as noise_level.
        noise_level: see signal.
        times: (count + 1,) rising from 0, see :func:`time_grid`.
    """
    straight = straight_time(signal, noise_level)  # (T,), falling
    away = (straight[None] - times[:count, None].to(straight)).abs()
    return away.argmin(dim=1)


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
