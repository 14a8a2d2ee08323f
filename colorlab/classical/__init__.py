"""Colorization without a network, and the baselines that every table is measured against."""

from colorlab.classical.baselines import TABLES, Gray, LookupTable, MeanChroma, Oracle, count_colors
from colorlab.classical.hints import LevinHints
from colorlab.classical.neighbours import KnnColorizer
from colorlab.classical.regression import RidgeColorizer
from colorlab.classical.welsh import WelshLibrary

# What is fitted on pictures, by the name of its row; TABLES need their colour counts only.
FITTED = {"welsh": WelshLibrary, "ridge": RidgeColorizer, "knn": KnnColorizer}

__all__ = [
    "FITTED",
    "TABLES",
    "Gray",
    "LevinHints",
    "LookupTable",
    "MeanChroma",
    "Oracle",
    "count_colors",
]
