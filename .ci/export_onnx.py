"""Make the graphs of site/networks: ``pip install onnx``, then ``python .ci/export_onnx.py``.

A graph holds operations alone. Its weights are ONNX "external data": each tensor names a released
file of data/checkpoints, an offset and a length, since a safetensors file is a header and then the
bytes of each tensor. So the web site ships the released files as they are, and no weights are kept
twice. To be run again when a released network that the page runs has changed.
"""

from __future__ import annotations

import hashlib
import io
import json
import logging
import warnings
from collections.abc import Iterator
from pathlib import Path

import onnx
import torch
from safetensors.torch import load as read_tensors
from torch import Tensor, nn

from colorlab import checkpoints
from colorlab.commands.colorize import VIVID
from colorlab.files import write_text
from colorlab.flow import time_grid, velocity_from_clean
from colorlab.models.diffusion import Diffusion, Seen
from colorlab.models.encoders import FILE, FOLDER, IMAGENET, make_net, read_card
from colorlab.models.unet import UNet
from colorlab.noise import WAVES

TARGET = Path(__file__).resolve().parents[1] / "site" / "networks"
OPSET = 17
ENCODER = FILE.format(IMAGENET)


class Sees(nn.Module):
    """L (1, 1, H, W) to *ab* (1, 2, H/4, W/4), and the decoder's maps for :class:`Step`."""

    def __init__(self, unet: UNet) -> None:
        super().__init__()
        # Not colorlab's own: there, normalizations are folded into other weights than released.
        self.encoder = make_net(read_card(IMAGENET)["architecture"]).eval()
        self.encoder.load_state_dict(read_tensors((FOLDER / ENCODER).read_bytes()))
        self.unet = unet

    def forward(self, L: Tensor) -> tuple[Tensor, ...]:
        """See the class; H and W are multiples of 64."""
        maps = tuple(self.encoder((L / 50 - 1).expand(-1, 3, -1, -1))[1:])
        seen = self.unet.climb(*self.unet.encode(L, maps))
        return (self.unet.head(seen[0]), *seen)


class Step(nn.Module):
    """One step of the sampler: a state (1, 2, h, w) at time ``now`` to that at time ``then``.

    ``ab`` and ``y0`` to ``y2`` are what :class:`Sees` returns. Guidance is included: the denoiser
    takes the state twice, with and without the gray image.
    """

    def __init__(self, model: Diffusion) -> None:
        super().__init__()
        self.unit, self.cell = model.unit, model.cell
        self.guidance = model.config.guidance
        self.denoiser = model.denoiser
        self.clean = model.clean  # a bound method: the UNet's weights are no part of this graph

    def forward(
        self, state: Tensor, now: Tensor, then: Tensor, ab: Tensor, *maps: Tensor
    ) -> Tensor:
        """See the class; times are (1,)."""
        seen = Seen(ab / self.unit, self.denoiser.look(maps))
        seen = seen.map(lambda x: torch.cat((x, torch.zeros_like(x))))
        with_L, without = self.clean(torch.cat((state, state)), now, seen).split(1)
        guided = without + self.guidance * (with_L - without)
        return state + (then - now) * velocity_from_clean(guided, state, now)


def tensors_of(files: dict[str, str]) -> Iterator[tuple[str, str, str, int, int]]:
    """Name in the graph, file, type, offset and length of every tensor.

    ``files`` maps the file's name to the prefix of its tensors' names in the graph.
    """
    for file, prefix in files.items():
        data = (FOLDER / file).read_bytes()
        start = 8 + int.from_bytes(data[:8], "little")
        for name, told in json.loads(data[8:start]).items():
            if name != "__metadata__":
                first, last = told["data_offsets"]
                yield prefix + name, file, told["dtype"], start + first, last - first


def point_at_files(graph: onnx.GraphProto, files: dict[str, str]) -> None:
    """Replace each weight of the graph by a reference into a released file, and a cast."""
    known = {name: rest for name, *rest in tensors_of(files)}
    casts, used = [], set()
    for tensor in graph.initializer:
        file, dtype, offset, length = known[tensor.name]
        if dtype != "F16" or tensor.data_type != onnx.TensorProto.FLOAT:
            raise ValueError(f"{tensor.name} is {dtype} in {file}; only halves are expected")
        half = f"{tensor.name}:half"
        casts.append(onnx.helper.make_node("Cast", [half], [tensor.name], to=tensor.data_type))
        tensor.name, tensor.data_type = half, onnx.TensorProto.FLOAT16
        tensor.ClearField("raw_data")
        tensor.data_location = onnx.TensorProto.EXTERNAL
        for key, value in (("location", file), ("offset", offset), ("length", length)):
            tensor.external_data.add(key=key, value=str(value))
        used.add(file)
    if used != set(files):
        raise ValueError(f"the graph holds no tensor of {set(files) - used}")
    nodes = [*casts, *graph.node]
    graph.ClearField("node")
    graph.node.extend(nodes)


def shorten(graph: onnx.GraphProto) -> None:
    """Number the values between nodes, whose names are paths within modules: a third of a file."""
    kept = {value.name for value in (*graph.input, *graph.output)}
    kept |= {tensor.name for tensor in graph.initializer}
    numbers: dict[str, str] = {}
    for node in graph.node:
        node.name, node.doc_string = "", ""
        for names in (node.input, node.output):
            for i, name in enumerate(names):
                if name and name not in kept:
                    names[i] = numbers.setdefault(name, f"v{len(numbers)}")
    graph.ClearField("value_info")


def export(
    module: nn.Module, given: dict[str, Tensor], outputs: list[str], files: dict[str, str]
) -> bytes:
    """The graph of a module for images of any size, that refers to ``files``."""
    maps = [*outputs, *(name for name, value in given.items() if value.ndim == 4)]
    shape = {name: {2: f"height of {name}", 3: f"width of {name}"} for name in maps}
    whole = io.BytesIO()
    with warnings.catch_warnings():
        # The newer exporter names weights otherwise and fixes sizes that the traced one leaves.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            module.eval(),
            tuple(given.values()),
            whole,
            dynamo=False,
            training=torch.onnx.TrainingMode.PRESERVE,  # in evaluation mode it would fold weights
            do_constant_folding=False,
            opset_version=OPSET,
            input_names=list(given),
            output_names=outputs,
            dynamic_axes=shape,
        )
    model = onnx.load_from_string(whole.getvalue())
    point_at_files(model.graph, files)
    shorten(model.graph)
    return model.SerializeToString(deterministic=True)


def main() -> None:
    """Do what the module says."""
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    unet, many = checkpoints.load("unet"), checkpoints.load("diffusion")
    many.unet = unet  # released once: the sampler stands on it
    unet_file, many_file = (checkpoints.find(name).name for name in ("unet", "diffusion"))
    # What each graph takes its weights from, and how their names begin in the graph.
    files = {"unet": {ENCODER: "encoder.", unet_file: "unet."}, "step": {many_file: ""}}
    L = 100 * torch.rand(1, 1, 256, 320)
    with torch.inference_mode(False), torch.no_grad():
        sees = Sees(unet)
        ab, *maps = sees(L)
        names = ("y0", "y1", "y2")
        graphs = {
            "unet": export(sees, {"L": L}, ["ab", *names], files["unet"]),
            "step": export(
                Step(many),
                {
                    "state": torch.randn(ab.shape),
                    "now": torch.tensor([0.25]),
                    "then": torch.tensor([0.5]),
                    "ab": ab,
                    **dict(zip(names, maps, strict=True)),
                },
                ["next"],
                files["step"],
            ),
        }
    config = many.config
    told = {
        "opset": OPSET,
        "size": unet.config.size,
        "multiple": unet.multiple,
        VIVID: checkpoints.read_card(checkpoints.find("unet"))["boost"]["vivid"],
        "times": [round(t, 7) for t in time_grid(config.steps, config.shift).tolist()],
        "spread": list(config.spread),
        "noise": {"waves": WAVES, "reach": config.reach, "tones": config.tones},
        "networks": {
            name: {
                "sha256": hashlib.sha256(graph).hexdigest(),
                "weights": {
                    file: hashlib.sha256((FOLDER / file).read_bytes()).hexdigest()
                    for file in files[name]
                },
            }
            for name, graph in graphs.items()
        },
    }
    for name, graph in graphs.items():
        (TARGET / f"{name}.onnx").write_bytes(graph)
        print(f"{name}.onnx: {len(graph):,} bytes")
    write_text(TARGET / "networks.json", json.dumps(told, indent=2) + "\n")


if __name__ == "__main__":
    main()
