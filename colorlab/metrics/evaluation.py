"""Measure colorizers on a set of images, by the protocol. Taught in lesson 03.

:func:`measure_table` is the loop of every evaluation: of :func:`evaluate` here, and of those of
samples, of the known world, of consistency and of sets.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from importlib import metadata
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

import colorlab
from colorlab.checks import check_pictures
from colorlab.color import from_uint8, lightness
from colorlab.files import progress_bar
from colorlab.metrics.pairs import colorfulness
from colorlab.metrics.perceptual import missing_lpips
from colorlab.metrics.report import N_RESAMPLES, SEED, Evaluation, bootstrap
from colorlab.metrics.rows import METRICS, Made, Row, round_to_8_bit

if TYPE_CHECKING:
    from colorlab.data.cache import Pictures


def evaluate(
    models: Mapping[str, Row | Made],
    pictures: Pictures,
    *,
    metrics: Iterable[str] | None = None,
    batch_size: int = 16,
    **options: Any,
) -> Evaluation:
    """Colorize every image with every model and compare it with the truth.

    Args:
        models: row name -> model, already on the device. A model gets the L of the 8-bit truth.
            Images that were coloured elsewhere are a :class:`Made`.
        pictures: the set. The protocol's numbers are at 256x256.
        metrics: names in :data:`colorlab.metrics.METRICS`; None for all.
        batch_size: images at a time.
        options: ``device``, ``n_resamples``, ``seed``, ``progress`` and ``provenance``, as of
            :func:`measure_table`.

    Returns:
        The table. Where AlexNet's features are not available, LPIPS is None in every row and
        a note says why.

    Raises:
        ValueError: no models, no images, an unknown metric, or a model whose prediction is no
            batch of images in [0, 1] of the truth's shape.
    """
    chosen = tuple(METRICS) if metrics is None else tuple(metrics)
    unknown = [name for name in chosen if name not in METRICS]
    if unknown or not chosen:
        what = f"unknown metric {unknown[0]!r}" if unknown else "no metric chosen"
        raise ValueError(f"{what}; known: {', '.join(METRICS)}")
    if batch_size < 1:
        raise ValueError(f"batch_size must be at least 1, got {batch_size}")

    def measure(name: str, model: Row, batch: Batch) -> dict[str, np.ndarray]:
        generated = colorized(name, model, batch)
        values = {name: METRICS[name].compare(generated, batch.truth) for name in batch.columns}
        return {name: value.double().cpu().numpy() for name, value in values.items()}

    return measure_table(
        models,
        pictures,
        chosen,
        measure,
        batch_size=batch_size,
        notes=[f"{name}: {row.note}" for name, row in models.items() if hasattr(row, "note")],
        recorded={"batch_size": batch_size},
        **options,
    )


def colorized(name: str, model: Row | Made, batch: Batch) -> Tensor:
    """One batch in a row's colours, rounded to 8 bit: sRGB (N, 3, H, W) in [0, 1].

    Raises:
        ValueError: the model's prediction is no batch of images in [0, 1] of the truth's shape.
    """
    truth = batch.truth
    with torch.no_grad():
        if isinstance(model, Made):
            generated = from_uint8(model.rgb[batch.indices.start : batch.indices.stop])
        else:
            known = getattr(model, "colorize_known", None)
            generated = model.colorize(batch.L) if known is None else known(batch.L, truth)
    check_pictures(generated, f"the answer of {name!r}")
    if generated.shape != truth.shape:
        raise ValueError(
            f"the answer of {name!r} has shape {tuple(generated.shape)}, want {tuple(truth.shape)}"
        )
    return round_to_8_bit(generated.to(truth))


class Batch(NamedTuple):
    """Some images of a set.

    Attributes:
        indices: their positions in the set.
        truth: (N, 3, H, W) sRGB in [0, 1], on the device.
        L: (N, 1, H, W) lightness in [0, 100].
        columns: what to measure.
    """

    indices: range
    truth: Tensor
    L: Tensor
    columns: tuple[str, ...]


def measure_table(
    rows: Mapping[str, Any],
    pictures: Pictures,
    columns: Sequence[str],
    measure: Callable[[str, Any, Batch], Mapping[str, np.ndarray]],
    *,
    batch_size: int,
    notes: Sequence[str],
    recorded: Mapping[str, Any],
    device: torch.device | str = "cpu",
    n_resamples: int = N_RESAMPLES,
    seed: int = SEED,
    progress: bool = True,
    provenance: Mapping[str, Any] | None = None,
) -> Evaluation:
    """Measure every row on every batch of images, and make the table.

    Batches are the outer loop. Each row sees torch's random numbers as if it were alone, and the
    caller's random state is kept. Where AlexNet's features are not available, the columns that need
    LPIPS become None and a note says why.

    Args:
        rows: row name -> what ``measure`` takes.
        pictures: the set.
        columns: of the table.
        measure: of a row's name, the row and a batch: column -> one value an image (N, ...). What
            is no column stands in ``per_picture`` alone.
        batch_size: images at a time.
        notes: lines below the table.
        recorded: facts about this kind of evaluation, for the provenance.
        device: where the rows are, and where to measure.
        n_resamples: of the bootstrap.
        seed: of the bootstrap, and set before each row, so that a model which samples gives the
            same table again.
        progress: show a bar over images times rows.
        provenance: more to record, such as the command.

    Raises:
        ValueError: no rows or no images.
    """
    if not rows or not len(pictures):
        raise ValueError(f"nothing to evaluate: {len(rows)} models, {len(pictures)} pictures")
    device = torch.device(device)
    needs_lpips = [column for column in columns if column.endswith("lpips")]
    if needs_lpips and (reason := missing_lpips(device)):
        notes = [*notes, reason]
    else:
        needs_lpips = []
    measured = tuple(column for column in columns if column not in needs_lpips)
    parts: dict[str, list[Mapping[str, np.ndarray]]] = {name: [] for name in rows}
    on_gpu = device.type == "cuda"

    def random_state() -> tuple[Tensor, ...]:
        return torch.get_rng_state(), *([torch.cuda.get_rng_state(device)] if on_gpu else [])

    with (
        torch.random.fork_rng(devices=[device] if on_gpu else []),
        progress_bar(total=len(rows) * len(pictures), unit="picture", show=progress) as bar,
    ):
        torch.manual_seed(seed)
        states = dict.fromkeys(rows, random_state())
        for start in range(0, len(pictures), batch_size):
            truth = from_uint8(pictures.rgb[start : start + batch_size]).to(device)
            indices = range(start, start + len(truth))
            batch = Batch(indices, truth, lightness(truth), measured)
            for name, row in rows.items():
                bar.set_description(name)
                torch.set_rng_state(states[name][0])
                if on_gpu:
                    torch.cuda.set_rng_state(states[name][1], device)
                parts[name].append(measure(name, row, batch))
                states[name] = random_state()
                bar.update(len(truth))
    per_picture = {
        name: {column: np.concatenate([part[column] for part in own]) for column in own[0]}
        for name, own in parts.items()
    }
    return Evaluation(
        rows=[
            {"model": name}
            | {
                column: bootstrap(values[column], n_resamples, seed)._asdict()
                if column in values
                else None
                for column in columns
            }
            for name, values in per_picture.items()
        ],
        per_picture=per_picture,
        names=pictures.names,
        provenance={
            "data": {
                "source": pictures.source,
                "sha256": pictures.sha256,
                "pictures": len(pictures),
                "size": pictures.size,
            },
            "rounding": "8 bit",
            "bootstrap": {"n_resamples": n_resamples, "seed": seed, "level": 0.95},
            "truth_colorfulness": _mean_colorfulness(pictures, device),
            "versions": {"colorlab": colorlab.__version__}
            | {name: metadata.version(name) for name in ("torch", "scikit-image", "lpips")},
            "device": device.type,
            "date": datetime.now(UTC).strftime("%Y-%m-%d"),
            **recorded,
            **(provenance or {}),
        },
        notes=tuple(notes),
    )


def _mean_colorfulness(pictures: Pictures, device: torch.device) -> float:
    parts = [
        colorfulness(from_uint8(pictures.rgb[start : start + 16]).to(device))
        for start in range(0, len(pictures), 16)
    ]
    return torch.cat(parts).double().mean().item()
