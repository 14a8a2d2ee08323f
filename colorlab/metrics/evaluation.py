"""Measure colorizers on a set of pictures, by the protocol. Taught in notebook 03."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import torch
from torch import Tensor

import colorlab
from colorlab.color import from_uint8, lightness
from colorlab.metrics.checks import check_batch
from colorlab.metrics.colorfulness import colorfulness
from colorlab.metrics.intervals import N_RESAMPLES, SEED, bootstrap
from colorlab.metrics.perceptual import LPIPSUnavailable, load_lpips
from colorlab.metrics.protocol import METRICS, choose, round_to_8_bit, versions
from colorlab.metrics.report import Evaluation
from colorlab.progress import progress_bar

if TYPE_CHECKING:
    from colorlab.data.pictures import Pictures


class Row(Protocol):
    """What can be measured: anything that turns lightness into a picture.

    A row that is allowed to see the truth, an oracle, defines
    ``colorize_known(L, rgb)`` instead, and says so by that name.
    """

    def colorize(self, L: Tensor) -> Tensor:
        """L (N, 1, H, W) in [0, 100] to sRGB (N, 3, H, W) in [0, 1]."""


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
    """Colorize every picture with every model and measure against the truth.

    Args:
        models: row name -> model, already on ``device``. A model gets L alone, of the 8-bit
            truth.
        pictures: the set. The protocol's numbers are at 256x256.
        metrics: names out of :data:`colorlab.metrics.METRICS`; None for all.
        batch_size: pictures at a time.
        device: where to colorize and to measure.
        n_resamples: of the bootstrap.
        seed: of the bootstrap, and set before each row, so that a model which draws random
            numbers gives the same table again. The caller's random state is left as it was.
        progress: show a bar over pictures times rows.
        provenance: more to record, such as the command.

    Returns:
        The table. Where AlexNet's features are not at hand, LPIPS is None in every row and
        a note says why.

    Raises:
        ValueError: no models, no pictures, an unknown metric, or a model whose answer is no
            batch of pictures in [0, 1] of the truth's shape.
    """
    chosen = choose(metrics)
    if not models or not len(pictures):
        raise ValueError(f"nothing to evaluate: {len(models)} models, {len(pictures)} pictures")
    if batch_size < 1:
        raise ValueError(f"batch_size must be at least 1, got {batch_size}")
    device = torch.device(device)
    measured, notes = chosen, []
    if "lpips" in chosen:
        try:
            load_lpips(device)
        except LPIPSUnavailable as reason:
            measured = tuple(metric for metric in chosen if metric != "lpips")
            notes.append(str(reason))

    per_picture: dict[str, dict[str, np.ndarray]] = {}
    with progress_bar(total=len(models) * len(pictures), unit="picture", show=progress) as bar:
        for name, model in models.items():
            bar.set_description(name)
            values: dict[str, list[Tensor]] = {metric: [] for metric in measured}
            with _seeded(seed, device):
                for truth in _batches(pictures, batch_size, device):
                    generated = _colorize(name, model, truth)
                    for metric in measured:
                        values[metric].append(
                            METRICS[metric].measure(generated, truth).double().cpu()
                        )
                    bar.update(len(truth))
            per_picture[name] = {metric: torch.cat(v).numpy() for metric, v in values.items()}

    vivid = [colorfulness(truth) for truth in _batches(pictures, batch_size, device)]
    return Evaluation(
        rows=[
            {"model": name}
            | {
                metric: bootstrap(values[metric], n_resamples, seed)._asdict()
                if metric in values
                else None
                for metric in chosen
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
            "truth_colorfulness": torch.cat(vivid).double().mean().item(),
            "versions": {"colorlab": colorlab.__version__, **versions()},
            "device": device.type,
            "batch_size": batch_size,
            "date": datetime.now(UTC).strftime("%Y-%m-%d"),
            **(provenance or {}),
        },
        notes=tuple(notes),
    )


def _batches(pictures: Pictures, size: int, device: torch.device) -> Iterator[Tensor]:
    """The pictures in order, (N, 3, H, W) in [0, 1] on ``device``."""
    for start in range(0, len(pictures), size):
        yield from_uint8(pictures.rgb[start : start + size]).to(device)


def _colorize(name: str, model: Row, truth: Tensor) -> Tensor:
    """Colorize one batch and round it to 8 bit."""
    L = lightness(truth)
    with torch.no_grad():
        known = getattr(model, "colorize_known", None)
        generated = model.colorize(L) if known is None else known(L, truth)
    check_batch(generated, f"the answer of {name!r}")
    if generated.shape != truth.shape:
        raise ValueError(
            f"the answer of {name!r} has shape {tuple(generated.shape)}, want {tuple(truth.shape)}"
        )
    return round_to_8_bit(generated.to(truth))


@contextmanager
def _seeded(seed: int, device: torch.device) -> Iterator[None]:
    """Seed torch within, and put back the caller's random state after."""
    on_gpu = device.type == "cuda"
    with torch.random.fork_rng(devices=[device] if on_gpu else []):
        torch.manual_seed(seed)
        yield
