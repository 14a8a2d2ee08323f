"""Metrics: how good a colorization is, in numbers that compare.

Functions take two batches (N, 3, H, W) of sRGB in [0, 1] and return (N,), one number for each
image. :func:`evaluate` runs the whole protocol. Several samples of an image are (n, N, 3, H, W);
:func:`evaluate_diversity` measures them, and :func:`evaluate_known` on scenes, whose colours are
stated; :func:`evaluate_consistency` needs no truth. :func:`evaluate_sets` compares sets of images,
:func:`bradley_terry` the preferences of people. Taught in lessons 03 and 11.
"""

from colorlab.metrics.answers import answer_rows, write_grays
from colorlab.metrics.consistency import consistency, evaluate_consistency, evaluate_film
from colorlab.metrics.diversity import ab_distance, energy_score, evaluate_diversity, pairwise
from colorlab.metrics.evaluation import evaluate
from colorlab.metrics.known_world import evaluate_known, in_prediction_set
from colorlab.metrics.pairs import (
    cie76,
    ciede2000,
    colorfulness,
    delta_e00,
    delta_e76,
    delta_e_map,
    psnr,
    ssim,
)
from colorlab.metrics.perceptual import LPIPSUnavailable, lpips
from colorlab.metrics.preference import Strengths, bradley_terry
from colorlab.metrics.report import Evaluation, bootstrap, paired_difference
from colorlab.metrics.rows import (
    METRICS,
    BestOf,
    Boosted,
    MeanOf,
    Sampled,
    matching_factor,
    round_to_8_bit,
)
from colorlab.metrics.sets import compare_sets, evaluate_sets

__all__ = [
    "METRICS",
    "BestOf",
    "Boosted",
    "Evaluation",
    "LPIPSUnavailable",
    "MeanOf",
    "Sampled",
    "Strengths",
    "ab_distance",
    "answer_rows",
    "bootstrap",
    "bradley_terry",
    "cie76",
    "ciede2000",
    "colorfulness",
    "compare_sets",
    "consistency",
    "delta_e00",
    "delta_e76",
    "delta_e_map",
    "energy_score",
    "evaluate",
    "evaluate_consistency",
    "evaluate_diversity",
    "evaluate_film",
    "evaluate_known",
    "evaluate_sets",
    "in_prediction_set",
    "lpips",
    "matching_factor",
    "paired_difference",
    "pairwise",
    "psnr",
    "round_to_8_bit",
    "ssim",
    "write_grays",
]
