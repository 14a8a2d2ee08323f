"""Metrics: what a colorization is worth, in numbers that compare.

Functions take two batches (N, 3, H, W) of sRGB in [0, 1] and return (N,), one
number a picture. :func:`evaluate` runs the whole protocol. Taught in notebook 03.
"""

from colorlab.metrics.colorfulness import colorfulness
from colorlab.metrics.difference import (
    cie76,
    ciede2000,
    delta_e,
    delta_e00,
    delta_e76,
    delta_e_map,
)
from colorlab.metrics.evaluation import Row, evaluate
from colorlab.metrics.intervals import Interval, bootstrap, paired_difference
from colorlab.metrics.perceptual import LPIPSUnavailable, lpips
from colorlab.metrics.protocol import METRICS, round_to_8_bit
from colorlab.metrics.report import Evaluation
from colorlab.metrics.structure import psnr, ssim

__all__ = [
    "METRICS",
    "Evaluation",
    "Interval",
    "LPIPSUnavailable",
    "Row",
    "bootstrap",
    "cie76",
    "ciede2000",
    "colorfulness",
    "delta_e",
    "delta_e00",
    "delta_e76",
    "delta_e_map",
    "evaluate",
    "lpips",
    "paired_difference",
    "psnr",
    "round_to_8_bit",
    "ssim",
]
