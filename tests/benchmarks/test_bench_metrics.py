"""CIEDE2000 of 16 pictures: ours against scikit-image's, as a ratio of medians in one run."""

from __future__ import annotations

import statistics
import time

import torch
from skimage.color import deltaE_ciede2000

from colorlab.color import rgb_to_lab
from colorlab.metrics import ciede2000


def test_ciede2000_against_scikit_image(benchmark):
    g = torch.Generator().manual_seed(0)
    lab1, lab2 = (rgb_to_lab(torch.rand(16, 3, 256, 256, generator=g)) for _ in range(2))
    theirs1, theirs2 = (v.movedim(1, -1).contiguous().numpy() for v in (lab1, lab2))

    def ours():
        return torch.stack([ciede2000(a, b) for a, b in zip(lab1, lab2, strict=True)])

    seconds = []
    for _ in range(3):
        start = time.perf_counter()
        expected = deltaE_ciede2000(theirs1, theirs2)
        seconds.append(time.perf_counter() - start)
    got = benchmark.pedantic(ours, rounds=5, warmup_rounds=1)
    torch.testing.assert_close(got.double(), torch.from_numpy(expected).double(), atol=5e-3, rtol=0)
    ratio = statistics.median(seconds) / benchmark.stats.stats.median
    benchmark.extra_info["times faster than scikit-image"] = round(ratio, 1)
    assert ratio >= 1.2
