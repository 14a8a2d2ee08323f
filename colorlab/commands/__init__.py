"""The commands of ``colorlab``, one file each, and what they share."""

from __future__ import annotations

import argparse
import math
from pathlib import Path


def add_examples(parser: argparse.ArgumentParser, *lines: str) -> None:
    """Show command lines at the end of the help, as they are typed."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = "\n  ".join(("examples:", *lines))


def name_of(folder: str | Path) -> str:
    """What a folder is called, wherever it lies; `photos` and such names as they are."""
    return Path(folder).resolve().name or str(folder)


def check_positive(args: argparse.Namespace, *names: str) -> None:
    """Refuse the options that are given and not a positive number, by ValueError."""
    for name in names:
        value = getattr(args, name)
        if value is not None and not 0 < value < math.inf:  # nor NaN
            raise ValueError(f"--{name.replace('_', '-')} must be positive, got {value}")
