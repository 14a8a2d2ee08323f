"""The project's own promises: one source of truth, a light import, commands that are there."""

import ast
import re
import subprocess
import sys
import tomllib
from graphlib import TopologicalSorter
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from colorlab.__main__ import main

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
EXTRAS = PROJECT["optional-dependencies"]

# Imports run one way: a module may import from its own line and from those before it.
ORDER = [
    "color color_bins parallel checks files bands",
    "data layers latents flow noise losses",
    "classical",
    "models",
    "cards",
    "checkpoints",
    "metrics",
    "training",
    "plots exercises grading",
    "figures widgets",
    "commands",
    "__main__",
]

PROGRAM = """
import runpy, sys
for name in ("IPython", "ipywidgets", "anywidget", "lpips", "jupyterlab", "matplotlib"):
    sys.modules[name] = None
import colorlab
assert not {"torch", "torchvision", "skimage"} & set(sys.modules), "a light import"
import torch, colorlab.training, colorlab.checkpoints
from colorlab.commands import train, evaluate, colorize, download
from colorlab.models import build
build("unet", size=64).colorize(torch.rand(1, 1, 64, 64) * 100)
sys.argv = ["colorlab", "--help"]
runpy.run_module("colorlab", run_name="__main__")
"""


# ---- what is installed


def wanted(*extras: str) -> list[Requirement]:
    """What the package depends on, with these extras."""
    return [Requirement(e) for e in sum((EXTRAS[x] for x in extras), PROJECT["dependencies"])]


def pins(file: str) -> dict[str, str]:
    """Name to version of the lines NAME==VERSION, which may go on with hashes."""
    text = (ROOT / file).read_text("utf-8")
    found = re.findall(r"^([A-Za-z0-9._-]+)==([^\s\\;]+)", text, flags=re.MULTILINE)
    names = [canonicalize_name(name) for name, _ in found]
    assert len(set(names)) == len(names), f"{file} pins a package twice"
    return {name: version for name, (_, version) in zip(names, found, strict=True)}


def test_environment_yml_takes_everything_from_pyproject():
    environment = yaml.safe_load((ROOT / "environment.yml").read_text("utf-8"))
    *conda, pip = environment["dependencies"]
    assert {re.split(r"[<>=]", entry)[0] for entry in conda} == {"python", "pip"}
    assert pip == {"pip": ["-e .[test]"]}
    assert conda[0] == f"python{PROJECT['requires-python']}"


def test_constraints_and_lock_pin_every_dependency_within_its_range():
    held, locked = pins("constraints.txt"), pins("requirements.lock")
    for requirement in wanted("test"):
        name = canonicalize_name(requirement.name)
        assert name in locked, f"{name} is not in requirements.lock"
        assert requirement.specifier.contains(held[name])
    assert {name: held.get(name) for name in locked} == locked


def test_every_file_that_may_be_installed_has_a_hash():
    hashes: list[set[str]] = []
    for line in (ROOT / "requirements.lock").read_text("utf-8").splitlines():
        if re.match(r"[A-Za-z0-9._-]+==", line):
            hashes.append(set())
        elif match := re.fullmatch(r"    --hash=sha256:([0-9a-f]{64})( \\)?", line):
            hashes[-1].add(match[1])
        else:
            assert line.startswith("#"), f"requirements.lock holds {line!r}"
    assert all(hashes)


def test_the_readme_justifies_every_dependency():
    text = (ROOT / "README.md").read_text("utf-8")
    rows = re.findall(r"^\| `([\w-]+)` \| ([^|]+) \| ([^|]+) \| ([^|]+) \|$", text, re.MULTILINE)
    needed = {canonicalize_name(entry.name) for entry in wanted("test", "dev")} - {"colorlab"}
    assert {canonicalize_name(name) for name, *_ in rows} == needed
    assert all(cell.strip() for row in rows for cell in row)


# ---- where it is published


def site_commands() -> list[str]:
    """The commands of site/README.md, which workflow and container give too."""
    text = (ROOT / "site" / "README.md").read_text("utf-8")
    lines = re.search(r"```sh\n(.*?)```", text, re.DOTALL)[1].strip().splitlines()
    return [part for line in lines for part in line.split(" && ")]


def test_the_workflow_builds_the_site_as_its_readme_says_and_names_tests_that_are_there():
    text = (ROOT / ".github" / "workflows" / "pages.yml").read_text("utf-8")
    jobs = yaml.safe_load(text)["jobs"]
    steps = [step for job in jobs.values() for step in job["steps"]]
    uses = [step["uses"] for step in steps if "uses" in step]
    assert uses and all(re.fullmatch(r"actions/[\w-]+@v\d+", name) for name in uses)
    commands = "\n".join(step["run"] for step in steps if "run" in step)
    assert all(command in commands for command in site_commands())
    tests = re.findall(r"\btests/\S+", commands)
    assert tests and all((ROOT / name).exists() for name in tests)
    folder = next(s["with"]["path"] for s in steps if "upload-pages" in s.get("uses", ""))
    assert folder == f"{site_commands()[-1].split()[-1]}/html"


def test_the_container_builds_the_site_as_its_readme_says_and_copies_what_is_there():
    text = (ROOT / "Dockerfile").read_text("utf-8")
    for command in site_commands():
        assert command.replace("pip install", "pip install --no-cache-dir") in text
    for line in re.findall(r"^COPY (?!--from)(.+)$", text, re.MULTILINE):
        assert all((ROOT / source).exists() for source in line.split()[:-1])
    assert (ROOT / re.search(r"/lab/tree/([\w/.]+)", text)[1]).is_file()
    served = re.search(r"--directory (\S+)", text)[1]
    assert f"COPY --from=site /course/{served} {served}\n" in text


# ---- imports


@pytest.fixture(scope="module")
def imports() -> dict[str, set[str]]:
    """For each module of colorlab those that it imports anywhere; but for the package itself."""
    files = {}
    for file in sorted((ROOT / "colorlab").rglob("*.py")):
        parts = file.relative_to(ROOT).with_suffix("").parts
        files[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = file
    del files["colorlab"]  # the door: it loads on demand, and holds the version
    found = {}
    for module, file in files.items():
        found[module] = set()
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            names = [alias.name for alias in getattr(node, "names", []) if hasattr(alias, "name")]
            if isinstance(node, ast.ImportFrom):
                names = [f"{node.module}.{name}" for name in names]
            elif not isinstance(node, ast.Import):
                continue
            both = {name if name in files else name.rpartition(".")[0] for name in names}
            found[module] |= both & set(files)
    return found


def test_imports_run_one_way(imports):
    place = {name: i for i, names in enumerate(ORDER) for name in names.split()}
    for module, others in imports.items():
        mine = module.split(".")[1]
        for name in {other.split(".")[1] for other in others} - {mine}:
            assert place[name] <= place[mine], f"{module} imports {name}"


def test_no_module_imports_itself_in_a_circle(imports):
    assert len(list(TopologicalSorter(imports).static_order())) == len(imports) > 50


def test_a_light_import_and_a_program_that_need_neither_jupyter_nor_lpips():
    words = [sys.executable, "-c", PROGRAM]
    done = subprocess.run(words, capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 0 and "usage: colorlab" in done.stdout, done.stderr


@pytest.mark.parametrize(
    "name", ["train", "evaluate", "colorize", "download", "ablate", "grade", "progress"]
)
def test_commands_explain_themselves(name, capsys):
    with pytest.raises(SystemExit) as left:
        main([name, "--help"])
    told = capsys.readouterr().out
    assert left.value.code == 0 and f"usage: colorlab {name}" in told
    if name not in ("grade", "progress"):
        lines = told.split("examples:")[1].strip().splitlines()
        assert len(lines) >= 2
        assert all(line.strip().startswith(f"colorlab {name}") for line in lines)


def test_no_file_is_too_large():
    tracked = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if tracked.returncode:
        pytest.skip("not a git checkout")
    files = [ROOT / name for name in tracked.stdout.split("\0") if name]
    sizes = [file.stat().st_size for file in files if file.exists()]
    assert max(sizes) <= 8 * 2**20
    assert sum(sizes) <= 64 * 2**20
