"""What a run says whose participant has failed."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass

from support import Ended, Project

PARTS = {
    "pending": re.compile(r"^  pending: (.*)$", re.M),
    "last": re.compile(r"^  last DONE: (.*)$", re.M),
    "process": re.compile(r"^  process: (.*)$", re.M),
    "waiting": re.compile(r"^  waiting: (.*)$", re.M),
}


@dataclass
class Report:
    """The parts of a report, as the user reads them."""

    text: str
    first: str
    rule: str
    pending: str
    last: str
    process: str
    waiting: str


def report_of(project: Project, ended: Ended, node: str = "sink") -> Report:
    """The report of a run that a node has failed, which its manifest holds, too."""
    begin = re.search(r"^simcore: (.* \(rule: ([a-z-]+)\))$", ended.err, re.M)
    assert begin is not None, ended.err
    assert f"node {node}" in ended.err
    written = json.loads((project.path / "run/manifest.json").read_text(encoding="utf-8"))
    assert written["exit"]["reason"] == "participant_error"
    assert written["exit"]["message"].splitlines()[0] == begin.group(1)
    assert written["digest"] is None
    found = {}
    for name, pattern in PARTS.items():
        part = pattern.search(ended.err)
        assert part is not None, (name, ended.err)
        found[name] = part.group(1)
    return Report(ended.err, begin.group(1), begin.group(2), **found)
