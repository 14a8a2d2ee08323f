"""Pictures made by chance over all that a file can declare, read and compared with the formula.

    PYTHONPATH=tests python tests/fuzz/made.py 200000 [FIRST SEED]

Prints how many were right, wrong, refused and crashed; fails if one was read wrong or ended in
anything but a refusal in words. Needs nothing beyond the test extra.
"""

from __future__ import annotations

import sys
from collections import Counter

import numpy as np
import picture_table
from fuzz.targets import NAME, check_sentence

from colorlab.data.reading import UnreadableImageError, read_upload


def verdict(seed: int) -> str:
    """Read the picture of a seed: right, wrong, refused or crashed."""
    case = picture_table.drawn(seed)
    content, truth, tolerance = picture_table.made(case, seed)
    try:
        got = read_upload(content, NAME)
    except UnreadableImageError as error:
        check_sentence(str(error))
        print(f"{seed} refused: {case}: {error}")
        return "refused"
    except Exception as error:
        print(f"{seed} crashed: {case}: {error!r}")
        return "crashed"
    if got.shape != truth.shape or np.abs(got.astype(int) - truth).max() > tolerance:
        print(f"{seed} wrong: {case}")
        return "wrong"
    return "right"


def main() -> None:
    """Count the verdicts of as many seeds as the first argument says."""
    first = int(sys.argv[2]) if len(sys.argv) > 2 else 0
    counts = Counter(verdict(first + i) for i in range(int(sys.argv[1])))
    print(dict(counts))
    sys.exit(bool(counts["wrong"] + counts["crashed"]))


if __name__ == "__main__":
    main()
