"""Runs small enough to be repeated many times: models, settings, and how states are compared."""

from __future__ import annotations

from pathlib import Path

import torch

from colorlab.models import build
from colorlab.training import TrainConfig

TINY = {
    "resnet": ["widths=[8,16,16]"],
    "unet": ["widths=[8,16,16,16]", "dropout=0.2"],
    "vae": ["widths=[8,16,16]"],
    "unet_vae": ["widths=[8,16,16,16]"],
    "gan": ["widths=[8,16,16]", "discriminator_widths=[8,16,16]", "noise=2"],
    "unet_gan": ["widths=[8,16,16,16]", "discriminator_widths=[8,16]"],
    "diffusion": ["widths=[8,16,16,16]", "denoiser=[8,16,16]", "steps=2"],
    "classifier": ["widths=[8,16,16,16]"],
}
SAVING = [  # a state at each step
    *("--size", "32", "--steps", "6", "--batch-size", "4", "--precision", "float32"),
    *("--ema", "0.9", "--seed", "3", "--validate-every", "2", "--checkpoint-every", "0"),
]
FEW = TrainConfig(
    steps=12, batch_size=4, precision="float32", validate_every=5, device="cpu", ema=0.9
)


def command(photos: Path, out: Path, *more: str, model: str = "unet") -> list[str]:
    """Words of `colorlab train`."""
    settings = [word for setting in TINY[model] for word in ("--set", setting)]
    return ["train", model, "--data", str(photos), "--out", str(out), *settings, *more]


def small_unet(**settings):
    torch.manual_seed(0)
    return build("unet", **{"size": 32, "widths": (8, 16, 16, 16), "dropout": 0.3, **settings})


def small_gan():
    torch.manual_seed(0)
    return build("gan", size=32, widths=(8, 16, 16), discriminator_widths=(8, 16, 16))


def same(a, b) -> bool:
    """Two models or states, down to the bit."""
    if isinstance(a, torch.nn.Module):
        return same(a.state_dict(), b.state_dict())
    if isinstance(a, torch.Tensor):
        return isinstance(b, torch.Tensor) and a.shape == b.shape and torch.equal(a, b)
    if isinstance(a, dict):
        return isinstance(b, dict) and a.keys() == b.keys() and all(same(a[k], b[k]) for k in a)
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(same, a, b))
    return a == b
