"""Samplers: from noise to a picture in a few steps. Euler, Heun, DDIM, guidance, known hints.

All are short loops over the times of :mod:`colorlab.flow`. Euler and Heun follow the velocity of
a rectified flow; DDIM takes v of a DDPM schedule. With one network behind both, and the same
ratios of signal to noise, DDIM and Euler make the same pictures.

Sources: Karras et al. 2022, "Elucidating the design space of diffusion-based generative models",
algorithm 1 (Heun, and Euler for its last step); Song et al. 2021, "Denoising diffusion implicit
models", equation 12 with eta = 0; Ho and Salimans 2022, "Classifier-free diffusion guidance",
equation 6. Built in notebook 10.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import torch
from torch import Tensor

from colorlab.flow import split_v

# (state (N, ...), time, a scalar) to something of the state's shape.
Predict = Callable[[Tensor, Tensor], Tensor]


def euler(velocity: Predict, noise: Tensor, times: Tensor) -> Tensor:
    """Follow ``velocity`` from noise (N, ...) along ``times``, one evaluation a step.

    Args:
        velocity: d state / dt of a state at a time; never asked at the last time.
        noise: the state at ``times[0]``.
        times: (steps + 1,) rising, see :func:`colorlab.flow.time_grid`.

    Returns:
        (N, ...) the state at ``times[-1]``.
    """
    state = noise
    for now, then in pairwise(times):
        state = state + (then - now) * velocity(state, now)
    return state


def heun(velocity: Predict, noise: Tensor, times: Tensor) -> Tensor:
    """As :func:`euler`, with the mean of the velocities at both ends of each step.

    Two evaluations a step and an error that falls with the square of its length. The last step is
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
    """Walk a DDPM schedule backwards from noise (N, ...), without new noise.

    Each step splits the state into what v says is clean and what is noise, and mixes the two anew
    with the weights of the next step. After the last one the clean part is the answer.

    Args:
        v: prediction for a state at a step's number, see :func:`colorlab.flow.split_v`.
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
    """The steps (count,) of a schedule that come nearest to ``times`` of the straight path.

    Args:
        count: how many; the last of ``times``, 1, is where the walk ends and no step.
        signal: (T,), as noise_level.
        noise_level: see signal.
        times: (count + 1,) rising from 0, see :func:`colorlab.flow.time_grid`.
    """
    straight = signal / (signal + noise_level)  # (T,), falling
    away = (straight[None] - times[:count, None].to(straight)).abs()
    return away.argmin(dim=1)


def guided(conditional: Predict, unconditional: Predict, scale: float) -> Predict:
    """Classifier-free guidance: go ``scale`` times from the answer without L to the one with it.

    1 is the conditional model, and costs no second evaluation; more than 1 makes colours stronger
    and draws more alike, so their frequencies no longer are those of the data.
    """
    if scale == 1:
        return conditional

    def predict(state: Tensor, t: Tensor) -> Tensor:
        without = unconditional(state, t)
        return without + scale * (conditional(state, t) - without)

    return predict


def hinted(clean: Predict, known: Tensor, mask: Tensor) -> Predict:
    """Clean predictions that agree with known values: inpainting with the model as it is.

    Source: the replacement of Song et al. 2021, "Score-based generative modeling", appendix I.2,
    on clean predictions.

    Args:
        clean: predicts the clean picture of a state.
        known: (N, C, h, w) the values, in the model's units.
        mask: (N, 1, h, w) 1 where they are known, 0 elsewhere.
    """

    def predict(state: Tensor, t: Tensor) -> Tensor:
        return torch.lerp(clean(state, t), known, mask.expand_as(known))

    return predict
