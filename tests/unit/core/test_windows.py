"""Windows of free-running nodes: where they end, what they cost, and what a quantum costs."""

from __future__ import annotations

import gc
import weakref
from random import Random

import pytest
from fakes import FreeRunning, Packets, Program, Reactive
from worlds import PLUGINS, Taking, both, one_way, play, world

from simcore import Federation, Plugins, UsageError
from simcore.errors import ModelError
from simcore.hosting import host
from simcore.participant import InProcess
from simcore.protocol.service import Done, Measure, Output


class Silent:
    """Remembers its windows and what it was given, and does nothing."""

    def __init__(self, born: int, windows: list, inputs: list) -> None:
        self.start = born
        self.windows = windows
        self.inputs = inputs

    def advance(self, until, inputs):
        self.windows.append((self.start, until))
        self.inputs += [(message.at, message.id) for message in inputs]
        self.start = until
        return Done([], [])


def silent(windows, inputs=None, grain=1):
    kept = [] if inputs is None else inputs
    return Taking("free_running", lambda name, life, born: Silent(born, windows, kept), grain)


def at(*times):
    """A model that sends to `f` at the given instants."""

    def model(node):
        for time in times:
            yield node.sleep(time - node.now)
            node.send("f", "x", size=1)

    return model


def test_windows_are_as_long_as_the_least_delay_and_end_with_the_run():
    windows: list = []
    links = [both("f", "a", "30ns"), both("f", "b", {"min": "25ns", "exponential": "1us"})]
    run = play(world({"f": silent(windows), "a": None, "b": None}, links, lasts=110))
    assert windows == [(0, 25), (25, 50), (50, 75), (75, 100), (100, 110)]
    assert run.federation.windows.count == 5


def test_links_of_others_do_not_shorten_windows():
    windows: list = []
    links = [both("f", "a", "40ns"), both("a", "b", "1ns")]
    play(world({"f": silent(windows), "a": None, "b": None}, links, lasts=100))
    assert windows == [(0, 40), (40, 80), (80, 100)]


def test_faults_cut_the_windows_of_all():
    first: list = []
    second: list = []
    nodes = {"f": silent(first), "g": silent(second), "a": None}
    links = [both("f", "a", "50ns"), both("g", "a", "60ns")]
    fault = {"at": "70ns", "for": "20ns", "link": ["g", "a"], "down": True}
    play(world(nodes, links, lasts=150, faults=[fault]))
    assert first == second == [(0, 50), (50, 70), (70, 90), (90, 140), (140, 150)]


def test_inputs_are_handed_over_before_they_arrive_and_recorded_when_they_do():
    inputs: list = []
    windows: list = []
    nodes = {"f": silent(windows, inputs), "a": at(3, 20, 47)}
    run = play(world(nodes, [both("f", "a", "50ns")], lasts=200))
    assert inputs == [(53, "a/1"), (70, "a/2"), (97, "a/3")]
    assert run.arrivals(to="f") == inputs
    assert windows[:2] == [(0, 50), (50, 100)]


def test_boundaries_lie_on_the_grain():
    windows: list = []
    links = [both("f", "a", "47ns")]
    fault = {"at": "63ns", "for": "40ns", "link": ["f", "a"], "down": True}
    play(world({"f": silent(windows, grain=10), "a": None}, links, lasts=135, faults=[fault]))
    # 63 and 103 are no boundaries: they wait at 60 and 100, and go on from there.
    assert windows == [(0, 40), (40, 60), (60, 100), (100, 130), (130, 140)]


@pytest.mark.parametrize("seed", range(25))
def test_faults_off_the_grain_come_at_the_grain_for_windows_of_any_length(seed):
    random = Random(seed)
    peers = {"f-0": ["a", "f-1"], "f-1": ["a", "f-0"], "a": ["f-0", "f-1"]}

    def free(name, life, born):
        return FreeRunning(Program(f"{seed} {name} {life}", peers[name]), born)

    def reactive(name, life, born):
        return Reactive(Program(f"{seed} {name} {life}", peers[name]))

    nodes = {
        "f": {"does": Taking("free_running", free, grain=10), "count": 2},
        "a": Taking("reactive", reactive),
    }
    links = [both("f", "a", "60ns", rate="8Gbit/s"), both("f", "f", "75ns", loss="10%")]
    faults = [
        {"at": f"{random.randrange(3000)}ns", "for": f"{random.randrange(1, 900)}ns", **what}
        for what in (
            {"link": ["f", "a"], "down": True},
            {"node": "f-1", "crash": True},
            {"link": ["f", "f"], "degraded": {"loss": "30%"}},
        )
    ]
    runs = [
        play(world(nodes, links, lasts=4000, seed=seed, faults=faults, window=window))
        for window in (None, "10ns", "25ns", "40ns")
    ]
    assert runs[0].lines
    assert len({run.digest for run in runs}) == 1


def test_grains_that_do_not_fit_are_refused():
    nodes = {"f": silent([], grain=10), "g": silent([], grain=15), "a": None}
    with pytest.raises(UsageError, match="grains 15 ns and 10 ns cannot share boundaries"):
        Federation(world(nodes, [both("f", "a"), both("g", "a")]), plugins=PLUGINS)


def test_a_run_that_ends_within_a_grain_that_waits():
    """A fault at 37 ns keeps the window from 30 ns on from beginning before that."""
    measures = [Measure(time, "m", time) for time in range(100)]
    nodes = {"f": scripted(measures=measures, grain=10), "a": None}
    fault = {"at": "37ns", "for": "10ns", "link": ["f", "a"], "down": True}
    scenario = world(nodes, [both("f", "a", "50ns")], lasts=100, faults=[fault])
    for end in (30, 35, 37, 38, 41):
        run = play(scenario, lambda federation, end=end: federation.env.run(until=end))
        assert run.measured("m") == list(range(end))


def test_a_later_life_with_a_grain_that_does_not_fit_is_refused():
    class Changing(Taking):
        def attach(self, federation, spec):
            def make(life):
                return InProcess("f", lambda: Silent(0, [], []), "free_running", 10 * life)

            return host(federation, spec, make, kind="free_running")

    nodes = {"f": Changing("free_running", lambda *_: None), "a": None}
    fault = {"at": "100ns", "for": "20ns", "node": "f", "crash": True}
    with pytest.raises(UsageError, match="f started again with a grain of 20 ns.* the run, 10 ns"):
        play(world(nodes, [both("f", "a", "50ns")], lasts=300, faults=[fault]))


def test_without_a_least_delay_a_quantum_is_needed():
    nodes = {"f": silent([]), "a": None}
    for network in ({"links": [both("f", "a", {"exponential": "1ms"})]}, {}):
        with pytest.raises(UsageError, match="no window is possible.*or the scenario a quantum"):
            Federation(world(nodes, **network), plugins=PLUGINS)


def test_a_quantum_says_how_late_what_was():
    inputs: list = []
    windows: list = []
    nodes = {"f": silent(windows, inputs), "a": at(3, 20, 47, 200)}
    run = play(world(nodes, lasts=250, quantum="50ns"))
    assert windows == [(0, 50), (50, 100), (100, 150), (150, 200), (200, 250)]
    assert inputs == [(50, "a/1"), (50, "a/2"), (50, "a/3"), (200, "a/4")]
    assert run.arrivals(to="f") == inputs
    late = run.federation.windows.late
    assert (late.messages, late.worst, late.total) == (3, 47, 47 + 30 + 3)


def test_what_leaves_inside_a_window_of_a_quantum_arrives_at_its_end(tmp_path):
    def free(name, life, born):
        return Once()

    class Once:
        def advance(self, until, inputs):
            sent = Output(10, "a", "x", "null", 1, None, 0, 0)
            return Done([sent] if until == 50 else [], [])

    nodes = {"f": Taking("free_running", free), "a": None}
    run = play(world(nodes, lasts=100, quantum="50ns"), out=tmp_path / "run")
    assert run.messages() == [(50, "f/1", "a", "x", 1, "null", 10, "delivered")]
    late = run.federation.windows.late
    assert (late.messages, late.worst) == (1, 40)


def test_a_quantum_shorter_than_the_delay_costs_nothing():
    windows: list = []
    nodes = {"f": silent(windows), "a": at(3)}
    run = play(world(nodes, [both("f", "a", "50ns")], lasts=100, quantum="10ns"))
    assert windows == [(0, 50), (50, 100)]
    assert run.federation.windows.late.messages == 0


@pytest.mark.parametrize("seed", range(10))
def test_a_quantum_behind_a_packet_network_is_labelled(seed):
    peers = {"f": ["a"], "a": ["f"]}

    def free(name, life, born):
        return FreeRunning(Program(f"{seed} {name}", peers[name]), born)

    def reactive(name, life, born):
        return Reactive(Program(f"{seed} {name}", peers[name]))

    nodes = {"f": Taking("free_running", free), "a": Taking("reactive", reactive)}
    plugins = Plugins(extra={**PLUGINS.extra, "netmodels": {"packets": Packets()}})
    network = {"model": "packets", "seed": seed, "least": 5}
    scenario = world(nodes, lasts=4000, seed=seed, network=network, quantum="100ns")
    runs = [play(scenario, plugins=plugins) for _ in range(2)]
    assert runs[0].digest == runs[1].digest
    late = runs[0].federation.windows.late
    assert late.messages > 0
    assert late.worst <= 200


@pytest.mark.parametrize("at", [-1, 50])
@pytest.mark.parametrize("what", ["output", "measure"])
def test_an_answer_outside_its_window_is_refused(at, what):
    class Wrong:
        def advance(self, until, inputs):
            outputs = [Output(at, "a", "x", "null", 1, None, 0, 0)] if what == "output" else []
            return Done(outputs, [Measure(at, "m", 1)] if what == "measure" else [])

    nodes = {"f": Taking("free_running", lambda *_: Wrong()), "a": None}
    with pytest.raises(ModelError, match=rf"window from 0 to 50 ns .* at {at} ns, which is out"):
        play(world(nodes, [both("f", "a", "50ns")], lasts=100))


def test_a_change_inside_a_window_cannot_be_announced():
    seen = []

    def model(node):
        yield node.sleep(60)
        with pytest.raises(UsageError, match="free-running participants are on their way to 100"):
            node.federation.at(70, seen.append)
        node.federation.at(100, lambda: seen.append(node.now))
        yield node.sleep(100)

    play(world({"f": silent([]), "a": model}, [both("f", "a", "50ns")], lasts=200))
    assert seen == [100]


def test_one_participant_for_a_whole_group():
    given: list = []

    class Both:
        def advance(self, until, inputs):
            given.extend((message.at, message.destination) for message in inputs)
            if until != 50:
                return Done([], [])
            return Done(
                [
                    Output(12, "a", "x", "null", 1, None, 0, 0, "f-1"),
                    Output(11, "a", "x", "null", 1, None, 0, 0, "f-0"),
                ],
                [Measure(5, "m", 1, "f-1")],
            )

    def model(node):
        node.send("f-1", "y", size=1)
        node.send("f-0", "y", size=1)
        yield node.sleep(1)

    nodes = {"f": {"does": Taking("free_running", lambda *_: Both(), shared=True), "count": 2}}
    run = play(world(nodes | {"a": model}, [both("f", "a", "50ns")], lasts=100))
    assert run.arrivals(to="a") == [(61, "f-0/1"), (62, "f-1/1")]
    assert given == [(50, "f-1"), (50, "f-0")]
    assert run.measured("m") == [1]


def test_a_crash_in_a_shared_participant_cuts_off_one_node():
    given: list = []

    class Both:
        def advance(self, until, inputs):
            given.extend((message.at, message.destination) for message in inputs)
            return Done([Output(until - 1, "a", "x", "null", 1, None, 0, 0, "f-1")], [])

    def model(node):
        for _ in range(9):
            node.send("f-0", "y", size=1)
            node.send("f-1", "y", size=1)
            yield node.sleep(10)

    nodes = {"f": {"does": Taking("free_running", lambda *_: Both(), shared=True), "count": 2}}
    fault = {"at": "40ns", "for": "30ns", "node": "f-1", "crash": True}
    links = [one_way("a", "f", "20ns"), one_way("f", "a", "20ns")]
    run = play(world(nodes | {"a": model}, links, lasts=100, faults=[fault]))
    assert [at for at, to in given if to == "f-0"] == [20, 30, 40, 50, 60, 70, 80, 90]
    assert [at for at, to in given if to == "f-1"] == [20, 30, 70, 80, 90]
    sent = [message[6] for message in run.messages(to="a")]
    assert sent == [19, 39, 89, 99]


class Scripted:
    """Does at given instants what it is told to."""

    def __init__(self, outputs=(), measures=()):
        self.outputs = outputs
        self.measures = measures
        self.start = 0

    def advance(self, until, inputs):
        start, self.start = self.start, until
        outputs = [each for each in self.outputs if start <= each.at < until]
        return Done(outputs, [each for each in self.measures if start <= each.at < until])


def scripted(*outputs, measures=(), grain=1):
    return Taking("free_running", lambda *_: Scripted(outputs, measures), grain)


def test_the_digest_of_more_than_a_buffer_of_measurements_in_one_window():
    """Those of `g` come after all of `f`, though they are as early."""
    measures = [Measure(at, "m", at) for at in range(1500)]
    nodes = {"f": scripted(measures=measures), "g": scripted(measures=measures), "a": None}
    links = [both("f", "a", "10us"), both("g", "a", "10us")]
    runs = [play(world(nodes, links, lasts=20_000, window=w)) for w in (None, "100ns")]
    assert runs[0].digest == runs[1].digest
    assert runs[0].federation.recorder.measured == 3000


@pytest.mark.parametrize("network", [{"links": [both("f", "a", "50ns")]}, {"quantum": "50ns"}])
def test_an_environment_that_goes_on_behind_the_end_changes_nothing(network):
    scenario = world(
        {"f": scripted(Output(95, "a", "x", "null", 1, None, 0, 0)), "a": None},
        lasts=100,
        **network,
    )
    run = play(scenario)
    longer = play(scenario, lambda federation: federation.env.run(until=500))
    assert run.messages() == [(100, "f/1", "a", "x", 1, "null", 95, "in_flight")]
    assert longer.digest == run.digest
    assert longer.federation.windows.late == run.federation.windows.late


def test_a_change_behind_the_end_can_be_announced_though_a_window_ends_later():
    def model(node):
        yield node.sleep(132)
        node.federation.at(137, lambda: None)

    windows: list = []
    nodes = {"f": silent(windows, grain=10), "a": model}
    play(world(nodes, [both("f", "a", "50ns")], lasts=135))
    assert windows[-1] == (130, 140)


@pytest.mark.parametrize("window", [None, "1ns"])
def test_what_comes_to_a_relay_at_the_very_end_is_in_flight(window):
    """a --20 ns--> x --50 ns, fed by f--> f: at 30 ns the message waits at x."""
    nodes = {"f": silent([]), "x": None, "a": at(10)}
    links = [both("a", "x", "20ns"), both("x", "f", "50ns", rate="8Gbit/s", shared=True)]
    scenario = world(nodes, links, lasts=200, window=window)
    run = play(scenario, lambda federation: federation.env.run(until=30))
    assert run.messages() == [(30, "a/1", "f", "x", 1, "null", 10, "in_flight")]


@pytest.mark.parametrize("kind", ["reactive", "free_running"])
def test_what_a_node_that_is_down_sends_gets_no_number(kind):
    """Both nodes stand behind one participant, which goes on when one of them crashes."""

    class Beats:
        def __init__(self, free):
            self.free = free
            self.start = 0

        def advance(self, until, inputs):
            end = until if self.free else until + 1
            times = range(self.start, end, 10)
            self.start += 10 * len(times)
            sent = [
                Output(time, "a", "x", "null", 1, None, 0, 0, f"f-{i}")
                for time in times
                for i in (0, 1)
            ]
            return Done(sent, [], None if self.free else self.start)

    taking = Taking(kind, lambda *_: Beats(kind == "free_running"), shared=True)
    nodes = {"f": {"does": taking, "count": 2}, "a": None}
    fault = {"at": "25ns", "for": "30ns", "node": "f-1", "crash": True}
    run = play(world(nodes, [both("f", "a", "20ns")], lasts=100, faults=[fault]))
    sent = [(message[6], message[1]) for message in run.messages() if message[1].startswith("f-1")]
    assert [time for time, _ in sent] == [0, 10, 20, 60, 70, 80, 90]
    assert [id for _, id in sent] == [f"f-1/{i}" for i in range(1, 8)]


@pytest.mark.parametrize("free", [True, False])
@pytest.mark.parametrize("end", [4000, 1000, 1111])
def test_a_run_with_participants_is_freed(free, end):
    peers = {"f": ["a"], "a": ["f"]}

    def running_free(name, life, born):
        return FreeRunning(Program(name, peers[name]), born)

    def reactive(name, life, born):
        return Reactive(Program(name, peers[name]))

    other = Taking("reactive", reactive)
    nodes = {"f": Taking("free_running", running_free) if free else other, "a": other}
    scenario = world(nodes, [both("f", "a", "30ns", rate="1Gbit/s")], lasts=4000)
    federation = Federation(scenario, plugins=PLUGINS)
    with federation:
        federation.env.run(until=end)
    gone = weakref.ref(federation)
    del federation
    gc.collect()
    gc.collect()
    assert gone() is None


def test_a_run_that_ended_in_the_middle_of_an_instant_is_freed():
    def model(node):
        while True:
            yield node.sleep(10)
            node.send("b", "x")  # without delay: at the end of the instant

    federation = Federation(world({"a": model, "b": None}, lasts=4000), plugins=PLUGINS)
    with federation:
        federation.env.run(until=100)
    gone = weakref.ref(federation)
    del federation
    gc.collect()
    assert gone() is None


def test_a_crash_that_nobody_announced_is_refused_inside_a_window():
    def model(node):
        yield node.sleep(60)
        with pytest.raises(UsageError, match="f cannot crash at 60 ns.*on their way to 100 ns"):
            node.federation.nodes["f"].crash()
        yield node.sleep(40)
        node.federation.nodes["f"].crash()  # at a boundary all are here

    windows: list = []
    play(world({"f": silent(windows), "a": model}, [both("f", "a", "50ns")], lasts=200))
    assert windows == [(0, 50), (50, 100)]


def test_a_window_shorter_than_the_grain_is_refused():
    scenario = world({"f": silent([], grain=10), "a": None}, [both("f", "a")], window="7ns")
    with pytest.raises(UsageError, match=r"window: 0.000000007s is shorter than the grain"):
        Federation(scenario, plugins=PLUGINS)
