"""What a user is advised when a container does not get as far as its first word."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from simcore_backends.docker.advice import advice_for, unseen

from simcore.failure import CONNECTING, READYING

PROTOCOL = "its program has to speak simcore's protocol"
RIGHTS = "'allow' gives it more"
SOCKET = "say transport: stdio"
PYTHON = "a service needs Python 3.11"


@pytest.mark.parametrize(
    ("options", "seen_not"),
    [
        ({"command": ["python3", "mean.py"]}, "mean.py"),
        ({"command": ["python3", "mean.py"], "files": ["other.py"]}, "mean.py"),
        ({"command": ["python3", "mean.py"], "files": ["mean.py"]}, None),
        ({"command": ["python3", "tools/run.py"], "files": ["tools"]}, None),
        ({"command": ["python3", "tools/run.py"], "files": ["."]}, None),
        ({"command": ["./tools/run.py"]}, "tools/run.py"),
        ({"command": ["python3", "in_the_image.py"]}, None),
        ({"command": ["sh", "-c", "x" * 5000]}, None),
        ({"command": ["../mean.py", "/mean.py", "tools", ""]}, None),
        ({"service": "mean.py:Mean"}, None),
        ({}, None),
    ],
)
def test_a_file_that_the_container_does_not_see(
    tmp_path: Path, options: dict[str, Any], seen_not: str | None
) -> None:
    (tmp_path / "tools").mkdir()
    for name in ("mean.py", "tools/run.py"):
        (tmp_path / name).touch()
    assert unseen(options, tmp_path) == seen_not
    told = advice_for({"image": "box"} | options, tmp_path, "shared")(CONNECTING, "process-ended")
    assert told is not None and ("is not in the container" in told) is (seen_not is not None)


@pytest.mark.parametrize(
    ("options", "transport", "rule", "words"),
    [
        ({}, "shared", "deadline", {PROTOCOL, SOCKET}),
        ({}, "stdio", "deadline", {PROTOCOL}),
        ({"service": "echo"}, "shared", "deadline", {SOCKET}),
        ({"service": "echo"}, "stdio", "deadline", set()),
        ({}, "shared", "process-ended", {PROTOCOL, RIGHTS}),
        ({"service": "echo"}, "shared", "process-ended", {RIGHTS, PYTHON}),
        ({}, "shared", "invalid-json", set()),
    ],
)
def test_what_is_likely_for_a_service_and_for_a_program(
    tmp_path: Path, options: dict[str, Any], transport: str, rule: str, words: set[str]
) -> None:
    told = advice_for(options, tmp_path, transport)(CONNECTING, rule) or ""
    assert {each for each in (PROTOCOL, RIGHTS, SOCKET, PYTHON) if each in told} == words


def test_health_has_a_time_that_can_be_changed(tmp_path: Path) -> None:
    told = advice_for({"service": "echo"}, tmp_path, "shared")(READYING, "health")
    assert told == "start_timeout is the time that READY and health have together"


def test_who_has_spoken_needs_none(tmp_path: Path) -> None:
    assert advice_for({}, tmp_path, "shared")(READYING, "deadline") is None
