"""Pictures made by chance over all that a file can declare, read and compared with the formula.

    PYTHONPATH=tests python tests/fuzz/made.py 200000 [FIRST SEED]

Prints how many were right, wrong, refused and crashed; fails if one was read wrong or ended in
anything but a refusal in words. Needs nothing beyond the test extra.
"""

import io
import sys
from collections import Counter

import numpy as np
import picture_table
from fuzz.targets import NAME, check_sentence

from colorlab.data.reading import Picture, UnreadableImageError, read_picture, read_rgb
from colorlab.data.writing import Parts, encode, read_metadata


def verdict(seed: int) -> str:
    """Read the picture of a seed: right, wrong, refused or crashed."""
    case = picture_table.drawn(seed)
    content, truth = picture_table.made(case, seed)
    try:
        got = read_picture(io.BytesIO(content), NAME)
        fault = truth.fault(got)
        if not fault and seed % 32 == 0:  # once more by the other function, and written
            fault = _again(content, got, truth)
    except UnreadableImageError as error:
        check_sentence(str(error))
        print(f"{seed} refused: {case}: {error}")
        return "refused"
    except Exception as error:
        print(f"{seed} crashed: {case}: {error!r}")
        return "crashed"
    if fault:
        print(f"{seed} wrong: {case}: {fault}", flush=True)
        return "wrong"
    return "right"


def _again(content: bytes, got: Picture, truth: picture_table.Truth) -> str:
    if not truth.is_over_white(read_rgb(io.BytesIO(content))):
        return "over white"
    told = read_metadata(content)._replace(texts={})
    for kind in ("PNG", "TIFF"):
        file, lost = encode([got], [told], kind, Parts("", []))
        back = read_picture(io.BytesIO(file))
        opaque = got.alpha is None or got.alpha.min() == np.iinfo(got.alpha.dtype).max
        same = back.alpha is None if opaque else np.array_equal(back.alpha, got.alpha)
        # No reader of the tags of a big TIFF of this byte order is known.
        lost = [] if content[:4] == b"MM\0+" else lost
        if lost or not same or not np.array_equal(back.rgb, got.rgb):
            return f"written as {kind}, {lost}"
    return ""


def main() -> None:
    """Count the verdicts of as many seeds as the first argument says."""
    first = int(sys.argv[2]) if len(sys.argv) > 2 else 0
    counts: Counter = Counter()
    for i in range(int(sys.argv[1])):
        counts[verdict(first + i)] += 1
        if (i + 1) % 5000 == 0:
            print(i + 1, dict(counts), flush=True)
    print(dict(counts))
    sys.exit(bool(counts["wrong"] + counts["crashed"]))


if __name__ == "__main__":
    main()
