"""`colorlab ablate`: train the UNet once for each change of its recipe, and compare.

What is finished is skipped, what was cut off goes on: the same command again is the way to go on.
"""

from __future__ import annotations

import argparse
import dataclasses
from pathlib import Path

from colorlab import checkpoints, data
from colorlab.ablation import BASE, CHANGES, FLIPPED, FLIPPED_ABOUT, RECIPE, Change, FlipAveraged
from colorlab.commands import train
from colorlab.layers import count_parameters
from colorlab.metrics import Evaluation, evaluate
from colorlab.metrics.costs import stages

METRICS = ("ssim", "de76", "de00", "psnr", "colorfulness")  # LPIPS wants 256 pixels


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of the command."""
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
    chosen = choose(args.only)
    pictures = data.load(args.data, args.split, args.size)
    train_one = train.as_function(train.add_arguments, train.run)
    files = {}
    for i, change in enumerate(chosen, start=1):
        files[change.name] = file = args.out / change.name / _weights(args)
        if file.exists():
            checkpoints.load(str(file))  # a damaged file is told of here, not skipped over
            print(f"{i} of {len(chosen)}: {change.name} is there")
            continue
        print(f"{i} of {len(chosen)}: {change.name}")
        for training in trainings(args, change):
            train_one(training)
    result = compare(files, pictures, args.device)
    abouts = {change.name: change.about for change in chosen} | {FLIPPED: FLIPPED_ABOUT}
    result = dataclasses.replace(
        result,
        provenance=result.provenance | {"command": _command(args), "rows": abouts},
    )
    print(result.table())
    if args.json is not None:
        # Differences in pairs stand in the details: values of each picture would be 400 kB.
        dataclasses.replace(result, per_picture={}, names=()).to_json(args.json)
        print(f"written to {args.json}")
    return 0


def _command(args: argparse.Namespace) -> str:
    """The command that repeats the table; where its runs lie does not matter."""
    only = ["--only", f'"{args.only}"'] if args.only else []
    shared = ["--data", Path(args.data).name, "--split", args.split, "--size", args.size]
    words = ["colorlab ablate", *shared, "--steps", args.steps, *only, "--precision"]
    return " ".join(map(str, [*words, args.precision, "--out", "runs/ablation"]))


def choose(only: str | None) -> list[Change]:
    """The changes named, in the order of the list, always with the base.

    Raises:
        ValueError: a name that is no change.
    """
    if only is None:
        return list(CHANGES)
    names = {name.strip() for name in only.split(",")} | {BASE}
    if unknown := sorted(names - {change.name for change in CHANGES}):
        known = ", ".join(change.name for change in CHANGES)
        raise ValueError(f"no change {', '.join(unknown)}; there are {known}")
    return [change for change in CHANGES if change.name in names]


def trainings(args: argparse.Namespace, change: Change) -> list[list[str]]:
    """The words of the ``colorlab train`` that makes a row, after those of a first training."""
    out = args.out / change.name
    if not change.first:
        return [_words(args, out, args.steps, change.options)]
    begun, steps = out / "first", max(1, args.steps // 3)
    start = ("--start", str(begun / _weights(args)))
    return [
        _words(args, begun, steps, (*change.options, *change.first)),
        _words(args, out, args.steps - steps, (*change.options, *start)),
    ]


def _weights(args: argparse.Namespace) -> str:
    return f"unet-ab-{'scenes' if args.data == 'scenes' else 'photos'}.safetensors"


def _words(args: argparse.Namespace, out: Path, steps: int, options: tuple[str, ...]) -> list[str]:
    shared = ["--data", args.data, "--size", args.size, "--steps", steps, "--resume"]
    shared += ["--device", args.device, "--precision", args.precision]
    shared += ["--validate-every", steps, "--out", out]
    return list(map(str, ["unet", *shared, *RECIPE, *options]))


def compare(files: dict[str, Path], pictures: data.Pictures, device: str) -> Evaluation:
    """Measure the runs; the details hold each row's paired difference from the base."""
    target = train.pick_device(device)
    models = {name: checkpoints.load(str(file)).to(target) for name, file in files.items()}
    rows = models | {FLIPPED: FlipAveraged(models[BASE])}
    seconds = {
        name: sum(run["seconds"] for run in stages(checkpoints.read_card(file)))
        for name, file in files.items()
    }
    result = evaluate(
        rows,
        pictures,
        metrics=METRICS,
        device=target,
        provenance={"code_version": checkpoints.code_version(), "seconds": seconds},
    )
    differences = {
        name: {metric: result.paired(metric, name, BASE)._asdict() for metric in METRICS}
        for name in rows
        if name != BASE
    }
    sizes = {name: count_parameters(model) for name, model in models.items()}
    return dataclasses.replace(
        result, details={"difference": differences, "parameters": sizes, "base": BASE}
    )
