"""What a careful look at the core once found: each of these went wrong."""

import gc
import weakref

import pytest
import simpy
from worlds import PLUGINS, one_way, play, world

from simcore.errors import ModelError, SendError, UsageError
from simcore.federation import Federation

MS = 10**6


def beat(node):
    while True:
        yield node.sleep("10ms")
        node.send("sink", "beat", node.now)


def sink(node):
    while True:
        yield node.receive()


def federation_of(scenario, env=None, **keys):
    return Federation(scenario, env, plugins=PLUGINS, **keys)


RATED = [one_way("a", "sink", rate="1Mbit/s")]


@pytest.mark.parametrize("links", [None, RATED], ids=["direct", "rated"])
@pytest.mark.parametrize("plain", [False, True])
def test_a_run_that_stops_at_an_event_of_a_node_goes_on_as_if_it_had_not(links, plain):
    """a --> sink; env.run(until=node.sleep(...)), several times."""
    scenario = world({"a": beat, "sink": sink}, links, lasts="200ms")
    whole = federation_of(scenario).run()
    with federation_of(scenario, simpy.Environment() if plain else None) as federation:
        env, a = federation.env, federation.nodes["a"]
        env.run(until=a.sleep("50ms"))
        assert env.now == 50 * MS
        env.run(until=federation.nodes["sink"].receive())
        env.run(until=a.sleep("20ms"))
        env.run(until=200 * MS)
    # The receive of the test took a message from the sink, which changes nothing recorded.
    assert federation.digest == whole


@pytest.mark.parametrize("until", [101, 5000])
def test_what_users_do_after_the_end_is_not_part_of_the_run(until):
    def user(env, node):
        while True:
            yield env.timeout(MS)
            node.send("sink", "late", 1)
            node.record("late", 1)

    scenario = world({"a": None, "sink": sink}, [one_way("a", "sink")], lasts="100ms")
    digests = []
    for end in (100, until):
        with federation_of(scenario, simpy.Environment()) as federation:
            federation.env.process(user(federation.env, federation.nodes["a"]))
            federation.env.run(until=end * MS)
            assert federation.now == end * MS
        digests.append((federation.digest, dict(federation.recorder.counts)))
        links = {each.name: each for each in federation.network.metrics(100 * MS)}
        assert links["a->sink"].entered == 99
    assert digests[0] == digests[1]


def test_a_float_clock_that_splits_a_nanosecond_splits_no_instant():
    """b (timer) and c (user's timeouts that add up) feed one shared medium at the same ns."""

    def by_timer(node):
        while True:
            yield node.sleep("100ms")
            node.send("sink", "x", 1)

    def user(env, node, step):
        while True:
            yield env.timeout(step)
            node.send("sink", "x", 2)

    links = [{"between": ["b", "sink"], "delay": "1ms", "rate": "1Mbit/s", "shared": True}]
    scenario = world(
        {"b": {"does": by_timer, "count": 1}, "c": None, "sink": sink}, None, lasts="2s"
    )
    links = [one_way("b", "sink", rate="1Mbit/s"), one_way("c", "sink", rate="1Mbit/s")]
    scenario = world({"b": by_timer, "c": None, "sink": sink}, links, lasts="2s")
    digests = set()
    for unit, step in (("1ns", 100 * MS), ("1s", 0.1)):
        with federation_of(scenario, simpy.Environment(), unit=unit) as federation:
            env = federation.env
            env.process(user(env, federation.nodes["c"], step))
            env.run(until=2 * 10**9 if unit == "1ns" else 2)
        digests.add(federation.digest)
    assert len(digests) == 1


def test_an_environment_too_late_to_tell_nanoseconds_is_refused():
    scenario = world({"a": beat, "sink": sink})
    with pytest.raises(UsageError, match="start it at 0"):
        federation_of(scenario, simpy.Environment(1.7e9), unit="1s")


def test_a_restarted_service_draws_other_numbers():
    class Lottery:
        def start(self, ctx):
            ctx.record("draw", ctx.random.random())

    crash = {"at": "10ms", "for": "5ms", "node": "a", "crash": True}
    told = play(world({"a": Lottery}, faults=[crash]))
    assert len(set(told.measured("draw"))) == 2


def test_a_finished_run_is_freed():
    class Hold:
        def on_message(self, ctx, msg):
            ctx.compute("1s")

    nodes = {"a": beat, "sink": Hold}
    federation = federation_of(world(nodes, [one_way("a", "sink", rate="1kbit/s")]))
    federation.run()
    gone = weakref.ref(federation)
    del federation
    gc.collect()
    assert gone() is None


def test_a_crash_cuts_off_what_the_node_was_transmitting():
    """a --100 bytes take 100 ms--> sink; a crashes at 150 ms with four messages waiting."""

    def burst(node):
        for _ in range(5):
            node.send("sink", "x", size=100)
        yield node.sleep("1h")

    crash = {"at": "150ms", "node": "a", "crash": True}
    links = [one_way("a", "sink", rate="8kbit/s")]
    told = play(world({"a": burst, "sink": sink}, links, faults=[crash]))
    assert [m[-1] for m in told.messages()] == ["delivered", *["node_down"] * 4]


def test_a_crashed_node_sends_nothing_from_its_last_words_or_from_outside():
    def last_words(node):
        try:
            yield node.sleep("1h")
        finally:
            node.send("sink", "x")

    crash = {"at": "50ms", "node": "a", "crash": True}
    scenario = world({"a": last_words, "sink": sink}, [one_way("a", "sink")], faults=[crash])
    federation = federation_of(scenario, simpy.Environment())

    def user(env):
        yield env.timeout(60 * MS)
        federation.nodes["a"].send("sink", "x")

    with federation:
        federation.env.process(user(federation.env))
        federation.env.run(until=100 * MS)
    assert federation.recorder.written == 0


def test_a_node_that_brings_about_its_own_crash_stops():
    def suicidal(node):
        node.record("alive", True)
        yield node.sleep("1ms")
        node.crash()
        yield node.sleep("1ms")
        node.federation.nodes["b"].record("zombie", True)

    told = play(world({"a": suicidal, "b": None}))
    assert told.measured("zombie") == []


def test_an_ordered_link_keeps_the_order_of_entry_where_arrivals_coincide():
    """a --1 ms--> r, b --(sent earlier) 12 ms--> r; r -> d ordered: who enters first is first."""

    def early(node):
        node.send("d", "from_b")
        yield node.sleep("1h")

    def late(node):
        yield node.sleep("10ms")
        node.send("d", "from_a")

    def d(node):
        while True:
            message = yield node.receive()
            node.record("got", message.kind)

    table = {"table": ["20ms", "1ms"]}
    links = [
        one_way("a", "r", "1ms"),
        one_way("b", "r", "12ms"),
        one_way("r", "d", table, ordered=True),
    ]
    for seed in range(1, 9):
        told = play(world({"a": late, "b": early, "r": None, "d": d}, links, seed=seed))
        assert told.measured("got") == ["from_a", "from_b"]


@pytest.mark.parametrize("what", ["next", "output", "measure"])
def test_a_participant_cannot_answer_with_the_past(what):
    from simcore.hosting import in_process
    from simcore.plugins import Plugins
    from simcore.protocol.service import Done, Measure, Output

    class Late:
        def advance(self, now, inputs):
            if now == 0:
                return Done([], [], 50 * MS)
            output = Output(10 * MS, "b", "x", "null", None, None, 0, 0)
            return Done(
                [output] if what == "output" else [],
                [Measure(10 * MS, "x", 1)] if what == "measure" else [],
                20 * MS if what == "next" else None,
            )

    class Backend:
        name, determinism = "inline", "exact"

        def attach(self, federation, spec):
            return in_process(federation, spec, lambda life: Late())

    plugins = Plugins(extra={"backends": {"inline": Backend()}})
    with pytest.raises(ModelError, match=r"which has passed"):
        Federation(world({"a": None, "b": None}), plugins=plugins).run()


def test_deadlines_that_are_called_off_do_not_pile_up():
    def listener(node):
        while True:
            yield node.receive(timeout="1h")

    def fast(node):
        while True:
            yield node.sleep("100us")
            node.send("sink", "x")

    federation = federation_of(world({"a": fast, "sink": listener}, [one_way("a", "sink")]))
    most = []
    federation.observe(lambda _: most.append(len(federation.calendar.heap)))
    federation.run()
    assert len(most) > 9000
    assert max(most) < 2500


def test_a_crash_at_the_first_instant_for_no_time_starts_a_model_once():
    def model(node):
        node.record("start", True)
        yield node.sleep("1h")

    crash = {"at": "0s", "for": "0s", "node": "a", "crash": True}
    assert play(world({"a": model}, faults=[crash])).measured("start") == [True]


def test_equal_faults_written_otherwise_give_equal_digests():
    scenarios = [
        world(
            {"a": beat, "sink": sink},
            [one_way("a", "sink")],
            faults=[{"at": "10ms", "link": ["a", "sink"], "degraded": {"loss": loss}}],
        )
        for loss in ("1%", 0.01, "0.01")
    ]
    assert len({federation_of(each).run() for each in scenarios}) == 1


def test_a_link_that_is_down_changes_the_luck_of_no_later_message():
    links = [one_way("a", "sink", {"min": "1ms", "exponential": "1ms"}, loss="20%")]
    down = {"at": "200ms", "for": "300ms", "link": ["a", "sink"], "down": True}
    calm, struck = (
        {m[1]: m for m in play(world({"a": beat, "sink": sink}, links, faults=faults)).messages()}
        for faults in ([], [down])
    )
    later = [name for name, m in calm.items() if int(m[5]) > 600 * MS]
    assert later
    assert all(calm[name] == struck[name] for name in later)


@pytest.mark.parametrize("size", [2**40, 2**63, -1, 1.5, True])
def test_a_size_that_is_none_is_refused_where_it_is_given(size):
    def model(node):
        node.send("b", "x", size=size)
        yield node.sleep("1s")

    with pytest.raises(SendError, match="size is"):
        play(world({"a": model, "b": None}))


@pytest.mark.parametrize("kind", [None, "", {"a": 1}, 3, "\ud800"])
def test_a_kind_that_is_no_name_is_refused_where_it_is_given(kind):
    def model(node):
        node.send("b", kind)
        yield node.sleep("1s")

    with pytest.raises(SendError, match="the kind is"):
        play(world({"a": model, "b": None}))


@pytest.mark.parametrize(("name", "value"), [("x", "\ud800"), ("\ud800", 1), ("", 1), (None, 1)])
def test_a_measurement_that_cannot_be_written_is_refused_where_it_is_made(name, value):
    def model(node):
        node.record(name, value)
        yield node.sleep("1s")

    with pytest.raises(ModelError, match="a cannot record"):
        play(world({"a": model}))


def test_a_model_that_takes_other_arguments_is_named():
    def model(env, node):
        yield

    with pytest.raises(ModelError, match="model of a raised TypeError") as raised:
        federation_of(world({"a": model})).run()
    assert raised.value.node == "a"


def test_figures_of_a_link_that_goes_down_while_it_transmits():
    """a --100 bytes take 100 ms--> sink, five at once, down at 150 ms: busy 150 ms, and
    4 + 3 messages waited for 100 and 50 ms."""

    def burst(node):
        for _ in range(5):
            node.send("sink", "x", size=100)
        yield node.sleep("1h")

    down = {"at": "150ms", "link": ["a", "sink"], "down": True}
    links = [one_way("a", "sink", rate="8kbit/s")]
    federation = federation_of(world({"a": burst, "sink": sink}, links, faults=[down]))
    federation.run()
    (link,) = [each for each in federation.network.metrics(10**9) if each.name == "a->sink"]
    assert (link.entered, link.delivered, link.link_down, link.busy) == (5, 1, 4, 150 * MS)
    assert link.queue_mean == pytest.approx((4 * 0.1 + 3 * 0.05) / 1.0)
    assert link.queue_max == 4


def test_a_process_that_waits_for_another_may_handle_its_exception():
    def model(node):
        def part():
            yield node.sleep("1ms")
            raise ValueError("no more")

        try:
            yield node.process(part())
        except ValueError as error:
            node.record("handled", str(error))

    assert play(world({"a": model})).measured("handled") == ["no more"]


def test_an_exception_that_no_process_waits_for_ends_the_run_in_the_nodes_name():
    def model(node):
        def part():
            yield node.sleep("1ms")
            raise ValueError("no more")

        node.process(part())
        yield node.sleep("1h")

    with pytest.raises(ModelError, match="model of a raised ValueError: no more"):
        play(world({"a": model}))
