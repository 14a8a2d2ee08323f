"""The protocol on the 64 test photographs, against figures measured independently of this code."""

from __future__ import annotations

import pytest

from colorlab.classical import Gray, Oracle
from colorlab.data import load
from colorlab.metrics import evaluate, perceptual

# Measured in floating point; rounding to 8 bit moves them by less than the tolerances.
FIGURES = {
    "gray": {"ssim": 0.913, "lpips": 0.263, "de76": 19.9, "de00": 12.9, "psnr": 20.2},
    "half": {"ssim": 0.962, "lpips": 0.068, "de76": 9.9, "de00": 5.4, "psnr": 25.9},
    "oracle64": {"ssim": 0.972, "lpips": 0.019, "de76": 2.6, "de00": 1.8, "psnr": 36.3},
}
TOLERANCES = {"ssim": 0.003, "lpips": 0.003, "de76": 0.1, "de00": 0.1, "psnr": 0.15}


def test_rows_that_need_no_training_have_the_known_figures(photos_dir, lpips_backbone, monkeypatch):
    monkeypatch.setenv(perceptual.BACKBONE_VARIABLE, str(lpips_backbone))
    rows = {"gray": Gray(), "half": Oracle(stride=1, strength=0.5), "oracle64": Oracle()}
    result = evaluate(rows, load(photos_dir, "test"), metrics=TOLERANCES, progress=False)
    for name, figures in FIGURES.items():
        for metric, figure in figures.items():
            mean = result.interval(name, metric).mean
            assert mean == pytest.approx(figure, abs=TOLERANCES[metric]), (name, metric)
