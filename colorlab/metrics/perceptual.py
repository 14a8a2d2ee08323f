"""LPIPS: a distance between images that agrees with human judgement, from AlexNet's features.

The `lpips` package holds the calibrated weights (v0.1) and computes the distance.
It needs AlexNet's ImageNet features besides. They come from the file that the
variable COLORLAB_LPIPS_BACKBONE names (safetensors, torchvision's ``features.*``
keys) or else from torchvision, which downloads them once. Taught in lesson 03.
"""

from __future__ import annotations

import os
import socket
import warnings
from functools import lru_cache
from pathlib import Path

import torch
from torch import Tensor, nn

from colorlab.metrics.pairs import check_pair

BACKBONE_VARIABLE = "COLORLAB_LPIPS_BACKBONE"
_SMALLEST = 31  # AlexNet's two poolings leave nothing of a smaller image
_CHUNK = 16  # images at a time: bounds memory, costs no speed
_PATIENCE = 6.0  # seconds until a silent network counts as none


class LPIPSUnavailable(RuntimeError):  # noqa: N818 - a state of the machine, not a mistake
    """AlexNet's features are not available; the message says why and what to do."""


def lpips(x: Tensor, y: Tensor) -> Tensor:
    """LPIPS distance (AlexNet, v0.1) of each image to the other, without gradient.

    (N, 3, H, W) sRGB in [0, 1] twice, at least 31x31, to (N,), 0 for equal images. The network
    needs [-1, 1]; the conversion (``normalize=True``) happens here, and is often forgotten.

    Raises:
        LPIPSUnavailable: AlexNet's features are available neither from the file that
            COLORLAB_LPIPS_BACKBONE names nor from torchvision.

    Source: R. Zhang, P. Isola, A. Efros, E. Shechtman, O. Wang, "The unreasonable
    effectiveness of deep features as a perceptual metric", CVPR 2018.
    """
    check_pair(x, y)
    if min(x.shape[-2:]) < _SMALLEST:
        raise ValueError(f"LPIPS needs pictures of at least 31x31, got {tuple(x.shape)}")
    network, parts = load_lpips(x.device), zip(x.split(_CHUNK), y.split(_CHUNK), strict=True)
    with torch.no_grad():
        return torch.cat(
            [network(a.float(), b.float(), normalize=True).flatten() for a, b in parts]
        )


def missing_lpips(device: torch.device) -> str:
    """Why LPIPS cannot be measured here, one line for the reader, or "" if it can."""
    try:
        load_lpips(device)
    except LPIPSUnavailable as reason:
        return str(reason)
    return ""


def load_lpips(device: torch.device | str = "cpu") -> nn.Module:
    """The LPIPS network, in eval mode, on ``device``; built once a process.

    Raises:
        LPIPSUnavailable: as :func:`lpips`.
    """
    return _cached(os.environ.get(BACKBONE_VARIABLE, ""), torch.device(device))


@lru_cache(maxsize=2)
def _cached(backbone: str, device: torch.device) -> nn.Module:
    if backbone:
        return _build(_features_from_file(Path(backbone)), backbone).to(device)
    return _build(_features_from_torchvision(), "torchvision's AlexNet").to(device)


def _features_from_file(path: Path) -> dict[str, Tensor]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    if not path.is_file():
        raise LPIPSUnavailable(
            f"LPIPS n/a: {BACKBONE_VARIABLE} names {path}, which is not a file; correct it, or "
            "unset it to let torchvision download AlexNet"
        )
    try:
        return load_file(path)
    except SafetensorError as error:
        raise ValueError(
            f"{path} ({BACKBONE_VARIABLE}) is not a safetensors file: {error}"
        ) from error


def _features_from_torchvision() -> dict[str, Tensor]:
    from torchvision.models import AlexNet_Weights

    weights = AlexNet_Weights.IMAGENET1K_V1
    remedy = f"set {BACKBONE_VARIABLE} to a safetensors file with AlexNet's features.* keys"
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(_PATIENCE)  # torch.hub sets none, and a stalled download would hang
    try:
        return weights.get_state_dict(progress=True, check_hash=True)
    except (OSError, RuntimeError) as error:
        raise LPIPSUnavailable(
            f"LPIPS n/a: {weights.url} failed ({error}); go online once, or {remedy}"
        ) from error
    finally:
        socket.setdefaulttimeout(before)


def _build(features: dict[str, Tensor], source: str) -> nn.Module:
    """The reference network with AlexNet's ``features`` put in, every one of them used."""
    import lpips as reference

    with warnings.catch_warnings(), torch.random.fork_rng(devices=[]):
        # lpips 0.1.4 (2021) calls torchvision the old way, and draws weights that we replace.
        warnings.simplefilter("ignore")
        network = reference.LPIPS(net="alex", version="0.1", pnet_rand=True, verbose=False)
    # lpips cuts AlexNet in slices but keeps its numbers: slice2.3.weight is features.3.weight.
    own = {f"features.{name.split('.', 1)[1]}": p for name, p in network.net.state_dict().items()}
    given = {name: t for name, t in features.items() if not name.startswith("classifier.")}
    wrong = [
        name
        for name in sorted(given.keys() | own.keys())
        if name not in given or name not in own or given[name].shape != own[name].shape
    ]
    if wrong:
        raise ValueError(
            f"{source} does not hold AlexNet's features: {len(wrong)} missing, unknown or of "
            f"another shape, such as {wrong[0]}"
        )
    for name, parameter in own.items():
        parameter.copy_(given[name])
    return network.eval().requires_grad_(False)
