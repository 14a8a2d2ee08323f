"""Cards of released weights: what a card must say, read and checked before it is believed.

A card comes from a file that anyone may have written. It is read with a limit, as strict JSON,
and each field that the loader uses is checked by type and size.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
from pathlib import Path
from typing import Any

from colorlab.classical import FITTED, TABLES
from colorlab.models import MODELS, current
from colorlab.models.base import TARGETS

METHODS = {**TABLES, **FITTED}  # what has a card but no network
CARD_FORMAT = 1  # raised when a card's fields change so that old code would misread it
MAX_CARD = 1 << 20  # bytes; a card that tells four runs, one begun with the other, takes 7,000

# What a model reads from its settings becomes the size of a tensor or the length of a loop.
_LIMITS = {"size": 2048, "steps": 1000, "draws": 1000, "reach": 1000.0}
_LIMIT = 100_000
_SEALED = ("format", "model", "target", "world", "config", "stands_on", "encoder_sha256", "sha256")


def card_path(weights: Path) -> Path:
    """Where the card of a weights file lies."""
    return Path(weights).with_suffix(".json")


def read_card(weights: Path) -> dict[str, Any]:
    """The card beside the weights; a ValueError says what is wrong with it."""
    path = card_path(weights)
    if not path.is_file():
        raise FileNotFoundError(f"{path} is missing; weights are loaded with their card only")
    return parse_card(read_at_most(path, MAX_CARD), str(path))


def read_at_most(path: Path, limit: int) -> bytes:
    """The bytes of a file; a ValueError if there are more than ``limit``, which are not read."""
    with open(path, "rb") as file:
        data = file.read(limit + 1)
    if len(data) > limit:
        raise ValueError(f"{path} has more than {limit:,} bytes, so it is not one of colorlab's")
    return data


def parse_card(text: bytes, name: str) -> dict[str, Any]:
    """Bytes to a card whose every field can be relied on; ``name`` is for messages."""
    try:
        if len(text) > MAX_CARD:
            raise ValueError(f"it has more than {MAX_CARD:,} bytes")
        card = json.loads(text.decode("utf-8"))
        if not isinstance(card, dict):
            raise ValueError("it holds no fields")
        if type(card.get("format")) is not int or card["format"] < 1:
            raise ValueError("it has no format")
    except RecursionError:
        raise ValueError(f"{name} is not a model card (too deep); fetch it again") from None
    except ValueError as error:
        raise ValueError(f"{name} is not a model card ({error}); fetch it again") from error
    if card["format"] > CARD_FORMAT:
        raise ValueError(f"{name} has format {card['format']}, newer than this code; update it")
    try:
        _check_fields(card)
    except ValueError as error:
        raise ValueError(
            f"{name} does not describe a model that this code knows: {error}; fetch it again"
        ) from error
    return card


def _check_fields(card: dict[str, Any]) -> None:
    """Refuse a card whose fields a loader could not rely on, or whose seal is broken."""
    for field, kind in (("model", str), ("target", str), ("world", str), ("config", dict)):
        if not isinstance(card.get(field), kind):
            raise ValueError(f"its {field} is {_short(card.get(field))}")
    model = card["model"]
    if model not in MODELS and model not in METHODS:
        raise ValueError(f"its model is {_short(model)}")
    if card["target"] not in TARGETS or not card["world"].isidentifier():
        raise ValueError(f"it is for {_short(card['target'])} on {_short(card['world'])}")
    if not _is_sha256(card.get("sha256")):
        raise ValueError(f"its sha256 is {_short(card.get('sha256'))}")
    if model in MODELS:
        check_config(model, card["config"])
    known = MODELS[model][0].stands_on if model in MODELS else {}
    bases = card.get("stands_on", {})
    if not isinstance(bases, dict) or not set(bases) <= set(known):
        raise ValueError(f"it stands on {_short(bases)}")
    for child, base in bases.items():
        stem = base.get("checkpoint") if isinstance(base, dict) else None
        if (
            not isinstance(stem, str)
            or not all(part.isidentifier() for part in stem.split("-"))
            or stem.split("-")[0] != known[child]
            or not _is_sha256(base.get("sha256"))
        ):
            raise ValueError(f"its {child} stands on {_short(base)}")
    if "settings_sha256" in card and card["settings_sha256"] != seal(card):
        raise ValueError("its settings were changed since they were written")


def check_config(name: str, config: dict[str, Any]) -> None:
    """Refuse settings that the model does not have, or of another type, or absurdly large."""
    defaults = {field.name: field.default for field in dataclasses.fields(MODELS[name][1])}
    for setting, value in current(config).items():
        if setting not in defaults:
            raise ValueError(f"{name} has no setting {_short(setting)}")
        if not _fits(value, defaults[setting], _LIMITS.get(setting, _LIMIT)):
            raise ValueError(
                f"{setting} is {_short(value)}, where {_short(defaults[setting])} is usual"
            )


def seal(card: dict[str, Any]) -> str:
    """SHA-256 of the fields that a loaded model depends on: a changed digit in them is noticed."""
    fields = {name: card[name] for name in _SEALED if name in card}
    return hashlib.sha256(json.dumps(fields, sort_keys=True).encode()).hexdigest()


def _fits(value: Any, default: Any, limit: float) -> bool:
    if isinstance(default, tuple):
        return (
            isinstance(value, list | tuple)
            and len(value) == len(default)
            and all(_fits(v, d, limit) for v, d in zip(value, default, strict=True))
        )
    if isinstance(default, float):
        return type(value) in (int, float) and abs(value) <= limit
    return type(value) is type(default) and (type(value) is not int or abs(value) <= limit)


def _is_sha256(value: Any) -> bool:
    return isinstance(value, str) and re.fullmatch(r"[0-9a-f]{64}", value) is not None


def _short(value: Any) -> str:
    text = ascii(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
