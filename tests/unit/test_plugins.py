"""Plug-ins of other packages that cannot be loaded."""

from __future__ import annotations

import sys
from importlib.metadata import EntryPoint

import pytest

from simcore import Plugins, UsageError, plugins


def broken(monkeypatch, tmp_path, text):
    """One backend of somebody else is installed, and this is its module."""
    (tmp_path / "others_backend.py").write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "others_backend", raising=False)
    entry = EntryPoint("teleport", "others_backend:Teleport", "simcore.backends")
    monkeypatch.setattr(plugins, "entry_points", lambda group: [entry])


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("import no_such_library\n", "ModuleNotFoundError: No module named 'no_such_library'"),
        ("Teleport = 1 / 0\n", "ZeroDivisionError: division by zero"),
        ("", "AttributeError: module 'others_backend' has no attribute 'Teleport'"),
        (
            "class Teleport:\n    def __init__(self): raise OSError('no beam')\n",
            "OSError: no beam",
        ),
    ],
)
def test_one_that_cannot_be_loaded_is_named(monkeypatch, tmp_path, text, why):
    broken(monkeypatch, tmp_path, text)
    with pytest.raises(UsageError) as caught:
        _ = Plugins().backends
    assert str(caught.value) == (
        "the plug-in 'teleport' (others_backend:Teleport, of the package ?) cannot be loaded: "
        f"{why}; update its package, or uninstall it"
    )
    assert caught.value.__cause__ is not None  # with its traceback, for who wrote it
