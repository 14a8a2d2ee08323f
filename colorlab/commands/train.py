"""`colorlab train`: train a model, resumable at any moment, and write weights with a card."""

from __future__ import annotations

import argparse
import json
from dataclasses import fields, replace
from pathlib import Path
from typing import Literal, get_args, get_origin, get_type_hints

from colorlab import checkpoints, parallel
from colorlab.commands import add_examples, check_positive
from colorlab.commands.evaluate import measure
from colorlab.losses import REGRESSION_LOSSES
from colorlab.metrics.rows import BASELINES
from colorlab.models import MODELS
from colorlab.models.base import TARGETS
from colorlab.training.loop import TrainConfig
from colorlab.training.recipes import choose
from colorlab.training.series import Job, plan, train_all, train_one

EPOCHS = 10  # unless told
# What the flags of the fields of TrainConfig say beside their defaults.
_HELP = {
    "ema": "decay of the weights' running average; a run of n steps wants about 1 - 5 / n",
    "warmup": "share of the steps in which the learning rate rises",
    "clip": "largest norm of a gradient",
    "crop_size": "side of random crops, 0 for the pictures'",
    "repeat": "show pictures with such names so often an epoch: --repeat 'photos/*=3'",
    "validate_every": "0 for the end of each epoch",
    "checkpoint_every": "between saved states",
    "device": "auto, cpu, cuda",
}
_METAVAR = {"repeat": "GLOB=TIMES", "validate_every": "STEPS", "checkpoint_every": "SECONDS"}
# With --all these win over the recipes.
_ASKED = ("augment", "crop_size", "repeat", "seed", "device", "precision")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of the command."""
    add_examples(
        parser,
        "colorlab train unet --data scenes --minutes 2 --out runs/unet",
        "colorlab train unet --data photos --encoder imagenet --loss huber --out runs/photos",
    )
    parser.add_argument("model", nargs="?", choices=list(MODELS), help="which model")
    parser.add_argument("--all", action="store_true", help="every network of the series, in order")
    parser.add_argument(
        "--budget", type=float, metavar="MINUTES", help="with --all: for all networks together"
    )
    parser.add_argument("--only", metavar="ROWS", help="with --all: these rows, unet,unet_gan")
    parser.add_argument(
        "--data", default="scenes", help="scenes, photos, or a folder with train and val in it"
    )
    parser.add_argument(
        "--size", type=int, help="side of the pictures (default: 128 for scenes, otherwise 256)"
    )
    parser.add_argument("--target", choices=TARGETS, default="ab", help="chroma, or all of RGB")
    parser.add_argument("--loss", choices=list(REGRESSION_LOSSES), help="default: the lesson's")
    parser.add_argument(
        "--encoder",
        metavar="NAME",
        help="pretrained and frozen, whose maps the network sees: scratch (none, the default), "
        "imagenet (released with the course), or a model of timm, which is downloaded",
    )
    parser.add_argument("--dropout", type=float, help="of models that have it")
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="another setting of the model, its value in JSON: --set fold=8",
    )
    length = parser.add_mutually_exclusive_group()
    length.add_argument("--epochs", type=float, help="passes over the training pictures")
    length.add_argument("--minutes", type=float, help="budget, turned into steps by measurement")
    length.add_argument("--steps", type=int, help=f"batches (default: {EPOCHS} epochs)")
    parser.add_argument("--out", type=Path, required=True, help="folder of the run")
    parser.add_argument("--weights", type=Path, help="folder of the weights (default: --out)")
    parser.add_argument(
        "--eight-bit", action="store_true", help="store matrices and kernels in 8 bits, not 16"
    )
    parser.add_argument("--resume", action="store_true", help="go on with the run in --out")
    parser.add_argument(
        "--start",
        default="",
        metavar="WEIGHTS",
        help="begin with these weights, of this model or of a part of it; default: random",
    )
    parser.add_argument(
        "--peak-tflops",
        type=float,
        metavar="N",
        help="of one GPU in bfloat16, to tell the share that is used (default: by its name)",
    )
    parser.add_argument(
        "--limit", type=int, metavar="N", help="the first N training pictures; scenes: any number"
    )
    kinds = get_type_hints(TrainConfig)
    for name, default in _config_fields().items():
        kind = kinds[name]
        takes = {"choices": get_args(kind)} if get_origin(kind) is Literal else {"type": kind}
        told = [_HELP.get(name, ""), f"default: {default}" if default != "" else ""]
        flag = f"--{name.replace('_', '-')}"
        takes |= {"default": default, "metavar": _METAVAR.get(name)}
        parser.add_argument(flag, help="; ".join(filter(None, told)), **takes)


def _config_fields() -> dict[str, object]:
    """Name and default of each field of TrainConfig that has a flag of its own."""
    return {field.name: field.default for field in fields(TrainConfig) if field.name != "steps"}


def run(args: argparse.Namespace) -> int:
    """Train one network or the series; the series ends in a table of results."""
    if bool(args.model) == args.all:
        raise ValueError(f"name one model, {', '.join(MODELS)}; or give --all and a --budget")
    check_positive(args, "budget", "size", "epochs", "minutes", "steps", "limit", "peak_tflops")
    with parallel.team():
        if args.all:
            _run_all(args)
        else:
            train_one(make_job(args))
    return 0


def make_job(args: argparse.Namespace) -> Job:
    """The training that the arguments describe."""
    settings = {name: getattr(args, name) for name in ("target", "loss", "dropout", "encoder")}
    settings = {name: value for name, value in settings.items() if value is not None}
    settings |= dict(map(_setting, args.set))
    config = TrainConfig(**{name: getattr(args, name) for name in _config_fields()})
    if args.steps is not None:
        config = replace(config, steps=args.steps)
    same = {field.name for field in fields(Job)} - {"settings", "config"}
    job = Job(**{name: getattr(args, name) for name in same}, settings=settings, config=config)
    untold = (args.steps, args.minutes, args.epochs) == (None, None, None)
    return replace(job, epochs=EPOCHS) if untold else job


def _setting(text: str) -> tuple[str, object]:
    name, _, value = text.partition("=")
    try:
        return name, json.loads(value)
    except ValueError as error:
        raise ValueError(f"--set {text}: the value must be JSON, like fold=8") from error


def _run_all(args: argparse.Namespace) -> None:
    if args.budget is None:
        raise ValueError("--all wants --budget MINUTES, for all networks together")
    recipes = choose(args.only.split(",") if args.only else None)
    asked = {name: getattr(args, name) for name in _ASKED}
    jobs = plan(recipes, args.out, args.budget, asked, args.data, args.size, args.limit)
    train_all(recipes, jobs)
    if parallel.rank() > 0:
        return
    rows = [*BASELINES]
    for recipe in recipes:
        rows += [recipe.row, *(f"{recipe.row}:{made}" for made in recipe.draws)]
    folder = args.out / "checkpoints"
    result = measure(",".join(rows), args.data, folder=folder, device=args.device)
    table = args.out / "results" / f"{checkpoints.world_of(args.data)}-test.json"
    print(result.table())
    result.to_json(table)
    print(f"written to {table}")
