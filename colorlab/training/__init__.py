"""Training: one :mod:`loop`, :mod:`runs` on disk, :mod:`recipes` and :mod:`series` of networks."""

from colorlab.training.loop import TrainConfig, Trainer, fit, validate
from colorlab.training.runs import History

__all__ = ["History", "TrainConfig", "Trainer", "fit", "validate"]
