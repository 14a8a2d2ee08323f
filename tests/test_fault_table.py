"""The table of faults: counts come from every process, and the committed one lost nothing."""

from __future__ import annotations

import re
from types import SimpleNamespace

import fault_table
import pytest
from fault_table import FaultTable


@pytest.fixture
def table() -> FaultTable:
    return FaultTable(SimpleNamespace())


def try_some(table: FaultTable) -> None:
    for group, what, lost in (("b", "x", 0), ("a", "x", 0), ("b", "x", 1), ("b", "y", 0)):
        try:
            with table.fault(group, what):
                assert not lost
        except AssertionError:
            pass


def test_what_is_tried_is_counted_and_what_is_raised_goes_on(table):
    try_some(table)
    assert table.rows() == [("a", 1, 1, 1, 0), ("b", 2, 3, 2, 1), ("all", 3, 4, 3, 1)]
    with pytest.raises(KeyError), table.fault("a", "z"):
        raise KeyError
    assert table.rows()[0] == ("a", 2, 2, 1, 1)


def test_a_skip_is_no_fault(table):
    with pytest.raises(pytest.skip.Exception), table.fault("a", "x"):
        pytest.skip("not here")
    assert table.rows() == []


def test_workers_send_their_counts(table):
    """As pytest-xdist carries them: plain values, one set a worker; a crashed one has none."""
    worker = FaultTable(SimpleNamespace(workeroutput={}))
    try_some(worker)
    worker.pytest_sessionfinish()
    for node in (worker.config, worker.config, SimpleNamespace()):
        table.pytest_testnodedown(node)
    assert table.rows() == [("a", 1, 2, 2, 0), ("b", 2, 6, 4, 2), ("all", 3, 8, 6, 2)]


def test_the_table_is_written_between_its_marks_and_read_again(table):
    try_some(table)
    page = f"above\n\n{fault_table.BEGIN}\nold\n{fault_table.END}\n\nbelow\n"
    new = fault_table.with_table(page, table.rows())
    assert new.startswith("above\n\n") and new.endswith("\n\nbelow\n") and "old" not in new
    assert fault_table.read_table(new)["b"] == {"kinds": 2, "tried": 3, "survived": 2, "lost": 1}
    assert fault_table.with_table(new, table.rows()) == new
    with pytest.raises(ValueError, match="must hold the lines"):
        fault_table.with_table("no marks", table.rows())


def test_the_committed_table_has_every_group_and_lost_nothing():
    written = fault_table.read_table(fault_table.README.read_text("utf-8"))
    folder = fault_table.README.with_name("faults")
    sources = "".join(file.read_text("utf-8") for file in sorted(folder.glob("*.py")))
    groups = set(re.findall(r'(?:fault\(|GROUP = )"(\w+)"', sources))
    assert groups, "the pattern finds the groups"
    assert written.keys() == groups | {"all"}
    for group, counts in written.items():
        assert counts["lost"] == 0, group
        assert counts["tried"] == counts["survived"] >= counts["kinds"] > 0, group
