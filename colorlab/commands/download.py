"""`colorlab download`: fetch COCO photographs and make a photo set of them."""

from __future__ import annotations

import argparse
import re
from dataclasses import replace
from pathlib import Path

from colorlab.commands import add_examples, check_positive
from colorlab.data.cache import checkout_data
from colorlab.data.coco import SETS, counts_of, download_coco


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of the command."""
    add_examples(
        parser,
        "colorlab download",
        "colorlab download --set train2017 --limit 20000 --out photos-more",
    )
    parser.add_argument(
        "--out", type=Path, help="folder for the photo set (default: data/photos of the checkout)"
    )
    parser.add_argument(
        "--set",
        choices=list(SETS),
        default="val2017",
        help="val2017: 5,000 photographs, 0.8 GB (default); train2017: 118,287, 19.3 GB",
    )
    parser.add_argument(
        "--limit", type=int, metavar="N", help="training pictures, at most (val2017: 3,600)"
    )
    parser.add_argument("--url", help="address of the archive, or a mirror (default: COCO's own)")
    parser.add_argument("--sha256", help="checksum of the archive, when it is another one")
    parser.add_argument("--keep-archive", action="store_true", help="keep the zip file")


def run(args: argparse.Namespace) -> int:
    """Make the photo set; run again after a cut, it goes on where it was."""
    check_positive(args, "limit")
    out = args.out or _default_out()
    archive, counts = SETS[args.set][0], counts_of(args.set, args.limit)
    if args.url:
        archive = replace(archive, url=args.url)
    if args.sha256:
        if not re.fullmatch(r"[0-9a-fA-F]{64}", args.sha256):
            raise ValueError(f"--sha256 {args.sha256!r}: want 64 hexadecimal digits")
        archive = replace(archive, sha256=args.sha256.lower(), size=None)
    download_coco(out, archive, counts, keep_archive=args.keep_archive)
    counts = {split: len(list((out / split).iterdir())) for split in ("train", "val", "test")}
    print(f"{out}: " + ", ".join(f"{n} {split}" for split, n in counts.items()))
    print(f"use it with: export COLORLAB_PHOTOS={out.resolve()}")
    return 0


def _default_out() -> Path:
    data = checkout_data()
    if data is None:
        raise ValueError("not in a checkout: name a folder for the photographs with --out")
    return data / "photos"
