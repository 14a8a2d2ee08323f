"""`colorlab download`: fetch COCO val2017 and make the photo set of it."""

from __future__ import annotations

import argparse
import re
from dataclasses import replace
from pathlib import Path

from colorlab.data import store
from colorlab.data.download import COCO_VAL2017, download_coco


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of the command."""
    parser.add_argument(
        "--out", type=Path, help="folder for the photo set (default: data/photos of the checkout)"
    )
    parser.add_argument(
        "--url", default=COCO_VAL2017.url, help="address of the archive, or a mirror"
    )
    parser.add_argument("--sha256", help="checksum of the archive, when it is another one")
    parser.add_argument("--keep-archive", action="store_true", help="keep the zip file")


def run(args: argparse.Namespace) -> int:
    """Make the photo set; run again after a cut, it goes on where it was."""
    out = args.out or _default_out()
    archive = replace(COCO_VAL2017, url=args.url)
    if args.sha256:
        if not re.fullmatch(r"[0-9a-fA-F]{64}", args.sha256):
            raise ValueError(f"--sha256 {args.sha256!r}: want 64 hexadecimal digits")
        archive = replace(archive, sha256=args.sha256.lower(), size=None)
    download_coco(out, archive, keep_archive=args.keep_archive)
    counts = {split: len(list((out / split).iterdir())) for split in ("train", "val", "test")}
    print(f"{out}: " + ", ".join(f"{n} {split}" for split, n in counts.items()))
    print(f"use it with: export COLORLAB_PHOTOS={out.resolve()}")
    return 0


def _default_out() -> Path:
    data = store.checkout_data()
    if data is None:
        raise ValueError("not in a checkout: name a folder for the photographs with --out")
    return data / "photos"
