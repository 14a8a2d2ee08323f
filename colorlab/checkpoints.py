"""Released weights: a safetensors file and a model card that says where it came from.

A checkpoint is ``<model>-<target>-<world>.safetensors`` in half precision (or eight bits a weight,
where that is enough), at most 8 MiB, with a ``.json`` card of the same name: settings, training
data, seed, steps, figures, and the SHA-256 of the weights. The bytes may come from anyone, so
loading verifies the hash, unpickles nothing, and checks that the numbers are those which the
card's settings ask for before memory is taken for the model.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
import os
import subprocess
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load as read_tensors
from safetensors.torch import save as write_tensors
from torch import Tensor
from torch.overrides import TorchFunctionMode

import colorlab
from colorlab import cards
from colorlab.cards import CARD_FORMAT, METHODS, card_path, parse_card, read_at_most, read_card
from colorlab.data.cache import released_data
from colorlab.files import locked, make_folder, part_of, write_together
from colorlab.models import MODELS, Colorizer, build, encoders, name_of
from colorlab.models.encoders import SCRATCH

FOLDER = released_data() / "checkpoints"
SAFEST = "unet"  # of the released networks, the one with the lowest error
MAX_BYTES = 8 * 2**20
INTENDED_USE = (
    "Teaching and non-commercial research. The colours are plausible guesses, not a record of "
    "what was in front of the camera."
)
LIMITS = {  # by world
    "scenes": "Knows the drawn world of the course, and nothing of photographs.",
    "photos": "The colour of clothes, cars and walls is not in a gray picture: expect a dull or a "
    "wrong one. Turned up, skin tends to orange; errors by skin colour were not measured. The "
    "training photographs hold little food and few night scenes. Not for evidence, and not for "
    "pictures of people without saying that the colours are invented.",
}


def world_of(data: str) -> str:
    """The world that a set of images shows: ``"scenes"``, and ``"photos"`` for all others."""
    return "scenes" if data == "scenes" else "photos"


# ---- writing


def save(
    model: Any,
    world: str,
    facts: dict[str, Any],
    folder: Path | str | None = None,
    eight_bit: bool = False,
) -> Path:
    """Write weights and card; each file appears whole or not at all.

    Children that only training needs (``Colorizer.training_only``, a GAN's discriminator) are
    left out; a loaded model has them untrained. A child that is a released network, unchanged
    (``Colorizer.stands_on``, a diffusion model's UNet), is left out too; the card names it.

    A process that is killed between the two files leaves the new weights and, beside the old
    card, the new one: :func:`find` then finishes the move.

    Args:
        model: a colorizer, or a fitted method of :mod:`colorlab.classical`.
        world: what it was trained on, ``"photos"`` or ``"scenes"``.
        facts: what the card tells beyond the model itself: ``trained_on``, ``seed``, ``steps``,
            ``seconds``, ``device``, ``validation``, ``test`` ...
        folder: where to; ``data/checkpoints`` unless told.
        eight_bit: keep matrices and kernels of a network in 8 bits (float8 e4m3: 4 significant
            bits, steps of 1/512 near 0) in place of 16. Vectors stay in half precision.

    Returns:
        The path of the weights.

    Raises:
        ValueError: the model is not a listed one, its weights pass 8 MiB or are not finite, or
            its settings or facts cannot stand in a card.
        OSError: the disk is full or the folder not writable; what was there is kept.
    """
    folder = Path(folder) if folder is not None else FOLDER
    if isinstance(model, Colorizer):
        name, target = name_of(model), model.config.target
        config = dataclasses.asdict(model.config)
        data, bases = pack(model, world, folder, eight_bit)
        facts = {**facts, "stands_on": bases} if bases else facts
        if (encoder := getattr(model.config, "encoder", SCRATCH)) != SCRATCH:
            facts = {**facts, "encoder_sha256": encoders.load(encoder).sha256}
    else:
        name = next((n for n, kind in METHODS.items() if type(model) is kind), None)
        if name is None:
            raise ValueError(
                f"{type(model).__name__} is neither a listed model nor a fitted method"
            )
        target, config, data = "ab", {}, _packed(model.tensors(), name)
    _parse_tensors(data, f"this {name}")  # half precision ends at 65,504, eight bits at 448
    card = {
        "format": CARD_FORMAT,
        "model": name,
        "target": target,
        "world": world,
        "config": config,
        **facts,
        "code_version": code_version(),
        "sha256": hashlib.sha256(data).hexdigest(),
        "intended_use": INTENDED_USE,
        **({"limits": LIMITS[world]} if world in LIMITS else {}),
    }
    card["settings_sha256"] = cards.seal(card)
    text = (json.dumps(card, indent=2, allow_nan=False) + "\n").encode()
    parse_card(text, f"the card of this {name}")  # what is written can be read
    file = folder / f"{name}-{target}-{world}.safetensors"
    make_folder(folder)
    with locked(folder / f".{file.stem}.lock", wait=True):
        write_together({file: data, card_path(file): text})
    return file


def pack(
    model: Colorizer, world: str, folder: Path, eight_bit: bool = False
) -> tuple[bytes, dict[str, dict[str, str]]]:
    """The weights file of a network, and the released networks that it refers to.

    Training calls it before the first step too: how much a model takes depends on its settings.
    Arguments and errors as of :func:`save`.
    """
    bases = _bases(model, world, folder)
    left_out = {*model.training_only, *bases}
    tensors = {
        k: _eight(v) if eight_bit else _half(v)
        for k, v in model.state_dict().items()
        if k.split(".")[0] not in left_out
    }
    return _packed(tensors, name_of(model)), bases


def _packed(tensors: dict[str, Tensor], name: str) -> bytes:
    data = write_tensors({k: v.contiguous().cpu() for k, v in tensors.items()})
    if len(data) > MAX_BYTES:
        raise ValueError(
            f"{name} takes {len(data) / 2**20:.2f} MiB, over the {MAX_BYTES / 2**20:.0f} MiB of a "
            "released checkpoint; use narrower widths, or eight bits a weight"
        )
    return data


def code_version() -> str:
    """The package's version, with the commit where there is one."""
    try:
        commit = subprocess.run(
            ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty"],
            capture_output=True,
            text=True,
            timeout=10,
            check=True,
        ).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return colorlab.__version__
    return f"{colorlab.__version__}+{commit}"


def _half(value: Tensor) -> Tensor:
    """Half precision; the released bytes, and whether a network stands on another, hang on it."""
    return value.half() if value.is_floating_point() else value


def _eight(value: Tensor) -> Tensor:
    small = value.is_floating_point() and value.dim() > 1
    return value.to(torch.float8_e4m3fn) if small else _half(value)


def _bases(model: Colorizer, world: str, folder: Path) -> dict[str, dict[str, str]]:
    """The released networks that are children of the model, as its card names them."""
    bases = {}
    for child, name in model.stands_on.items():
        stem = f"{name}-{model.config.target}-{world}"
        file = next(
            (f / f"{stem}.safetensors" for f in (folder, FOLDER) if stem in released(f)), None
        )
        if file is None:
            continue
        theirs, mine = load(str(file)).state_dict(), model.get_submodule(child).state_dict()
        if mine.keys() == theirs.keys() and all(
            torch.equal(_half(mine[k]).cpu(), _half(theirs[k])) for k in mine
        ):
            bases[child] = {"checkpoint": stem, "sha256": read_card(file)["sha256"]}
    return bases


# ---- finding


def find(
    name: str, target: str | None = None, world: str | None = None, folder: Path | str | None = None
) -> Path:
    """The weights' path for a name as :func:`load` takes it."""
    if name.endswith((".pt", ".pth", ".pkl", ".pickle", ".bin", ".ckpt")):
        raise ValueError(
            f"{name} may be a pickle, which can run code when opened; colorlab loads "
            ".safetensors files only"
        )
    if name.endswith(".safetensors"):
        file = Path(name)
    else:
        model, *rest = name.split("-")
        target = target or (rest[0] if rest else "ab")
        world = world or (rest[1] if len(rest) > 1 else "photos")
        parts = (model, target, world)
        if len(rest) > 2 or not all(part.isidentifier() for part in parts):
            raise ValueError(f"{name!r} is no checkpoint's name; one looks like 'unet-ab-photos'")
        file = (Path(folder) if folder is not None else FOLDER) / f"{'-'.join(parts)}.safetensors"
    if not file.is_file():
        there = ", ".join(released(folder)) or "none"
        raise FileNotFoundError(
            f"no checkpoint {str(file)!a}; there are: {there}; name the file of your own weights, "
            "or their folder with --checkpoints"
        )
    _finish_save(file)
    return file


def released(folder: Path | str | None = None) -> list[str]:
    """Stems of the networks' checkpoints in ``folder``, listed models first to last."""
    folder = Path(folder) if folder is not None else FOLDER
    order = list(MODELS)
    stems = [file.stem for file in folder.glob("*.safetensors") if file.stem.split("-")[0] in order]
    return sorted(stems, key=lambda stem: (order.index(stem.split("-")[0]), stem))


def _finish_save(file: Path) -> None:
    """Give the weights the card that a killed :func:`save` had ready for them."""
    waiting = part_of(card_path(file))
    if not waiting.is_file():
        return
    with suppress(OSError, ValueError):  # half-written, of other weights, or not ours to move
        card = parse_card(read_at_most(waiting, cards.MAX_CARD), str(waiting))
        if hashlib.sha256(read_at_most(file, MAX_BYTES)).hexdigest() == card["sha256"]:
            os.replace(waiting, card_path(file))


# ---- reading


def load(
    name: str,
    target: str | None = None,
    world: str | None = None,
    folder: Path | str | None = None,
    device: str | torch.device = "cpu",
) -> Any:
    """Load weights by name, verified, ready to colorize.

    Args:
        name: a model (``"unet"``), a row (``"unet-rgb"``), a stem (``"unet-ab-scenes"``), or
            the path of a ``.safetensors`` file with its card beside it.
        target: ``"ab"`` or ``"rgb"``, ``"ab"`` unless the name tells.
        world: ``"photos"`` or ``"scenes"``, ``"photos"`` unless the name tells.
        folder: where from; ``data/checkpoints`` unless told.
        device: where to.

    Returns:
        The model in evaluation mode, or the fitted method; it has ``colorize(L)``.

    Raises:
        FileNotFoundError: no such checkpoint; the message lists those there are.
        ValueError: a pickle, a damaged file, a wrong hash, or a card that does not fit.
    """
    file = find(name, target, world, folder)
    model = from_bytes(read_at_most(file, MAX_BYTES), read_card(file), file)
    if not isinstance(model, Colorizer):
        return model
    return model.to(device, memory_format=torch.channels_last).eval()


def from_bytes(data: bytes, card: dict[str, Any], file: Path) -> Any:
    """Weights in memory to a model on the CPU.

    Args:
        data: of the safetensors file.
        card: as :func:`colorlab.cards.parse_card` gives it.
        file: its path, for messages and for the network that the model may stand on.
    """
    if hashlib.sha256(data).hexdigest() != card["sha256"]:
        raise ValueError(
            f"{file} is not what its card describes (SHA-256 differs): it was damaged or "
            "exchanged; fetch both files again"
        )
    tensors = _parse_tensors(data, str(file))
    name, method = card["model"], METHODS.get(card["model"])
    try:
        if method is not None:
            return method.from_tensors(tensors)
        with _Budget():
            model = build(name, **card["config"])
        _check_encoder(card)
        others = {
            k: v for k, v in model.state_dict().items() if k.split(".")[0] in model.training_only
        }
        for child, base in card.get("stands_on", {}).items():
            for k, v in _base(file, base).state_dict().items():
                others[f"{child}.{k}"] = v
        _fill(model, tensors, others)
    # What a constructor raises for numbers that make no sense to it.
    except (ValueError, RuntimeError, TypeError, ArithmeticError, LookupError, AssertionError) as e:
        reason = " ".join(str(e).split())[:400]
        raise ValueError(f"{file} does not fit its card ({name}): {reason}") from e
    return model


def _parse_tensors(data: bytes, name: str) -> dict[str, Tensor]:
    """The tensors of a safetensors file, all finite; ``name`` is for messages."""
    try:
        tensors = read_tensors(data)
    except (SafetensorError, KeyError, AssertionError, ValueError, RuntimeError) as error:
        raise ValueError(f"{name} is not a safetensors file ({error}); fetch it again") from error
    for key, value in tensors.items():
        if value.is_floating_point() and not value.float().isfinite().all():
            raise ValueError(f"{name} holds a weight that is not finite, in {key!r}")
    return tensors


class _Budget(TorchFunctionMode):
    """Refuse the tensor that would bring a model under construction past so many numbers."""

    MOST = 32 << 20  # twenty times those of a released model
    MAKERS = frozenset({torch.empty, torch.zeros, torch.ones, torch.full, torch.rand, torch.randn})

    def __init__(self) -> None:
        super().__init__()
        self.left = self.MOST

    def __torch_function__(self, func, types, args=(), kwargs=None):
        if func in self.MAKERS:
            size = args[0] if args and not isinstance(args[0], int) else args
            size = (kwargs or {}).get("size", size)
            self.left -= math.prod(side for side in size if isinstance(side, int))
            if self.left < 0:
                raise ValueError(f"its settings ask for a model of more than {self.MOST:,} numbers")
        return func(*args, **(kwargs or {}))


def _fill(model: Colorizer, tensors: dict[str, Tensor], others: dict[str, Tensor]) -> None:
    """Put a file's tensors into the model, beside ``others`` that the file leaves out."""
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


def _check_encoder(card: dict[str, Any]) -> None:
    """Refuse weights that learned with another encoder than the one that is here."""
    encoder = card["config"].get("encoder", SCRATCH)
    wanted = card.get("encoder_sha256", "")
    if encoder != SCRATCH and encoders.load(encoder).sha256 != wanted:
        raise ValueError(
            f"it learned with an encoder {encoder!r} of SHA-256 {wanted[:12]}..., and the one here "
            "is another; fetch the two together"
        )


def _base(file: Path, base: dict[str, str]) -> Colorizer:
    """The network that the weights ``file`` stand on: beside it, or a released one."""
    stem, wanted = base["checkpoint"], base["sha256"]
    for folder in (file.parent, FOLDER):
        if stem in released(folder):
            there = find(stem, folder=folder)
            if read_card(there)["sha256"] == wanted:
                return load(str(there))
    raise ValueError(
        f"it stands on {stem} with SHA-256 {wanted[:12]}..., which is neither beside it nor "
        f"in {FOLDER}; fetch the two together"
    )
