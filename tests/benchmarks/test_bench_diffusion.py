"""Eight answers to one picture against a network of the UNet's size that runs at every step."""

from __future__ import annotations

import statistics
import time

import torch

from colorlab.models import build

ANSWERS, STEPS = 8, 10


def test_eight_answers(benchmark):
    model = build("diffusion", steps=STEPS).eval().to(memory_format=torch.channels_last)
    L = 100 * torch.rand(1, 1, 256, 256)
    generator = torch.Generator().manual_seed(0)
    model.answers(L, ANSWERS, generator)  # kernels are built
    benchmark.pedantic(model.answers, args=(L, ANSWERS, generator), rounds=5)

    stack = L.expand(ANSWERS, -1, -1, -1)
    seconds = []
    with torch.inference_mode():
        for _ in range(3):
            start = time.perf_counter()
            for _ in range(STEPS):
                model.unet(stack)
            seconds.append(time.perf_counter() - start)
    ratio = statistics.median(seconds) / benchmark.stats.stats.median
    benchmark.extra_info["times_as_fast_as_a_unet_every_step"] = ratio
    assert ratio > 1.2
