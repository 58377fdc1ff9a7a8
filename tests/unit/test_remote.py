"""The rules that simcore holds a participant's answers against, frame by frame.

The participant is the test itself, at the other end of two pipes: between `begin` and `finish`
it reads what simcore sent and writes what it likes.
"""

from __future__ import annotations

import errno
import json
import os
import socket
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from scripted import Dying, Line
from worlds import PLUGINS, both, world

from simcore import Fate, Federation, Message
from simcore.answers import CAUSES, Answers
from simcore.errors import ParticipantError
from simcore.launch import Status
from simcore.participant import Delivery, NetworkDone
from simcore.protocol import frames
from simcore.protocol.frames import ProtocolError
from simcore.protocol.pipes import Pipes
from simcore.protocol.service import Done, Measure, Output
from simcore.remote import Remote


@pytest.fixture
def federation() -> Iterator[Federation]:
    scenario = world({"a": None, "b": None, "c": None}, [both("a", "b"), both("b", "c")], seed=7)
    made = Federation(scenario, plugins=PLUGINS)
    yield made
    made.close()


def started(
    federation: Federation,
    *nodes: str,
    at: int = 0,
    timeout: float = 10.0,
    line: Line | None = None,
    **ready: Any,
) -> tuple[Remote, Line]:
    """A participant that is ready, with its INIT read."""
    line = line or Line(ready)
    remote = Remote(
        federation,
        "prober",
        nodes or ["b"],
        line,
        kind=ready.get("kind", "reactive"),
        config={"x": 1},
        life=2,
        transport="stdio",
        timeout=timeout,
    )
    remote.launch()
    line.following = remote.ready(at)  # type: ignore[attr-defined]
    line.init = line.read()  # type: ignore[attr-defined]
    return remote, line


def arrived(federation: Federation, payload: Any = None, at: int = 0) -> Message:
    """A message from a to b, as it arrives."""
    message = federation.nodes["a"].send("b", "reading", payload)
    message.at = message.entered = at
    return message


def answer(remote: Remote, line: Line, until: int, *inputs: Message, **done: Any) -> Any:
    """One exchange."""
    remote.begin(until, inputs)
    advance = line.read()
    line.write({"type": "DONE", "seq": advance["seq"], "now": until} | done)
    return remote.finish()


def broken(
    remote: Remote, line: Line, until: int, *inputs: Message, **done: Any
) -> tuple[str, str]:
    """The rule that an answer breaks, and what the report says of it."""
    with pytest.raises(ParticipantError) as caught:
        answer(remote, line, until, *inputs, **done)
    told = line.read()  # the participant is told the same
    assert told["type"] == "ERROR"
    first = str(caught.value).splitlines()[0]
    assert told["message"] in first
    return caught.value.rule, told["message"]


# -- letting in


def test_init(federation: Federation) -> None:
    remote, line = started(federation, "b", "c", at=5, next=9)
    assert line.init == {  # type: ignore[attr-defined]
        "type": "INIT", "protocol": 1, "name": "prober", "nodes": ["b", "c"], "seed": 7,
        "time": 5, "end": 10**9, "life": 2, "config": {"x": 1},
    }  # fmt: skip
    assert line.following == 9  # type: ignore[attr-defined]
    remote.kill()


def test_grain(federation: Federation) -> None:
    remote, _ = started(federation, kind="free_running", grain=250)
    assert (remote.kind, remote.grain) == ("free_running", 250)
    remote.kill()


@pytest.mark.parametrize(
    ("ready", "rule"),
    [
        ({"next": 4}, "next"),
        ({"grain": 2}, "grain"),
        ({"kind": "network", "grain": 2}, "grain"),
        ({"kind": "free_running", "next": 9}, "next"),
        ({"kind": "sleepy"}, "frame-shape"),
        ({"type": "DONE"}, "frame-order"),
    ],
)
def test_ready_that_breaks_a_rule(federation: Federation, ready: dict[str, Any], rule: str) -> None:
    with pytest.raises(ParticipantError) as caught:
        started(federation, at=5, **ready)
    assert caught.value.rule == rule


def test_more_than_ready(federation: Federation) -> None:
    line = Line({"type": "READY", "kind": "reactive"})
    write = line.write
    line.write = lambda *frames: write(*(2 * frames if frames[0]["type"] == "READY" else frames))  # type: ignore[method-assign]
    remote = Remote(federation, "prober", ["b"], line, transport="stdio")
    remote.launch()
    with pytest.raises(ParticipantError, match="came unasked") as caught:
        remote.ready(0)
    assert caught.value.rule == "unasked-frame"


def test_participant_that_cannot_begin(federation: Federation) -> None:
    line = Line({"type": "ERROR", "message": "no license", "detail": "expired\nyesterday"})
    remote = Remote(federation, "prober", ["b"], line, transport="stdio")
    remote.launch()
    with pytest.raises(ParticipantError, match="no license") as caught:
        remote.ready(0)
    assert caught.value.rule == "participant-error"
    assert "    expired\n    yesterday\n" in str(caught.value)


def test_no_files_left_to_open(federation: Federation, monkeypatch: pytest.MonkeyPatch) -> None:
    def none_left() -> tuple[int, int]:
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(os, "pipe", none_left)
    remote = Remote(federation, "prober", ["b"], Line({}), transport="stdio")
    why = "prober cannot be started: simcore has too many files open: raise their limit"
    with pytest.raises(ParticipantError, match=why) as caught:
        remote.launch()
    assert caught.value.rule == "start"
    remote.kill()


# -- what is exchanged


def test_an_advance_says_everything_of_its_inputs(federation: Federation) -> None:
    remote, line = started(federation)
    message = arrived(federation, {"ü": [1, b"\x00"]}, at=3)
    remote.begin(3, [message])
    assert line.read() == {
        "type": "ADVANCE", "seq": 1, "until": 3,
        "inputs": [{
            "at": 3, "id": "a/1", "src": "a", "dst": "b", "kind": "reading",
            "payload": {"ü": [1, {"$b64": "AA=="}]}, "size": message.size, "sent": 0,
        }],
    }  # fmt: skip
    remote.kill()


def test_an_answer_becomes_outputs_and_measures(federation: Federation) -> None:
    remote, line = started(federation, "b", "c")
    message = arrived(federation)
    outputs = [
        {"at": 5, "src": "b", "dst": "a", "kind": "x", "payload": {"z": 1e22, "a": "\u00e9"}},
        {"at": 9, "src": "c", "dst": "b", "kind": "y", "size": 7, "cause": "a/1", "spent": [1, 2]},
    ]
    measures = [{"at": 5, "node": "c", "name": "heat", "value": 1.5}]
    done = answer(remote, line, 5, message, outputs=outputs, measures=measures, next=5)
    first = Output(5, "a", "x", '{"a":"é","z":1e22}', None, None, 0, 0, "b")
    assert done == Done(
        [first, Output(9, "b", "y", "null", 7, message, 1, 2, "c")],
        [Measure(5, "heat", 1.5, "c")],
        5,
    )
    remote.kill()


BREACHES: dict[str, tuple[dict[str, Any], str]] = {
    "sequence": ({"seq": 2}, "DONE: seq is 2, that of the ADVANCE is 1"),
    "now": ({"now": 4}, "now is 4, ADVANCE said until 5"),
    "next": ({"next": 4}, "next is 4, before now (5)"),
    "output-time": (
        {"outputs": [{"at": 5, "dst": "a", "kind": "x"}, {"at": 4, "dst": "a", "kind": "x"}]},
        "outputs[1].at is 4: it must be 5 or later",
    ),
    "measure-time": (
        {"measures": [{"at": 4, "name": "x", "value": 1}]},
        "measures[0].at is 4: it must be 5 or later",
    ),
    "unknown-destination": (
        {"outputs": [{"at": 5, "dst": "d", "kind": "x"}]},
        "outputs[0].dst: there is no node 'd'",
    ),
    "unknown-node": (
        {"outputs": [{"at": 5, "src": "a", "dst": "c", "kind": "x"}]},
        "outputs[0].src: 'a' is no node of this participant; it hosts b",
    ),
    "unknown-cause": (
        {"outputs": [{"at": 5, "dst": "a", "kind": "x", "cause": "a/9"}]},
        "outputs[0].cause: 'a/9' is none of the inputs",
    ),
    "payload": (
        {"outputs": [{"at": 5, "dst": "a", "kind": "x", "payload": {"$b64": 1}}]},
        "outputs[0]: payload has the key '$b64'",
    ),
    "frame-shape": ({"outputs": {}}, "DONE: outputs: expected array, got object"),
}


@pytest.mark.parametrize("rule", BREACHES)
def test_answer_that_breaks_a_rule(federation: Federation, rule: str) -> None:
    done, says = BREACHES[rule]
    remote, line = started(federation)
    found, told = broken(remote, line, 5, **done)
    assert found == rule
    assert says in told
    remote.kill()


@pytest.mark.parametrize(
    "part",
    [
        {"outputs": [{"at": 5, "dst": "a", "kind": "x"}]},
        {"measures": [{"at": 5, "name": "x", "value": 1}]},
    ],
)
def test_of_several_nodes_one_has_to_be_named(federation: Federation, part: dict[str, Any]) -> None:
    remote, line = started(federation, "b", "c")
    rule, told = broken(remote, line, 5, **part)
    assert rule == "unknown-node"
    assert "is missing: this participant hosts several nodes (b, c)" in told
    remote.kill()


def test_a_cause_comes_before_what_it_leads_to(federation: Federation) -> None:
    """In a window, inputs are handed over that are still to arrive."""
    nodes = {"a": None, "b": None}
    rules = Answers("free_running", ["b"], nodes, lambda _: "")
    message = arrived(federation)
    message.at = 7
    rules.advance(1, 10, [message])

    def answered(at: int) -> frames.Done:
        return frames.Done(1, 10, None, [frames.Output(at, "a", "x", cause=message.id)])

    assert rules.read(answered(7), 0, 10).outputs[0].cause is message
    with pytest.raises(ProtocolError, match="arrives at 7, after what it is to have led to, at 6"):
        rules.read(answered(6), 0, 10)


def test_causes_are_the_inputs_of_this_advance_and_the_last_of_before(
    federation: Federation,
) -> None:
    remote, line = started(federation)

    def cause(number: int) -> dict[str, Any]:
        return {"outputs": [{"at": 0, "dst": "a", "kind": "x", "cause": f"a/{number}"}]}

    many = [arrived(federation) for _ in range(CAUSES + 44)]
    assert answer(remote, line, 0, *many, **cause(1)).outputs[0].cause is many[0]
    more = arrived(federation)
    assert answer(remote, line, 0, more, **cause(45)).outputs[0].cause is many[44]
    assert broken(remote, line, 0, **cause(44))[0] == "unknown-cause"
    remote.kill()


def test_done_that_comes_unasked_is_found_with_the_next_exchange(federation: Federation) -> None:
    remote, line = started(federation)
    answer(remote, line, 5)
    line.write({"type": "DONE", "seq": 1, "now": 5})
    with pytest.raises(ParticipantError) as caught:
        answer(remote, line, 6)
    assert caught.value.rule == "unasked-frame"
    remote.kill()


def test_error_between_two_exchanges_is_heard(federation: Federation) -> None:
    remote, line = started(federation)
    answer(remote, line, 5)
    line.write({"type": "ERROR", "message": "power failure"})
    line.file.close()
    line.end.close()
    with pytest.raises(ParticipantError, match="prober: power failure") as caught:
        answer(remote, line, 6)
    assert caught.value.rule == "participant-error"
    remote.kill()


def test_error_is_preferred_to_what_came_with_it(federation: Federation) -> None:
    remote, line = started(federation)
    remote.begin(5, [])
    line.write({"type": "DONE", "seq": 1, "now": 5}, {"type": "ERROR", "message": "burnt"})
    with pytest.raises(ParticipantError, match="prober: burnt"):
        remote.finish()
    remote.kill()


def test_input_that_is_too_long_for_a_line(federation: Federation) -> None:
    remote, _ = started(federation)
    with pytest.raises(ParticipantError, match="more than 16 MiB") as caught:
        remote.begin(5, [arrived(federation, "x" * 17_000_000)])
    assert caught.value.rule == "line-too-long"
    remote.kill()


# -- free-running


def test_windows_of_a_free_running_participant(federation: Federation) -> None:
    remote, line = started(federation, kind="free_running", at=100)
    first = {"at": 100, "dst": "a", "kind": "x"}
    last = {"at": 199, "dst": "a", "kind": "x"}
    done = answer(remote, line, 200, outputs=[first, last])
    assert [each.at for each in done.outputs] == [100, 199]
    for at in (199, 300):
        rule, told = broken(
            *started(federation, kind="free_running", at=200),
            300,
            outputs=[{"at": at, "dst": "a", "kind": "x"}],
        )
        assert (rule, told) == (
            "output-time",
            f"DONE: outputs[0].at is {at}: it must be 200 to 299",
        )
    assert broken(remote, line, 300, next=300)[0] == "next"
    remote.kill()


# -- networks


def test_a_network_sees_no_content(federation: Federation) -> None:
    remote, line = started(federation, kind="network", next=3)
    message = arrived(federation, {"secret": 1}, at=2)
    remote.begin(9, [message])
    assert line.read() == {
        "type": "ADVANCE", "seq": 1, "until": 9,
        "inputs": [
            {"at": 2, "id": "a/1", "src": "a", "dst": "b", "size": message.size, "sent": 0}
        ],
    }  # fmt: skip
    remote.kill()


def test_deliveries_and_losses_of_a_network(federation: Federation) -> None:
    remote, line = started(federation, kind="network")
    messages = [arrived(federation) for _ in range(3)]
    outputs = [
        {"at": 4, "id": "a/2", "fate": "queue_full"},
        {"at": 6, "id": "a/1"},
        {"at": 6, "id": "a/3", "fate": "delivered"},
    ]
    done = answer(remote, line, 9, *messages, now=6, next=7, outputs=outputs)
    deliveries = [
        Delivery("a/2", 4, Fate.QUEUE_FULL),
        Delivery("a/1", 6, Fate.DELIVERED),
        Delivery("a/3", 6, Fate.DELIVERED),
    ]
    assert done == NetworkDone(6, 7, deliveries)
    assert answer(remote, line, 9, now=6) == NetworkDone(6, None, [])  # its clock may stand still
    remote.kill()


def test_a_message_that_was_given_up_may_come_out_or_not(federation: Federation) -> None:
    remote, line = started(federation, kind="network")
    answer(remote, line, 3, arrived(federation, at=2), now=2)
    remote.give_up("a/1")
    late = [{"at": 5, "id": "a/1"}]
    assert answer(remote, line, 9, now=5, outputs=late).deliveries == [Delivery("a/1", 5)]
    for id in ("a/2", "b/1", "a/x", "a/" + "9" * 5000):
        assert not remote._dialect._given_up(id)
    remote.kill()


NETWORK_BREACHES = {
    "a clock at the bound": ("now", {"now": 9}),
    "a clock that goes back": ("now", {"now": 1}),
    "an event left out": ("next", {"now": 8, "next": 8}),
    "an event before the delivery": (
        "next",
        {"now": 5, "next": 4, "outputs": [{"at": 5, "id": "a/1"}]},
    ),
    "a delivery before its clock": ("output-time", {"now": 5, "outputs": [{"at": 4, "id": "a/1"}]}),
    "a delivery after its clock": ("output-time", {"now": 5, "outputs": [{"at": 6, "id": "a/1"}]}),
    "a loss after its clock": (
        "output-time",
        {"now": 5, "outputs": [{"at": 6, "id": "a/1", "fate": "loss"}]},
    ),
    "a loss in the past": (
        "output-time",
        {"now": 5, "outputs": [{"at": 1, "id": "a/1", "fate": "loss"}]},
    ),
    "a message that is not in it": (
        "unknown-message",
        {"now": 5, "outputs": [{"at": 5, "id": "a/7"}]},
    ),
    "one message twice": (
        "unknown-message",
        {"now": 5, "outputs": [{"at": 5, "id": "a/1"}, {"at": 5, "id": "a/1"}]},
    ),
    "an unknown fate": (
        "frame-shape",
        {"now": 5, "outputs": [{"at": 5, "id": "a/1", "fate": "eaten"}]},
    ),
    "a measurement": ("measures", {"now": 5, "measures": [{"at": 5, "name": "x", "value": 1}]}),
}


@pytest.mark.parametrize("case", NETWORK_BREACHES)
def test_network_that_breaks_a_rule(federation: Federation, case: str) -> None:
    rule, done = NETWORK_BREACHES[case]
    remote, line = started(federation, kind="network")
    answer(remote, line, 3, now=2)
    found, _ = broken(remote, line, 9, arrived(federation, at=2), **done)
    assert found == rule
    remote.kill()


# -- the end


def test_orderly_end(federation: Federation) -> None:
    remote, line = started(federation)
    remote.shut_down()
    assert line.read() == {"type": "SHUTDOWN"}
    line.write({"type": "BYE"})
    line.state = Status("exited", 0)
    remote.close()
    remote.close()  # once more does nothing
    assert line.killed
    assert federation.outside.participants == []


def test_program_that_ends_with_its_connection_held_by_another(federation: Federation) -> None:
    remote, line = started(federation)
    remote.begin(5, [])
    line.state = Status("exited", 3)
    with pytest.raises(ParticipantError, match="prober exited with code 3 before it answered"):
        remote.finish()
    remote.kill()


def test_kill_never_raises(federation: Federation) -> None:
    remote, _ = started(federation)
    remote.begin(5, [])
    remote.kill()
    remote.kill()
    remote.shut_down()
    remote.close()
    never = Remote(federation, "never", ["b"], Line({}), transport="stdio")
    never.kill()


def test_messages_are_let_go_with_the_participant(federation: Federation) -> None:
    # Messages are out of the collector's sight: a ring of references through one would stay.
    remote, line = started(federation)
    answer(remote, line, 5, arrived(federation))
    remote.kill()
    assert remote._dialect._inputs == {}
    assert remote.exchange is None


# -- an end that is known late


@pytest.mark.parametrize("pipe", [None, socket.SHUT_RD, socket.SHUT_WR])
def test_a_program_that_takes_its_time_to_die_is_not_said_to_live(
    federation: Federation, pipe: int | None
) -> None:
    remote, line = started(federation, line=Dying({}))
    remote.begin(5, [])
    if pipe is None:
        line.end.shutdown(socket.SHUT_RD)
    line.file.close()
    line.end.shutdown(socket.SHUT_WR if pipe is None else pipe)
    if pipe == socket.SHUT_RD:
        line.write({"type": "DONE", "seq": 1, "now": 5})
        remote.finish()
    with pytest.raises(ParticipantError, match="prober was killed by SIGKILL before it"):
        remote.begin(6, []) if pipe == socket.SHUT_RD else remote.finish()
    remote.kill()


class Hasty(Line):
    """A program that connects, says HELLO and is gone, just before it is looked at."""

    def launch(self, environment: Mapping[str, str], stdio: Pipes | None) -> Line:
        self.environment = environment
        return self

    def status(self) -> Status:
        if not self.state.ended:
            path = self.environment["SIMCORE_ADDRESS"].removeprefix("unix:")
            token, name = (self.environment[f"SIMCORE_{key}"] for key in ("TOKEN", "NAME"))
            with socket.socket(socket.AF_UNIX) as sock:
                sock.connect(path)
                frame = {"type": "HELLO", "protocol": 1, "token": token, "name": name}
                sock.sendall(json.dumps(frame).encode() + b"\n")
            self.state = Status("exited", 3)
        return self.state

    def kill(self) -> Status:
        return self.state


def test_a_program_that_connected_before_it_ended_did_connect(federation: Federation) -> None:
    remote = Remote(federation, "prober", ["b"], Hasty({}))
    remote.launch()
    with pytest.raises(ParticipantError) as caught:
        remote.ready(0)
    assert "prober exited with code 3 before it was ready" in str(caught.value)
    assert "waits for prober to be ready" in str(caught.value)
    remote.kill()
