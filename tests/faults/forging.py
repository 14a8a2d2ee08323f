"""Checkpoints as a forger or a bad disk makes them, and how they must be refused."""

from __future__ import annotations

import hashlib
import json

import pytest
import torch

from colorlab import cards, checkpoints

GROUP = "checkpoints"


def resealed(weights: bytes, card: bytes, **changes) -> bytes:
    """A card that a forger has made fit: right hash, right seal."""
    fields = json.loads(card) | {"sha256": hashlib.sha256(weights).hexdigest()} | changes
    return json.dumps(fields | {"settings_sha256": cards.seal(fields)}).encode()


def refused(file, match: str | None = None) -> str:
    """Load, which must raise a ValueError of one line that names the file."""
    with pytest.raises(ValueError, match=match) as raised:
        checkpoints.load(str(file))
    told = str(raised.value)
    assert file.stem in told and "\n" not in told and len(told) < 700
    return told


def same_weights(a, b) -> bool:
    mine, theirs = a.state_dict(), b.state_dict()
    return mine.keys() == theirs.keys() and all(torch.equal(mine[k], theirs[k]) for k in mine)
