"""Extensions that act in a node's stead: they take what it sends, wake at times of its life, and
learn when it starts and crashes.

a --- 1 ms ---> b
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from worlds import MS, PLUGINS, both, play, world

from simcore import Plugins
from simcore.network import Path


class Envelope(Path):
    """Takes messages of kind "note" itself; lets all others through."""

    def __init__(self, inner: Path) -> None:
        self.inner = inner
        self.receiver = inner.receiver
        self.notes: list[tuple[int, Any]] = []

    def enter(self, message):
        if message.kind == "note":
            self.notes.append((message.sent, message.payload))
        else:
            message.path = self.inner
            self.inner.enter(message)


class Acting:
    """The extension under test."""

    name = "acting"
    determinism = "exact"
    schema: Any = {}

    def __init__(self) -> None:
        self.lives: list[tuple[int, str, bool]] = []
        self.woken: list[int] = []

    def attach(self, federation, value):
        a, b = federation.nodes["a"], federation.nodes["b"]
        self.envelope = Envelope(federation.network.path(a, b))
        a.reroute("b", self.envelope)

        def note(node):
            self.lives.append((federation.now, node.name, not node.down))
            if node is a and not node.down:
                for after in (2 * MS, 5 * MS):
                    node.at(federation.now + after, lambda: self.woken.append(federation.now))

        federation.observe_lives(note)


def ran(a, **keys):
    acting = Acting()
    plugins = Plugins(
        extra={"backends": PLUGINS.extra["backends"], "extensions": {"acting": acting}}
    )
    scenario = world({"a": a, "b": None}, [both("a", "b")], lasts="20ms", **keys)
    scenario = replace(scenario, extensions={**scenario.extensions, "acting": None})
    return acting, play(scenario, plugins=plugins)


def test_what_is_taken_never_enters_the_network_and_the_rest_does():
    def a(node):
        node.send("b", "reading", 1)
        node.send("b", "note", {"to": "self"})
        yield node.sleep("3ms")
        node.send("b", "note", 2)
        node.send("b", "reading", 3)

    acting, told = ran(a)
    assert acting.envelope.notes == [(0, {"to": "self"}), (3 * MS, 2)]
    assert told.text == (
        "1ms a/1 > b reading 1 (1B) sent 0: delivered\n"
        "4ms a/4 > b reading 3 (1B) sent 3ms: delivered\n"
    )


def test_a_node_that_had_sent_before_is_rerouted_as_well():
    class Late(Acting):
        def attach(self, federation, value):
            federation.at(5 * MS, lambda: Acting.attach(self, federation, value))

    def a(node):
        for _ in range(4):
            node.send("b", "note", node.now // MS)
            yield node.sleep("2ms")

    acting = Late()
    plugins = Plugins(
        extra={"backends": PLUGINS.extra["backends"], "extensions": {"acting": acting}}
    )
    scenario = replace(
        world({"a": a, "b": None}, [both("a", "b")], lasts="20ms"), extensions={"acting": None}
    )
    told = play(scenario, plugins=plugins)
    assert [m[5] for m in told.messages(to="b")] == ["0", "2", "4"]
    assert acting.envelope.notes == [(6 * MS, 6)]


def test_lives_are_told_and_what_was_to_happen_ends_with_them():
    """a crashes at 3 ms and is back at 10 ms: its wake at 5 ms is gone, and two new ones come."""
    acting, _ = ran(None, faults=[{"at": "3ms", "for": "7ms", "node": "a", "crash": True}])
    assert acting.lives == [
        (0, "a", True),
        (0, "b", True),
        (3 * MS, "a", False),
        (10 * MS, "a", True),
    ]
    assert acting.woken == [2 * MS, 12 * MS, 15 * MS]
