"""Lessons as students use them: stopped, run twice, opened twice at once, without a network."""

from __future__ import annotations

import json
import queue
import re
import threading
from pathlib import Path

import pytest
from jupyter_client.manager import start_new_kernel

GROUP = "notebooks"
LESSON = Path(__file__).resolve().parents[2] / "notebooks" / "00_start_here.ipynb"

# The kernel speaks to its client through sockets that are not Python's, so this stops lessons only.
NO_NETWORK = """
import socket
def refuse(self, address):
    if self.family != socket.AF_UNIX:
        raise OSError(f"a lesson asked for {address}")
socket.socket.connect = socket.socket.connect_ex = refuse
"""

PREPARE = """
import time
import torch
from pathlib import Path
from colorlab.data.scenes import scene_set
from colorlab.models import build
from colorlab.training import TrainConfig, fit
train, val = (scene_set(n, split=s, size=32).pictures for n, s in ((64, "train"), (16, "val")))
def new():
    torch.manual_seed(0)
    return build("resnet", size=32, widths=(8, 16, 16))
def mark(model):
    return float(sum(v.double().abs().sum() for v in model.state_dict().values()))
def settings(steps):
    return TrainConfig(
        steps=steps, batch_size=8, precision="float32", validate_every=5, seed=1, device="cpu",
        checkpoint_every=0,
    )
def tell(step, _):
    print("step", step, flush=True)
"""

TRAIN = """
model = new()
fit(model, train, val, settings(30), out=Path({out!r}), resume=True, progress=False,
    on_validation=lambda step, _: (tell(step, _), time.sleep({wait} * (step == 10))))
print(mark(model))
"""

# A student's cell: whatever happens to the training, the network is used after it.
USE = """
model = new()
before = mark(model)
try:
    fit(model, train, val, settings(10**6), progress=False, on_validation=tell)
finally:
    answer = model.colorize(torch.full((1, 1, 32, 32), 50.0))
    print(model.training, mark(model) != before, bool(answer.isfinite().all()))
"""


class Notebook:
    """A kernel of its own, in the lessons' folder."""

    def __init__(self) -> None:
        self.manager, self.client = start_new_kernel(kernel_name="python3", cwd=str(LESSON.parent))

    def __enter__(self) -> Notebook:
        return self

    def __exit__(self, *_) -> None:
        self.client.stop_channels()
        self.manager.shutdown_kernel(now=True)

    def run(self, source: str, heard=lambda text: None) -> tuple[str, str]:
        """What a cell printed, and the name of the error that ended it, "" if none did."""
        printed, error = [], ""
        request = self.client.execute(source)
        while True:
            try:
                message = self.client.get_iopub_msg(timeout=240)
            except queue.Empty:
                pytest.fail(f"no answer from the kernel after {printed}")
            if message["parent_header"].get("msg_id") != request:
                continue
            content = message["content"]
            if message["msg_type"] == "stream" and content["name"] == "stdout":
                printed.append(content["text"])
                heard(content["text"])
            elif message["msg_type"] in ("execute_result", "display_data"):
                printed.append(content["data"]["text/plain"])
            elif message["msg_type"] == "error":
                error = content["ename"]
            elif message["msg_type"] == "status" and content["execution_state"] == "idle":
                # Addresses of objects differ from run to run.
                return re.sub(r"0x[0-9a-f]+", "0x", "".join(printed)), error


def cells() -> list[str]:
    lesson = json.loads(LESSON.read_text("utf-8"))
    return ["".join(c["source"]) for c in lesson["cells"] if c["cell_type"] == "code"]


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """An empty one, as on the first day."""
    monkeypatch.setenv("COLORLAB_CACHE", str(tmp_path / "cache"))


def test_a_stopped_training_cell_leaves_all_that_is_needed_to_go_on(fault, cache, tmp_path):
    with Notebook() as notebook:

        def stopped(source: str) -> tuple[str, str]:
            """Run a cell, and press the stop button after its tenth step."""
            return notebook.run(
                source, lambda text: "step 10\n" in text and notebook.manager.interrupt_kernel()
            )

        assert notebook.run(PREPARE) == ("", "")
        whole, _ = notebook.run(TRAIN.format(out=str(tmp_path / "whole"), wait=0))
        with fault(GROUP, "a training cell is interrupted, and run again"):
            out = str(tmp_path / "stopped")
            assert stopped(TRAIN.format(out=out, wait=60))[1] == "KeyboardInterrupt"
            rest, error = notebook.run(TRAIN.format(out=out, wait=0))
            assert error == "" and whole.endswith(rest) and "step 5\n" not in rest
        with fault(GROUP, "a training cell is interrupted, and its network used"):
            printed, error = stopped(USE)
            assert error == "KeyboardInterrupt" and printed.endswith("False True True\n")


def test_a_lesson_run_twice_says_the_same(fault, cache):
    with Notebook() as notebook:
        first = [notebook.run(source) for source in cells()]
        assert not any(error for _, error in first)
        with fault(GROUP, "every cell is run a second time"):
            assert [notebook.run(source) for source in cells()] == first


def test_two_kernels_on_the_first_day_without_a_network(fault, cache):
    results: list[list] = [[], []]

    def study(number: int) -> None:
        with Notebook() as notebook:
            results[number] = [notebook.run(source) for source in (NO_NETWORK, *cells())]

    with fault(GROUP, "two kernels fill one empty cache, offline"):
        students = [threading.Thread(target=study, args=(i,)) for i in (0, 1)]
        for student in students:
            student.start()
        for student in students:
            student.join()
        assert results[0] == results[1]
        assert len(results[0]) == len(cells()) + 1 and not any(e for _, e in results[0])
