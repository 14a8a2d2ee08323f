"""Measure colorizers on a set of images, by the protocol. Taught in notebook 03.

:func:`measure_rows` is the loop of every evaluation: of :func:`evaluate` here, of
:func:`colorlab.metrics.evaluate_diversity` and of :func:`colorlab.metrics.evaluate_known`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

import colorlab
from colorlab.color import from_uint8, lightness
from colorlab.files import progress_bar
from colorlab.metrics.pairs import check_batch, colorfulness
from colorlab.metrics.perceptual import missing_lpips
from colorlab.metrics.protocol import METRICS, choose, round_to_8_bit, versions
from colorlab.metrics.report import N_RESAMPLES, SEED, Evaluation, bootstrap
from colorlab.metrics.rows import Row

if TYPE_CHECKING:
    from colorlab.data.pictures import Pictures


def evaluate(
    models: Mapping[str, Row],
    pictures: Pictures,
    *,
    metrics: Iterable[str] | None = None,
    batch_size: int = 16,
    device: torch.device | str = "cpu",
    n_resamples: int = N_RESAMPLES,
    seed: int = SEED,
    progress: bool = True,
    provenance: Mapping[str, Any] | None = None,
) -> Evaluation:
    """Colorize every image with every model and compare it with the truth.

    Args:
        models: row name -> model, already on ``device``. A model gets the L of the 8-bit truth.
        pictures: the set. The protocol's numbers are at 256x256.
        metrics: names in :data:`colorlab.metrics.METRICS`; None for all.
        batch_size: images at a time.
        device: where to colorize and to measure.
        n_resamples: of the bootstrap.
        seed: of the bootstrap, and set before each row, so that a model which samples gives the
            same table again. The caller's random state is left as it was.
        progress: show a bar over images times rows.
        provenance: more to record, such as the command.

    Returns:
        The table. Where AlexNet's features are not available, LPIPS is None in every row and
        a note says why.

    Raises:
        ValueError: no models, no images, an unknown metric, or a model whose prediction is no
            batch of images in [0, 1] of the truth's shape.
    """
    chosen = choose(metrics)
    if not models or not len(pictures):
        raise ValueError(f"nothing to evaluate: {len(models)} models, {len(pictures)} pictures")
    if batch_size < 1:
        raise ValueError(f"batch_size must be at least 1, got {batch_size}")
    device = torch.device(device)
    notes = [f"{name}: {row.note}" for name, row in models.items() if hasattr(row, "note")]
    measured = chosen
    if "lpips" in chosen and (reason := missing_lpips(device)):
        measured = tuple(metric for metric in chosen if metric != "lpips")
        notes.append(reason)

    def prepared(rgb: Tensor) -> dict[Any, Any]:
        """Images as each metric compares them, once where two metrics want the same."""
        return {how: how(rgb) for how in {METRICS[metric].prepare for metric in measured}}

    def measure(name: str, model: Row, batch: Batch) -> dict[str, np.ndarray]:
        own = prepared(_colorize(name, model, batch))
        values = {}
        for metric in measured:
            how = METRICS[metric]
            compared = how.compare(own[how.prepare], batch.shared[how.prepare])
            values[metric] = compared.double().cpu().numpy()
        return values

    per_picture = measure_rows(
        models, pictures, batch_size, measure, prepared, device=device, seed=seed, progress=progress
    )
    return summarize(
        per_picture,
        chosen,
        pictures,
        device=device,
        n_resamples=n_resamples,
        seed=seed,
        notes=notes,
        provenance={"batch_size": batch_size, **(provenance or {})},
    )


class Batch(NamedTuple):
    """Some images of a set.

    Attributes:
        indices: their positions in the set.
        truth: (N, 3, H, W) sRGB in [0, 1], on the device.
        L: (N, 1, H, W) lightness in [0, 100].
        shared: what is computed from the truth once, for all rows.
    """

    indices: range
    truth: Tensor
    L: Tensor
    shared: Any


def measure_rows(
    rows: Mapping[str, Any],
    pictures: Pictures,
    batch_size: int,
    measure: Callable[[str, Any, Batch], Mapping[str, Any]],
    share: Callable[[Tensor], Any] = lambda truth: None,
    *,
    device: torch.device,
    seed: int,
    progress: bool,
    unit: str = "picture",
) -> dict[str, dict[str, np.ndarray]]:
    """Measure every row on every batch of images.

    Batches are the outer loop, so that what all rows need of the truth is computed once. Each row
    sees torch's random numbers as if it were alone, and the caller's random state is kept.

    Args:
        rows: row name -> what ``measure`` takes.
        pictures: the set.
        batch_size: images at a time.
        measure: of a row's name, the row and a batch: column -> one value an image (N, ...).
        share: makes ``Batch.shared`` of a batch's truth.
        device: where to.
        seed: set before each row.
        progress: show a bar over images times rows.
        unit: of the bar.

    Returns:
        Row -> column -> array over all images.
    """
    parts: dict[str, list[Mapping[str, Any]]] = {name: [] for name in rows}
    on_gpu = device.type == "cuda"

    def random_state() -> tuple[Tensor, ...]:
        return torch.get_rng_state(), *([torch.cuda.get_rng_state(device)] if on_gpu else [])

    with (
        torch.random.fork_rng(devices=[device] if on_gpu else []),
        progress_bar(total=len(rows) * len(pictures), unit=unit, show=progress) as bar,
    ):
        torch.manual_seed(seed)
        states = dict.fromkeys(rows, random_state())
        for indices, truth in _batches(pictures, batch_size, device):
            batch = Batch(indices, truth, lightness(truth), share(truth))
            for name, row in rows.items():
                bar.set_description(name)
                torch.set_rng_state(states[name][0])
                if on_gpu:
                    torch.cuda.set_rng_state(states[name][1], device)
                parts[name].append(measure(name, row, batch))
                states[name] = random_state()
                bar.update(len(truth))
    return {
        name: {column: np.concatenate([part[column] for part in own]) for column in own[0]}
        for name, own in parts.items()
    }


def _batches(pictures: Pictures, size: int, device: torch.device) -> Iterator[tuple[range, Tensor]]:
    """Indices and images (N, 3, H, W) in [0, 1] of each batch, in order."""
    for start in range(0, len(pictures), size):
        truth = from_uint8(pictures.rgb[start : start + size]).to(device)
        yield range(start, start + len(truth)), truth


def summarize(
    per_picture: Mapping[str, Mapping[str, np.ndarray]],
    columns: Iterable[str],
    pictures: Pictures,
    *,
    device: torch.device,
    n_resamples: int,
    seed: int,
    notes: Iterable[str],
    provenance: Mapping[str, Any],
) -> Evaluation:
    """Make the table of values measured on ``pictures``: means, intervals, and where from.

    Args:
        per_picture: model -> column -> (N,) array. A column that is absent becomes None.
        columns: of the table.
        pictures: the set that was measured.
        device: where.
        n_resamples: of the bootstrap.
        seed: of the bootstrap and the draws.
        notes: lines below the table.
        provenance: more to record.
    """
    vivid = torch.cat([colorfulness(truth) for _, truth in _batches(pictures, 16, device)])
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
        per_picture={name: dict(values) for name, values in per_picture.items()},
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
            "truth_colorfulness": vivid.double().mean().item(),
            "versions": {"colorlab": colorlab.__version__, **versions()},
            "device": device.type,
            "date": datetime.now(UTC).strftime("%Y-%m-%d"),
            **provenance,
        },
        notes=tuple(notes),
    )


def _colorize(name: str, model: Row, batch: Batch) -> Tensor:
    """Colorize one batch and round it to 8 bit."""
    truth = batch.truth
    with torch.no_grad():
        known = getattr(model, "colorize_known", None)
        generated = model.colorize(batch.L) if known is None else known(batch.L, truth)
    check_batch(generated, f"the answer of {name!r}")
    if generated.shape != truth.shape:
        raise ValueError(
            f"the answer of {name!r} has shape {tuple(generated.shape)}, want {tuple(truth.shape)}"
        )
    return round_to_8_bit(generated.to(truth))
