"""`colorlab train`: train a model, resumable at any moment, and write weights with a card."""

from __future__ import annotations

import argparse
import dataclasses
import json
import math
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import get_args

import torch

from colorlab import checkpoints, data, parallel
from colorlab.cards import check_config
from colorlab.commands import evaluate, train_all
from colorlab.data.loaders import Augmentation
from colorlab.layers import count_parameters
from colorlab.losses import REGRESSION_LOSSES
from colorlab.models import MODELS, build
from colorlab.models.base import TARGETS, Colorizer
from colorlab.training import fit, throughput
from colorlab.training.loop import TrainConfig, fastest_precision, pick_device
from colorlab.training.runs import STATE_FILE, read_state


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of the command."""
    default = TrainConfig()
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
    length = parser.add_mutually_exclusive_group()
    length.add_argument("--epochs", type=float, help="passes over the training pictures")
    length.add_argument("--minutes", type=float, help="budget, turned into steps by measurement")
    length.add_argument("--steps", type=int, help="batches (default: 10 epochs)")
    parser.add_argument("--out", type=Path, required=True, help="folder of the run")
    parser.add_argument("--weights", type=Path, help="folder of the weights (default: --out)")
    parser.add_argument(
        "--eight-bit", action="store_true", help="store matrices and kernels in 8 bits, not 16"
    )
    parser.add_argument("--resume", action="store_true", help="go on with the run in --out")
    parser.add_argument("--seed", type=int, default=default.seed)
    parser.add_argument("--batch-size", type=int, default=default.batch_size)
    parser.add_argument("--learning-rate", type=float, default=default.learning_rate)
    parser.add_argument("--weight-decay", type=float, default=default.weight_decay)
    parser.add_argument(
        "--ema",
        type=float,
        default=default.ema,
        help="decay of the weights' running average; a run of n steps wants about 1 - 5 / n",
    )
    parser.add_argument("--dropout", type=float, help="of models that have it")
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="another setting of the model, its value in JSON: --set fold=8",
    )
    parser.add_argument(
        "--augment", choices=get_args(Augmentation), help=f"default: {default.augment}"
    )
    parser.add_argument(
        "--crop-size", type=int, default=0, help="side of random crops (default: the pictures')"
    )
    parser.add_argument(
        "--repeat",
        default=default.repeat,
        metavar="GLOB=TIMES",
        help="show pictures with such names so often an epoch: --repeat 'photos/*=3'",
    )
    parser.add_argument(
        "--validate-every", type=int, default=0, metavar="STEPS", help="default: once an epoch"
    )
    parser.add_argument(
        "--precision", choices=("auto", "float32", "bfloat16"), default=default.precision
    )
    parser.add_argument("--device", default=default.device, help="auto, cpu, cuda")
    parser.add_argument(
        "--checkpoint-every", type=float, default=default.checkpoint_every, help="seconds"
    )
    parser.add_argument(
        "--start",
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


def run(args: argparse.Namespace) -> int:
    """Train, then write the weights and their card.

    Raises:
        ValueError: neither a model nor ``--all``, or both.
    """
    if bool(args.model) == args.all:
        raise ValueError(f"name one model, {', '.join(MODELS)}; or give --all and a --budget")
    with parallel.team():
        if args.all:
            measure = as_function(evaluate.add_arguments, evaluate.run)
            return train_all.run(args, as_function(add_arguments, run), measure)
        return _train_one(args)


def _train_one(args: argparse.Namespace) -> int:
    say = print if parallel.rank() == 0 else lambda _: None
    train = data.load(args.data, "train", args.size, args.limit)
    val = data.load(args.data, "val", args.size)
    model = make_model(args, train.size)
    check_config(args.model, dataclasses.asdict(model.config))  # now, not when it is saved
    config = make_config(args, model, train)
    device = pick_device(args.device)
    say(
        f"{args.model}-{args.target}: {count_parameters(model) / 1e6:.2f} M parameters, "
        f"{len(train)} pictures of {train.size}x{train.size}, {config.steps} steps of "
        f"{config.batch_size} on {parallel.size()} x {device}"
    )
    start = time.monotonic()
    history = fit(model, train, val, config, out=args.out, resume=args.resume)
    world = "scenes" if args.data == "scenes" else "photos"
    told = facts(history, config, train, val, device)
    if args.start:
        told["started_from"] = checkpoints.read_card(checkpoints.find(args.start))
    if parallel.rank() == 0:
        file = checkpoints.save(model, world, told, args.weights or args.out, args.eight_bit)
        say(f"weights in {file}")
    parallel.wait()  # the next network may begin with these weights
    say(
        f"best validation Delta-E {history.best_score:.2f} at step {history.best_step}, "
        f"{(time.monotonic() - start) / 60:.1f} minutes"
    )
    peak = args.peak_tflops or throughput.peak_tflops(describe_device(device))
    if peak or device.type == "cuda":
        flops = throughput.step_flops(model, train, config, history.precision)
        say(f"{throughput.Throughput.of(config, flops, history.seconds, peak)}")
    return 0


def as_function(declare: Callable, carry_out: Callable) -> train_all.Command:
    """A command as a function of its words."""

    def command(words: list[str]) -> int:
        parser = argparse.ArgumentParser()
        declare(parser)
        return carry_out(parser.parse_args(words))

    return command


def make_model(args: argparse.Namespace, size: int) -> Colorizer:
    """The model that the arguments describe, the same for the same seed.

    With ``--start`` it has those weights and their settings, but for what the arguments change.
    """
    settings = {"target": args.target, "size": size, "loss": args.loss, "dropout": args.dropout}
    settings["encoder"] = args.encoder
    chosen = {k: v for k, v in settings.items() if v is not None} | dict(map(_setting, args.set))
    with torch.random.fork_rng():
        torch.manual_seed(args.seed)
        if not args.start:
            return build(args.model, **chosen)
        begun = checkpoints.load(args.start)
        known = {field.name for field in dataclasses.fields(MODELS[args.model][1])}
        inherited = dataclasses.asdict(begun.config)
        if type(begun) is not MODELS[args.model][0]:
            inherited.pop("loss", None)  # each lesson has its own objective
        kept = {k: v for k, v in inherited.items() if k in known}
        model = build(args.model, **{**kept, **chosen})
        try:
            model.start_from(begun)
        except RuntimeError as error:
            raise ValueError(f"--start {args.start} does not fit {args.model}: {error}") from error
        return model


def _setting(text: str) -> tuple[str, object]:
    name, _, value = text.partition("=")
    try:
        return name, json.loads(value)
    except ValueError as error:
        raise ValueError(f"--set {text}: the value must be JSON, like fold=8") from error


def make_config(args: argparse.Namespace, model: Colorizer, train: data.Pictures) -> TrainConfig:
    """How to train. A budget in minutes becomes a number of steps by a measured step."""
    config = TrainConfig(
        batch_size=args.batch_size,
        learning_rate=args.learning_rate,
        weight_decay=args.weight_decay,
        ema=args.ema,
        augment=args.augment or TrainConfig.augment,
        crop_size=args.crop_size,
        repeat=args.repeat,
        validate_every=args.validate_every,
        seed=args.seed,
        precision=args.precision,
        device=args.device,
        checkpoint_every=args.checkpoint_every,
    )
    if args.steps:
        return replace(config, steps=args.steps)
    if args.minutes:
        return replace(config, steps=_steps_in(args, model, train, config))
    return replace(config, steps=math.ceil((args.epochs or 10) * len(train) / config.batch_size))


def _steps_in(
    args: argparse.Namespace, model: Colorizer, train: data.Pictures, config: TrainConfig
) -> int:
    """Steps that fit the budget; a run to resume keeps the number it was started with."""
    if args.resume and (args.out / STATE_FILE).exists():
        return read_state(args.out)["identity"]["steps"]
    _, speed = fastest_precision(model, train, config)
    return max(1, round(args.minutes * 60 * speed / config.batch_size))


def facts(history, config: TrainConfig, train, val, device: torch.device) -> dict:
    """What the card tells of a training run."""
    folders = Counter(Path(name).parts[0] for name in train.names if len(Path(name).parts) > 1)
    return {
        "trained_on": {
            "source": train.source,
            "sha256": train.sha256,
            "pictures": len(train),
            **({"folders": dict(folders)} if folders else {}),
        },
        "seed": config.seed,
        "steps": config.steps,
        "training": {
            name: getattr(config, name)
            for name in (
                "batch_size",
                "learning_rate",
                "weight_decay",
                "ema",
                "augment",
                "crop_size",
                "repeat",
            )
        },
        "seconds": round(history.seconds),
        "device": describe_device(device),
        "precision": history.precision,
        "validation": {
            "source": val.source,
            "sha256": val.sha256,
            "delta_e_chroma": (
                round(history.best_score, 3) if math.isfinite(history.best_score) else None
            ),
            "step": history.best_step,
        },
    }


def describe_device(device: torch.device) -> str:
    """The device in words: a GPU's name, or the number of CPU threads."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    threads = torch.get_num_threads()
    return f"CPU, {threads} thread{'s' if threads > 1 else ''}"
