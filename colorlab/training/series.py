"""From images to weights with a model card: one network, the whole series, the ablation.

:func:`train_one` is what ``colorlab train`` does, :func:`train_all` and :func:`ablate` do it for
each row of a list in :mod:`colorlab.training.recipes`. What is finished is skipped, and what was
cut off goes on: the same call again is the way to go on.
"""

from __future__ import annotations

import copy
import dataclasses
import math
import re
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from colorlab import checkpoints, data, parallel
from colorlab.cards import check_config
from colorlab.layers import count_parameters
from colorlab.metrics import Evaluation, evaluate
from colorlab.metrics.costs import stages
from colorlab.models import MODELS, Colorizer, build
from colorlab.training.loop import (
    Precision,
    TrainConfig,
    Trainer,
    fastest_precision,
    fit,
    pick_device,
)
from colorlab.training.recipes import BASE, FLIPPED, Change, Recipe, Settings
from colorlab.training.runs import STATE_FILE, History, read_state

METRICS = ("ssim", "de76", "de00", "psnr", "colorfulness")  # LPIPS wants 256 pixels
_ON_THE_CARD = (
    *("batch_size", "learning_rate", "weight_decay", "warmup", "ema", "clip"),
    *("augment", "crop_size", "repeat"),
)


@dataclass(frozen=True)
class Job:
    """One training, from its images to its weights.

    Attributes:
        model: as listed in :data:`colorlab.models.MODELS`.
        out: folder of the run.
        data: "scenes", "photos", or a folder with train and val in it.
        settings: fields of the model's config; its defaults elsewhere, or those of ``start``.
        config: how to train. Its seed is also that of the random weights.
        epochs: passes over the training images, in place of ``config.steps``.
        minutes: budget, turned into steps by measurement, in place of both.
        size: side of the images, None for the usual one of the data.
        limit: the first so many training images, None for all.
        start: weights to begin with, of this model or of a part of it; "" for random ones.
        weights: folder of the weights, ``out`` unless told.
        eight_bit: see :func:`colorlab.checkpoints.save`.
        resume: go on with the run in ``out``, if there is one.
        peak_tflops: of one GPU in bfloat16, to tell the share that is used; by its name if None.
    """

    model: str
    out: Path
    data: str = "scenes"
    settings: Settings = field(default_factory=dict)
    config: TrainConfig = field(default_factory=TrainConfig)
    epochs: float | None = None
    minutes: float | None = None
    size: int | None = None
    limit: int | None = None
    start: str = ""
    weights: Path | None = None
    eight_bit: bool = False
    resume: bool = False
    peak_tflops: float | None = None

    @property
    def file(self) -> Path:
        """The weights that it leaves."""
        target, world = self.settings.get("target", "ab"), checkpoints.world_of(self.data)
        return (self.weights or self.out) / f"{self.model}-{target}-{world}.safetensors"


def train_one(job: Job) -> None:
    """Train, then write the weights and their card."""
    train = data.load(job.data, "train", job.size, job.limit)
    val = data.load(job.data, "val", job.size)
    model = make_model(job, train.size)
    # Now, not when it is saved.
    check_config(job.model, dataclasses.asdict(model.config))
    world, place = checkpoints.world_of(job.data), job.weights or job.out
    checkpoints.pack(model, world, place, job.eight_bit)
    config = replace(job.config, steps=_steps(job, model, train))
    device = pick_device(config.device)
    say(
        f"{job.model}-{model.config.target}: {count_parameters(model) / 1e6:.2f} M parameters, "
        f"{len(train)} pictures of {train.size}x{train.size}, {config.steps} steps of "
        f"{config.batch_size} on {parallel.size()} x {device}"
    )
    start = time.monotonic()
    history = fit(model, train, val, config, out=job.out, resume=job.resume)
    told = _facts(history, config, train, val, device)
    if job.start:
        told["started_from"] = checkpoints.read_card(checkpoints.find(job.start))
    if parallel.rank() == 0:
        file = checkpoints.save(model, world, told, place, job.eight_bit)
        say(f"weights in {file}")
    parallel.wait()  # the next network may begin with these weights
    say(
        f"best validation Delta-E {history.best_score:.2f} at step {history.best_step}, "
        f"{(time.monotonic() - start) / 60:.1f} minutes"
    )
    peak = job.peak_tflops or peak_tflops(_describe(device))
    if peak or device.type == "cuda":
        flops = step_flops(model, train, config, history.precision)
        say(speed(config, flops, history.seconds, peak))


def make_model(job: Job, size: int) -> Colorizer:
    """The model of a job for images of ``size``, the same for the same seed.

    With ``start`` it has those weights and their settings, but for what the job sets.
    """
    chosen = {"target": "ab", "size": size, **job.settings}
    with torch.random.fork_rng():
        torch.manual_seed(job.config.seed)
        if not job.start:
            return build(job.model, **chosen)
        begun = checkpoints.load(job.start)
        known = {field.name for field in dataclasses.fields(MODELS[job.model][1])}
        inherited = dataclasses.asdict(begun.config)
        if type(begun) is not MODELS[job.model][0]:
            inherited.pop("loss", None)  # each lesson has its own objective
        kept = {k: v for k, v in inherited.items() if k in known}
        model = build(job.model, **{**kept, **chosen})
        try:
            model.start_from(begun)
        except RuntimeError as error:
            raise ValueError(f"--start {job.start} does not fit {job.model}: {error}") from error
        return model


def say(text: str) -> None:
    """Print, in one of several processes."""
    if parallel.rank() == 0:
        print(text)


def _steps(job: Job, model: Colorizer, train: data.Pictures) -> int:
    """How many steps; a budget gives what fits, or what a run to resume was started with."""
    if job.minutes is not None:
        if job.resume and (job.out / STATE_FILE).exists():
            return read_state(job.out)["identity"]["steps"]
        _, speed = fastest_precision(model, train, job.config)
        return max(1, round(job.minutes * 60 * speed / job.config.batch_size))
    if job.epochs is not None:
        return math.ceil(job.epochs * len(train) / job.config.batch_size)
    return job.config.steps


def _facts(history: History, config: TrainConfig, train, val, device) -> dict[str, Any]:
    """What the card tells of a training run."""
    folders = Counter(Path(name).parts[0] for name in train.names if len(Path(name).parts) > 1)
    score = history.best_score
    return {
        "trained_on": {
            "source": train.source,
            "sha256": train.sha256,
            "pictures": len(train),
            **({"folders": dict(folders)} if folders else {}),
        },
        "seed": config.seed,
        "steps": config.steps,
        "training": {name: getattr(config, name) for name in _ON_THE_CARD},
        "seconds": round(history.seconds),
        "device": _describe(device),
        "precision": history.precision,
        "validation": {
            "source": val.source,
            "sha256": val.sha256,
            "delta_e_chroma": round(score, 3) if math.isfinite(score) else None,
            "step": history.best_step,
        },
    }


def _describe(device: torch.device) -> str:
    """The device in words: a GPU's name, or the number of CPU threads."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    threads = torch.get_num_threads()
    return f"CPU, {threads} thread{'s' if threads > 1 else ''}"


# ---- how much of a GPU a run uses: the model FLOPs utilization of Chowdhery et al. 2022, "PaLM",
# appendix B, the arithmetic that a step needs over what the GPU could do in that time

# TFLOP/s in bfloat16 without sparsity, from NVIDIA's data sheets. The first matching name counts.
PEAKS = {
    "H200": 989.0,
    "H100 PCIe": 756.0,
    "H100 NVL": 835.0,
    "H100": 989.0,
    "A100": 312.0,
    "L40S": 362.0,
    "L4": 121.0,
}


def peak_tflops(name: str) -> float | None:
    """The bfloat16 peak of a GPU by its name, TFLOP/s; None if it is not listed."""
    found = (peak for known, peak in PEAKS.items() if re.search(rf"\b{known}\b", name))
    return next(found, None)


def step_flops(
    model: Colorizer, pictures: data.Pictures, config: TrainConfig, precision: Precision
) -> int:
    """Floating-point operations of one training step of all processes, forward and backward.

    Convolutions, matrix products and attention of the networks count, a multiplication and an
    addition as two; nothing else does. A copy of the model is run.
    """
    trial = Trainer(copy.deepcopy(model), pictures, config)
    batch = trial.batches.at(0)
    counter = FlopCounterMode(display=False)
    with torch.random.fork_rng(), counter:
        for player in trial.players:
            with torch.autocast(trial.device.type, torch.bfloat16, precision == "bfloat16"):
                terms = player.loss(batch)
            sum(terms.values()).backward()
    return counter.get_total_flops() * parallel.size()


def speed(config: TrainConfig, flops: int, seconds: float, peak: float | None) -> str:
    """How fast a run was, in words, over its whole time, validation included.

    Args:
        config: its steps and batch size.
        flops: of one step, see :func:`step_flops`.
        seconds: of the whole run.
        peak: TFLOP/s of one process's GPU, see :func:`peak_tflops`.
    """
    rate = config.steps / seconds
    tflops = rate * flops / 1e12
    text = f"{rate * config.batch_size:.0f} pictures/s, {tflops:.2f} TFLOP/s"
    return f"{text}, {tflops / (peak * parallel.size()):.1%} of the peak" if peak else text


# ---- the series


def plan(
    recipes: Sequence[Recipe],
    out: Path,
    budget: float,
    asked: Settings,
    data: str,
    size: int | None = None,
    limit: int | None = None,
) -> list[Job]:
    """The jobs of recipes, in order, with runs and checkpoints in folders of ``out``.

    ``budget`` is the minutes for all of them together, divided by their shares. ``size`` and
    ``asked``, fields of :class:`TrainConfig`, win over those of the recipes.
    """
    parts = sum(recipe.share for recipe in recipes)
    jobs: dict[str, Job] = {}
    for recipe in recipes:
        jobs[recipe.row] = Job(
            recipe.model,
            out / "runs" / recipe.row,
            data,
            settings={"target": recipe.target, **recipe.settings},
            config=replace(recipe.training, **asked),
            minutes=budget * recipe.share / parts,
            size=size or recipe.size,
            limit=limit,
            start=str(jobs[recipe.start].file) if recipe.start else "",
            weights=out / "checkpoints",
            # The reference's recipes: nobody colours photographs with them.
            eight_bit=recipe.target == "rgb",
            resume=True,
        )
    return list(jobs.values())


def train_all(recipes: Sequence[Recipe], jobs: Sequence[Job]) -> None:
    """Train what is not finished of a :func:`plan`."""
    for i, (recipe, job) in enumerate(zip(recipes, jobs, strict=True), start=1):
        head = f"{i} of {len(jobs)}: {recipe.row}"
        if not _is_there(job.file, head):
            say(f"{head}, about {job.minutes:.1f} minutes")
            train_one(job)


def _is_there(file: Path, head: str) -> bool:
    if not file.exists():
        return False
    checkpoints.load(str(file))  # a damaged file is told of here, not skipped over
    say(f"{head} is there")
    return True


# ---- the ablation


def trainings(change: Change, base: Job) -> list[Job]:
    """The job that makes a row of the ablation, after that of a first training if it has one.

    ``base`` is the job of the base, but that its ``out`` is the folder of all rows.
    """
    steps = base.config.steps
    row = replace(
        base,
        out=base.out / change.name,
        settings={**base.settings, **change.settings},
        config=replace(base.config, **{"validate_every": steps, **change.training}),
        limit=change.limit,
    )
    if not change.first:
        return [row]
    few = max(1, steps // 3)
    begun = replace(row.config, steps=few, validate_every=few, **change.first)
    rest = replace(row.config, steps=steps - few, validate_every=steps - few)
    first = replace(row, out=row.out / "first", config=begun)
    return [first, replace(row, config=rest, start=str(first.file))]


def ablate(changes: Sequence[Change], base: Job) -> dict[str, Path]:
    """Train what is not finished, see :func:`trainings`; returns the weights of each row."""
    files = {}
    for i, change in enumerate(changes, start=1):
        jobs = trainings(change, base)
        files[change.name] = jobs[-1].file
        head = f"{i} of {len(changes)}: {change.name}"
        if not _is_there(jobs[-1].file, head):
            say(head)
            for job in jobs:
                train_one(job)
    return files


class FlipAveraged:
    """A colorizer whose *ab* is the mean of its predictions for an image and its mirror image.

    Source: Krizhevsky et al. 2012, section 4.1 (test-time averaging).
    """

    def __init__(self, model: Colorizer) -> None:
        self.model = model.eval()

    def colorize(self, L: Tensor) -> Tensor:
        """As :meth:`colorlab.models.base.Colorizer.colorize`."""
        plain = self.model.answers(L, 1)[0]
        mirrored = self.model.answers(L.flip(-1), 1)[0].flip(-1)
        return self.model.finish(L, (plain + mirrored) / 2)


def compare(files: dict[str, Path], pictures: data.Pictures, device: str) -> Evaluation:
    """Measure the rows; the details hold each row's paired difference from the base."""
    target = pick_device(device)
    models = {name: checkpoints.load(str(file)).to(target) for name, file in files.items()}
    seconds = {
        name: sum(run["seconds"] for run in stages(checkpoints.read_card(file)))
        for name, file in files.items()
    }
    result = evaluate(
        models | {FLIPPED: FlipAveraged(models[BASE])},
        pictures,
        metrics=METRICS,
        device=target,
        provenance={"code_version": checkpoints.code_version(), "seconds": seconds},
    )
    differences = {
        name: {metric: result.paired(metric, name, BASE)._asdict() for metric in METRICS}
        for name in result.models
        if name != BASE
    }
    sizes = {name: count_parameters(model) for name, model in models.items()}
    return replace(result, details={"difference": differences, "parameters": sizes, "base": BASE})
