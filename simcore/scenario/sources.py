"""Looks for a function or class in a Python file without running it.

`validate` never imports what a scenario names, for importing runs it. The syntax tree says
whether the name is there, which is what goes wrong most.
"""

from __future__ import annotations

import ast
import warnings
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

Kind = Literal["function", "class"]
MAX_BYTES = 2**24


class Unreadable(Exception):
    """The file cannot be read or parsed; the message says why."""


@dataclass(slots=True)
class Names:
    """Names that a module defines at its top level."""

    functions: set[str] = field(default_factory=set)
    coroutines: set[str] = field(default_factory=set)
    classes: set[str] = field(default_factory=set)
    others: set[str] = field(default_factory=set)
    """Assigned or imported: what they are only shows when the file runs."""
    open: bool = False
    """A star import, or a module's `__getattr__`, may define anything."""


def names_in(path: Path) -> Names:
    """The names a Python file defines.

    Raises:
        Unreadable: it cannot be read, or is not Python.
    """
    try:
        with open(path, "rb") as stream:
            data = stream.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        raise Unreadable(f"cannot be read: {getattr(error, 'strerror', None) or error}") from None
    if len(data) > MAX_BYTES:
        raise Unreadable("is too large for a Python module")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about the user's code; Python tells when it runs
            tree = ast.parse(data)
    except SyntaxError as error:
        where = f"line {error.lineno}: " if error.lineno else ""
        raise Unreadable(f"is not valid Python: {where}{error.msg}") from None
    except (ValueError, RecursionError, MemoryError) as error:
        raise Unreadable(f"is not valid Python: {error}") from None
    names = Names()
    _collect(tree.body, names)
    return names


def _collect(body: Iterable[ast.stmt], names: Names) -> None:
    for statement in body:
        if isinstance(statement, ast.FunctionDef):
            names.functions.add(statement.name)
            names.open = names.open or statement.name == "__getattr__"
        elif isinstance(statement, ast.AsyncFunctionDef):
            names.coroutines.add(statement.name)
        elif isinstance(statement, ast.ClassDef):
            names.classes.add(statement.name)
        elif isinstance(statement, (ast.Import, ast.ImportFrom)):
            for alias in statement.names:
                names.open = names.open or alias.name == "*"
                names.others.add(alias.asname or alias.name.split(".")[0])
        else:
            _collect_other(statement, names)


def _collect_other(statement: ast.stmt, names: Names) -> None:
    targets: list[ast.expr] = []
    if isinstance(statement, ast.Assign):
        targets = statement.targets
    elif isinstance(statement, ast.AnnAssign) and statement.value is not None:
        targets = [statement.target]
    for target in targets:
        stored = (node for node in ast.walk(target) if isinstance(node, ast.Name))
        names.others.update(node.id for node in stored)
    for block in ("body", "orelse", "finalbody"):
        _collect(getattr(statement, block, ()), names)
    for handler in getattr(statement, "handlers", ()):
        _collect(handler.body, names)
