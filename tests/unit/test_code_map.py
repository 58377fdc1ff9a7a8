"""`docs/code.md` leads to every module, and to none that is gone."""

from __future__ import annotations

import re

from support import ROOT

PAGE = (ROOT / "docs" / "code.md").read_text(encoding="utf-8")
NAMED = set(re.findall(r"`((?:simcore|backends|netmodels)/[\w/.]*)`", PAGE))


def test_what_is_named_is_there():
    assert [name for name in sorted(NAMED) if not (ROOT / name).exists()] == []


def test_every_module_is_named_or_its_folder_is():
    folders = tuple(name for name in NAMED if name.endswith("/"))
    modules = [
        path.relative_to(ROOT).as_posix()
        for package in ("simcore", "backends", "netmodels")
        for path in (ROOT / package).rglob("*.py")
        if not path.name.startswith("__")
    ]
    missing = [name for name in modules if name not in NAMED and not name.startswith(folders)]
    assert sorted(missing) == []
