"""Progress: a bar on a terminal; elsewhere plain lines, now and then, on standard error."""

from __future__ import annotations

import os
import pty
import re
import sys
from contextlib import suppress

import pytest

from simcore.cli import progress
from simcore.cli.progress import Progress

LINE = re.compile(r"trouble: 5 s of 10 s, [\d.,e+]+x real time, \d+ s left\n")


def test_a_line_when_it_is_due(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(progress, "_PLAIN_EVERY", 0.0)
    with Progress("trouble", 10 * 10**9) as shown:
        shown.update(5 * 10**9)
    out, err = capsys.readouterr()
    assert out == "" and LINE.fullmatch(err)


def test_nothing_before(capsys: pytest.CaptureFixture[str]) -> None:
    with Progress("trouble", 10 * 10**9) as shown:
        shown.update(5 * 10**9)
    assert capsys.readouterr() == ("", "")


def test_nothing_when_quiet(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(progress, "_PLAIN_EVERY", 0.0)
    with Progress("trouble", 10 * 10**9, enabled=False) as shown:
        shown.update(5 * 10**9)
    assert capsys.readouterr() == ("", "")


def test_until_virtual_time_goes_on_it_is_starting(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(progress, "_PLAIN_EVERY", 0.0)
    with Progress("trouble", 10 * 10**9) as shown:
        shown.update(0)
        shown.update(0)
        shown.update(5 * 10**9)
    first, second, third = capsys.readouterr().err.splitlines(keepends=True)
    assert first == second == "trouble: starting\n" and LINE.fullmatch(third)


def test_a_word_of_the_run_has_a_line_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """It stands where the bar was, which is wiped and drawn again below; no word is markup."""
    monkeypatch.setenv("TERM", "xterm")
    ours, theirs = pty.openpty()
    try:
        with os.fdopen(theirs, "w") as terminal:
            monkeypatch.setattr(sys, "stderr", terminal)
            with Progress("trouble", 10 * 10**9) as shown:
                shown.update(5 * 10**9)
                shown.say("docker: pulling [red] " + 80 * "x")
        seen = b""
        with suppress(OSError):  # its end, which comes in as many pieces as it likes
            while part := os.read(ours, 65536):
                seen += part
    finally:
        os.close(ours)
    before, _, after = seen.decode().partition(
        "\r\x1b[2Kdocker: pulling [red] " + 80 * "x" + "\r\n"
    )
    assert "trouble" in before and "trouble" in after


def test_a_word_of_the_run_without_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    with Progress("trouble", 10 * 10**9) as shown:
        shown.say("docker: pulling")
    assert capsys.readouterr() == ("", "docker: pulling\n")
