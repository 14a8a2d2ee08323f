"""What a pretrained encoder costs: one picture, and a training step with and without kept maps."""

from __future__ import annotations

import statistics
import time

import numpy as np
import torch

from colorlab.data.pictures import Pictures
from colorlab.metrics.costs import milliseconds
from colorlab.models import build
from colorlab.training import TrainConfig, Trainer
from colorlab.training.encoder_maps import EncoderMaps


def test_one_picture_beside_the_unet_without_an_encoder(benchmark):
    pretrained = build("unet", fold=8, encoder="imagenet").eval()
    plain = build("unet").eval()
    for model in (pretrained, plain):
        model.to(memory_format=torch.channels_last)
    L = torch.full((1, 1, 256, 256), 50.0)
    pretrained.colorize(L)  # kernels are built
    benchmark.pedantic(pretrained.colorize, args=(L,), rounds=5)
    ratio = 1000 * benchmark.stats.stats.median / milliseconds(plain)
    benchmark.extra_info["times_the_plain_unet"] = ratio
    assert ratio < 6


def test_training_on_kept_maps(benchmark, tmp_path):
    """Kept maps against an encoder that looks anew at every step."""
    random = np.random.default_rng(0)
    rgb = random.integers(0, 256, (32, 16, 16, 3), dtype=np.uint8).repeat(16, 1).repeat(16, 2)
    pictures = Pictures(rgb, tuple(map(str, range(32))), "0" * 64, "test")
    maps = EncoderMaps(pictures, "imagenet", tmp_path)
    maps.prepare(progress=False)
    config = TrainConfig(steps=1, batch_size=16)  # too few steps for maps to be kept by itself
    trainers = [
        Trainer(build("unet", fold=8, encoder="imagenet"), pictures, config) for _ in range(2)
    ]
    kept, live = trainers
    kept.batches.maps = maps
    assert live.batches.maps is None

    def step() -> None:
        sum(kept.advance("float32").values()).item()

    step()
    live.advance("float32")
    benchmark.pedantic(step, rounds=5)
    seconds = []
    for _ in range(3):
        start = time.perf_counter()
        sum(live.advance("float32").values()).item()
        seconds.append(time.perf_counter() - start)
    ratio = statistics.median(seconds) / benchmark.stats.stats.median
    benchmark.extra_info["times_as_fast_with_kept_maps"] = ratio
    assert ratio > 1.5
