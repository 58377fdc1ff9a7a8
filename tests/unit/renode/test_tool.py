"""Finding Renode, and what it says it is."""

from __future__ import annotations

from pathlib import Path

import pytest
from simcore_backends.renode import tool
from simcore_backends.renode.emulator import AGENT, command

from simcore.errors import UsageError


def script(path: Path, text: str) -> Path:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


@pytest.fixture(autouse=True)
def only_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RENODE", raising=False)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin")


def test_where_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    renode, other = script(tmp_path / "renode", ""), script(tmp_path / "other", "")
    assert tool.RENODE.find(None, Path("/")) == renode
    assert tool.RENODE.find("other", Path("/")) == other
    for value in ("other", str(other)):
        monkeypatch.setenv("RENODE", value)
        assert tool.RENODE.find(None, Path("/")) == other
        assert tool.RENODE.find("./renode", tmp_path) == renode, "the scenario goes first"
    monkeypatch.setenv("RENODE", "")
    assert tool.RENODE.find(None, Path("/")) == renode


def test_where_it_is_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    remedy = f"{tool.SOURCE}; {tool.FALLBACK}"
    assert tool.RENODE.find(None, tmp_path) == (
        f"there is no renode in PATH: {tool.SOURCE}, or say with RENODE where it is; "
        f"{tool.FALLBACK}"
    )
    monkeypatch.setenv("RENODE", "./there")
    there = tmp_path / "there"
    names = f"{there}, which RENODE names,"
    assert tool.RENODE.find(None, tmp_path) == f"{names} does not exist: {remedy}"
    there.touch(0o644)
    assert tool.RENODE.find(None, tmp_path) == f"{names} is not executable: {remedy}"
    assert (
        tool.RENODE.find(".//", tmp_path)
        == f"{tmp_path}, which 'renode' names, is a directory: {remedy}"
    )


@pytest.mark.parametrize(
    ("said", "version"),
    [
        ("Renode v1.16.1.30713", "1.16.1"),
        ("Renode, version 1.15.3.12345 (abcdef-202405)", "1.15.3"),
        ("a warning of the runtime\nRenode v1.16.0.1\n  build: 1.2.3", "1.16.0"),
        ("Renode v10.0.0", "10.0.0"),
    ],
)
def test_its_version(tmp_path: Path, said: str, version: str) -> None:
    assert tool.version(script(tmp_path / "renode", f"echo '{said}'")) == version


@pytest.mark.parametrize("old", ["1.15.2", "1.9.0", "0.99.99"])
def test_what_is_too_old(tmp_path: Path, old: str) -> None:
    file = script(tmp_path / "renode", f"echo Renode v{old}.1")
    with pytest.raises(UsageError) as error:
        tool.version(file)
    assert str(error.value) == (
        f"{file} is Renode {old}, and 1.15.3 is the oldest that keeps exact time: "
        f"{tool.SOURCE}; {tool.FALLBACK}"
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("echo GNU bash, version 5.2.1", "'GNU bash, version 5.2.1'"),
        ("exit 3", "'nothing'"),
        ("echo; echo late", "'late'"),
        ("printf '\\377\\n'", "'\ufffd'"),
    ],
)
def test_what_is_not_renode(tmp_path: Path, text: str, said: str) -> None:
    file = script(tmp_path / "renode", text)
    with pytest.raises(UsageError) as error:
        tool.version(file)
    assert str(error.value).startswith(
        f"{file} does not look like Renode: asked for its version, it says {said}; {tool.SOURCE}"
    )


def test_what_cannot_be_started(tmp_path: Path) -> None:
    file = tmp_path / "renode"
    file.write_text("#!/no/such/interpreter\n")
    file.chmod(0o755)
    with pytest.raises(UsageError, match="does not look like Renode: .* No such file or directory"):
        tool.version(file)


def test_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    """No port is opened: one of Renode's would be open to everybody, without a password."""
    start = ["/r/renode", "--plain", "--disable-xwt", "--port", "-2", "-e"]
    assert command(Path("/r/renode")) == [*start, f"include @{AGENT}"]
    monkeypatch.setattr("simcore_backends.renode.emulator.AGENT", Path("/a folder/agent.py"))
    assert command(Path("/r/renode")) == [*start, "include @/a\\ folder/agent.py"]
