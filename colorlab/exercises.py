"""Self-checks for the exercises: they say in words what is wrong, and never raise."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Condition = bool | Callable[[], bool]

MISSING = (
    "{name} is not there. If it is spelled right, a cell above makes it: choose "
    "Run > Run All Above Selected Cell, then run this cell again"
)


def check(*claims: tuple[Condition, str]) -> bool:
    """Print the first claim that does not hold yet, or that the answer is correct.

    Args:
        claims: pairs of a condition and what is wrong where it fails, from the coarsest to the
            finest. A condition that needs the answer to have a certain type is passed as a
            function: it is called only when all before it hold, and an error in it counts as
            a failure.

    Returns:
        Whether all hold.

    >>> answer = 4
    >>> check((answer is not None, "the answer is still missing"), (answer == 4, "not 2 + 2"))
    Correct.
    True
    """
    wrong = first_wrong(*claims)
    print("Correct." if wrong is None else f"Not yet: {wrong}.")
    return wrong is None


def first_wrong(*claims: tuple[Condition, str]) -> str | None:
    """What :func:`check` says of the first claim that does not hold; None if all do."""
    for condition, wrong in claims:
        try:
            if condition() if callable(condition) else condition:
                continue
        except Exception as error:
            return _advice(error) or f"{wrong} ({type(error).__name__}: {error})"
        return wrong
    return None


def explain_missing_names() -> None:
    """From now on a NameError in a notebook also says which menu entry helps.

    A cell that runs before those above it ends in a NameError, and students read that as a fault
    of the lesson. Outside IPython nothing changes.
    """
    try:
        from IPython import get_ipython
    except ImportError:
        return
    if (shell := get_ipython()) is not None:
        shell.set_custom_exc((NameError,), _with_advice)


def _advice(error: Exception) -> str:
    """What helps against a name that no cell has made yet; nothing for any other error."""
    name = error.name if isinstance(error, NameError) else None  # None: a local without a value
    return MISSING.format(name=name) if name else ""


def _with_advice(shell: Any, kind: type, error: NameError, trace: Any, tb_offset: Any = None):
    if advice := _advice(error):
        error.add_note(f"{advice}.")
    shell.showtraceback((kind, error, trace), tb_offset=tb_offset)
