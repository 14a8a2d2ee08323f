"""Make a photo set from COCO photographs: val2017, the course's, or train2017, 24 times as many.

`fetch` brings the archive, `splits` cuts it into train, val and test.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from colorlab.data import splits
from colorlab.data.fetch import Archive, fetch
from colorlab.files import locked, make_folder

COCO_VAL2017 = Archive(  # MD5 442b8da7639aecaf257c1dceb8ba8c80, as often quoted
    url="http://images.cocodataset.org/zips/val2017.zip",
    sha256="4f7e2ccb2866ec5041993c9cf2a952bbed69647b115d0f74da7ce8f4bef82f05",
    size=815_585_330,
)

COCO_TRAIN2017 = Archive(  # MD5 cced6f7f71b7629ddf16f17bbcfab6b2
    url="http://images.cocodataset.org/zips/train2017.zip",
    sha256="69a8bb58ea5f8f99d24875f21416de2e9ded3178e903f1f7603e283b9e06d929",
    size=19_336_861_798,
)
# The archive and how many photographs are in it.
SETS = {"val2017": (COCO_VAL2017, 5_000), "train2017": (COCO_TRAIN2017, 118_287)}


def counts_of(name: str, limit: int | None = None) -> dict[str, int]:
    """Pictures a split of the set called ``name``, at most: validation and test are never fewer.

    Args:
        name: of :data:`SETS`.
        limit: training pictures, at most; for val2017 3,600 unless told, otherwise all.

    Raises:
        ValueError: a limit below 1.
    """
    if limit is not None and limit < 1:
        raise ValueError(f"--limit must be at least 1, got {limit}")
    rest = SETS[name][1] - splits.COUNTS["test"] - splits.COUNTS["val"]
    most = splits.COUNTS["train"] if name == "val2017" else rest
    return {**splits.COUNTS, "train": most if limit is None else min(limit, rest)}


def download_coco(
    out: str | os.PathLike,
    archive: Archive = COCO_VAL2017,
    counts: Mapping[str, int] = splits.COUNTS,
    size: int = splits.SIZE,
    keep_archive: bool = False,
) -> Path:
    """Make a photo set in `out`: `train`, `val`, `test` and `manifest.csv`.

    Every step goes on where it was when a run is cut or killed. A finished set is left alone.

    Args:
        out: folder for the set, made if absent; about 1.5 GB in all, 0.6 GB when done.
        archive: what to fetch.
        counts: pictures a split, see `splits.build`.
        size: side of the pictures.
        keep_archive: leave the zip file in `out` when the set is done.

    Returns:
        The folder `out`.

    Raises:
        DownloadError: see `fetch`.
        ValueError: the archive is none, or `out` holds other pictures.
        BlockingIOError: another run is at work in `out`.
        OSError: the disk is too small or not writable.
    """
    out = Path(out)
    splits.require_own_folder(out, archive.sha256, counts, size)
    if splits.is_complete(out):
        return out
    make_folder(out)
    with locked(out / "in-use"):
        # A PNG photograph takes at most about its pixels; most shrink by a third or more.
        path = fetch(archive, out, spare=sum(counts.values()) * size * size * 3)
        splits.build(path, out, archive.sha256, counts, size)
        if not keep_archive:
            path.unlink()
    return out
