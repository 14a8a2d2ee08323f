"""The scripts and styles of all widgets."""

from __future__ import annotations

import re
import tomllib

import pytest

from colorlab.widgets import BeforeAfter, Canvas, Studio, TuringTest
from colorlab.widgets.shared import STATIC

WIDGETS = (BeforeAfter, Canvas, Studio, TuringTest)


@pytest.mark.parametrize("widget", WIDGETS)
def test_a_script_is_in_the_package_and_asks_no_network(widget):
    script = str(widget._esm) + str(widget._css)
    assert not re.search(r"https?:|//cdn|@import|\bimport\b\s*[({'\"]|fetch\(|XMLHttp", script)
    assert "export default { render };" in script
    # What a reader or a file says is text, never markup.
    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(", script)


def test_every_script_is_used_and_shipped():
    joined = "".join(str(part) for w in WIDGETS for part in (w._esm, w._css))
    assert all(path.read_text("utf-8") in joined for path in STATIC.iterdir())
    project = tomllib.loads((STATIC.parents[2] / "pyproject.toml").read_text("utf-8"))
    patterns = project["tool"]["setuptools"]["package-data"]["colorlab.widgets"]
    shipped = {path for pattern in patterns for path in STATIC.parent.glob(pattern)}
    assert shipped == set(STATIC.iterdir())
