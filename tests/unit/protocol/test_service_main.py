"""A service as a program of its own does what it does inside simcore."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from children import Child, child
from msgspec import Raw
from support import PATIENCE, ROOT

import simcore
from simcore.payload import freeze, refreeze
from simcore.protocol import frames
from simcore.protocol.frames import Input, Shutdown
from simcore.protocol.loading import load_service
from simcore.protocol.service import ServiceHost

SERVICES = '''
import helper

class Mixed:
    """Uses everything that a service has."""

    def start(self, ctx):
        ctx.send("m", "hello", {"draw": ctx.random.random(), "config": dict(ctx.config)})
        ctx.set_timer("tick", 25)
        self.count = 0

    def on_message(self, ctx, msg):
        self.count += 1
        msg.payload["value"] = "spoilt"
        ctx.record("before", msg.payload["value"])
        ctx.compute({"min": "10ns", "exponential": "100ns"})
        ctx.reply(msg, "answer", {"v": msg.payload["value"], "x": 1e22, "t": (1, b"\\x00"), "e": "é"})
        ctx.record("after", self.count)
        ctx.send("m", "sized", size=77)
        if msg.kind == "break":
            raise helper.Problem(f"{msg.id} from {msg.source}: {msg.size} bytes at {msg.sent}")
        if msg.kind == "half":
            ctx.send("m", "half", {"a": "\\ud800"})

    def on_timer(self, ctx, name):
        ctx.send("m", name, ctx.stream("other").random())
        ctx.set_timer(name, 1000)

class Unmade:
    def __init__(self):
        raise RuntimeError("cannot be made")
    def start(self, ctx):
        pass
'''
HELPER = "class Problem(Exception):\n    pass\n"
BASE = {"workers": 1, "queue": 1, "config": {"a": [1, {"b": 2.5}]}}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "services.py").write_text(SERVICES)
    (tmp_path / "helper.py").write_text(HELPER)
    return tmp_path


def service(folder: Path, **environment: str) -> Any:
    command = ["-m", "simcore.protocol.service_main"]
    return child(command, folder, PYTHONPATH=str(ROOT), **environment)


def begin(n: Child, folder: Path, reference: str = "services.py:Mixed", **fields: Any) -> Any:
    return n.init({"service": reference, "base": str(folder), **BASE}, **fields)


def message(at: int, number: int, payload: Any, kind: str = "k") -> Input:
    return Input(at, f"m/{number}", "m", "n", kind, Raw(freeze(payload)), 9, at - 3)


class Given:
    """A message as simcore hands it to a service in its own process."""

    def __init__(self, given: Input) -> None:
        self.id, self.source, self.kind = given.id, given.src, given.kind
        self.size, self.sent, self._text = given.size, given.sent, bytes(given.payload)

    @property
    def payload(self) -> Any:
        return json.loads(self._text)


SCRIPT: list[tuple[int, list[Input]]] = [
    (0, []),
    (10, [message(10, 1, {"value": 1}), message(10, 2, {"value": "2"})]),
    (25, [message(25, 3, {"value": 3.5})]),  # the queue is full, and a timer is due
    (5000, [message(5000, 4, {"value": True})]),
]


def test_it_says_what_it_says_inside_simcore(folder: Path) -> None:
    for life in (1, 2):
        host = ServiceHost(
            load_service("services.py:Mixed", folder)(),
            name="n", seed=7, base=folder, freeze=freeze, life=life, **BASE,
        )  # fmt: skip
        with service(folder) as n:
            assert begin(n, folder, life=life) == frames.Ready("reactive", 0)
            for seq, (until, inputs) in enumerate(SCRIPT, 1):
                inside = host.advance(until, [Given(each) for each in inputs])
                done = n.advance(seq, until, inputs)
                assert [
                    (o.at, o.dst, o.kind, refreeze(o.payload), o.size, o.cause, *(o.spent or (0, 0)))
                    for o in done.outputs
                ] == [
                    (o.at, o.destination, o.kind, o.payload, o.size, o.cause and o.cause.id,
                     o.waited, o.computed)
                    for o in inside.outputs
                ]  # fmt: skip
                assert [(m.at, m.name, m.value) for m in done.measures] == [
                    (m.at, m.name, m.value) for m in inside.measures
                ]
                assert done.next == inside.next
            assert n.ask(Shutdown()) == frames.Bye()
            assert n.ended() == (0, "", "")


def test_it_begins_when_the_node_does(folder: Path) -> None:
    with service(folder) as n:
        assert begin(n, folder, time=500).next == 500


@pytest.mark.parametrize(
    ("kind", "message_text"),
    [
        ("break", "the service of n raised Problem: m/1 from m: 9 bytes at 2"),
        ("half", "the service of n raised PayloadError: payload cannot be written as JSON: 'utf-8' "
         "codec can't encode character '\\ud800' in position 0: surrogates not allowed"),
    ],
)  # fmt: skip
def test_an_exception_is_told_as_inside_simcore(folder: Path, kind: str, message_text: str) -> None:
    with service(folder) as n:
        begin(n, folder)
        error = n.advance(1, 5, [message(5, 1, {"value": 1}, kind)])
        assert error.message == message_text
        assert "services.py" in error.detail and error.detail.startswith("Traceback")
        assert n.ended()[0] == 1


def test_a_service_that_cannot_be_made(folder: Path) -> None:
    with service(folder) as n:
        begin(n, folder, "services.py:Unmade")
        error = n.advance(1, 0)
        assert error.message == "the service of n raised RuntimeError: cannot be made"


@pytest.mark.parametrize(
    ("reference", "why"),
    [
        ("services.py:Missing", "services.py:Missing: services.py has no 'Missing'"),
        ("nowhere.py:X", "nowhere.py:X: there is no Python file "),
        ("no.such.module:X", "no.such.module:X: importing it raised ModuleNotFoundError"),
        ("json:Missing", "json:Missing: importing it raised AttributeError"),
    ],
)
def test_a_service_that_is_not_there(folder: Path, reference: str, why: str) -> None:
    with service(folder) as n:
        assert begin(n, folder, reference).message.startswith(why)
        assert n.ended()[0] == 1


def test_a_service_of_a_module(folder: Path) -> None:
    assert load_service("simcore.protocol.service:ServiceHost", folder) is ServiceHost


def test_it_says_why_nobody_listens(folder: Path) -> None:
    command = [sys.executable, "-m", "simcore.protocol.service_main"]
    environment = {key: os.environ[key] for key in os.environ if not key.startswith("SIMCORE_")}
    ended = subprocess.run(command, env={**environment, "PYTHONPATH": str(ROOT)}, cwd=folder,
                           capture_output=True, text=True, timeout=PATIENCE, check=False)  # fmt: skip
    assert ended.returncode == 1
    assert ended.stderr == "SIMCORE_ADDRESS is not set: simcore starts this program\n"


# -- nothing but the standard library

ALONE = """
import sys
sys.path.insert(0, {root!r})
import simcore.protocol.peer, simcore.protocol.service, simcore.protocol.service_main
import simcore.streams, simcore.distributions, simcore.units, simcore.errors
strangers = {{name.partition(".")[0] for name in sys.modules}} - sys.stdlib_module_names
print(sorted(strangers - {{"__main__", "simcore"}}))
print(sorted(name for name in sys.modules if name.startswith("simcore")))
"""


def test_the_standard_library_will_do() -> None:
    command = [sys.executable, "-I", "-S", "-c", ALONE.format(root=str(ROOT))]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=True)
    strangers, ours = ended.stdout.splitlines()
    assert strangers == "[]"
    assert "federation" not in ours and "payload" not in ours


def test_a_service_runs_with_the_standard_library_alone(folder: Path) -> None:
    text = f"import sys\nsys.path.insert(0, {str(ROOT)!r})\n"
    text += "from simcore.protocol.service_main import main\nraise SystemExit(main())\n"
    (folder / "alone.py").write_text(text)
    with child(["-I", "-S", "alone.py"], folder) as n:
        assert begin(n, folder) == frames.Ready("reactive", 0)
        assert [each.kind for each in n.advance(1, 0).outputs] == ["hello"]


def test_the_package_gives_its_public_names_when_asked() -> None:
    listing = set(dir(simcore))
    for name in simcore.__all__:
        assert getattr(simcore, name).__module__.startswith("simcore.") and name in listing
    with pytest.raises(AttributeError, match="module 'simcore' has no attribute 'nothing'"):
        _ = simcore.nothing  # type: ignore[attr-defined]
    assert simcore._HOMES.keys() == set(simcore.__all__)
