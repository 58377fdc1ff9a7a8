"""The agent's file is Python 2.7 as much as Python 3, and touches what is in the table, no more."""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
from contextlib import suppress
from pathlib import Path

import pytest
from renode_fake.dotnet import UNKNOWN
from renode_fake.members import COMMANDS, MEMBERS
from renode_machine import (
    AGENT,
    MS,
    PLATFORM,
    Over,
    Refused,
    connected,
    fake_only,
    firmware,
    machine,
)
from support import PATIENCE

from simcore.protocol.channel import ChannelClosed
from simcore.protocol.frames import Shutdown, encode

SOURCE = AGENT.read_text(encoding="utf-8")

# -- the language ----------------------------------------------------------------------------------

NEWER = (
    ast.AsyncFunctionDef, ast.AsyncFor, ast.AsyncWith, ast.Await, ast.AnnAssign, ast.JoinedStr,
    ast.Match, ast.MatMult, ast.NamedExpr, ast.Nonlocal, ast.YieldFrom, ast.TryStar,
)  # fmt: skip
"""What Python 2.7 cannot read."""

OTHER = ("print", "super", "bytes", "map", "filter", "zip", "round", "open", "exec", "nonlocal")
"""What means something else there, or is not what it seems."""


def newer_in(source: str) -> list[str]:
    """What of a text Python 2.7 cannot read, or reads in another way."""
    found = []
    tree = ast.parse(source)
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    starred = sum(isinstance(each, ast.Starred) for each in ast.walk(tree))
    if starred > sum(isinstance(each, ast.Starred) for call in calls for each in call.args):
        found.append("star")
    for node in ast.walk(tree):
        what = type(node).__name__
        if isinstance(node, NEWER):
            found.append(what)
        elif isinstance(node, ast.FunctionDef):
            args = node.args
            if args.kwonlyargs or args.posonlyargs or node.returns:
                found.append("arguments")
            if any(each.annotation for each in [*args.args, args.vararg, args.kwarg] if each):
                found.append("annotations")
        elif isinstance(node, ast.Raise) and node.cause is not None:
            found.append("raise from")
        elif isinstance(node, ast.ClassDef) and (node.keywords or not node.bases):
            found.append("classes")
        elif isinstance(node, ast.Constant) and isinstance(node.value, bytes):
            found.append("bytes")
        elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div):
            found.append("division")
        elif isinstance(node, ast.Name) and node.id in OTHER:
            found.append(node.id)
    for numeral in re.findall(r"\b\d[\d_]*_[\d_]*\b", source):
        found.append(numeral)
    return found


def test_it_is_python_2_as_well():
    assert newer_in(SOURCE) == []
    assert SOURCE.isascii()


@pytest.mark.parametrize(
    "line",
    [
        "f'{1}'", "print(1)", "x: int = 1", "def f(*, a): 0", "def f(a: int): 0", "(a := 1)",
        "def f() -> int: 0", "class A: 0", "a = b @ c", "a, *b = c", "a = [*b]", "a = 1 / 2", "a = b'x'",
        "raise A from b", "a = 1_000", "async def f(): 0", "def f():\n def g():\n  nonlocal a",
        "def f(a, /): 0",
    ],
)  # fmt: skip
def test_what_is_not_python_2_is_found(line: str):
    assert newer_in(line)


def test_python_2_reads_it():
    """Where there is one: no system has it any more, so what it cannot read is looked for above."""
    for name in ("python2.7", "python2"):
        command = [name, "-c", "compile(open(__import__('sys').argv[1]).read(), 'agent', 'exec')"]
        if shutil.which(name) and not subprocess.call([name, "-c", ""], timeout=PATIENCE):
            assert subprocess.call([*command, AGENT], timeout=PATIENCE) == 0


def test_it_has_nothing_of_a_library():
    """Beside .NET and Renode: Python's own may be missing there."""
    imported = set()
    for node in ast.walk(ast.parse(SOURCE)):
        if isinstance(node, ast.Import):
            imported |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            imported.add((node.module or "").partition(".")[0])
    assert imported == {"clr", "System", "Antmicro"}


# -- the table of members --------------------------------------------------------------------------


def test_the_table_has_the_names_of_the_text_and_no_others():
    named = set()
    for node in ast.walk(ast.parse(SOURCE)):
        if isinstance(node, ast.Attribute) and node.attr[0].isupper():
            named.add(node.attr)
        elif isinstance(node, ast.ImportFrom):
            named |= {alias.name for alias in node.names}
    named -= {"AddReference"}  # of the module clr, by which the rest is found
    assert named == {name.rpartition(".")[2] for name in MEMBERS} - {"[]"}


@pytest.mark.parametrize("version", ["1.15.3", "1.16.1"])
def test_what_the_agent_touches_is_the_table(version: str, tmp_path: Path):
    fake_only()
    touched = tmp_path / "touched"
    options = {"FAKE_RENODE_TOUCHED": str(touched), "FAKE_RENODE_VERSION": version}
    pins = [["sysbus.gpioPortD", 12, "out"], ["sysbus.gpioPortA", 0, "in"]]
    elf = str(firmware(tmp_path, "fake: lamp"))
    with machine(tmp_path, options, elf=elf, pins=pins) as it:
        it.run([150 * MS], [(0, 5 * MS, 86_806, b"a\n")], [(1, 7 * MS, 1)])
        it.shut_down()
    script = tmp_path / "board.resc"
    script.write_text(f'mach create "board"\nmachine LoadPlatformDescription @{PLATFORM}\n')
    with connected(tmp_path, **options) as it:
        it.init(script=str(script), platform=None)
        it.advance(MS)
    with connected(tmp_path, **options) as it:
        it.init(script=str(PLATFORM), platform=None)
    with connected(tmp_path, **options) as it, pytest.raises(Refused):
        it.init(platform="nonsense")
    assert set(touched.read_text().split("\n")) - {""} == {*MEMBERS, *COMMANDS}


@pytest.mark.parametrize(
    ("old", "new", "what"),
    [
        ("self.cpu.IsHalted", "self.cpu.IsHungry", "CortexM.IsHungry"),
        ("Emulator.Exit()", "Emulator.Leave()", "Emulator.Leave"),
        ("import TcpClient", "import TcpListener", "System.Net.Sockets.TcpListener"),
        ('"emulation SetSeed %d"', '"emulation Reseed %d"', "the command 'emulation Reseed'"),
        ('"mach set 0"', '"start"', "the command 'start'"),
    ],
)
def test_whoever_touches_another_ends_there(old: str, new: str, what: str, tmp_path: Path):
    fake_only()
    variant = tmp_path / "agent.py"
    variant.write_text(SOURCE.replace(old, new))
    assert variant.read_text() != SOURCE
    with suppress(ChannelClosed, Over), machine(tmp_path, {"agent": variant}) as it:
        it.advance(MS)
        it.ask(encode(Shutdown()))
        assert it.process.wait(PATIENCE) == UNKNOWN
    assert f"fake: {what} is not in the table of members" in (tmp_path / "log").read_text()
