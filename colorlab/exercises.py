"""Self-checks for the exercises: they say in words what is wrong, and never raise."""

from __future__ import annotations

from collections.abc import Callable

Condition = bool | Callable[[], bool]


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
    for condition, wrong in claims:
        try:
            holds = condition() if callable(condition) else condition
        except Exception as error:
            wrong, holds = f"{wrong} ({type(error).__name__}: {error})", False
        if not bool(holds):
            print(f"Not yet: {wrong}.")
            return False
    print("Correct.")
    return True
