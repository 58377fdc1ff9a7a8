"""The participant's side: as a file that was copied, in processes of its own."""

from __future__ import annotations

import ast
import os
import shutil
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from children import child
from msgspec import Raw
from support import PATIENCE, ROOT

from simcore.payload import refreeze
from simcore.protocol import frames, peer
from simcore.protocol.frames import Input, NetworkAdvance, NetworkInput, Shutdown
from simcore.protocol.peer import Message, Peer

FILE = ROOT / "simcore" / "protocol" / "peer.py"
transports = pytest.mark.parametrize("transport", ["unix", "tcp", "stdio"])


def message(at: int, number: int = 1, payload: str = '{"value":4}') -> Input:
    return Input(at, f"m/{number}", "m", "n", "reading", Raw(payload), 9, at)


@pytest.fixture
def program(tmp_path: Path) -> Any:
    """Writes a program beside a copy of the file; how to run it isolated from everything else."""
    shutil.copy(FILE, tmp_path / "peer.py")

    def write(text: str) -> list[str]:
        path = "import sys; sys.path.insert(0, '')\n"
        (tmp_path / "program.py").write_text(path + text, encoding="utf-8")
        return ["-I", "-S", "program.py"]

    return write


def test_the_file_needs_the_standard_library_only() -> None:
    tree = ast.parse(FILE.read_text(encoding="utf-8"))
    found = {
        name.split(".")[0]
        for node in ast.walk(tree)
        for name in (
            [each.name for each in node.names] if isinstance(node, ast.Import)
            else [node.module or "."] if isinstance(node, ast.ImportFrom) else []
        )
    }  # fmt: skip
    assert found <= sys.stdlib_module_names


DOUBLER = """
from peer import serve

class Doubler:
    def advance(self, peer, until, inputs):
        for message in inputs:
            print("got", message)
            value = message.payload["value"]
            peer.send(message.source, "doubled", {"value": 2 * value}, cause=message)
            peer.record("value", value)
        return until + 5 if inputs else None

serve(Doubler())
"""


@transports
def test_the_short_way(program: Any, tmp_path: Path, transport: str) -> None:
    with child(program(DOUBLER), tmp_path, transport) as n:
        assert n.init() == frames.Ready("reactive")
        done = n.advance(1, 50, [message(50)])
        assert (done.seq, done.now, done.next) == (1, 50, 55)
        (output,) = done.outputs
        assert (output.at, output.dst, output.kind, output.cause) == (50, "m", "doubled", "m/1")
        assert refreeze(output.payload) == '{"value":8}'
        assert done.measures == [frames.Measure(50, "value", 4)]
        assert n.advance(2, 55) == frames.Done(2, 55)
        assert n.ask(Shutdown()) == frames.Bye()
        code, out, err = n.ended()
    assert (code, out) == (0, "")
    assert "got <Message m/1 'reading' to n>" in err, "what is printed goes to standard error"


PRINTS = """
import os, subprocess, sys
from peer import Peer

print("before, and not flushed")
with Peer.connect() as peer:
    print("in Python", flush=True)
    os.write(1, b"to the descriptor\\n")
    subprocess.run(["sh", "-c", "echo from a child"], check=True)
    assert sys.stdin.read() == "", "and nobody else reads the wire"
    peer.ready()
    for advance in peer.advances():
        print("x" * 100_000, flush=True)
        peer.done()
print("after")
"""


@transports
def test_nothing_printed_reaches_the_wire(program: Any, tmp_path: Path, transport: str) -> None:
    with child(program(PRINTS), tmp_path, transport) as n:
        reader = threading.Thread(target=n.process.stderr.read)  # so that the pipe does not fill
        assert n.init() == frames.Ready("reactive")
        reader.start()
        for seq in range(1, 4):
            assert n.advance(seq, seq) == frames.Done(seq, seq)
        assert n.ask(Shutdown()) == frames.Bye()
        assert n.process.wait(PATIENCE) == 0
        reader.join(PATIENCE)
        assert n.process.stdout is None or n.process.stdout.read() == b""


@pytest.mark.parametrize("place", ["start", "advance"])
def test_an_exception_is_told_with_its_traceback(program: Any, tmp_path: Path, place: str) -> None:
    text = f"""
from peer import serve

class Broken:
    def advance(self, peer, until, inputs):
        return None
    def {place}(self, *arguments):
        raise ValueError("no such thing")

serve(Broken())
"""
    with child(program(text), tmp_path) as n:
        error = n.init()
        if place == "advance":
            error = n.advance(1, 5)
        assert error.message == "ValueError: no such thing"
        assert error.detail.startswith("Traceback") and "program.py" in error.detail
        code, _, err = n.ended()
    assert code == 1 and "ValueError: no such thing" in err


@transports
def test_it_ends_quietly_when_simcore_is_gone(program: Any, tmp_path: Path, transport: str) -> None:
    with child(program(DOUBLER), tmp_path, transport) as n:
        n.init()
        n.channel.close()
        assert n.ended() == (1, "", "")


def test_it_says_what_simcore_says(program: Any, tmp_path: Path) -> None:
    with child(program(DOUBLER), tmp_path) as n:
        n.channel.send(frames.encode(frames.Error("another version is needed")), PATIENCE)
        assert n.ended() == (1, "", "simcore says: another version is needed\n")


@pytest.mark.parametrize(
    ("environment", "why"),
    [
        ({}, "SIMCORE_ADDRESS is not set: simcore starts this program"),
        ({"SIMCORE_ADDRESS": "unix:/nowhere"}, "SIMCORE_TOKEN is not set"),
        ({"SIMCORE_ADDRESS": "unix:/nowhere", "SIMCORE_TOKEN": "t", "SIMCORE_NAME": "n"},
         "cannot connect to simcore at unix:/nowhere: "),
        ({"SIMCORE_ADDRESS": "udp:1", "SIMCORE_TOKEN": "t", "SIMCORE_NAME": "n"},
         "SIMCORE_ADDRESS is 'udp:1': unix:, tcp: and stdio are known"),
    ],
)  # fmt: skip
def test_started_by_hand_it_says_what_it_misses(
    program: Any, tmp_path: Path, environment: dict[str, str], why: str
) -> None:
    command = [sys.executable, *program(DOUBLER)]
    env = {key: value for key, value in os.environ.items() if not key.startswith("SIMCORE_")}
    ended = subprocess.run(command, cwd=tmp_path, env={**env, **environment}, timeout=PATIENCE,
                           capture_output=True, text=True, check=False)  # fmt: skip
    assert ended.returncode == 1 and ended.stderr.startswith(why), ended.stderr


EVERYTHING = """
from peer import Peer

with Peer.connect() as peer:
    facts = [peer.name, peer.nodes, peer.seed, peer.time, peer.end, peer.life, peer.config]
    peer.ready("free_running", grain=10)
    for advance in peer.advances():
        peer.send("m", "facts", facts, source="b", size=5, spent=(1, 2))
        peer.send("m", "bytes", {"raw": b"\\x00"}, at=advance.until - 1, source="a",
                  cause=advance.inputs[0] if advance.inputs else "m/1")
        peer.record("since", advance.since, node="a")
        peer.done(outputs=[{"at": peer.now, "dst": "m", "kind": "plain"}],
                  measures=[{"at": peer.now, "name": "x", "value": 1}])
"""


def test_the_long_way(program: Any, tmp_path: Path) -> None:
    with child(program(EVERYTHING), tmp_path) as n:
        ready = n.init({"a": [None]}, nodes=["a", "b"], time=5, life=3)
        assert ready == frames.Ready("free_running", None, 10)
        first = n.advance(1, 20, [message(7, payload='{"$b64":"AA=="}')])
        second = n.advance(2, 40)
    assert (first.now, second.now) == (20, 40)
    facts, raw, plain = first.outputs
    assert refreeze(facts.payload) == '["n",["a","b"],7,5,1000000000,3,{"a":[null]}]'
    assert (facts.at, facts.src, facts.size, facts.spent) == (5, "b", 5, (1, 2))
    assert (raw.at, raw.src, raw.cause) == (19, "a", "m/1")
    assert refreeze(raw.payload) == '{"raw":{"$b64":"AA=="}}'
    assert (plain.at, plain.kind, refreeze(plain.payload)) == (5, "plain", "null")
    assert [(each.at, each.value, each.node) for each in first.measures] == [
        (5, 5, "a"),
        (5, 1, None),
    ]
    assert [each.at for each in second.outputs] == [20, 39, 20], "its window began at 20"


NETWORK = """
from peer import serve

class Wire:
    kind = "network"
    flying = {}
    def advance(self, peer, until, inputs):
        assert all(each.kind is None and each.payload is None for each in inputs)
        self.flying.update((each.id, each.at + 10) for each in inputs)
        for id, at in list(self.flying.items()):
            if at < until:
                peer.settle(id, at)
                del self.flying[id]
        return min(self.flying.values(), default=None)

serve(Wire())
"""


def test_a_network(program: Any, tmp_path: Path) -> None:
    with child(program(NETWORK), tmp_path) as n:
        assert n.init() == frames.Ready("network")
        entering = [NetworkInput(5, "a/1", "a", "b", 10, 5)]
        first = n.ask(NetworkAdvance(1, 15, entering), kind="network")
        assert first == frames.NetworkDone(1, 14, 15), "its clock is before `until`"
        second = n.ask(NetworkAdvance(2, 30, []), kind="network")
        assert second == frames.NetworkDone(2, 15, None, [frames.Delivery(15, "a/1")])


# -- inside this process


@pytest.fixture
def talking() -> Any:
    """A peer, and simcore's end of its socket."""
    ours, theirs = socket.socketpair()
    init = frames.Init(name="n", nodes=["n"], seed=1, time=0, end=9, config={})
    ours.sendall(frames.encode(init))
    made = Peer(theirs.fileno(), theirs.fileno(), "t", "n")
    assert frames.decode_hello(ours.recv(4096)[:-1]) == frames.Hello(1, "t", "n")
    yield made, ours
    ours.close()
    theirs.close()


def test_frames_may_come_in_any_pieces(talking: Any) -> None:
    made, ours = talking
    lines = b"".join(
        frames.encode(frames.Advance(seq, seq, [message(seq, payload='"é€😀"')]))
        for seq in range(1, 50)
    ) + frames.encode(Shutdown())

    def dribble() -> None:
        for start in range(0, len(lines), 7):
            ours.sendall(lines[start : start + 7])

    sender = threading.Thread(target=dribble)
    sender.start()
    found = [(each.seq, each.inputs[0].payload) for each in made.advances()]
    sender.join(PATIENCE)
    assert found == [(seq, "é€😀") for seq in range(1, 50)]


def test_large_frames_go_whole(talking: Any) -> None:
    made, ours = talking
    text = '"' + "x" * 10_000_000 + '"'
    received = bytearray()

    def simcore() -> None:
        ours.sendall(frames.encode(frames.Advance(1, 1, [message(1, payload=text)])))
        while not received.endswith(b"\n"):
            received.extend(ours.recv(2**20))

    thread = threading.Thread(target=simcore)
    thread.start()
    advance = next(made.advances())
    made.send("m", "back", advance.inputs[0].payload)
    made.done()
    thread.join(PATIENCE)
    done = frames.done_decoder("reactive")(bytes(received[:-1]))
    assert refreeze(done.outputs[0].payload) == text


def test_payloads_are_copies() -> None:
    fields = {"at": 1, "id": "m/1", "src": "m", "dst": "n", "size": 1, "sent": 1}
    got = Message({**fields, "payload": {"a": [1], "b": {"$b64": "AA=="}}})
    got.payload["a"].append(2)
    assert got.payload == {"a": [1], "b": b"\x00"}
    flat = Message({**fields, "payload": {"a": 1}})
    flat.payload["a"] = 2
    assert flat.payload == {"a": 1}


def test_what_is_sent_is_frozen_at_once(talking: Any) -> None:
    made, ours = talking
    ours.sendall(frames.encode(frames.Advance(1, 1, [])))
    next(made.advances())
    payload = {"a": [1]}
    made.send("m", "k", payload)
    payload["a"].append(2)
    made.done()
    assert b'"payload":{"a":[1]}' in ours.recv(4096)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_what_is_no_json_is_refused_where_it_is_said(talking: Any, value: float) -> None:
    made, _ = talking
    with pytest.raises(peer.PayloadError, match="payload.a is (nan|inf)"):
        made.send("m", "k", {"a": value})
    with pytest.raises(ValueError, match="cannot record 'x' = (nan|inf): it must be finite"):
        made.record("x", value)


def test_without_the_c_encoder_the_text_is_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    value = {"a": [1, 2.5, None, "é\n", True], "b": {}}
    monkeypatch.setattr(peer.json.encoder, "c_make_encoder", None)
    assert peer._make_encode()(value) == peer._encode(value)


@pytest.mark.parametrize("fields", [{"next": 5.0}, {"next": "5"}, {"now": 2.5}])
def test_times_are_integers(talking: Any, fields: Any) -> None:
    made, ours = talking
    ours.sendall(frames.encode(frames.Advance(1, 1, [])))
    next(made.advances())
    with pytest.raises(TypeError, match="cannot be interpreted as an integer"):
        made.done(**fields)
