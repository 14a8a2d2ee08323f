"""A training step: every player moves once; the step knows no model.

Everything random in a step is a pure function of (seed, step), so the state between two steps
is weights, averages and optimizer moments, and nothing else.
"""

from __future__ import annotations

import copy
import math
import time
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from colorlab import parallel
from colorlab.averaging import Average
from colorlab.data.loaders import Augmentation, TrainingBatches
from colorlab.data.pictures import Pictures
from colorlab.models.base import Colorizer, Player
from colorlab.models.encoder_maps import EncoderMaps
from colorlab.models.encoders import SCRATCH

Precision = Literal["auto", "float32", "bfloat16"]


@dataclass(frozen=True)
class TrainConfig:
    """How to train; each default carries its reason.

    Attributes:
        steps: number of batches; the cosine schedule ends there.
        batch_size: 32 fills two cores; larger ones learn no faster per picture here.
        learning_rate: peak of the schedule, for AdamW.
        weight_decay: AdamW's; small, since few passes are made over the data.
        warmup: share of the steps in which the rate climbs to its peak.
        ema: decay of the averaged weights, 0 to do without. Averaged weights are the ones
            that are validated and kept.
        clip: largest gradient norm; one bad batch then costs one step, not the run.
        augment: see :class:`colorlab.data.loaders.TrainingBatches`.
        crop_size: side of random crops; see there.
        repeat: which pictures an epoch shows more than once, as ``"GLOB=TIMES"`` of their names,
            such as ``"photos/*=3"``: a small set that looks like what is judged counts for more.
        seed: of the batches and of everything random in a step.
        validate_every: steps between validations, 0 for the end of each epoch.
        checkpoint_every: seconds between saved states; a kill loses at most that.
        precision: "auto" measures float32 against bfloat16 at the start and takes the faster.
        device: "auto" takes a GPU where there is one.
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
        if not 0 <= self.ema < 1:
            raise ValueError(f"ema must lie in [0, 1), got {self.ema}")


def learning_rate_factor(step: int, steps: int, warmup: float) -> float:
    """Linear warm-up, then half a cosine to zero (Loshchilov and Hutter 2017, equation 5)."""
    rising = max(1, round(warmup * steps))
    if step < rising:
        return (step + 1) / rising
    progress = (step - rising) / max(1, steps - rising)
    return 0.5 * (1 + math.cos(math.pi * progress))


def pick_device(name: str) -> torch.device:
    """The device to use: ``"auto"`` is a GPU where there is one, otherwise the CPU."""
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    return torch.device(name)


def known_maps(
    model: Colorizer, pictures: Pictures, device: torch.device, shown: int
) -> EncoderMaps | None:
    """The maps of the model's pretrained encoder for a set, computed now if they are not there.

    None where it has no such encoder, where the disk is too small, where a run that shows
    ``shown`` pictures would need fewer than there are to compute, and on a GPU, which computes
    them faster than a disk gives them.
    """
    encoder = getattr(model.config, "encoder", SCRATCH)
    if encoder == SCRATCH or device.type != "cpu":
        return None
    maps = EncoderMaps(pictures, encoder)
    if not maps.complete and (shown < 2 * len(pictures) or not maps.affordable()):
        return None
    maps.prepare()
    return maps


class Trainer:
    """The state of a run between two steps, and the step itself."""

    def __init__(self, model: Colorizer, pictures: Pictures, config: TrainConfig) -> None:
        self.config = config
        self.device = device = pick_device(config.device)
        whole = config.augment in ("none", "flip")  # a crop has other maps
        shown = config.steps * config.batch_size
        self.batches = TrainingBatches(
            pictures,
            config.batch_size,
            config.seed,
            config.augment,
            device,
            config.crop_size,
            parallel.share(config.batch_size),
            known_maps(model, pictures, device, shown) if whole else None,
            config.repeat,
        )
        self.model = model.to(device, memory_format=torch.channels_last).train()
        parallel.share_statistics(model)
        self.players = model.players()
        self.losses = {p.name: parallel.averaging(p.module, p.loss) for p in self.players}
        self.optimizers = {p.name: self._optimizer(p) for p in self.players}
        self.average = Average(model, config.ema) if config.ema else None
        self.step = 0

    def _optimizer(self, player: Player) -> torch.optim.Optimizer:
        return torch.optim.AdamW(
            player.module.parameters(),
            lr=self.config.learning_rate * player.rate,
            betas=player.betas,
            weight_decay=self.config.weight_decay,
            fused=True,
        )

    @property
    def best_guess(self) -> Colorizer:
        """The weights to validate and keep: averaged ones where there are any."""
        return self.average.model if self.average else self.model

    def advance(self, precision: Precision) -> dict[str, Tensor]:
        """Let every player take one step on the next batch; returns the terms of the losses."""
        config = self.config
        batch = self.batches.at(self.step)
        # Dropout, latent noise: other ones in each process.
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
            # A player's loss also reaches its opponent, whose gradient nobody would use.
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


def measure_speed(
    model: Colorizer,
    pictures: Pictures,
    config: TrainConfig,
    precision: Precision,
    known: float = 0.0,
) -> float:
    """Pictures per second of a training step, on a copy of the model that is thrown away.

    Where one process trains alone, it stops at a step of less than half the speed ``known`` of
    another precision, or of a sixth if it is the first, which also builds kernels and moments:
    some processors take ten times as long.
    """
    trial = Trainer(copy.deepcopy(model), pictures, config)
    times = []
    for turn in range(4):
        start = time.perf_counter()
        terms = trial.advance(precision)
        sum(terms.values()).item()  # a GPU answers when it is done
        times.append(time.perf_counter() - start)
        hopeless = known / (2 if turn else 6)
        if parallel.size() == 1 and config.batch_size / times[-1] < hopeless:
            break
    # The fastest of the steps that warmed up is the one that nothing on the machine disturbed.
    return config.batch_size / min(times[1:] or times)


def fastest_precision(
    model: Colorizer, pictures: Pictures, config: TrainConfig
) -> tuple[Precision, float]:
    """Measure which precision trains faster here; returns it with its pictures per second.

    bfloat16 doubles the speed of some processors and costs a third of it on others.
    """
    tried = ("float32", "bfloat16") if config.precision == "auto" else (config.precision,)
    speeds = {}
    for precision in tried:  # the mean over the processes, so that all choose alike
        speed = measure_speed(model, pictures, config, precision, max(speeds.values(), default=0))
        speeds[precision] = parallel.mean(
            torch.tensor(speed, device=pick_device(config.device))
        ).item()
    best = max(speeds, key=speeds.get)
    return best, speeds[best]
