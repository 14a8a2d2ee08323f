"""`colorlab train --all`: every network of the series in one command, to be resumed at any point.

What is finished is skipped, what was cut off goes on: the same command again is the way to go on.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

from colorlab import checkpoints
from colorlab.metrics.rows import BASELINES as STANDING
from colorlab.training.recipes import Recipe, choose

Command = Callable[[list[str]], int]


def stages(args: argparse.Namespace) -> list[tuple[Recipe, float, list[str]]]:
    """What to train, in order: recipe, minutes, and the words of its ``colorlab train``.

    Raises:
        ValueError: no budget, or rows that cannot be trained.
    """
    if not args.budget or args.budget <= 0:
        raise ValueError("--all wants --budget MINUTES, for all networks together")
    recipes = choose(args.only.split(",") if args.only else None)
    parts = sum(recipe.share for recipe in recipes)
    shared = ["--data", args.data, "--weights", args.out / "checkpoints", "--resume"]
    for name in ("size", "limit", "augment", "crop_size", "repeat", "seed", "device", "precision"):
        if getattr(args, name) is not None:
            shared += [f"--{name.replace('_', '-')}", getattr(args, name)]
    planned = []
    for recipe in recipes:
        minutes = args.budget * recipe.share / parts
        words = [recipe.model, "--target", recipe.target, "--minutes", f"{minutes:.4f}"]
        words += [*recipe.options, *shared, "--out", run_folder(args.out, recipe)]
        if recipe.target == "rgb":  # the reference's recipes: nobody colours photographs with them
            words.append("--eight-bit")
        if recipe.start:
            (base,) = (one for one in recipes if one.row == recipe.start)
            words += ["--start", weights(args, base)]
        planned.append((recipe, minutes, list(map(str, words))))
    return planned


def run_folder(out: Path, recipe: Recipe) -> Path:
    """Where a network's run lies."""
    return out / "runs" / recipe.row


def weights(args: argparse.Namespace, recipe: Recipe) -> Path:
    """Where a finished network lies."""
    world = "scenes" if args.data == "scenes" else "photos"
    return args.out / "checkpoints" / f"{recipe.model}-{recipe.target}-{world}.safetensors"


def run(args: argparse.Namespace, train: Command, evaluate: Command) -> int:
    """Train what is not finished, then measure all of it.

    Args:
        args: of ``colorlab train``.
        train: runs ``colorlab train`` with these words.
        evaluate: runs ``colorlab evaluate`` with these words.
    """
    planned = stages(args)
    for i, (recipe, minutes, words) in enumerate(planned, start=1):
        file = weights(args, recipe)
        head = f"{i} of {len(planned)}: {recipe.row}"
        if file.exists():
            checkpoints.load(str(file))  # a damaged file is told of here, not skipped over
            print(f"{head} is there")
            continue
        print(f"{head}, about {minutes:.1f} minutes")
        train(words)
    table = args.out / "results" / f"{args.data if args.data == 'scenes' else 'photos'}-test.json"
    table.parent.mkdir(parents=True, exist_ok=True)
    rows = [*STANDING]
    for recipe, _, _ in planned:
        rows += [recipe.row, *(f"{recipe.row}:{made}" for made in recipe.draws)]
    words = ["--data", str(args.data), "--models", ",".join(rows), "--device", args.device]
    return evaluate([*words, "--checkpoints", str(args.out / "checkpoints"), "--json", str(table)])
