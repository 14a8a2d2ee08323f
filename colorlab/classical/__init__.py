"""Colorization without a network, and the rows that every table is measured against."""

from colorlab.classical.baselines import TABLES, Gray, LookupTable, MeanChroma, Oracle
from colorlab.classical.counts import ColorCounts, count_colors

__all__ = ["TABLES", "ColorCounts", "Gray", "LookupTable", "MeanChroma", "Oracle", "count_colors"]
