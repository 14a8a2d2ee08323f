"""What a released model costs: weights and training time.

Weights and training stand on the model card. A network that was trained in stages, each from the
weights of the one before, counts with all of them. Used in lesson 11.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open

from colorlab import checkpoints
from colorlab.metrics.rows import parse
from colorlab.models import encoders

# Of batch normalization, and of a classifier's bins.
_STATISTICS = ("running_mean", "running_var", "frequency")


def stages(card: dict[str, Any]) -> list[dict[str, Any]]:
    """A card and the cards of the runs that it started from, newest first."""
    return [card, *(stages(card["started_from"]) if "started_from" in card else ())]


def checkpoint_file(name: str, world: str = "photos", folder: Path | None = None) -> Path:
    """The weights of a model; ``world`` decides where its name (``unet``, ``unet-rgb``) does not.

    Raises:
        FileNotFoundError, ValueError: no such checkpoint, or no such name.
    """
    told = name.endswith(".safetensors") or name.count("-") > 1
    return checkpoints.find(name, world=None if told else world, folder=folder)


def training_cost(
    name: str, world: str = "photos", folder: Path | None = None
) -> dict[str, object]:
    """Heading -> value of a released model: what it weighs, and how it was trained.

    ``parameters``: numbers that colorize, in the file and in the released networks it stands on,
    the pretrained encoder included; for a network also ``training images`` (of its own; the
    encoder's are not counted), ``steps``, ``training minutes`` and ``device``. A fitted table has
    parameters alone: it was counted, not trained.

    Arguments and errors as of :func:`checkpoint_file`.
    """
    file = checkpoint_file(name, world, folder)
    card = checkpoints.read_card(file)
    runs = stages(card)
    bases = []
    for base in card.get("stands_on", {}).values():
        stem = base["checkpoint"]
        beside = stem in checkpoints.released(file.parent)
        bases.append(checkpoints.find(stem, folder=file.parent if beside else None))
    if card["config"].get("encoder") == encoders.IMAGENET:
        bases.append(encoders.FOLDER / encoders.FILE.format(encoders.IMAGENET))
    cost: dict[str, object] = {"parameters": sum(map(_numbers, (file, *bases)))}
    if "steps" in card:
        devices = dict.fromkeys(run["device"] for run in reversed(runs))
        cost |= {
            "training images": max(run["trained_on"]["pictures"] for run in runs),
            "steps": sum(run["steps"] for run in runs),
            "training minutes": round(sum(run["seconds"] for run in runs) / 60),
            "device": ", then ".join(devices).replace("1 threads", "1 thread"),  # as some say
        }
    return cost


def released_costs(
    rows: Iterable[str], world: str = "photos", folder: Path | None = None
) -> dict[str, dict[str, object]]:
    """:func:`training_cost` of each row; samples cost what their model does.

    Rows without a checkpoint (gray, an oracle) are left out.
    """
    costs = {}
    for row in rows:
        try:
            costs[row] = training_cost(parse(row).model, world, folder)
        except (FileNotFoundError, ValueError):
            continue
    return costs


def _numbers(file: Path) -> int:
    """How many learned numbers a checkpoint's file holds: no counters, no running statistics."""
    with safe_open(file, framework="pt") as tensors:
        parts = {key: tensors.get_slice(key) for key in tensors.keys()}  # noqa: SIM118, no mapping
        return sum(
            torch.Size(part.get_shape()).numel()
            for key, part in parts.items()
            if part.get_dtype().startswith(("F", "BF")) and not key.endswith(_STATISTICS)
        )
