"""Weights that are damaged, forged or of absurd size: refused in words, or harmless."""

from __future__ import annotations

import io
import json
import os
import pickle
import random
import struct

import pytest
import torch
from forging import GROUP, refused, resealed, same_weights
from safetensors.torch import save as write_tensors

from colorlab import cards, checkpoints
from colorlab.models import MODELS, build
from colorlab.weights import empty_model


class Bomb:
    def __reduce__(self):
        return (os.abort, ())


def torch_file() -> bytes:
    stream = io.BytesIO()
    torch.save({"weight": Bomb()}, stream)
    return stream.getvalue()


@pytest.mark.parametrize("make", [lambda: pickle.dumps(Bomb()), torch_file], ids=["pickle", "pt"])
@pytest.mark.parametrize("forged", [False, True])
def test_a_pickle_of_any_name_is_refused_and_never_run(fault, files, place, tmp_path, make, forged):
    """Under its own name, as the weights, with a card made to fit, and as the card."""
    _, card = files
    content = make()
    with fault(GROUP, "a pickle as the weights"):
        fitting = resealed(content, card) if forged else card
        refused(place(content, fitting), "not a safetensors file" if forged else "SHA-256")
    with fault(GROUP, "a pickle as the card"):
        refused(place(files[0], content), "not a model card")
    for suffix in (".pt", ".pth", ".pkl", ".bin", ".ckpt"):
        with fault(GROUP, "a pickle by its name"):
            (tmp_path / f"unet{suffix}").write_bytes(content)
            refused(tmp_path / f"unet{suffix}", "may be a pickle")


def test_cut_anywhere(fault, files, place):
    weights, card = files
    for tenth in range(10):
        cut = weights[: len(weights) * tenth // 10]
        with fault(GROUP, "weights cut"):
            refused(place(cut, card), "SHA-256")
        with fault(GROUP, "weights cut, card forged"):
            refused(place(cut, resealed(cut, card)), "not a safetensors file")
        with fault(GROUP, "card cut"):
            refused(place(weights, card[: len(card) * tenth // 10]), "not a model card")


def test_a_flipped_bit_is_noticed_or_changes_nothing(fault, files, place):
    weights, card = files
    want = checkpoints.load(str(place(weights, card)))
    places = random.Random(0)
    for at in {0, 7, 8, 9, len(weights) - 1, *(places.randrange(len(weights)) for _ in range(60))}:
        with fault(GROUP, "a bit flipped in the weights"):
            flipped = bytearray(weights)
            flipped[at] ^= 1 << places.randrange(8)
            refused(place(bytes(flipped), card), "SHA-256")
    noticed = 0
    for at in range(0, len(card), 3):
        flipped = bytearray(card)
        flipped[at] ^= 1 << places.randrange(8)
        file = place(weights, bytes(flipped))
        with fault(GROUP, "a bit flipped in the card"):
            try:
                got = checkpoints.load(str(file))
            except ValueError as error:
                message = str(error)
            else:  # in a field that tells a reader something and the loader nothing
                assert got.config == want.config and same_weights(got, want)
                continue
            assert file.stem in message and "\n" not in message
            noticed += 1
    assert noticed > 100


def header(entries: dict, data: bytes = b"") -> bytes:
    text = json.dumps(entries).encode()
    return struct.pack("<Q", len(text)) + text + data


ONE = {"dtype": "F16", "shape": [2], "data_offsets": [0, 4]}
LIES = {
    "a huge header": struct.pack("<Q", 2**62) + b"{}",
    "a header past the end": struct.pack("<Q", 1000) + b"{}",
    "no header": b"\0" * 8,
    "offsets that overlap": header({"a": ONE, "b": {**ONE, "data_offsets": [2, 6]}}, b"\0" * 6),
    "offsets past the end": header({"a": {**ONE, "data_offsets": [0, 400]}}, b"\0" * 4),
    "offsets backwards": header({"a": {**ONE, "data_offsets": [4, 0]}}, b"\0" * 4),
    "a shape larger than its bytes": header({"a": {**ONE, "shape": [2**40]}}, b"\0" * 4),
    "a shape that overflows": header({"a": {**ONE, "shape": [2**33, 2**33]}}, b"\0" * 4),
    "a negative shape": header({"a": {**ONE, "shape": [-2]}}, b"\0" * 4),
    "an unknown type": header({"a": {**ONE, "dtype": "PICKLE"}}, b"\0" * 4),
    "bytes after the end": header({"a": ONE}, b"\0" * 64),
    "a header of brackets": struct.pack("<Q", 200_000) + b"[" * 200_000,
    "a header that is a list": struct.pack("<Q", 2) + b"[]",
    "a name twice": struct.pack("<Q", 118)
    + (b'{"a":' + json.dumps(ONE).encode() + b',"a":' + json.dumps(ONE).encode() + b"}").ljust(118)
    + b"\0" * 4,
}


@pytest.mark.parametrize("lie", LIES)
def test_a_header_that_lies(fault, files, place, lie):
    with fault(GROUP, f"safetensors: {lie}"):
        refused(place(LIES[lie], resealed(LIES[lie], files[1])))


def change_tensors(how: str) -> bytes:
    torch.manual_seed(0)
    tensors = build("unet", size=64, widths=(8, 8, 8, 8)).state_dict()
    tensors = {k: v.half() if v.is_floating_point() else v for k, v in tensors.items()}
    name = "head.project.weight"
    if how == "missing":
        del tensors[name]
    elif how == "extra":
        tensors["more"] = torch.zeros(3)
    elif how == "wrong shape":
        tensors[name] = tensors[name][:, :2].contiguous()
    elif how == "turned":
        tensors[name] = tensors[name].transpose(0, 1).contiguous()
    elif how == "NaN":
        tensors[name].fill_(float("nan"))
    elif how == "infinite":
        tensors[name].fill_(float("inf"))
    elif how == "complex":
        tensors[name] = tensors[name].to(torch.complex64)
    elif how == "none at all":
        tensors = {}
    return write_tensors(tensors)


HOWS = ("missing", "extra", "wrong shape", "turned", "NaN", "infinite", "complex", "none at all")


@pytest.mark.parametrize("how", HOWS)
def test_tensors_that_do_not_fit_are_named(fault, files, place, how):
    with fault(GROUP, f"tensors: {how}"):
        weights = change_tensors(how)
        told = refused(place(weights, resealed(weights, files[1])))
        assert "more" in told if how == "extra" else "'" in told


def test_weights_of_a_method_that_are_another_s(fault, files, place):
    for model in cards.METHODS:
        with fault(GROUP, "a network's weights as a method's"):
            changes = {"model": model, "config": {}}
            refused(place(files[0], resealed(files[0], files[1], **changes)), "want tensors named")
        empty = write_tensors({"ab": torch.zeros(0), "settings": torch.zeros(0)})
        with fault(GROUP, "a method's weights, empty"):
            refused(place(empty, resealed(empty, files[1], **changes)), "does not fit")


CONFIGS = {
    "unknown setting": ({"wdith": 3}, "wdith"),
    "text for a number": ({"size": "64"}, "size"),
    "a number for text": ({"loss": 3}, "loss"),
    "truth for a number": ({"size": True}, "size"),
    "a number for truth": ({"attention": 1}, "attention"),
    "a list for a number": ({"dropout": [0.1]}, "dropout"),
    "too few widths": ({"widths": [8, 8, 8]}, "widths"),
    "widths of text": ({"widths": ["8", 8, 8, 8]}, "widths"),
    "negative widths": ({"widths": [-8, 8, 8, 8]}, "build no unet"),
    "no width": ({"widths": [0, 8, 8, 8]}, "does not"),
    "a size past all sense": ({"size": 10**9}, "size"),
    "an endless number": ({"dropout": 1e300}, "dropout"),
    "gigabytes of weights": ({"widths": [20_000, 20_000, 20_000, 20_000]}, "more than"),
    "one giant layer": ({"widths": [8, 8, 8, 99_999]}, "more than"),
    "a fold there is not": ({"fold": 5}, "fold"),
    "null": ({"size": None}, "size"),
}


@pytest.mark.filterwarnings("ignore:Initializing zero-element")
@pytest.mark.parametrize("kind", CONFIGS)
def test_settings_that_are_none_are_refused_before_memory_is_taken(
    fault, files, place, kind, monkeypatch
):
    config, tells = CONFIGS[kind]
    largest = 0
    empty = torch.empty

    def watched(*size, **more):
        nonlocal largest
        made = empty(*size, **more)
        largest = max(largest, made.numel())
        return made

    monkeypatch.setattr(torch, "empty", watched)
    with fault(GROUP, f"settings: {kind}"):
        whole = json.loads(files[1])["config"]
        refused(place(files[0], resealed(*files, config={**whole, **config})), tells)
        assert largest < 2**25, "no more than 128 MiB were asked for"


@pytest.mark.parametrize("name", MODELS)
def test_a_model_of_usual_size_stays_within_the_bounds(name):
    model = empty_model(name, {})
    assert sum(v.numel() for v in model.state_dict().values()) > 10_000
