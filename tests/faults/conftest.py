"""What the tests of faults share."""

from __future__ import annotations

import fault_table
import pytest


@pytest.fixture(scope="session")
def fault(pytestconfig: pytest.Config):
    """``with fault(group, what): ...`` counts one fault, survived if the body ends well."""
    return pytestconfig.pluginmanager.get_plugin(fault_table.NAME).fault
