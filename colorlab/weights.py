"""Bytes to tensors, and tensors into a model, within bounds.

The bytes may come from anyone. safetensors holds numbers and no code; what remains to be checked
is that they are the numbers which the model's settings ask for, before memory is taken for it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load as read_tensors
from torch import Tensor
from torch.overrides import TorchFunctionMode

from colorlab.cards import METHODS
from colorlab.models import Colorizer, build

MOST_NUMBERS = 32 << 20  # in a model under construction: twenty times a released one's

_MAKERS = {torch.empty, torch.zeros, torch.ones, torch.full, torch.rand, torch.randn}


def parse_tensors(data: bytes, name: str) -> dict[str, Tensor]:
    """The tensors of a safetensors file.

    Raises:
        ValueError: not safetensors, or a number in it is not finite; ``name`` is for messages.
    """
    try:
        tensors = read_tensors(data)
    except (SafetensorError, KeyError, AssertionError, ValueError, RuntimeError) as error:
        raise ValueError(f"{name} is not a safetensors file ({error}); fetch it again") from error
    for key, value in tensors.items():
        if value.is_floating_point() and not value.float().isfinite().all():
            raise ValueError(f"{name} holds a weight that is not finite, in {key!r}")
    return tensors


def method_from(name: str, tensors: Mapping[str, Tensor]) -> Any:
    """The fitted method of :mod:`colorlab.classical` that ``tensors`` describe.

    Raises:
        ValueError: they are another's, or of other shapes.
    """
    try:
        return METHODS[name].from_tensors(tensors)
    except (ValueError, RuntimeError, TypeError, IndexError, OverflowError) as error:
        raise ValueError(f"no {name} has such tensors ({_line(error)})") from error


def empty_model(name: str, config: Mapping[str, Any]) -> Colorizer:
    """A model with the settings of a card, not yet its weights.

    Raises:
        ValueError: settings that build no model, or one of absurd size; it is not built then.
    """
    try:
        with _Budget(MOST_NUMBERS):
            return build(name, **config)
    except (RuntimeError, TypeError, ArithmeticError, IndexError, AssertionError) as error:
        raise ValueError(f"its settings build no {name} ({_line(error)})") from error


def fill(model: Colorizer, tensors: Mapping[str, Tensor], others: Mapping[str, Tensor]) -> None:
    """Put a file's tensors into the model, beside ``others`` that the file leaves out.

    Raises:
        ValueError: a tensor is missing, unknown, or of another shape or kind; it is named.
    """
    wanted = model.state_dict()
    for key in wanted.keys() - tensors.keys() - others.keys():
        raise ValueError(f"{key!r} is missing")
    for key, value in tensors.items():
        if key not in wanted or key in others:
            raise ValueError(f"{key!r} has no place in the model")
        if value.shape != wanted[key].shape or not torch.can_cast(value.dtype, wanted[key].dtype):
            raise ValueError(
                f"{key!r} is {value.dtype} {tuple(value.shape)}, where the model has "
                f"{wanted[key].dtype} {tuple(wanted[key].shape)}"
            )
    model.load_state_dict({**tensors, **others})


class _Budget(TorchFunctionMode):
    """Refuse the tensor that would bring a model under construction past so many numbers."""

    def __init__(self, left: int) -> None:
        super().__init__()
        self.left = left

    def __torch_function__(self, func, types, args=(), kwargs=None):
        if func in _MAKERS:
            size = args[0] if args and not isinstance(args[0], int) else args
            size = (kwargs or {}).get("size", size)
            self.left -= math.prod(side for side in size if isinstance(side, int))
            if self.left < 0:
                raise ValueError(
                    f"its settings ask for a model of more than {MOST_NUMBERS:,} numbers"
                )
        return func(*args, **(kwargs or {}))


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:200]
