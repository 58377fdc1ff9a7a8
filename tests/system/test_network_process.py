"""`network: {model: process}`: a program of the user's simulates the network."""

from __future__ import annotations

import pytest

import simcore
from simcore.errors import ParticipantError, ScenarioError

AIR = '''
"""Every message takes 2 ms and then 1 us per byte, one after the other; each fifth is lost."""
import heapq
from simcore.protocol.peer import Peer

with Peer.connect() as peer:
    inside, busy, count = [], 0, 0
    loses, mute = peer.config["loses"], peer.config.get("mute", False)
    peer.ready("network")
    for advance in peer.advances():
        for message in advance.inputs:
            count += 1
            busy = max(busy, message.at) + message.size * 1000
            fate = "loss" if count % loses == 0 else "delivered"
            heapq.heappush(inside, (busy + 2_000_000, count, message.id, fate))
        clock = None
        while inside and inside[0][0] < advance.until and clock in (None, inside[0][0]):
            at, _, id, fate = heapq.heappop(inside)
            if fate == "delivered":
                clock = at
                peer.settle(id, at)
            elif not mute:
                peer.settle(id, at, fate)
        peer.done(next=inside[0][0] if inside else None)
'''

MODELS = """
def meter(node):
    while True:
        yield node.sleep("10ms")
        node.send("hub", "reading", size=100 * node.index + 100)
        message = yield node.receive(timeout="9ms")
        node.record("answered", message is not None)

def hub(node):
    while True:
        message = yield node.receive()
        node.reply(message, "ack", size=10)
"""

SCENARIO = """
simcore: 1
duration: 95ms
nodes:
  meter: {count: 2, model: models.py:meter}
  hub: {model: models.py:hub, tier: edge}
network:
  model: process
  command: [python, air.py]
  config: {loses: 5}
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    (tmp_path / "air.py").write_text(AIR)
    (tmp_path / "models.py").write_text(MODELS)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(folder, text, name="run"):
    scenario = simcore.loads(text, base=folder)
    return simcore.run_scenario(scenario, folder / name)


def test_messages_take_the_time_that_the_program_says(folder):
    run(folder, SCENARIO)
    with simcore.open_run(folder / "run") as found:
        rows = found.connection.execute(
            "SELECT id, sent, at, fate FROM messages ORDER BY sent, source, number LIMIT 4"
        ).fetchall()
    ms = 10**6
    assert rows == [
        ("meter-0/1", 10 * ms, 12 * ms + 100_000, "delivered"),
        ("meter-1/1", 10 * ms, 12 * ms + 300_000, "delivered"),
        ("hub/1", 12 * ms + 100_000, 14 * ms + 110_000, "delivered"),
        ("hub/2", 12 * ms + 300_000, 14 * ms + 310_000, "delivered"),
    ]


def test_the_same_program_gives_the_same_digest_over_any_transport(folder):
    digests = {
        run(folder, f"{SCENARIO}  transport: {transport}\n", transport).digest
        for transport in ("unix", "tcp", "stdio")
    }
    assert len(digests) == 1


def test_losses_are_reported_or_found_out(folder):
    for name, config in (("told", "{loses: 5}"), ("found", "{loses: 5, mute: true}")):
        text = SCENARIO.replace("{loses: 5}", config) + "  give_up: 7ms\n"
        run(folder, text, name)
        with simcore.open_run(folder / name) as found:
            lost = found.connection.execute(
                "SELECT id, at - sent FROM messages WHERE fate = 'loss' ORDER BY id"
            ).fetchall()
        assert lost
        delays = {delay for _, delay in lost}
        assert (delays == {7_000_000}) == (name == "found")


def test_a_delivery_that_comes_too_soon_is_refused(folder):
    (folder / "air.py").write_text(AIR.replace("busy + 2_000_000", "message.at"))
    idle = "hub: {implementation: process, command: [python, idle.py], kind: free_running} #"
    text = SCENARIO.replace("hub: {", idle).replace("config", "least_delay: 1ms\n  config")
    (folder / "idle.py").write_text(
        "from simcore.protocol.peer import serve\n"
        "class Idle:\n"
        "    kind = 'free_running'\n"
        "    def advance(self, peer, until, inputs):\n"
        "        pass\n"
        "serve(Idle())\n"
    )
    with pytest.raises(simcore.SimcoreError, match="comes .* too soon: the network promised"):
        run(folder, text)


def test_a_program_that_fails_is_reported(folder):
    (folder / "air.py").write_text(AIR.replace("peer.settle(id, at)", "1 / 0"))
    with pytest.raises(ParticipantError) as caught:
        run(folder, SCENARIO)
    assert caught.value.participant == "network"
    assert "ZeroDivisionError" in str(caught.value)


def test_mistakes_are_found_before_anything_starts(folder):
    text = SCENARIO.replace("air.py]", "air.py]\n  give_up: 0s\n  directory: nowhere")
    text = text.replace("python,", "pyhton,")
    with pytest.raises(ScenarioError) as caught:
        simcore.loads(text, base=folder)
    assert [str(problem).split(": ")[1] for problem in caught.value.problems] == [
        "network.command[0]",
        "network.give_up",
        "network.directory",
    ]


def test_what_was_recorded_before_a_failure_at_the_very_end_is_kept(folder):
    """The last ADVANCE goes to the end of the run, where nothing else happens."""
    text = SCENARIO.replace("duration: 95ms", "duration: 92ms")
    run(folder, text, "whole")
    end = "for advance in peer.advances():\n        assert advance.until < 92_000_000"
    (folder / "air.py").write_text(AIR.replace("for advance in peer.advances():", end))
    with pytest.raises(ParticipantError, match="AssertionError"):
        run(folder, text)
    found = []
    for name in ("whole", "run"):
        with simcore.open_run(folder / name) as opened:
            found.append(
                opened.connection.execute(
                    "SELECT id, at, fate FROM messages WHERE at <= 90000000 ORDER BY id"
                ).fetchall()
            )
    assert found[0] == found[1]
    assert len(found[0]) > 15
