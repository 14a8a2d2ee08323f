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
from contextlib import nullcontext
from pathlib import Path

import torch
from torch import Tensor
from tqdm.auto import tqdm

from colorlab import parallel
from colorlab.data.loaders import batches_in_order
from colorlab.data.pictures import Pictures
from colorlab.models.base import Colorizer
from colorlab.models.encoder_maps import EncoderMaps
from colorlab.progress import progress_bar
from colorlab.runs import History, RunFolder
from colorlab.trainer import TrainConfig, Trainer, fastest_precision, known_maps

__all__ = ["History", "TrainConfig", "fit", "validate"]

SHOW_EVERY = 20  # steps between readings of the loss: each reading makes a GPU's host wait

OnValidation = Callable[[int, Colorizer], None]


def validate(
    model: Colorizer,
    pictures: Pictures,
    device: torch.device | str = "cpu",
    maps: EncoderMaps | None = None,
) -> float:
    """Mean validation score over ``pictures``, lower is better; each process takes its share.

    ``maps`` are the pretrained encoder's for them, for a process that is alone.
    """
    was_training = model.training
    model.eval()
    mine = slice(parallel.rank(), None, parallel.size())
    part = dataclasses.replace(pictures, rgb=pictures.rgb[mine], names=pictures.names[mine])
    scores = [model.validation_score(batch) for batch in batches_in_order(part, 64, device, maps)]
    model.train(was_training)
    total = torch.cat(scores).sum() if scores else torch.zeros((), device=device)
    return parallel.mean(total).item() * parallel.size() / len(pictures)


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
        BlockingIOError: another trainer is at work in ``out``.
        OSError: ``out`` cannot be written, or its disk is full; the last saved state is kept.
        FloatingPointError: the loss or the gradient of a step is no longer finite. ``out`` has
            the state before that step, and its batch.

    However it ends, also by an interrupt, the model has its best weights so far.
    """
    identity = {
        "model": type(model).__name__,
        **dataclasses.asdict(model.config),
        **dataclasses.asdict(config),
        "data": train.sha256,
    }
    folder = RunFolder(Path(out), identity) if out is not None else None
    writes = parallel.rank() == 0
    with torch.random.fork_rng(), folder.held() if folder and writes else nullcontext():
        saved = folder.open(resume) if folder else None
        parallel.wait()  # nobody writes before all have read
        history = History.from_state(saved["history"]) if saved else History()
        if not history.precision:
            history.precision = (
                fastest_precision(model, train, config)[0]
                if config.precision == "auto"
                else config.precision
            )
        folder = folder if writes else None
        run = _Run(Trainer(model, train, config), history, folder, on_validation)
        if saved:
            run.restore(saved)
        try:
            run.go(val, progress and writes)
        finally:  # also after an interrupt: the best weights so far, ready to colorize
            model.load_state_dict(run.best or run.trainer.best_guess.state_dict())
            model.eval()
    parallel.wait()
    return run.history


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
        self.val_maps: EncoderMaps | None = None

    def go(self, val: Pictures | None, progress: bool) -> None:
        trainer, config = self.trainer, self.trainer.config
        if val is not None and trainer.model.keeps_best and parallel.size() == 1:
            self.val_maps = known_maps(trainer.model, val, trainer.device, 2 * len(val))
        every = config.validate_every or math.ceil(len(trainer.batches.order) / config.batch_size)
        saved_at = time.monotonic()
        began = saved_at - self.history.seconds
        bar = progress_bar(total=config.steps, initial=trainer.step, show=progress, unit="step")
        good = self.state()
        with bar:
            while trainer.step < config.steps:
                self.history.add(trainer.advance(self.history.precision))
                bar.update()
                self.history.seconds = time.monotonic() - began
                last = trainer.step == config.steps
                validates = trainer.step % every == 0 or last
                reads = validates or trainer.step % SHOW_EVERY == 0
                due = time.monotonic() - saved_at > config.checkpoint_every
                # Clocks differ: what processes do together hangs on the step alone.
                saves = self.folder and (last or (due and (reads or parallel.size() == 1)))
                if not (reads or saves):
                    continue
                if not self._is_finite(self.history.mean_terms()):
                    self._repeat(good)
                if validates:
                    self._validate(val)
                else:
                    self._show(bar)
                good = self.state()
                if saves:
                    self.folder.save(good)
                    saved_at = time.monotonic()

    def _validate(self, val: Pictures | None) -> None:
        trainer, history = self.trainer, self.history
        guess = trainer.best_guess
        score = None
        if val is not None:
            score = validate(guess, val, trainer.device, self.val_maps)
        best = history.close_row(trainer.step, score)
        if best and trainer.model.keeps_best:
            self.best = copy.deepcopy(trainer.best_guess.state_dict())
        if self.on_validation:
            self.on_validation(trainer.step, trainer.best_guess)

    def _show(self, bar: tqdm) -> None:
        shown = {name: f"{value:.4f}" for name, value in self.history.mean_terms().items()}
        rate = (bar.format_dict["rate"] or 0) * self.trainer.config.batch_size
        bar.set_postfix(shown | {"pictures/s": f"{rate:.0f}"})

    def _is_finite(self, terms: dict[str, float]) -> bool:
        # A loss can be finite while its gradient is not: then the weights tell.
        weights = [v for v in self.trainer.model.state_dict().values() if v.is_floating_point()]
        return all(map(math.isfinite, terms.values())) and bool(
            torch.stack([value.isfinite().all() for value in weights]).all()
        )

    def _repeat(self, good: dict) -> None:
        """Go through the steps since the last good state again, and stop before the bad one.

        The loss is read only now and then, since each reading makes a GPU's host wait. A step is
        a pure function of the state before it, so the bad one is found again. A flaw that does
        not come back (a GPU adds in any order) stops nothing.

        Raises:
            FloatingPointError: names the step, the loss, and what was kept.
        """
        end = self.trainer.step
        self.restore(good)
        while self.trainer.step < end:
            before = self.state()
            terms = self.trainer.advance(self.history.precision)
            self.history.add(terms)
            values = {name: value.item() for name, value in terms.items()}
            if not self._is_finite(values):
                self.restore(before)
                raise FloatingPointError(self._told(values))

    def _told(self, values: dict[str, float]) -> str:
        step = self.trainer.step
        wrong = [f"{name}={v}" for name, v in values.items() if not math.isfinite(v)]
        what = f"the loss {', '.join(wrong)}" if wrong else "the gradient"
        kept = f"the weights of step {step} are kept"
        if self.folder:
            batch = self.folder.keep_batch(step + 1, self.trainer.batches.at(step))
            self.folder.save(self.state())
            kept += f" in {self.folder.path}, the batch in {batch.name}"
        return (
            f"{what} of step {step + 1} is not finite; {kept}; start again with a lower learning "
            "rate, or in float32"
        )

    def state(self) -> dict:
        """A copy of all that the next step depends on; later steps do not change it."""
        return {
            "trainer": copy.deepcopy(self.trainer.state()),
            "history": self.history.state(),
            "best": self.best,
        }

    def restore(self, state: dict) -> None:
        """Continue from :meth:`state`."""
        self.trainer.restore(copy.deepcopy(state["trainer"]))
        self.history = History.from_state(state["history"])
        self.best = state["best"]
