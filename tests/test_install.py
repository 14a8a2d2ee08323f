"""The README's uv line, and which versions of Python have all wheels: uv from the registry."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sysconfig
import tomllib
import venv
from pathlib import Path

import pytest
from packaging.specifiers import SpecifierSet

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
VERSIONS = [
    name.rpartition(" ")[2] for name in PROJECT["classifiers"] if re.search(r"3\.\d+$", name)
]
PLATFORMS = ["x86_64-unknown-linux-gnu", "aarch64-apple-darwin", "x86_64-pc-windows-msvc"]


@pytest.fixture(scope="module")
def uv(tmp_path_factory):
    """The program, in an environment of its own."""
    folder = tmp_path_factory.mktemp("uv")
    venv.create(folder, with_pip=True)
    words = [folder / "bin" / "python", "-m", "pip", "install", "-q", "uv>=0.9"]
    if subprocess.run(words, capture_output=True, check=False).returncode:
        pytest.skip("no uv from the package registry")
    return folder / "bin" / "uv"


def resolved(done: subprocess.CompletedProcess) -> subprocess.CompletedProcess:
    """What uv did, if it could ask the registry."""
    unasked = "No solution found" not in done.stderr or "Failed to fetch" in done.stderr
    if done.returncode and unasked:
        pytest.skip(f"uv reaches no registry: {done.stderr[-200:]}")
    assert done.returncode == 0, done.stderr
    return done


def test_the_readmes_uv_line_installs_the_course(uv, tmp_path):
    text = (ROOT / "README.md").read_text("utf-8")
    [line] = re.findall(r"^(uv venv .*)$", text, re.M)
    make, install, start = line.split(" && ")
    for name in ("pyproject.toml", "README.md", "LICENSE", "LICENSE-prose", "colorlab", "data"):
        (tmp_path / name).symlink_to(ROOT / name)
    unset = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    env = unset | {"VIRTUAL_ENV": str(tmp_path / ".venv")}
    keep = {"cwd": tmp_path, "env": env, "capture_output": True, "text": True}
    subprocess.run([uv, *make.split()[1:]], check=True, **keep)
    # All that it would install, then the package alone: the rest is gigabytes.
    done = subprocess.run([uv, *install.split()[1:], "--dry-run"], check=False, **keep)
    assert {"torch", "jupyterlab", "colorlab"} <= set(
        re.findall(r"^ \+ ([\w-]+)", resolved(done).stderr, re.M)
    )
    resolved(subprocess.run([uv, *install.split()[1:], "--no-deps"], check=False, **keep))
    [packages] = (tmp_path / ".venv" / "lib").glob("python*/site-packages")
    (packages / "above.pth").write_text(sysconfig.get_path("purelib"))
    program = [tmp_path / ".venv" / "bin" / "colorlab", "--help"]
    assert "usage: colorlab" in subprocess.run(program, check=True, **keep).stdout
    assert start == ".venv/bin/jupyter lab notebooks"


@pytest.mark.parametrize("platform", PLATFORMS)
@pytest.mark.parametrize("version", [VERSIONS[0], VERSIONS[-1]])
def test_every_dependency_has_a_wheel(uv, version, platform):
    words = [uv, "pip", "compile", ROOT / "pyproject.toml", "--extra", "test", "-o", os.devnull]
    words += ["--python-version", version, "--python-platform", platform]
    words += ["--only-binary", ":all:", "--prerelease", "disallow"]
    resolved(subprocess.run(words, capture_output=True, text=True, check=False))


def test_the_versions_are_those_that_pip_accepts_and_the_container_has():
    accepted = SpecifierSet(PROJECT["requires-python"])
    assert [f"3.{n}" for n in range(30) if f"3.{n}" in accepted] == VERSIONS
    text = (ROOT / "README.md").read_text("utf-8")
    assert f"Python {VERSIONS[0]} to {VERSIONS[-1]}" in text
    container = json.loads((ROOT / ".devcontainer" / "devcontainer.json").read_text("utf-8"))
    assert container["image"].rpartition(":")[2] in VERSIONS
    grading = (ROOT / ".ci" / "grade.Dockerfile").read_text("utf-8")
    assert re.search(r"^FROM python:(3\.\d+)-", grading, re.M)[1] in VERSIONS
