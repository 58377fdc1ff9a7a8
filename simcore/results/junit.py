"""Expectations as a JUnit file, the one format that every CI server shows.

The layout is the one that Jenkins and GitLab read: one `testsuite`, one `testcase` per
expectation, `failure` for one that did not hold. Time is the run's, in seconds.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from xml.etree import ElementTree

from simcore.errors import ResultsError
from simcore.expect import Outcome

# XML 1.0 (fifth edition), production 2: what lies outside cannot be written, escaped or not.
_NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def to_xml(outcomes: Sequence[Outcome], *, name: str, wall_s: float = 0.0) -> str:
    """The text of a JUnit file.

    Args:
        outcomes: what became of each expectation, in the order of the scenario.
        name: the scenario's name.
        wall_s: how long the run took, in seconds of wall-clock time.
    """
    failed = sum(not outcome.passed for outcome in outcomes)
    suite = ElementTree.Element(
        "testsuite",
        name=_clean(name),
        tests=str(len(outcomes)),
        failures=str(failed),
        errors="0",
        skipped="0",
        time=f"{wall_s:.3f}",
    )
    for outcome in outcomes:
        case = ElementTree.SubElement(
            suite, "testcase", classname=f"simcore.{_clean(name)}", name=_clean(outcome.text)
        )
        if outcome.passed:
            ElementTree.SubElement(case, "system-out").text = _clean(outcome.explanation)
        else:
            why = _clean(outcome.explanation)
            ElementTree.SubElement(case, "failure", type="expectation", message=why).text = why
    ElementTree.indent(suite)
    body = ElementTree.tostring(suite, encoding="unicode")
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{body}\n'


def write_junit(path: Path, outcomes: Sequence[Outcome], *, name: str, wall_s: float = 0.0) -> None:
    """Write `to_xml` to a file.

    Raises:
        ResultsError: the file cannot be written.
    """
    try:
        path.write_text(to_xml(outcomes, name=name, wall_s=wall_s), encoding="utf-8")
    except OSError as error:
        raise ResultsError(f"{path} cannot be written: {error.strerror}") from error


def _clean(text: str) -> str:
    return _NOT_XML.sub("\N{REPLACEMENT CHARACTER}", text)
