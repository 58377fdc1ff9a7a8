"""Scenarios with devices in Renode: what is said agrees with the other engines, and when it is said
depends on nothing but the scenario.

Where SIMCORE_RENODE names no Renode, this runs on what stands in for it.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import renode_machine
from renode_machine import MS, PLATFORM, US, fake_only
from simcore_backends.firmware.uart import byte_time
from support import ROOT, require

from simcore.errors import UsageError
from simcore.expect import evaluate, parse
from simcore.federation import Federation
from simcore.results.metrics import Metrics
from simcore.results.store import Run, open_run
from simcore.scenario import load, loads

SCENARIOS = ROOT / "scenarios"
WINDOWS = ("3ms", "5001us", "7777us")
SHORT = "3500ms"

MODELS = """
def hub(node):
    for at, destination, kind, payload in node.config.get("says", []):
        yield node.sleep(at - node.now)
        node.send(destination, kind, payload)
    while True:
        yield node.receive()


def modem(node):
    while True:
        message = yield node.receive()
        node.send(message.source, "line", "heard " + message.payload)
"""


@pytest.fixture(autouse=True)
def renode(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The one that the scenarios find."""
    path = renode_machine.REAL or str(renode_machine.install(tmp_path))
    monkeypatch.setenv("RENODE", path)
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A project: models, a parrot, a lamp."""
    (tmp_path / "models.py").write_text(MODELS)
    for name, text in (("parrot", "parrot"), ("lamp", "fake: lamp")):
        (tmp_path / name).mkdir()
        renode_machine.firmware(tmp_path / name, text)
    return tmp_path


def run(text: str, base: Path, *overrides: str, until: str | None = None) -> tuple[str, Run]:
    """The digest and the results of a scenario; `base` is where its files are."""
    number = len(list(base.glob("run*")))
    out = base / f"run{number}"
    digest = Federation(loads(text, base=base, overrides=overrides, until=until), out=out).run()
    return digest, open_run(out)


Sent = list[tuple[int, str, Any, str]]
"""When, kind, payload, destination."""


def sent_by(run: Run, name: str) -> Sent:
    rows = run.connection.execute(
        "SELECT sent, kind, payload, destination FROM messages WHERE source = ? ORDER BY number",
        (name,),
    )
    return [(at, kind, json.loads(payload), to) for at, kind, payload, to in rows]


def log_of(run: Run, name: str = "dev") -> str:
    file = run.path / "logs" / f"{name}.log"
    text = file.read_text(encoding="utf-8") if file.exists() else ""
    # What Renode itself prints is its own matter.
    return "".join(f"{line}\n" for line in text.splitlines() if re.match(r"\d+\.\d{9} s: ", line))


def measured(run: Run, name: str) -> list[tuple[int, float]]:
    return run.connection.execute(
        "SELECT at, value FROM measurement WHERE name = ? ORDER BY at", (name,)
    ).fetchall()


# -- the scenarios that come with simcore ----------------------------------------------------------


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Run]]:
    """The same experiment natively, in Renode, and on three engines."""
    folder = tmp_path_factory.mktemp("whole")
    with ExitStack() as stack, pytest.MonkeyPatch.context() as patch:
        (folder / "tool").mkdir()
        program = renode_machine.REAL or str(renode_machine.install(folder / "tool"))
        patch.setenv("RENODE", program)
        require("qemu-system-arm")
        opened = {}
        for name in ("native", "renode", "mixed"):
            Federation(load(SCENARIOS / f"firmware_{name}.yaml"), out=folder / name).run()
            opened[name] = stack.enter_context(open_run(folder / name))
        yield opened


@pytest.mark.parametrize("name", ["renode", "mixed"])
def test_expectations_hold(name: str, whole: dict[str, Run]) -> None:
    metrics = Metrics(whole[name].connection)
    scenario = load(SCENARIOS / f"firmware_{name}.yaml")
    assert scenario.expect
    for text in scenario.expect:
        outcome = evaluate(parse(text), metrics)
        assert outcome.passed, outcome.explanation


def test_one_word_differs() -> None:
    plain = []
    for engine in ("qemu", "renode"):
        text = (SCENARIOS / f"firmware_{engine}.yaml").read_text(encoding="utf-8")
        lines = (re.sub(r"\s*#.*", "", line) for line in text.splitlines())
        plain.append([line for line in lines if line and not line.startswith("name:")])
    [pair] = [pair for pair in zip(*plain, strict=True) if len(set(pair)) > 1]
    assert [line.split() for line in pair] == [
        ["implementation:", "qemu"],
        ["implementation:", "renode"],
    ]


def said(run: Run) -> dict[str, list[tuple[str, Any, str]]]:
    found: dict[str, list[tuple[str, Any, str]]] = defaultdict(list)
    for source, kind, payload, destination in run.connection.execute(
        "SELECT source, kind, payload, destination FROM messages ORDER BY sent, source, number"
    ):
        found[source].append((kind, json.loads(payload), destination))
    return found


def test_it_says_what_the_native_port_says(whole: dict[str, Run]) -> None:
    native, emulated = said(whole["native"]), said(whole["renode"])
    assert set(native) == {"meter-0", "meter-1", "meter-2", "meter-3", "gateway"}
    assert native == emulated
    assert len(native["meter-0"]) > 30


def test_it_says_it_within_two_milliseconds(whole: dict[str, Run]) -> None:
    """Code takes time, and the firmware wakes by a tick of a millisecond, which in Renode is one
    168,000th too short."""
    times = [
        [at for number in range(4) for at, *_ in sent_by(whole[engine], f"meter-{number}")]
        for engine in ("native", "renode")
    ]
    late = [emulated - native for native, emulated in zip(*times, strict=True)]
    assert max(map(abs, late)) < 2 * MS


def test_three_engines_in_one_run(whole: dict[str, Run]) -> None:
    by_node = said(whole["mixed"])
    native, *others = (by_node[name] for name in ("native-0", "native-1", "emulated", "renoded"))
    assert others == [native] * 3
    assert {kind for kind, *_ in native} == {"boot", "image", "digit", "report", "ok"}


def test_manifests_say_what_ran(whole: dict[str, Run]) -> None:
    for name in ("renode", "mixed"):
        manifest = whole[name].manifest
        assert manifest["determinism"] == "exact"
        assert re.fullmatch(r"1\.\d+\.\d+", manifest["parts"]["renode"])
        [firmware] = {
            value for key, value in manifest["parts"].items() if key.startswith("firmware of ")
            and value.startswith("meter-stm32f4.elf")
        }  # fmt: skip
        assert re.fullmatch(r"meter-stm32f4\.elf, SHA-256 [0-9a-f]{64}", firmware)
    assert "qemu" in whole["mixed"].manifest["parts"]


def digest_of(name: str, *overrides: str) -> str:
    short = [
        "nodes.gateway.config.enough=2",
        *(["nodes.meter.count=1"] if name == "renode" else []),
    ]
    scenario = load(
        SCENARIOS / f"firmware_{name}.yaml", overrides=[*short, *overrides], until=SHORT
    )
    return Federation(scenario).run()


@pytest.mark.parametrize("name", ["renode", "mixed"])
def test_one_digest_for_all_windows(name: str) -> None:
    if name == "mixed":
        require("qemu-system-arm")
    found = [digest_of(name, *more) for more in ((), *([f"window={each}"] for each in WINDOWS))]
    assert set(found) == {found[0]}
    assert digest_of(name, "seed=8") != found[0]


def test_renode_made_no_difference_to_the_others(whole: dict[str, Run]) -> None:
    """A participant that stands beside one in Renode has the time line that it has without."""
    native = sent_by(whole["mixed"], "native-0")
    [boot] = [at for at, kind, *_ in native if kind == "boot"]
    assert boot == len(
        '{"dst":"gateway","kind":"boot","payload":{"firmware":"meter","version":1}}\n'
    ) * byte_time(115200)


# -- pins ------------------------------------------------------------------------------------------

PINS = """
simcore: 1
seed: 1
duration: 450ms
nodes:
  hub: {model: models.py:hub, config: {says: []}}
  stranger: {model: models.py:hub, config: {says: []}}
  dev:
    implementation: renode
    firmware: lamp/firmware.elf
    gpio:
      PD12: {direction: out, peer: hub}
      PA0: {direction: in, peer: hub}
      PD13: {direction: out, peer: stranger}
network:
  model: latency
  links:
    - {between: [hub, dev], delay: 1ms}
    - {between: [stranger, dev], delay: 2ms}
"""


PRESSED = 10 * MS + 400 * US
"""Between two ticks of the firmware, a delay earlier."""


def says(node: str, *words: tuple[int, Any]) -> str:
    told = [[at, "dev", "gpio", payload] for at, payload in words]
    return f"nodes.{node}.config.says={json.dumps(told)}"


def level(level: Any, pin: Any = "PA0") -> dict[str, Any]:
    return {"pin": pin, "level": level}


def test_pins(folder: Path) -> None:
    """The lamp changes each 100 ms; a switch that is pressed comes back on another pin."""
    fake_only()
    presses = says("hub", (PRESSED, level(True)), (20 * MS + 7, level(True)),
                   (PRESSED + 20 * MS, level(False)))  # fmt: skip
    found = set()
    for more in ((), ("window=333us",), ("window=9us", "duration=40ms")):
        digest, results = run(PINS, folder, presses, *more)
        with results:
            sent = sent_by(results, "dev")
            assert [each[1:] for each in sent if each[0] < 40 * MS] == [
                ("gpio", level(True, "PD13"), "stranger"),
                ("gpio", level(False, "PD13"), "stranger"),
            ]
            first, second = (at for at, *_ in sent if at < 40 * MS)
            # 8 ns for each of the instructions from the interrupt to the pin, on the stand-in 40.
            assert first == PRESSED + MS + 40 * 8
            assert second - first == 20 * MS
            assert log_of(results) == ""
            if "duration=40ms" not in more:
                found.add(digest)
                lamp = [each for each in sent if each[3] == "hub"]
                assert [payload for _, _, payload, _ in lamp] == [
                    level(on, "PD12") for on in (True, False, True, False)
                ]
                assert [round(at / MS) for at, *_ in lamp] == [100, 200, 300, 400]
            sizes = results.connection.execute(
                "SELECT DISTINCT size FROM messages WHERE source = 'dev'"
            ).fetchall()
            assert sizes == [(1,)]
    assert len(found) == 1


def test_levels_that_go_nowhere(folder: Path) -> None:
    """Whoever has no pin, or says what is no level, is told of in the log; the run goes on."""
    fake_only()
    _, results = run(
        PINS, folder,
        says("hub", (MS, level(True, "PB7")), (2 * MS, level(1)), (3 * MS, "on"),
             (4 * MS, level(True, ["PA0"])), (5 * MS, level(True, "PD12")),
             (6 * MS, {"pin": "PA0"})),
        says("stranger", (6 * MS, level(True))),
        "duration=50ms",
    )  # fmt: skip
    with results:
        assert log_of(results).splitlines() == [
            "0.002000000 s: hub/1 is dropped: hub has no way to a pin 'PB7'",
            "0.003000000 s: hub/2 is dropped: the level of PA0 is true or false",
            "0.004000000 s: hub/3 tells no level: its payload is not {pin: ..., level: ...}",
            "0.005000000 s: hub/4 is dropped: hub has no way to a pin ['PA0']",
            "0.006000000 s: hub/5 is dropped: hub has no way to a pin 'PD12'",
            "0.007000000 s: hub/6 tells no level: its payload is not {pin: ..., level: ...}",
            "0.008000000 s: stranger/1 is dropped: stranger has no way to a pin 'PA0'",
        ]
        assert sent_by(results, "dev") == []


# -- UARTs -----------------------------------------------------------------------------------------

DEVICE = """
simcore: 1
seed: 1
duration: 60ms
nodes:
  hub: {model: models.py:hub, config: {says: []}}
  modem: {model: models.py:modem}
  dev:
    implementation: renode
    firmware: parrot/firmware.elf
    uart: {usart2: {}, usart3: {baud: 9600, mode: raw, peer: modem}}
network:
  model: latency
  links:
    - {between: [hub, dev], delay: 1ms}
    - {between: [modem, dev], delay: 1ms}
"""
HELLO = {"dst": "hub", "kind": "hello", "payload": 1}


def tells(*words: tuple[int, str]) -> str:
    said = [[at, "dev", "say", payload] for at, payload in words]
    return f"nodes.hub.config.says={json.dumps(said)}"


def test_two_uarts(folder: Path) -> None:
    """What is said on one is passed on at the other, each at its own speed."""
    fake_only()
    words = tells((5 * MS, "!other AT\n"))
    found = set()
    for window in ("1ms", "777us", "13us"):
        digest, results = run(DEVICE, folder, words, f"window={window}")
        found.add(digest)
        with results:
            (at, *sent), *_ = sent_by(results, "dev")
            assert sent == ["line", "AT", "modem"]
            asked = len(b'{"src":"hub","kind":"say","id":"hub/1","payload":"!other AT\\n"}\n')
            heard = 6 * MS + asked * byte_time(115200)
            assert 0 < at - heard - 3 * byte_time(9600) < 20 * US
            (answered, *_), *_ = sent_by(results, "modem")
            assert answered == at + MS
    assert len(found) == 1


def test_a_receiver_that_is_off(folder: Path) -> None:
    """What comes to it is lost, with Renode's own warning alone; simcore counts it, and goes on."""
    fake_only()
    words = tells((5 * MS, "!off"), (20 * MS, "hello"))
    _, results = run(DEVICE, folder, words)
    with results:
        line = len(b'{"src":"hub","kind":"say","id":"hub/2","payload":"hello"}\n')
        due = 21 * MS + line * byte_time(115200)
        assert measured(results, "usart2.lost") == [(due, line)]
        assert log_of(results) == (
            f"0.{due:09} s: usart2: {line} of the {line} bytes of hub/2 are lost: "
            "the receiver was off\n"
        )


# -- time ------------------------------------------------------------------------------------------

METER = """
simcore: 1
seed: 1
duration: 400ms
nodes:
  hub: {model: models.py:hub, config: {says: []}}
  dev: {implementation: renode, firmware: meter}
network:
  model: latency
  links:
    - {between: [hub, dev], delay: 1ms}
"""
TO_HUB = json.dumps([[20 * MS, "dev", "command", "to hub"], [90 * MS, "dev", "command", "report"]])


ANSWERS = [
    "nodes.gateway={}",
    "network.links=[{between: [hub, dev], delay: 1ms}, {between: [gateway, dev], delay: 1ms}]",
]
"""The meter speaks to a gateway."""


@pytest.mark.parametrize(
    ("delay", "window", "end"), [("2999ns", "1us", "1ms"), ("1234567ns", "17us", "120ms")]
)
def test_a_delay_that_is_no_multiple_of_the_grain(
    delay: str, window: str, end: str, folder: Path
) -> None:
    """Windows are rounded down to whole microseconds; times are not."""
    links = (f"{{between: [dev, {each}], delay: {delay}}}" for each in ("gateway", "hub"))
    overrides = [
        f"nodes.hub.config.says={TO_HUB}", "nodes.gateway={}", f"duration={end}",
        f"network.links=[{', '.join(links)}]",
        "nodes.dev.uart={usart2: {baud: 10000000}}",
    ]  # fmt: skip
    found = set()
    for more in ((), (f"window={window}",)):
        digest, results = run(METER, folder, *overrides, *more)
        found.add(digest)
        with results:
            sent = sent_by(results, "dev")
            assert sent[0][1:] == ("boot", {"firmware": "meter", "version": 1}, "gateway")
            assert [kind for _, kind, *_ in sent[1:]] == ["ok", "report"] * (end == "120ms")
    assert len(found) == 1


def test_a_delay_that_is_shorter_than_the_grain(folder: Path) -> None:
    with pytest.raises(UsageError) as error:
        run(METER, folder, "network.links=[{between: [hub, dev], delay: 999ns}]")
    assert str(error.value).startswith(
        "no window is possible: the least delay of a link that touches a free-running node (dev) "
        "is 0.000000999s, the grain is 0.000001s; give those links a delay"
    )


def test_an_end_at_an_odd_time_is_the_beginning_of_a_longer_run(folder: Path) -> None:
    links = (
        "network.links=[{between: [hub, dev], delay: 1ms}, {between: [gateway, dev], delay: 1ms}]"
    )
    options = ["nodes.gateway={}", links, f"nodes.hub.config.says={TO_HUB}"]
    sent = []
    for until in ("33333333ns", "109777777ns", "400ms"):
        _, results = run(METER, folder, *options, until=until)
        with results:
            sent.append(sent_by(results, "dev"))
    short, middle, long = sent
    assert 0 < len(short) < len(middle) <= len(long)
    assert long[: len(short)] == short and long[: len(middle)] == middle


@pytest.mark.parametrize("at", [40 * MS, 40 * MS + 333_333])
def test_a_crash_and_a_boot(at: int, folder: Path) -> None:
    """Another life, in a process and in folders of its own; it boots at its time, less than a
    microsecond early."""
    back = 60 * MS + 123_457
    options = [
        *ANSWERS,
        f"faults=[{{at: {at}ns, for: {back - at}ns, node: dev, crash: true}}]", "duration=100ms",
    ]  # fmt: skip
    found = set()
    for more in ((), ("window=77us",)):
        digest, results = run(METER, folder, *options, *more)
        found.add(digest)
        with results:
            first, second = (at for at, kind, *_ in sent_by(results, "dev") if kind == "boot")
            assert second - first == back // US * US
            assert log_of(results) == ""
    assert len(found) == 1


def test_half_a_line_when_the_power_goes(folder: Path) -> None:
    fake_only()
    fault = "faults=[{at: 30ms, for: 10ms, node: dev, crash: true}]"
    _, results = run(DEVICE, folder, tells((5 * MS, "half")), fault)
    with results:
        assert log_of(results) == "0.030000000 s: a line without its end: half\n"


DIRECT = """
simcore: 1
seed: 1
duration: 3s
quantum: 5ms
nodes:
  meter: {count: 2, implementation: renode, firmware: meter}
  gateway: {service: firmware_models.py:Gateway, config: {compute: 3ms, enough: 2}}
network: {model: direct}
"""


def test_a_quantum_is_told(tmp_path: Path) -> None:
    """On a network without delays; what is late is told, and the same each time."""
    digests = set()
    for name in ("one", "other"):
        federation = Federation(loads(DIRECT, base=SCENARIOS), out=tmp_path / name)
        digests.add(federation.run())
        with open_run(tmp_path / name) as results:
            assert results.manifest["determinism"] == "quantum"
            late = results.manifest["windows"]["late"]
            assert late["messages"] > 0 and late["worst_ns"] <= 5 * MS
    assert len(digests) == 1


# -- machines of the user's ------------------------------------------------------------------------


def meters(folder: Path, *overrides: str) -> Sequence[Any]:
    """What the meter says."""
    _, results = run(METER, folder, *ANSWERS, "duration=50ms", *overrides)
    with results:
        assert results.manifest["parts"]["renode"]
        return [each[1:] for each in sent_by(results, "dev")]


def test_platforms_of_the_user(folder: Path) -> None:
    """A description, and a script that loads what it finds in $bin; both are in the manifest's
    copies of what the run depends on."""
    known = meters(folder)
    assert len(known) == 1
    (folder / "my board.repl").write_text(PLATFORM.read_text(encoding="utf-8"))
    assert meters(folder, "nodes.dev.platform=my board.repl") == known
    (folder / "board.resc").write_text(
        'using sysbus\nmach create "mine"\n'
        f"machine LoadPlatformDescription @{PLATFORM}\nsysbus LoadELF $bin\n"
    )
    assert meters(folder, "nodes.dev.platform=board.resc") == known
