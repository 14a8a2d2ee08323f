"""What must hold for any bytes whatever: the functions that a fuzzer calls, and short tests too."""

import hashlib
from pathlib import Path

import numpy as np

from colorlab.cards import parse_card
from colorlab.checkpoints import from_bytes
from colorlab.data.reading import UnreadableImageError, read_upload

NAME = "sent\n\udc80.png"  # a name that must not reach a message as it is


def picture(data: bytes) -> bool:
    """Read bytes as a picture; tell whether it was one. Anything but a refusal in words raises."""
    try:
        rgb = read_upload(data, NAME)
    except UnreadableImageError as error:
        check_sentence(str(error))
        return False
    assert rgb.dtype == np.uint8
    assert rgb.ndim == 3 and rgb.shape[2] == 3 and rgb.size
    return True


def checkpoint(data: bytes) -> bool:
    """Load bytes as a card and weights (see `corpus.joined`); tell whether they were a model.

    The card is given the true hash of the weights: a fuzzer would not find one.
    """
    end = 2 + int.from_bytes(data[:2])
    text, weights = data[2:end], data[end:]
    try:
        card = parse_card(text, "card.json")
        card["sha256"] = hashlib.sha256(weights).hexdigest()
        model = from_bytes(weights, card, Path("weights.safetensors"))
    except ValueError as error:
        text = str(error)
        assert text.startswith(("card.json ", "weights.safetensors ")), text
        assert text.isprintable(), text
        assert len(text) < 1000, text
        return False
    assert callable(model.colorize)
    return True


def check_sentence(text: str) -> None:
    """One printable line that names the file and says what to do."""
    assert text.startswith("sent\\n\\udc80.png: "), text
    assert text.isprintable(), text
    assert "; " in text, text
    assert len(text) < 600, text
