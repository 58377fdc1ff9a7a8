"""What an expectation needs of its scenario: without it, it would fail at the end of every run."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from simcore.expect.tree import Expectation, Inferred

Path = tuple[str, ...]

_OF_ALL: tuple[Path, str] = (("placement",), "a run without it has no inferences")
_OF_SOME: Mapping[str, tuple[Path, str]] = {
    "right": (("placement", "truth"), "a function that gives the right labels"),
    "in_time": (("placement", "deadline"), "the time after which an answer is late"),
    "energy": (("energy",), "what the devices draw"),
}


def lacking(expectation: Expectation, there: Callable[[Path], bool]) -> str | None:
    """What a scenario has to have for an expectation, and has not; None if nothing.

    Args:
        expectation: one of the scenario's.
        there: whether the scenario has something at a path of keys.
    """
    for term in expectation.terms():
        if isinstance(term, Inferred):
            needs = [_OF_ALL, _OF_SOME[term.measure]] if term.measure in _OF_SOME else [_OF_ALL]
            for path, what in needs:
                if not there(path):
                    return f"{term} needs {'.'.join(path)!r} in the scenario: {what}"
    return None
