"""Lessons as students use them: stopped, run twice, opened twice at once, without a network."""

from __future__ import annotations

import queue
import re
from concurrent.futures import ThreadPoolExecutor

import pytest
from course import FOLDER, cells, source
from jupyter_client.manager import start_new_kernel

LESSON = [source(cell) for cell in cells(FOLDER / "00_start_here.ipynb", "code")]

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
        self.manager, self.client = start_new_kernel(kernel_name="python3", cwd=str(FOLDER))

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


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """An empty one, as on the first day."""
    monkeypatch.setenv("COLORLAB_CACHE", str(tmp_path / "cache"))


def test_a_stopped_training_cell_leaves_all_that_is_needed_to_go_on(tmp_path):
    with Notebook() as notebook:

        def stopped(source: str) -> tuple[str, str]:
            """Run a cell, and press the stop button after its tenth step."""
            return notebook.run(
                source, lambda text: "step 10\n" in text and notebook.manager.interrupt_kernel()
            )

        assert notebook.run(PREPARE) == ("", "")
        whole, _ = notebook.run(TRAIN.format(out=str(tmp_path / "whole"), wait=0))
        out = str(tmp_path / "stopped")
        assert stopped(TRAIN.format(out=out, wait=60))[1] == "KeyboardInterrupt"
        rest, error = notebook.run(TRAIN.format(out=out, wait=0))
        assert error == "" and whole.endswith(rest) and "step 5\n" not in rest
        printed, error = stopped(USE)
        assert error == "KeyboardInterrupt" and printed.endswith("False True True\n")


def test_two_kernels_on_the_first_day_without_a_network_and_a_lesson_run_twice():
    def study(times: int) -> list[list[tuple[str, str]]]:
        with Notebook() as notebook:
            assert notebook.run(NO_NETWORK) == ("", "")
            return [[notebook.run(cell) for cell in LESSON] for _ in range(times)]

    with ThreadPoolExecutor() as students:
        (first,), (second, again) = students.map(study, (1, 2))
    assert not any(error for _, error in first)
    assert first == second == again
