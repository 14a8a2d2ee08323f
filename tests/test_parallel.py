"""Two processes train as one: the same losses, and a killed one can be resumed."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import parallel_losses
import pytest
import torch
from torch import nn

from colorlab import parallel
from colorlab.__main__ import main
from colorlab.training.runs import read_state

pytestmark = pytest.mark.skipif(
    not torch.distributed.is_available(), reason="this PyTorch has no distributed package"
)

UNET = (
    "train unet --size 32 --batch-size 8 --steps 8 --validate-every 2 --augment crop "
    "--precision float32 --device cpu --checkpoint-every 0"
)

# Process 1 dies before step 5, in the middle of a run.
DYING = """
import os, signal, sys
from colorlab.__main__ import main
from colorlab.training import Trainer

advance = Trainer.advance

def dying(self, precision):
    if os.environ["RANK"] == "1" and self.step == 5:
        os.kill(os.getpid(), signal.SIGKILL)
    return advance(self, precision)

Trainer.advance = dying
sys.exit(main(sys.argv[1:]))
"""


def launch(processes: int, *words: str) -> subprocess.CompletedProcess:
    """Run a script, or ``-m`` and a module, by PyTorch's launcher."""
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)]
    command = [sys.executable, *launcher, *words]
    quiet = os.environ | {"OMP_NUM_THREADS": "1"}
    return subprocess.run(command, env=quiet, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def folder(tiny_photos, tmp_path_factory) -> Path:
    """Small pictures; 3 to validate cannot be halved."""
    root = tmp_path_factory.mktemp("odd")
    shutil.copytree(tiny_photos, root, dirs_exist_ok=True)
    (root / "val" / "3.png").unlink()
    return root


@pytest.fixture(scope="module")
def whole(folder, tmp_path_factory) -> Path:
    """A run of two processes that nobody disturbed."""
    out = tmp_path_factory.mktemp("whole")
    done = launch(2, "-m", "colorlab", *UNET.split(), "--data", str(folder), "--out", str(out))
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.count("weights in") == 1, "one process writes"
    return out


def test_two_processes_learn_what_one_learns(folder, whole, tmp_path):
    assert main([*UNET.split(), "--data", str(folder), "--out", str(tmp_path)]) == 0
    alone, together = (read_state(out)["history"]["rows"] for out in (tmp_path, whole))
    assert len(alone) == len(together) == 4
    for one, two in zip(alone, together, strict=True):
        assert two == pytest.approx(one, rel=2e-3)


def test_both_players_and_counted_colors_are_shared(tmp_path):
    names, file = ("unet_gan", "classifier"), tmp_path / "losses.json"
    done = launch(2, parallel_losses.__file__, str(file), *names)
    assert done.returncode == 0, done.stderr[-2000:]
    together = json.loads(file.read_text("utf-8"))
    for name in names:
        for one, two in zip(parallel_losses.losses(name), together[name], strict=True):
            assert two == pytest.approx(one, rel=1e-3)


def test_a_killed_process_ends_the_run_and_it_resumes_to_the_same_weights(folder, whole, tmp_path):
    script, killed = tmp_path / "dying.py", tmp_path / "killed"
    script.write_text(DYING)
    words = [*UNET.split(), "--data", str(folder), "--out", str(killed)]
    assert launch(2, str(script), *words).returncode != 0
    assert read_state(killed)["trainer"]["step"] == 4
    done = launch(2, "-m", "colorlab", *words, "--resume")
    assert done.returncode == 0, done.stderr[-2000:]
    ours, theirs = read_state(killed)["trainer"], read_state(whole)["trainer"]
    assert ours["step"] == theirs["step"] == 8
    for name, value in theirs["model"].items():
        assert torch.equal(ours["model"][name], value), name


def test_a_batch_that_cannot_be_shared_is_refused(monkeypatch):
    monkeypatch.setattr(parallel, "size", lambda: 3)
    with pytest.raises(ValueError, match="batch of 8 cannot be shared by 3"):
        parallel.share(8)


def test_alone_nothing_changes():
    loss, model = (lambda batch: batch), nn.Sequential(nn.BatchNorm2d(3))
    assert parallel.averaging(model, loss) is loss
    parallel.share_statistics(model)
    assert type(model[0]) is nn.BatchNorm2d
    assert parallel.share(8) == slice(0, None, 1)


def test_synced_normalization_alone_is_batch_normalization():
    torch.manual_seed(0)
    x = torch.randn(4, 3, 5, 5, requires_grad=True)
    plain, synced = nn.BatchNorm2d(3), parallel.SyncedBatchNorm2d(3)
    answers = []
    for norm in (plain, synced):
        y = norm(3 * x + 1)
        (gradient,) = torch.autograd.grad(y.pow(3).sum(), x)
        answers.append((y, gradient, norm.running_mean, norm.running_var, norm.eval()(x)))
    for ours, theirs in zip(*answers, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4)
