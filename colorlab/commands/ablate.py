"""`colorlab ablate`: train the UNet once for each change of its recipe, and compare."""

from __future__ import annotations

import argparse
import shlex
from dataclasses import replace
from pathlib import Path

from colorlab import data
from colorlab.commands import add_examples, check_positive, name_of
from colorlab.training import recipes, series


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of the command."""
    add_examples(
        parser,
        "colorlab ablate --out runs/ablation",
        "colorlab ablate --only mse,seed --steps 300 --out runs/quick --json ablation.json",
    )
    parser.add_argument("--data", default="photos", help="photos (default), or a folder with train")
    parser.add_argument("--split", default="val", help="to measure on (default: val)")
    parser.add_argument("--size", type=int, default=64, help="side of the pictures (64)")
    parser.add_argument("--steps", type=int, default=900, help="batches of 64 a row (900)")
    parser.add_argument("--only", metavar="ROWS", help="these rows and the base, by commas")
    parser.add_argument("--device", default="auto", help="auto (default), cpu, cuda")
    parser.add_argument("--precision", choices=("auto", "float32", "bfloat16"), default="auto")
    parser.add_argument("--out", type=Path, required=True, help="folder of the runs")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the table to FILE too")


def run(args: argparse.Namespace) -> int:
    """Train what is not finished, measure all of it, print the table, write the file."""
    check_positive(args, "size", "steps")
    chosen = recipes.choose_changes(args.only)
    pictures = data.load(args.data, args.split, args.size)
    asked = {"steps": args.steps, "device": args.device, "precision": args.precision}
    base = series.Job(
        "unet",
        args.out,
        args.data,
        recipes.BASE_SETTINGS,
        replace(recipes.BASE_TRAINING, **asked),
        size=args.size,
        resume=True,
    )
    result = series.compare(series.ablate(chosen, base), pictures, args.device)
    abouts = {change.name: change.about for change in chosen}
    told = {"command": _command(args), "rows": abouts | {recipes.FLIPPED: recipes.FLIPPED_ABOUT}}
    result = replace(result, provenance=result.provenance | told)
    print(result.table())
    if args.json is not None:
        # Differences in pairs stand in the details: values of each picture would be 400 kB.
        replace(result, per_picture={}, names=()).to_json(args.json)
        print(f"written to {args.json}")
    return 0


def _command(args: argparse.Namespace) -> str:
    """The command that repeats the table; where its runs lie does not matter."""
    words = ["colorlab", "ablate", "--data", name_of(args.data), "--split", args.split]
    words += ["--size", args.size, "--steps", args.steps]
    words += ["--only", args.only] if args.only else []
    return shlex.join(map(str, [*words, "--precision", args.precision, "--out", "runs/ablation"]))
