"""What mutation starts from: one small valid file of each kind, made here, none stored."""

import dataclasses
import json

import numpy as np
import odd_pictures
import torch
from safetensors.torch import save
from torch import Tensor

from colorlab.models import build


def pictures() -> dict[str, bytes]:
    """Name of a kind to the bytes of a small picture, every format and way of storing."""
    return {kind: odd.content for kind, odd in odd_pictures.pictures().items()}


def checkpoints() -> dict[str, bytes]:
    """Name of a model to its smallest weights and card, as :func:`joined` bytes."""
    torch.manual_seed(0)
    resnet = build("resnet", size=32, widths=(1, 1, 1))
    config = json.loads(json.dumps(dataclasses.asdict(resnet.config)))
    library = {name: torch.ones(2, 2) for name in ("descriptors", "pixels", "lightness")}
    return {
        "mean": joined(_card("mean", {}), {"ab": torch.tensor([5.0, 9.0])}),
        "lut": joined(_card("lut", {}), {"ab": torch.zeros(101, 2, dtype=torch.float16)}),
        "welsh": joined(_card("welsh", {}), {**library, "indices": torch.zeros(2)}),
        "resnet": joined(_card("resnet", config), resnet.half().state_dict()),
        "unet": joined(_card("unet", {"size": 32, "widths": [8, 8, 8, 8]}), {}),
    }


def joined(card: dict, tensors: dict[str, Tensor]) -> bytes:
    """Card and weights in one piece: the card's length in two bytes, the card, the weights."""
    text = json.dumps(card).encode()
    return len(text).to_bytes(2) + text + save(tensors)


def _card(model: str, config: dict) -> dict:
    zeros = 64 * "0"  # the target puts the true hash in its place
    return {
        "format": 1,
        "model": model,
        "target": "ab",
        "world": "scenes",
        "config": config,
        "sha256": zeros,
    }


def mutated(seed: int, valid: list[bytes]) -> bytes:
    """One of the valid files, damaged in one to four ways; a pure function of the seed.

    Bytes are flipped, set to the ends of their range, cut out, doubled, or taken over from
    another file: the ways of a fuzzer that sees no coverage.
    """
    chance = np.random.default_rng(seed)
    data = bytearray(valid[chance.integers(len(valid))])
    for _ in range(chance.integers(1, 5)):
        start = int(chance.integers(len(data) + 1))
        stop = start + int(chance.choice([1, 2, 4, 16, 64]))
        match chance.integers(6):
            case 0:
                data[start:stop] = chance.bytes(len(data[start:stop]))
            case 1:
                filler = bytes([chance.choice([0, 1, 127, 128, 255])])
                data[start:stop] = filler * len(data[start:stop])
            case 2:
                del data[start:stop]
            case 3:
                data[start:start] = data[start:stop]
            case 4:
                other = valid[chance.integers(len(valid))]
                data[start:stop] = other[start:stop]
            case 5:
                del data[start:]
    return bytes(data)
