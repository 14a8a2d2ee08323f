"""The graphs of the web site belong to the released weights, and compute what PyTorch does."""

from __future__ import annotations

import hashlib
import json
import subprocess
from itertools import product
from pathlib import Path

import numpy as np
import pytest
import skimage.data
import torch

from colorlab import checkpoints
from colorlab import data as pictures
from colorlab.bands import resize_to_area
from colorlab.classical import hints
from colorlab.color import from_uint8, lightness
from colorlab.data.scenes import render
from colorlab.flow import time_grid
from colorlab.noise import WAVES, tonal_noise

ROOT = Path(__file__).resolve().parents[2]
NETWORKS = ROOT / "site" / "networks"
CHECKPOINTS = ROOT / "data" / "checkpoints"
AGAIN = "; python .ci/export_onnx.py makes the graphs again"
PHOTOGRAPHS = ("astronaut", "chelsea", "coffee", "rocket")
COUNT, DRAWS = 64, 2
HINTS = [
    {"x": 0.31, "y": 0.2, "ab": [40.0, 20.0]},
    {"x": 0.7, "y": 0.99, "ab": [-5.0, -30.0]},
    {"x": 0.71, "y": 0.995, "ab": [0.0, 8.0]},
]
CLOSE = 1e-3  # CIE units


@pytest.fixture(scope="module")
def told() -> dict:
    return json.loads((NETWORKS / "networks.json").read_text("utf-8"))


def sha256(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def test_graphs_belong_to_the_released_weights(told):
    for name, network in told["networks"].items():
        assert sha256(NETWORKS / f"{name}.onnx") == network["sha256"], name + AGAIN
        for file, digest in network["weights"].items():
            assert sha256(CHECKPOINTS / file) == digest, file + AGAIN


def test_the_page_is_told_what_the_released_networks_use(told):
    unet, many = checkpoints.load("unet"), checkpoints.load("diffusion").config
    card = checkpoints.read_card(checkpoints.find("unet"))
    assert (told["size"], told["multiple"]) == (unet.config.size, unet.multiple)
    assert told["vivid"] == card["boost"]["vivid"]
    assert many.temperature == 1, "the page does not scale the noise"
    assert told["times"] == pytest.approx(time_grid(many.steps, many.shift).tolist(), abs=1e-6)
    assert told["spread"] == list(many.spread)
    assert told["noise"] == {"waves": WAVES, "reach": many.reach, "tones": many.tones}


def some_pictures() -> dict[str, np.ndarray]:
    """64 pictures: photographs where there are any, the scikit-image ones, drawn scenes."""
    found = {name: getattr(skimage.data, name)() for name in PHOTOGRAPHS}
    try:
        photos = pictures.load("photos", "test").rgb
    except (FileNotFoundError, ValueError):
        photos = []
    more = [np.asarray(photo) for photo in photos[: COUNT - len(found)]]
    while len(more) < COUNT - len(found):
        scene = render(len(more), size=96)
        more.append((scene.rgb[0].permute(1, 2, 0) * 255).round().byte().numpy())
    return found | {f"p{i}": picture for i, picture in enumerate(more)}


def corrected(L: torch.Tensor, ab: torch.Tensor) -> torch.Tensor:
    """Simple kriging of what the hints change, with the features of colorlab's own kriging."""
    features = hints._features(L)[0].flatten(1).T
    h, w = L.shape[-2:]
    places = [min(h - 1, int(one["y"] * h)) * w + min(w - 1, int(one["x"] * w)) for one in HINTS]
    changes = torch.tensor([one["ab"] for one in HINTS]) - ab[0].flatten(1).T[places]
    system = hints._covariance(features[places], features[places]).double()
    system.diagonal().add_(hints._NUGGET)
    weights = torch.linalg.solve(system, changes.double()).float()
    return ab + (hints._covariance(features, features[places]) @ weights).T.view_as(ab)


def test_the_browser_s_runtime_computes_what_torch_does(page_folder, tmp_path):
    unet, many = checkpoints.load("unet").eval(), checkpoints.load("diffusion").eval()
    config, want, listed = many.config, {}, []

    def write(name: str, values: torch.Tensor) -> None:
        (tmp_path / name).write_bytes(values.contiguous().numpy().astype("<f4").tobytes())

    for name, picture in some_pictures().items():
        draws = DRAWS if name in PHOTOGRAPHS[:2] else 0
        with torch.inference_mode():
            L = unet.resize(lightness(from_uint8(picture[None])))
            write(f"{name}.L", L)
            want[f"{name}.ab"] = unet.answer(L)[0]
            if draws:
                # The random numbers that `tonal_noise` takes, in the order in which it does.
                source = torch.Generator().manual_seed(5)
                normal = [torch.randn(k, generator=source) for k in (2 * WAVES, *3 * (WAVES,))]
                write(f"{name}.uniform", torch.rand(WAVES, generator=source))
                normal += [torch.randn(2 * WAVES, generator=source) for _ in range(draws)]
                write(f"{name}.normal", torch.cat(normal))
                source.manual_seed(5)
                tone = torch.nn.functional.avg_pool2d(L, 4)
                noise = tonal_noise(tone, 2, config.reach, config.tones, source, draws)
                want[f"{name}.corrected"] = corrected(tone, 1.5 * unet.answer(L))[0]
                drawn = many.denoise(many.look(L), noise)
                for i in range(draws):
                    want[f"{name}.noise{i}"], want[f"{name}.draw{i}"] = noise[i, 0], drawn[i, 0]
        size = dict(zip(("height", "width"), L.shape[-2:], strict=True))
        listed.append({"name": name, "draws": draws, **size})
    sizes = [*product((1, 63, 480, 736, 6000), (1, 40, 640, 4000)), (3, 9000)]
    (tmp_path / "wanted.json").write_text(
        json.dumps({"pictures": listed, "sizes": sizes, "hints": HINTS})
    )

    script = Path(__file__).with_name("networks.mjs")
    command = ("node", script, page_folder, tmp_path, CHECKPOINTS)
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]

    for name, values in want.items():
        got = np.fromfile(tmp_path / name, "<f4").reshape(values.shape)
        assert np.abs(got - values.numpy()).max() < CLOSE, name
    got = json.loads((tmp_path / "sizes.json").read_text())
    for size, worked in zip(sizes, got, strict=True):
        shape = resize_to_area(torch.zeros(1, 1, *size), unet.config.size, unet.multiple).shape
        assert tuple(worked) == tuple(shape[-2:]), size
