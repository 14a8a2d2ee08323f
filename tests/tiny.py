"""Runs small enough to be repeated many times: models, settings, and how states are compared."""

import io
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from colorlab.data.loaders import Batch, batch_from_rgb
from colorlab.models import build
from colorlab.models.base import TARGETS
from colorlab.training import TrainConfig

TINY = {  # a model that is not here keeps its own size
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
    settings = [word for setting in TINY.get(model, ()) for word in ("--set", setting)]
    return ["train", model, "--data", str(photos), "--out", str(out), *settings, *more]


def small_unet(**settings):
    torch.manual_seed(0)
    return build("unet", **{"size": 32, "widths": (8, 16, 16, 16), "dropout": 0.3, **settings})


def small_gan():
    torch.manual_seed(0)
    return build("gan", size=32, widths=(8, 16, 16), discriminator_widths=(8, 16, 16))


def tinted():
    """A network that answers with a flat warm tint."""
    model = small_unet()
    torch.nn.init.constant_(model.head.project.bias, 0.1)
    return model


every_target = pytest.mark.parametrize("target", TARGETS)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def picture(n: int = 2, size: int = 64) -> Batch:
    torch.manual_seed(0)
    coarse = torch.rand(n, 3, 8, 8)
    return batch_from_rgb(torch.nn.functional.interpolate(coarse, size=(size, size)))


def stir(model: torch.nn.Module) -> torch.nn.Module:
    """Change every weight a little: heads start at zero, and zero hides mistakes."""
    torch.manual_seed(1)
    with torch.no_grad():
        for p in model.parameters():
            p.add_(0.05 * torch.randn_like(p))
    return model


def train(model: torch.nn.Module, batch: Batch, steps: int, rate: float) -> torch.nn.Module:
    """Overfit one batch, with a rate that falls to zero."""
    (player,) = model.train().players()
    optimizer = torch.optim.AdamW(player.module.parameters(), lr=rate, betas=player.betas)
    for step in range(steps):
        optimizer.param_groups[0]["lr"] = rate * (1 - step / steps)
        optimizer.zero_grad()
        sum(player.loss(batch).values()).backward()
        optimizer.step()
    return model.eval()


def decode(data: bytes) -> np.ndarray:
    """(H, W, 3) uint8 of the bytes of an image file."""
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))


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
