"""Arithmetic is counted right, and set against the right peak."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from torch import nn

from colorlab.models.base import Regressor
from colorlab.training import TrainConfig
from colorlab.training.throughput import peak_tflops, speed, step_flops

CONFIG = TrainConfig(steps=6, batch_size=4, device="cpu", augment="none")


class OneConvolution(Regressor):
    """L (N, 1, 32, 32) to ab (N, 2, 8, 8) by one convolution of 4x4."""

    def __init__(self):
        super().__init__(SimpleNamespace(target="ab", size=32, loss="mse"))
        self.conv = nn.Conv2d(1, 2, 4, stride=4)

    def forward(self, L):
        return self.conv(L)


def test_a_known_convolution_is_counted(few_pictures):
    model = OneConvolution()
    before = model.conv.weight.clone()
    random_state = torch.get_rng_state()
    # A multiplication and an addition for each weight at each place. The gradient of the weights
    # costs as much; none of the input is wanted.
    forward = 2 * (2 * 1 * 4 * 4) * (8 * 8) * CONFIG.batch_size
    assert step_flops(model, few_pictures, CONFIG, "float32") == 2 * forward
    assert torch.equal(model.conv.weight, before), "a copy takes the step"
    assert torch.equal(torch.get_rng_state(), random_state)


@pytest.mark.parametrize(
    ("name", "peak"),
    [
        ("NVIDIA H100 80GB HBM3", 989),
        ("NVIDIA H100 PCIe", 756),
        ("NVIDIA L4", 121),
        ("NVIDIA L40", None),
        ("CPU, 2 threads", None),
    ],
)
def test_peaks_go_by_whole_names(name, peak):
    assert peak_tflops(name) == peak


def test_the_share_is_of_the_time_of_all_steps():
    # 6 steps of 4 pictures in 3 s: 2 steps/s of 0.25 TFLOP are half a TFLOP/s, of a peak of 2.
    told = "8 pictures/s, 0.50 TFLOP/s"
    assert (
        speed(CONFIG, flops=250_000_000_000, seconds=3.0, peak=2.0) == f"{told}, 25.0% of the peak"
    )
    assert speed(CONFIG, flops=250_000_000_000, seconds=3.0, peak=None) == told
