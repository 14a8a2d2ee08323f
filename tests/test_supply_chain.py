"""What is installed: every dependency is justified, every file of it has a hash."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
EXTRAS = PROJECT["optional-dependencies"]


def pins(text: str) -> dict[str, str]:
    """Name to version of the lines NAME==VERSION, which may go on with hashes."""
    found = re.findall(r"^([A-Za-z0-9._-]+)==([^\s\\;]+)", text, flags=re.MULTILINE)
    return {canonicalize_name(name): version for name, version in found}


def entries() -> dict[str, list[str]]:
    """Name to hashes in the lock file."""
    found: dict[str, list[str]] = {}
    for line in (ROOT / "requirements.lock").read_text("utf-8").splitlines():
        if match := re.match(r"([A-Za-z0-9._-]+)==", line):
            name = canonicalize_name(match[1])
            found[name] = []
        elif match := re.fullmatch(r"    --hash=sha256:([0-9a-f]{64})( \\)?", line):
            found[name].append(match[1])
        else:
            assert line.startswith("#"), f"requirements.lock holds {line!r}"
    return found


def test_every_file_that_may_be_installed_has_a_hash():
    for name, hashes in entries().items():
        assert hashes, f"{name} has no hash"
        assert len(set(hashes)) == len(hashes), f"{name} names a hash twice"


def test_the_lock_pins_what_the_constraints_pin():
    locked = pins((ROOT / "requirements.lock").read_text("utf-8"))
    held = pins((ROOT / "constraints.txt").read_text("utf-8"))
    differs = {name: (locked[name], held.get(name)) for name in locked}
    differs = {name: both for name, both in differs.items() if both[0] != both[1]}
    assert not differs


def test_the_lock_holds_every_dependency():
    names = {Requirement(entry).name for entry in PROJECT["dependencies"] + EXTRAS["test"]}
    assert {canonicalize_name(name) for name in names} <= set(entries())


def test_the_readme_justifies_every_dependency():
    text = (ROOT / "README.md").read_text("utf-8")
    rows = re.findall(r"^\| `([\w-]+)` \| ([^|]+) \| ([^|]+) \| ([^|]+) \|$", text, re.MULTILINE)
    told = {canonicalize_name(name) for name, *_ in rows}
    wanted = PROJECT["dependencies"] + EXTRAS["test"] + EXTRAS["dev"]
    needed = {canonicalize_name(Requirement(entry).name) for entry in wanted} - {"colorlab"}
    assert told == needed
    assert all(cell.strip() for row in rows for cell in row)
