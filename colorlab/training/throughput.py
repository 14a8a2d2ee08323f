"""How much of a GPU a training run uses: counted arithmetic relative to the GPU's peak.

The share is the model FLOPs utilization of Chowdhery et al. 2022, "PaLM", appendix B: the
arithmetic that a step needs, over the arithmetic that the GPU could do in that time. Data loading,
normalization and the optimizer take time but are not counted.
"""

from __future__ import annotations

import copy
import re

import torch
from torch.utils.flop_counter import FlopCounterMode

from colorlab import parallel
from colorlab.data.pictures import Pictures
from colorlab.models.base import Colorizer
from colorlab.training.loop import Precision, TrainConfig, Trainer

# TFLOP/s in bfloat16 without sparsity, from NVIDIA's data sheets. The first matching name counts.
PEAKS = {
    "H200": 989.0,
    "H100 PCIe": 756.0,
    "H100 NVL": 835.0,
    "H100": 989.0,
    "A100": 312.0,
    "L40S": 362.0,
    "L4": 121.0,
}


def peak_tflops(name: str) -> float | None:
    """The bfloat16 peak of a GPU by its name, TFLOP/s; None if it is not listed."""
    found = (peak for known, peak in PEAKS.items() if re.search(rf"\b{known}\b", name))
    return next(found, None)


def step_flops(
    model: Colorizer, pictures: Pictures, config: TrainConfig, precision: Precision
) -> int:
    """Floating-point operations of one training step of all processes, forward and backward.

    Convolutions, matrix products and attention of the networks count, a multiplication and an
    addition as two; nothing else does. A copy of the model is run.
    """
    trial = Trainer(copy.deepcopy(model), pictures, config)
    batch = trial.batches.at(0)
    counter = FlopCounterMode(display=False)
    with torch.random.fork_rng(), counter:
        for player in trial.players:
            with torch.autocast(trial.device.type, torch.bfloat16, precision == "bfloat16"):
                terms = player.loss(batch)
            sum(terms.values()).backward()
    return counter.get_total_flops() * parallel.size()


def speed(config: TrainConfig, flops: int, seconds: float, peak: float | None) -> str:
    """How fast a run was, in words, over its whole time, validation included.

    Args:
        config: its steps and batch size.
        flops: of one step, see :func:`step_flops`.
        seconds: of the whole run.
        peak: TFLOP/s of one process's GPU, see :func:`peak_tflops`.
    """
    rate = config.steps / seconds
    tflops = rate * flops / 1e12
    text = f"{rate * config.batch_size:.0f} pictures/s, {tflops:.2f} TFLOP/s"
    return f"{text}, {tflops / (peak * parallel.size()):.1%} of the peak" if peak else text
