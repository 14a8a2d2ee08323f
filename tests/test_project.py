"""The project's own promises: one source of truth, a light import, commands that are there."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

from colorlab.__main__ import main

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]

# Imports run one way: a module may import from layers before it only.
ORDER = [
    {"color", "color_bins", "parallel", "progress", "checks", "files", "resizing", "bands"},
    {
        "data",
        "layers",
        "latents",
        "choices",
        "flow",
        "noise",
        "tonal_noise",
        "samplers",
        "losses",
        "adversarial",
    },
    {"classical"},
    {"models"},
    {"cards"},
    {"checkpoints"},
    {"metrics", "training", "costs"},
    {"plots", "exercises"},
    {"figures", "widgets"},
    {"commands"},
    {"__main__"},
]


def test_environment_yml_takes_everything_from_pyproject():
    environment = yaml.safe_load((ROOT / "environment.yml").read_text("utf-8"))
    *conda, pip = environment["dependencies"]
    assert {re.split(r"[<>=]", entry)[0] for entry in conda} == {"python", "pip"}
    assert pip == {"pip": ["-e .[test]"]}
    lowest = PROJECT["requires-python"].removeprefix(">=")
    assert f"python>={lowest}" in conda[0]


def test_constraints_name_every_dependency_once_and_within_its_range():
    from packaging.requirements import Requirement

    pins = {}
    for line in (ROOT / "constraints.txt").read_text("utf-8").splitlines():
        if line and not line.startswith("#"):
            requirement = Requirement(line)
            assert requirement.name not in pins, f"{requirement.name} is pinned twice"
            (pin,) = requirement.specifier
            assert pin.operator == "=="
            pins[requirement.name.lower()] = pin.version
    wanted = PROJECT["dependencies"] + PROJECT["optional-dependencies"]["test"]
    for requirement in map(Requirement, wanted):
        assert requirement.name in pins, f"{requirement.name} is not in constraints.txt"
        assert requirement.specifier.contains(pins[requirement.name])


def test_import_is_light_and_needs_no_heavy_package():
    code = (
        "import sys, colorlab; heavy = {'torch', 'IPython', 'ipywidgets', 'anywidget', 'lpips', "
        "'matplotlib', 'skimage', 'torchvision'} & set(sys.modules); assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)


def test_using_a_model_needs_neither_jupyter_nor_lpips():
    code = (
        "import sys\n"
        "for name in ('IPython', 'ipywidgets', 'anywidget', 'lpips', 'jupyterlab', 'matplotlib'):\n"
        "    sys.modules[name] = None\n"
        "import torch, colorlab.training, colorlab.checkpoints, colorlab.__main__\n"
        "from colorlab.commands import train, evaluate, colorize, download\n"
        "from colorlab.models import build\n"
        "build('unet', size=64).colorize(torch.rand(1, 1, 64, 64) * 100)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)


@pytest.mark.parametrize("file", sorted((ROOT / "colorlab").rglob("*.py")), ids=lambda f: f.name)
def test_imports_run_one_way(file):
    place = {name: i for i, names in enumerate(ORDER) for name in names}
    mine = file.relative_to(ROOT / "colorlab").parts[0].removesuffix(".py")
    if mine == "__init__":
        return
    tree = ast.parse(file.read_text("utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("colorlab."):
            names = [node.module.split(".")[1]]
        elif isinstance(node, ast.ImportFrom) and node.module == "colorlab":
            names = [alias.name for alias in node.names if alias.name in place]
        else:
            continue
        for name in names:
            assert name == mine or place[name] <= place[mine], f"{mine} imports {name}"


def test_the_package_runs_as_a_program():
    words = [sys.executable, "-m", "colorlab", "--help"]
    done = subprocess.run(words, capture_output=True, text=True, check=True, cwd=ROOT)
    assert "usage: colorlab" in done.stdout


@pytest.mark.parametrize("name", ["train", "evaluate", "colorize", "download", "ablate"])
def test_commands_explain_themselves(name, capsys):
    with pytest.raises(SystemExit) as left:
        main([name, "--help"])
    assert left.value.code == 0
    assert f"usage: colorlab {name}" in capsys.readouterr().out


def test_no_file_is_too_large():
    tracked = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if tracked.returncode:
        pytest.skip("not a git checkout")
    sizes = {name: (ROOT / name).stat().st_size for name in tracked.stdout.split("\0") if name}
    assert max(sizes.values()) <= 8 * 2**20
    assert sum(sizes.values()) <= 64 * 2**20
