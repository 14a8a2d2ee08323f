"""Colorization without a network, and the rows that every table is measured against."""

from colorlab.classical.baselines import (
    TABLES,
    ColorCounts,
    Gray,
    LookupTable,
    MeanChroma,
    Oracle,
    count_colors,
)
from colorlab.classical.hints import LevinHints, krige, levin_guided, random_hints
from colorlab.classical.neighbours import KnnColorizer
from colorlab.classical.regression import RidgeColorizer
from colorlab.classical.scribbles import Scribbles, levin
from colorlab.classical.transfer import reinhard
from colorlab.classical.welsh import WelshLibrary, welsh, welsh_swatches

# What is fitted on pictures, by the name of its row; TABLES need their colour counts only.
FITTED = {"welsh": WelshLibrary, "ridge": RidgeColorizer, "knn": KnnColorizer}

__all__ = [
    "FITTED",
    "TABLES",
    "ColorCounts",
    "Gray",
    "KnnColorizer",
    "LevinHints",
    "LookupTable",
    "MeanChroma",
    "Oracle",
    "RidgeColorizer",
    "Scribbles",
    "WelshLibrary",
    "count_colors",
    "krige",
    "levin",
    "levin_guided",
    "random_hints",
    "reinhard",
    "welsh",
    "welsh_swatches",
]
