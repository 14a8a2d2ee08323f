"""Training: :mod:`loop` for every model, :mod:`runs` on disk, :mod:`recipes` of the series."""

from colorlab.training.loop import TrainConfig, Trainer, fit, validate
from colorlab.training.runs import History

__all__ = ["History", "TrainConfig", "Trainer", "fit", "validate"]
