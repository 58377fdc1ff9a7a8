"""The ns-3 that is installed: what is missing is told in one line."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Iterator
from importlib.machinery import ModuleSpec
from pathlib import Path

import pytest
from simcore_netmodels.ns3 import wheel

from simcore.errors import UsageError


@pytest.fixture(autouse=True)
def _fresh() -> Iterator[None]:
    wheel.folder.cache_clear()
    yield
    wheel.folder.cache_clear()


def install(monkeypatch: pytest.MonkeyPatch, version: str | None, place: Path) -> None:
    """Have a wheel of a version at a place."""

    def found(name: str) -> str:
        if version is None:
            raise importlib.metadata.PackageNotFoundError(name)
        return version

    spec = ModuleSpec("ns3", None, is_package=True)
    spec.submodule_search_locations = [str(place)]
    monkeypatch.setattr(importlib.metadata, "version", found)
    monkeypatch.setattr(wheel, "find_spec", lambda name: spec)


def complete(place: Path) -> None:
    (place / "include" / "ns3").mkdir(parents=True)
    (place / "include" / "ns3" / "core-module.h").touch()


def test_none(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    install(monkeypatch, None, tmp_path)
    assert wheel.doctor() == (
        False, "ns-3 is not installed: pip install --no-deps ns3==3.44.post0",
    )  # fmt: skip
    with pytest.raises(UsageError, match="ns-3 is not installed"):
        wheel.library()


def test_another_version(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    install(monkeypatch, "3.43.post9", tmp_path)
    works, why = wheel.doctor()
    assert not works
    assert why.startswith("ns-3 3.43.post9 is installed, and 3.44.post0 is needed")


def test_one_without_headers(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    install(monkeypatch, wheel.VERSION, tmp_path)
    assert "has no headers" in wheel.doctor()[1]


def test_no_compiler(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    complete(tmp_path)
    install(monkeypatch, wheel.VERSION, tmp_path)
    monkeypatch.setenv("CXX", "no-such-compiler")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    works, why = wheel.doctor()
    assert not works
    assert "there is no no-such-compiler in PATH: install a C++ compiler" in why
    with pytest.raises(UsageError, match="cannot be built: there is no no-such-compiler"):
        wheel.library()


def test_what_does_not_compile(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    complete(tmp_path)
    install(monkeypatch, wheel.VERSION, tmp_path)
    compiler = tmp_path / "compiler"
    compiler.write_text("#!/bin/sh\n[ $1 = --version ] || { echo an error >&2; exit 1; }\n")
    compiler.chmod(0o755)
    monkeypatch.setenv("CXX", str(compiler))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert wheel.doctor()[0]
    with pytest.raises(UsageError, match=r"failed with code 1:\n    an error") as caught:
        wheel.library()
    assert "CXX in the environment" in str(caught.value)
