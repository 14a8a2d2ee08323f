"""One loop for every model: train, validate, keep the best, save, resume.

A run can be killed at any moment and resumed to the same weights, bit for bit on a CPU. Built
up in notebooks 04 and 05.
"""

from __future__ import annotations

import copy
import dataclasses
import math
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor
from tqdm.auto import tqdm

from colorlab.data.loaders import batches_in_order
from colorlab.data.pictures import Pictures
from colorlab.models.base import Colorizer
from colorlab.progress import progress_bar
from colorlab.runs import History, RunFolder
from colorlab.trainer import TrainConfig, Trainer, fastest_precision

__all__ = ["History", "TrainConfig", "fit", "validate"]

SHOW_EVERY = 20  # steps between readings of the loss: each reading makes a GPU's host wait

OnValidation = Callable[[int, Colorizer], None]


def validate(model: Colorizer, pictures: Pictures, device: torch.device | str = "cpu") -> float:
    """Mean validation score over ``pictures``, lower is better."""
    was_training = model.training
    model.eval()
    scores = [model.validation_score(batch) for batch in batches_in_order(pictures, 64, device)]
    model.train(was_training)
    return torch.cat(scores).mean().item()


def fit(
    model: Colorizer,
    train: Pictures,
    val: Pictures | None = None,
    config: TrainConfig = TrainConfig(),
    out: Path | str | None = None,
    resume: bool = False,
    progress: bool = True,
    on_validation: OnValidation | None = None,
) -> History:
    """Train ``model`` in place and leave its best weights in it, averaged ones where asked for.

    Args:
        model: any colorizer; its ``players()`` say what is minimized.
        train: training pictures.
        val: validation pictures; without them, and for a model that does not keep its best, the
            last weights are kept.
        config: how to train.
        out: folder for the run's state; without it nothing is written and nothing resumed.
        resume: go on with the run in ``out``, if there is one. The weights at the end are the
            same as if it had never stopped.
        progress: show a bar with the loss and pictures per second.
        on_validation: called with (step, weights validated) after each validation.

    Returns:
        The history: one row a validation, and the best score with its step.

    Raises:
        ValueError: settings or data differ from those of the run to resume.
        FileExistsError: ``out`` holds a run and ``resume`` is false.
        FloatingPointError: the loss is no longer finite; the last saved state is kept.
    """
    identity = {
        "model": type(model).__name__,
        **dataclasses.asdict(model.config),
        **dataclasses.asdict(config),
        "data": train.sha256,
    }
    folder = RunFolder(Path(out), identity) if out is not None else None
    saved = folder.open(resume) if folder else None
    with torch.random.fork_rng():
        history = History.from_state(saved["history"]) if saved else History()
        if not history.precision:
            history.precision = (
                fastest_precision(model, train, config)[0]
                if config.precision == "auto"
                else config.precision
            )
        run = _Run(Trainer(model, train, config), history, folder, on_validation)
        if saved:
            run.trainer.restore(saved["trainer"])
            run.best = saved["best"]
        run.go(val, progress)
    model.load_state_dict(run.best or run.trainer.best_guess.state_dict())
    model.eval()
    return history


class _Run:
    """A trainer with its history, best weights and folder."""

    def __init__(
        self,
        trainer: Trainer,
        history: History,
        folder: RunFolder | None,
        on_validation: OnValidation | None,
    ) -> None:
        self.trainer = trainer
        self.history = history
        self.folder = folder
        self.on_validation = on_validation
        self.best: dict[str, Tensor] | None = None

    def go(self, val: Pictures | None, progress: bool) -> None:
        trainer, config = self.trainer, self.trainer.config
        every = config.validate_every or math.ceil(
            len(trainer.batches.pictures) / config.batch_size
        )
        saved_at = time.monotonic()
        began = saved_at - self.history.seconds
        bar = progress_bar(total=config.steps, initial=trainer.step, show=progress, unit="step")
        with bar:
            while trainer.step < config.steps:
                self.history.add(trainer.advance(self.history.precision))
                bar.update()
                self.history.seconds = time.monotonic() - began
                last = trainer.step == config.steps
                if trainer.step % every == 0 or last:
                    self._validate(val)
                elif trainer.step % SHOW_EVERY == 0:
                    self._check_finite(self.history.mean_terms())
                    self._show(bar)
                if self.folder and (last or time.monotonic() - saved_at > config.checkpoint_every):
                    self._check_finite(self.history.mean_terms())
                    self.folder.save(self._state())
                    saved_at = time.monotonic()

    def _validate(self, val: Pictures | None) -> None:
        trainer, history = self.trainer, self.history
        terms = history.mean_terms()
        self._check_finite(terms)
        score = validate(trainer.best_guess, val, trainer.device) if val is not None else None
        best = history.close_row(trainer.step, score)
        if best and trainer.model.keeps_best:
            self.best = copy.deepcopy(trainer.best_guess.state_dict())
        if self.on_validation:
            self.on_validation(trainer.step, trainer.best_guess)

    def _show(self, bar: tqdm) -> None:
        shown = {name: f"{value:.4f}" for name, value in self.history.mean_terms().items()}
        rate = (bar.format_dict["rate"] or 0) * self.trainer.config.batch_size
        bar.set_postfix(shown | {"pictures/s": f"{rate:.0f}"})

    def _check_finite(self, terms: dict[str, float]) -> None:
        wrong = {k: v for k, v in terms.items() if not math.isfinite(v)}
        if wrong:
            kept = f"; the last good state is in {self.folder.path}" if self.folder else ""
            raise FloatingPointError(
                f"loss {wrong} at step {self.trainer.step} is not finite{kept}; "
                "lower the learning rate, or train in float32"
            )

    def _state(self) -> dict:
        return {
            "trainer": self.trainer.state(),
            "history": self.history.state(),
            "best": self.best,
        }
