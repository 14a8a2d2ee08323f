"""One loop for every model: train, validate, keep the best weights, save, resume.

In a training step every player moves once; the step knows no model. Everything random in a step is
a pure function of (seed, step), so the state between two steps is the weights, their averages and
the optimizers' moments, and nothing else. A run can be killed at any moment and resumed to the same
weights, bit for bit on a CPU. Built up in lessons 04 and 05.
"""

from __future__ import annotations

import copy
import dataclasses
import math
import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor, nn

from colorlab import parallel
from colorlab.data.cache import Pictures
from colorlab.data.loaders import Augmentation, TrainingBatches, batches_in_order
from colorlab.files import progress_bar
from colorlab.models.base import Colorizer
from colorlab.training.encoder_maps import EncoderMaps, known_maps
from colorlab.training.runs import History, RunFolder

SHOW_EVERY = 20  # steps between readings of the loss, since a GPU must finish its work for each

Precision = Literal["auto", "float32", "bfloat16"]


@dataclass(frozen=True)
class TrainConfig:
    """How to train, each default with its reason.

    Attributes:
        steps: number of batches; the cosine schedule ends there.
        batch_size: 32 keeps two cores busy; larger batches learn no faster per image here.
        learning_rate: peak of the schedule, for AdamW.
        weight_decay: AdamW's; small, since few passes are made over the data.
        warmup: share of the steps in which the learning rate rises to its peak.
        ema: decay of the averaged weights, 0 to omit them. The averaged weights are the ones that
            are validated and kept.
        clip: largest gradient norm, so that one bad batch does not ruin the run.
        augment: see :class:`colorlab.data.loaders.TrainingBatches`.
        crop_size: side of random crops; see there.
        repeat: which images an epoch shows more than once, as ``"GLOB=TIMES"`` of their names,
            such as ``"photos/*=3"``: gives more weight to a small set that resembles the test set.
        seed: of the batches and of everything random in a step.
        validate_every: steps between validations, 0 for the end of each epoch.
        checkpoint_every: seconds between saved states; a kill loses at most that.
        precision: "auto" measures float32 and bfloat16 at the start and takes the faster.
        device: "auto" takes a GPU if there is one.
    """

    steps: int = 1000
    batch_size: int = 32
    learning_rate: float = 2e-3
    weight_decay: float = 0.01
    warmup: float = 0.05
    ema: float = 0.998
    clip: float = 1.0
    augment: Augmentation = "flip"
    crop_size: int = 0
    repeat: str = ""
    seed: int = 0
    validate_every: int = 0
    checkpoint_every: float = 60.0
    precision: Precision = "auto"
    device: str = "auto"

    def __post_init__(self) -> None:
        for name in ("steps", "batch_size", "learning_rate", "clip"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} must be positive, got {getattr(self, name)}")
        for name in ("weight_decay", "crop_size", "seed", "validate_every", "checkpoint_every"):
            if not getattr(self, name) >= 0:
                raise ValueError(f"{name} must be 0 or more, got {getattr(self, name)}")
        for name in ("ema", "warmup"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"{name} must lie in [0, 1), got {getattr(self, name)}")


def learning_rate_factor(step: int, steps: int, warmup: float) -> float:
    """Linear warm-up, then half a cosine to zero (Loshchilov and Hutter 2017, equation 5)."""
    rising = max(1, round(warmup * steps))
    if step < rising:
        return (step + 1) / rising
    progress = (step - rising) / max(1, steps - rising)
    return 0.5 * (1 + math.cos(math.pi * progress))


def pick_device(name: str) -> torch.device:
    """The device to use: ``"auto"`` is a GPU if there is one, otherwise the CPU."""
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
        torch.zeros(1, device=device).item()
    except (RuntimeError, AssertionError) as error:  # of PyTorch, a list of its backends
        raise ValueError(
            f"--device {name}: no such device here; take auto, cpu, or the cuda or mps of a GPU"
        ) from error
    return device


class Average:
    """Exponential moving average of a model's weights and of its normalization statistics.

    Averaged weights are smoother than the last step's, and usually better. Their normalization
    statistics must be averaged too: with those of the last step, validation on photographs jumps
    by half a Delta-E from one epoch to the next.

    After t steps the decay is min(decay, (1 + t) / (10 + t)), 2 / 11 after the first, which gives
    the first, poor weights little influence.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.decay = decay
        self.model = copy.deepcopy(model).eval().requires_grad_(False)

    @torch.no_grad()
    def update(self, model: nn.Module, step: int) -> None:
        """Move the average towards ``model`` after ``step`` steps; counters are copied."""
        decay = min(self.decay, (1 + step) / (10 + step))
        # Not by name: building two state dicts takes a twentieth of a small model's step.
        mine, theirs = (list(chain(m.parameters(), m.buffers())) for m in (self.model, model))
        floating = [i for i, value in enumerate(mine) if value.is_floating_point()]
        torch._foreach_lerp_([mine[i] for i in floating], [theirs[i] for i in floating], 1 - decay)
        for i in set(range(len(mine))).difference(floating):
            mine[i].copy_(theirs[i])


class Trainer:
    """The state of a run between two steps, and the step itself."""

    def __init__(self, model: Colorizer, pictures: Pictures, config: TrainConfig) -> None:
        self.config = config
        self.device = device = pick_device(config.device)
        uncut = config.augment in ("none", "flip")  # a crop has other maps than its image
        shown = config.steps * config.batch_size
        self.batches = TrainingBatches(
            pictures,
            config.batch_size,
            config.seed,
            config.augment,
            device,
            config.crop_size,
            parallel.share(config.batch_size),
            known_maps(model, pictures, device, shown) if uncut else None,
            config.repeat,
        )
        self.model = model.to(device, memory_format=torch.channels_last).train()
        parallel.share_statistics(model)
        self.players = model.players()
        self.losses = {p.name: parallel.averaging(p.module, p.loss) for p in self.players}
        self.optimizers = {
            p.name: torch.optim.AdamW(
                p.module.parameters(),
                lr=config.learning_rate * p.rate,
                betas=p.betas,
                weight_decay=config.weight_decay,
                fused=True,
            )
            for p in self.players
        }
        self.average = Average(model, config.ema) if config.ema else None
        self.step = 0

    @property
    def best_guess(self) -> Colorizer:
        """The model to validate and keep: the averaged one if there is any."""
        return self.average.model if self.average else self.model

    def advance(self, precision: Precision) -> dict[str, Tensor]:
        """Let every player take one step on the next batch; returns the terms of the losses."""
        config = self.config
        batch = self.batches.at(self.step)
        # Dropout and latent noise differ between the processes.
        torch.manual_seed((config.seed * 1_000_003 + self.step) * parallel.size() + parallel.rank())
        factor = learning_rate_factor(self.step, config.steps, config.warmup)
        terms: dict[str, Tensor] = {}
        for player in self.players:
            optimizer = self.optimizers[player.name]
            for group in optimizer.param_groups:
                group["lr"] = config.learning_rate * player.rate * factor
            with torch.autocast(self.device.type, torch.bfloat16, precision == "bfloat16"):
                mine = self.losses[player.name](batch)
            self.model.zero_grad(set_to_none=True)
            # A player's loss also depends on the other player, whose gradient is not needed.
            own = [p for p in player.module.parameters() if p.requires_grad]
            sum(mine.values()).backward(inputs=own)
            nn.utils.clip_grad_norm_(own, config.clip)
            optimizer.step()
            terms.update({k: v.detach() for k, v in mine.items()})
        self.step += 1
        if self.average:
            self.average.update(self.model, self.step)
        return {name: parallel.mean(value) for name, value in terms.items()}

    def state(self) -> dict:
        """Everything that the next step depends on."""
        return {
            "step": self.step,
            "model": self.model.state_dict(),
            "average": self.average.model.state_dict() if self.average else {},
            "optimizers": {k: o.state_dict() for k, o in self.optimizers.items()},
        }

    def restore(self, state: dict) -> None:
        """Continue from :meth:`state`."""
        self.step = state["step"]
        self.model.load_state_dict(state["model"])
        if self.average:
            self.average.model.load_state_dict(state["average"])
        for name, optimizer in self.optimizers.items():
            optimizer.load_state_dict(state["optimizers"][name])


def fastest_precision(
    model: Colorizer, pictures: Pictures, config: TrainConfig
) -> tuple[Precision, float]:
    """The precision that trains faster here, with its images per second, on copies of the model.

    bfloat16 doubles the speed of some processors and costs a third of it on others, and a few take
    ten times as long. Where one process trains alone, the measurement of a precision stops at a
    step of less than half the speed of the other one, or of a sixth in its first step, which also
    builds kernels and moments.
    """
    tried = ("float32", "bfloat16") if config.precision == "auto" else (config.precision,)
    speeds: dict[Precision, float] = {}
    for precision in tried:
        trial = Trainer(copy.deepcopy(model), pictures, config)
        known, times = max(speeds.values(), default=0), []
        for turn in range(4):
            start = time.perf_counter()
            terms = trial.advance(precision)
            sum(terms.values()).item()  # waits until a GPU is done
            times.append(time.perf_counter() - start)
            hopeless = known / (2 if turn else 6)
            if parallel.size() == 1 and config.batch_size / times[-1] < hopeless:
                break
        # The fastest of the later steps is the one that other programs disturbed least.
        speed = torch.tensor(config.batch_size / min(times[1:] or times), device=trial.device)
        speeds[precision] = parallel.mean(speed).item()  # so that all processes choose alike
    best = max(speeds, key=speeds.get)
    return best, speeds[best]


def validate(
    model: Colorizer,
    pictures: Pictures,
    device: torch.device | str = "cpu",
    maps: EncoderMaps | None = None,
) -> float:
    """Mean validation score over ``pictures``, lower is better; each process takes its share.

    ``maps`` are the pretrained encoder's for them, if one process trains alone.
    """
    mine = slice(parallel.rank(), None, parallel.size())
    part = dataclasses.replace(pictures, rgb=pictures.rgb[mine], names=pictures.names[mine])
    with model.evaluating():
        scores = [model.validation_score(b) for b in batches_in_order(part, 64, device, maps)]
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
    on_validation: Callable[[int, Colorizer], None] | None = None,
) -> History:
    """Train ``model`` in place; it ends with its best weights, averaged if ``config`` says so.

    Args:
        model: any colorizer; its ``players()`` define what is minimized.
        train: training images.
        val: validation images; without them, and for a model whose ``keeps_best`` is false, the
            last weights are kept.
        config: how to train.
        out: folder for the state of the run; without it nothing is written or resumed.
        resume: continue the run in ``out``, if there is one. The final weights are the same as if
            it had never stopped.
        progress: show a bar with the loss and the images per second.
        on_validation: called with (step, model that was validated) after each validation.

    Returns:
        The history: one row for each validation, and the best score with its step.

    Raises:
        FloatingPointError: the loss or the gradient is no longer finite. ``out`` has the last
            state that was.

    However it ends, by an interrupt too, the model has its best weights so far.
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
        parallel.wait()  # no process writes before all have read
        history = History(**saved["history"]) if saved else History()
        if not history.precision:
            history.precision = (
                fastest_precision(model, train, config)[0]
                if config.precision == "auto"
                else config.precision
            )
        run = _Run(Trainer(model, train, config), history, folder if writes else None)
        if saved:
            run.restore(saved)
        try:
            run.go(val, progress and writes, on_validation)
        finally:  # after an interrupt too: the best weights so far, ready to colorize
            model.load_state_dict(run.best or run.trainer.best_guess.state_dict())
            model.eval()
    parallel.wait()
    return run.history


class _Run:
    """A trainer with its history, best weights and folder."""

    def __init__(self, trainer: Trainer, history: History, folder: RunFolder | None) -> None:
        self.trainer, self.history, self.folder = trainer, history, folder
        self.best: dict[str, Tensor] | None = None

    def go(self, val: Pictures | None, progress: bool, on_validation: Callable | None) -> None:
        trainer, config, maps = self.trainer, self.trainer.config, None
        if val is not None and trainer.model.keeps_best and parallel.size() == 1:
            maps = known_maps(trainer.model, val, trainer.device, 2 * len(val))
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
                # Clocks differ: what processes do together depends on the step alone.
                saves = self.folder and (last or (due and (reads or parallel.size() == 1)))
                if not (reads or saves):
                    continue
                if not self._is_finite(self.history.mean_terms()):
                    self._stop(good)
                if validates:
                    guess = trainer.best_guess
                    score = None if val is None else validate(guess, val, trainer.device, maps)
                    if self.history.close_row(trainer.step, score) and trainer.model.keeps_best:
                        self.best = copy.deepcopy(guess.state_dict())
                    if on_validation:
                        on_validation(trainer.step, guess)
                else:
                    shown = {k: f"{value:.4f}" for k, value in self.history.mean_terms().items()}
                    rate = (bar.format_dict["rate"] or 0) * config.batch_size
                    bar.set_postfix(shown | {"pictures/s": f"{rate:.0f}"})
                good = self.state()
                if saves:
                    self.folder.save(good)
                    saved_at = time.monotonic()

    def _is_finite(self, terms: dict[str, float]) -> bool:
        # A loss can be finite while its gradient is not: then the weights are not.
        weights = [v for v in self.trainer.model.state_dict().values() if v.is_floating_point()]
        return all(map(math.isfinite, terms.values())) and bool(
            torch.stack([value.isfinite().all() for value in weights]).all()
        )

    def _stop(self, good: dict) -> None:
        """Go back to the last good state, save it, and raise."""
        end, terms = self.trainer.step, self.history.mean_terms()
        self.restore(good)
        if self.folder:
            self.folder.save(good)
        wrong = [f"the loss {k}={v}" for k, v in terms.items() if not math.isfinite(v)]
        step, where = self.trainer.step, f" in {self.folder.path}" if self.folder else ""
        raise FloatingPointError(
            f"{', '.join(wrong) or 'the gradient'} of steps {step + 1} to {end} is not finite; the "
            f"weights of step {step} are kept{where}; start again with a lower learning rate, or "
            "in float32"
        )

    def state(self) -> dict:
        """A copy of all that the next step depends on; later steps do not change it."""
        return {
            "trainer": copy.deepcopy(self.trainer.state()),
            "history": self.history.state(),
            "best": self.best,
        }

    def restore(self, state: dict) -> None:
        """Continue from :meth:`state`, which stays as it is."""
        self.trainer.restore(copy.deepcopy(state["trainer"]))
        self.history = History(**copy.deepcopy(state["history"]))
        self.best = state["best"]
