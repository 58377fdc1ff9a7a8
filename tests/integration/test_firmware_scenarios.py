"""The same experiment on both engines: what is said agrees, and when it is said does not depend on
windows, on the machine's load, or on who drives the run.

    meter (x 4, firmware) <-> gateway        station -> bridge (firmware) <-> modem
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
import simpy
from simcore_backends.firmware import machine
from simcore_backends.firmware.frames import Advance
from simcore_backends.firmware.uart import byte_time
from support import PATIENCE, ROOT, Project, require

from simcore.expect import evaluate, parse
from simcore.federation import Federation
from simcore.protocol.frames import encode
from simcore.results.metrics import Metrics
from simcore.results.store import Run, open_run
from simcore.scenario import load, loads

SCENARIOS = ROOT / "scenarios"
ENGINES = ("native", "qemu")
WINDOWS = ("1ms", "3ms", "7777us")
SHORT = "8s"
"""Long enough for everything that `firmware_*.yaml` is about."""
MS = 10**6

Said = dict[str, list[tuple[str, Any, str]]]
"""By node: kind, payload and destination of each message, in the order of sending."""


@pytest.fixture(autouse=True, scope="module")
def qemu() -> None:
    """Nothing here is worth much without it."""
    require("qemu-system-arm")


def digest_of(engine: str, *overrides: str, until: str = SHORT) -> str:
    scenario = load(SCENARIOS / f"firmware_{engine}.yaml", overrides=overrides, until=until)
    return Federation(scenario).run()


@pytest.fixture(scope="module")
def digests() -> dict[str, str]:
    """Of the shortened scenarios, as they are."""
    return {engine: digest_of(engine) for engine in ENGINES}


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Run]]:
    folder = tmp_path_factory.mktemp("runs")
    with ExitStack() as stack:
        opened = {}
        for engine in ENGINES:
            scenario = load(SCENARIOS / f"firmware_{engine}.yaml")
            Federation(scenario, out=folder / engine).run()
            opened[engine] = stack.enter_context(open_run(folder / engine))
        yield opened


def said(run: Run) -> Said:
    found: Said = defaultdict(list)
    for source, kind, payload, destination in run.connection.execute(
        "SELECT source, kind, payload, destination FROM messages ORDER BY sent, source, number"
    ):
        found[source].append((kind, json.loads(payload), destination))
    return found


# -- one experiment, two engines


def test_one_word_differs() -> None:
    plain = {}
    for engine in ENGINES:
        text = (SCENARIOS / f"firmware_{engine}.yaml").read_text(encoding="utf-8")
        lines = (re.sub(r"\s*#.*", "", line) for line in text.splitlines())
        plain[engine] = [line for line in lines if line and not line.startswith("name:")]
    different = [pair for pair in zip(*plain.values(), strict=True) if len(set(pair)) > 1]
    [(native, emulated)] = different
    assert native.split() == ["implementation:", "native"]
    assert emulated.split() == ["implementation:", "qemu"]


@pytest.mark.parametrize("engine", ENGINES)
def test_expectations_hold(engine: str, runs: dict[str, Run]) -> None:
    metrics = Metrics(runs[engine].connection)
    scenario = load(SCENARIOS / f"firmware_{engine}.yaml")
    assert scenario.expect
    for text in scenario.expect:
        outcome = evaluate(parse(text), metrics)
        assert outcome.passed, outcome.explanation


def test_the_engines_say_the_same(runs: dict[str, Run]) -> None:
    native, emulated = (said(runs[engine]) for engine in ENGINES)
    assert set(native) == {"meter-0", "meter-1", "meter-2", "meter-3", "gateway"}
    assert native == emulated
    kinds = {kind for messages in native.values() for kind, _, _ in messages}
    assert kinds == {"boot", "image", "digit", "report", "ok", "ack", "command"}


def test_they_say_it_within_two_milliseconds_of_each_other(runs: dict[str, Run]) -> None:
    """QEMU's code takes time, and its meters wake by a tick of a millisecond."""
    query = "SELECT sent FROM messages WHERE source LIKE 'meter-%' ORDER BY source, number"
    times = [[at for (at,) in runs[engine].connection.execute(query)] for engine in ENGINES]
    late = [emulated - native for native, emulated in zip(*times, strict=True)]
    assert min(late) > 0 and max(late) < 2 * MS


def test_manifests_say_what_ran(runs: dict[str, Run]) -> None:
    for engine in ENGINES:
        manifest = runs[engine].manifest
        assert manifest["determinism"] == "exact"
        assert re.search(r", SHA-256 [0-9a-f]{64}$", manifest["parts"]["firmware of meter"])
    assert "qemu" in runs["qemu"].manifest["parts"]


# -- the same each time


@pytest.mark.parametrize("engine", ENGINES)
def test_ten_runs_are_one(engine: str, digests: dict[str, str]) -> None:
    assert {digest_of(engine) for _ in range(9)} == {digests[engine]}


@pytest.mark.parametrize("window", WINDOWS)
def test_windows_make_no_difference(window: str, digests: dict[str, str]) -> None:
    """To QEMU: firmware on the native port has none."""
    assert digest_of("qemu", f"window={window}") == digests["qemu"]


def test_a_window_without_input_is_written_as_any_other() -> None:
    assert encode(Advance(3, 10**12, [])) == machine._NO_INPUTS % (3, 10**12)


@contextmanager
def stress() -> Iterator[None]:
    """More that computes than there are cores."""
    command = [sys.executable, "-c", "while True: pass"]
    busy = [subprocess.Popen(command) for _ in range((os.cpu_count() or 1) + 1)]
    try:
        yield
    finally:
        for each in busy:
            each.kill()
            each.wait(PATIENCE)


@contextmanager
def one_core() -> Iterator[None]:
    """This process and what it starts, on one core."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(before)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("trouble", [stress, one_core])
def test_the_machine_makes_no_difference(
    trouble: Any, engine: str, digests: dict[str, str]
) -> None:
    with trouble():
        assert digest_of(engine) == digests[engine]


@pytest.mark.parametrize("engine", ENGINES)
def test_who_drives_the_run_makes_no_difference(engine: str, digests: dict[str, str]) -> None:
    """simcore in somebody else's SimPy program, which goes on in pieces of any length."""
    scenario = load(SCENARIOS / f"firmware_{engine}.yaml", until=SHORT)
    env = simpy.Environment()
    noticed = []

    def somebody() -> Iterator[Any]:
        while True:
            yield env.timeout(0.7)
            noticed.append(env.now)

    env.process(somebody())
    with Federation(scenario, env, unit="1s") as federation:
        for until in (0.001, 0.0087, 1.0, 1.0000001, 3.3, 7.99, 8):
            env.run(until=until)
    assert federation.digest == digests[engine]
    assert len(noticed) == 11


def test_a_shorter_run_is_the_beginning_of_a_longer_one(runs: dict[str, Run]) -> None:
    """Also where the end cuts a window, and a line that is on the wire."""
    federation = Federation(load(SCENARIOS / "firmware_qemu.yaml", until="1007777777ns"))
    messages: list[tuple[int, str]] = []
    federation.observe(lambda message: messages.append((message.at, message.id)))
    federation.run()
    whole = runs["qemu"].connection.execute(
        "SELECT at, id FROM messages WHERE at < 1007777777 ORDER BY at"
    )
    assert sorted(messages)[: len(messages)] == sorted(whole.fetchall())
    assert messages


# -- both engines in one run

MIXED = """
simcore: 1
seed: 7
duration: 8s
nodes:
  meter: {count: 2, tier: device, implementation: native, firmware: meter}
  probe: {count: 2, tier: device, implementation: qemu, firmware: meter}
  gateway:
    tier: edge
    service: firmware_models.py:Gateway
    config: {compute: 3ms, enough: 5}
network:
  model: latency
  links:
    - {between: [meter, gateway], delay: {min: 8ms, exponential: 2ms}, rate: 250kbit/s}
    - {between: [probe, gateway], delay: {min: 8ms, exponential: 2ms}, rate: 250kbit/s}
"""


def test_engines_in_one_run(tmp_path: Path) -> None:
    found = set()
    for number, window in enumerate(WINDOWS):
        scenario = loads(MIXED, base=SCENARIOS, overrides=[f"window={window}"])
        found.add(Federation(scenario, out=tmp_path / f"{number}").run())
    assert len(found) == 1
    with open_run(tmp_path / "0") as run:
        by_node = said(run)
    devices = [by_node[name] for name in ("meter-0", "meter-1", "probe-0", "probe-1")]
    assert all(each == devices[0] for each in devices)
    assert {kind for kind, _, _ in devices[0]} == {"boot", "image", "digit", "report", "ok"}


# -- two UARTs


@pytest.fixture(scope="module")
def bridges(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Run]]:
    folder = tmp_path_factory.mktemp("bridges")
    with ExitStack() as stack:
        opened = {}
        for engine in ENGINES:
            options = [f"nodes.bridge.implementation={engine}"]
            scenario = load(SCENARIOS / "firmware_bridge.yaml", overrides=options)
            Federation(scenario, out=folder / engine).run()
            run = opened[engine] = stack.enter_context(open_run(folder / engine))
            for text in scenario.expect:
                outcome = evaluate(parse(text), Metrics(run.connection))
                assert outcome.passed, outcome.explanation
        yield opened


def test_a_modem_on_the_second_line(bridges: dict[str, Run]) -> None:
    native, emulated = (said(bridges[engine]) for engine in ENGINES)
    assert native == emulated
    assert native["station"] == [("command", "AT+CSQ", "bridge")] * 9
    to_modem = [each for each in native["bridge"] if each[2] == "modem"]
    assert to_modem == [("line", "AT+CSQ", "modem")] * 9
    answers = [payload for _, payload, destination in native["bridge"] if destination == "station"]
    assert [answer["n"] for answer in answers] == list(range(1, 11))
    assert [answer["text"] for answer in answers] == [text for _, text, _ in native["modem"]]


@pytest.mark.parametrize("window", ["200us", "777777ns"])
def test_windows_make_no_difference_to_two_lines(window: str) -> None:
    options = ["nodes.bridge.implementation=qemu"]
    first, second = (
        Federation(
            load(SCENARIOS / "firmware_bridge.yaml", overrides=[*options, *more], until="2500ms")
        ).run()
        for more in ([], [f"window={window}"])
    )
    assert first == second


# -- the time that bytes take

BAUDS = (300, 9600, 115200, 10_000_000)


def times_of_bridge(engine: str, usart2: int, usart3: int, until: str) -> Sequence[int]:
    """When the first question is sent by the station, by the bridge, and its answer by the bridge."""
    options = [
        f"nodes.bridge.implementation={engine}",
        f"nodes.bridge.uart.usart2.baud={usart2}",
        f"nodes.bridge.uart.usart3.baud={usart3}",
    ]
    scenario = load(SCENARIOS / "firmware_bridge.yaml", overrides=options, until=until)
    sent: dict[str, int] = {}
    federation = Federation(scenario)
    federation.observe(
        lambda m: sent.setdefault(f"{m.source} to {m.destination}", m.sent)  # type: ignore[func-returns-value]
    )
    federation.run()
    steps = ("station to bridge", "bridge to modem", "modem to bridge", "bridge to station")
    return [sent[step] for step in steps]


HEARD = len('{"src":"station","kind":"command","id":"station/1","payload":"AT+CSQ"}\n')
ASKED = len("AT+CSQ\n")
ANSWERED = len("+CSQ: 18\n")
TOLD = len(
    '{"dst":"station","kind":"line","re":"station/1","size":12,'
    '"payload":{"n":1,"text":"+CSQ: 18"}}\n'
)


@pytest.mark.parametrize("usart3", BAUDS)
@pytest.mark.parametrize("usart2", BAUDS)
def test_the_time_of_bytes_natively(usart2: int, usart3: int) -> None:
    first, second = byte_time(usart2), byte_time(usart3)
    asked, passed_on, answered, told = times_of_bridge("native", usart2, usart3, "12s")
    assert asked == 2000 * MS
    assert passed_on == asked + 10 * MS + HEARD * first + ASKED * second
    assert answered == passed_on + MS + 50 * MS
    assert told == answered + MS + ANSWERED * second + TOLD * first


def test_the_time_of_bytes_in_qemu() -> None:
    """What is on the wire is the same to the nanosecond; the code takes some microseconds."""
    codes = []
    for usart2, usart3 in ((115200, 9600), (115200, 300), (9600, 9600), (921600, 10_000_000)):
        first, second = byte_time(usart2), byte_time(usart3)
        asked, passed_on, answered, told = times_of_bridge("qemu", usart2, usart3, "3s")
        assert asked == 2000 * MS
        assert answered == passed_on + MS + 50 * MS
        codes.append(passed_on - asked - 10 * MS - HEARD * first - ASKED * second)
        codes.append(told - answered - MS - ANSWERED * second - TOLD * first)
    assert all(0 < code < MS // 2 for code in codes), codes


def test_the_first_words_of_a_device() -> None:
    """Written at one time whatever the baud rate: so they are complete when the formula says."""
    line = '{"dst":"gateway","kind":"boot","payload":{"firmware":"meter","version":1}}\n'
    for engine in ENGINES:
        written = set()
        for baud in BAUDS:
            options = [f"nodes.meter.uart.usart2.baud={baud}", "nodes.meter.count=1"]
            scenario = load(
                SCENARIOS / f"firmware_{engine}.yaml", overrides=options, until="2700ms"
            )
            sent: list[int] = []
            federation = Federation(scenario)
            federation.observe(lambda m, to=sent: to.append(m.sent))  # type: ignore[misc]
            federation.run()
            written.add(sent[0] - len(line) * byte_time(baud))
        [when] = written
        assert when == 0 if engine == "native" else 0 < when < MS


# -- windows that are longer than the network promises

DIRECT = """
simcore: 1
seed: 1
duration: 4s
quantum: 5ms
nodes:
  meter: {count: 2, implementation: qemu, firmware: meter}
  gateway: {service: firmware_models.py:Gateway, config: {compute: 3ms, enough: 2}}
network: {model: direct}
"""


def test_a_quantum_is_told(tmp_path: Path) -> None:
    digests = set()
    for name in ("one", "other"):
        federation = Federation(loads(DIRECT, base=SCENARIOS), out=tmp_path / name)
        digests.add(federation.run())
        with open_run(tmp_path / name) as run:
            assert run.manifest["determinism"] == "quantum"
            late = run.manifest["windows"]["late"]
            assert late["messages"] > 0 and late["worst_ns"] <= 5 * MS
    assert len(digests) == 1


# -- the command that runs twice and compares


def test_verify(tmp_path: Path) -> None:
    project = Project(tmp_path)
    ended = project.simcore("verify", SCENARIOS / "firmware_qemu.yaml", "--until", "3s")
    assert ended.code == 0, ended.err
    assert ended.out.startswith("identical: digest ")
