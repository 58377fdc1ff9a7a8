"""Whatever firmware does wrong, and whatever is done to it, ends in one report or in the log.

Each test is a run of the command line in which a device is told to go wrong, or is given what it
cannot use: see `firmware_devices.py`.
"""

from __future__ import annotations

import re
import shutil
import signal

import pytest
from firmware_devices import (
    ENGINES,
    builds,
    completed,
    failed,
    heard,
    log_of,
    measured,
    options,
    parrots,
    project,
    refused,
)
from outsiders import left_of
from support import Project

__all__ = ["builds", "parrots", "project"]

MS = 1_000_000
TELL = 10 * MS
"""When the device is told to go wrong; a line of about 60 bytes takes 5 ms from a millisecond later."""


# -- files that cannot run


def corrupt(data: bytes) -> bytes:
    return data[:4] + b"\xff" * 60 + data[64:]


BAD_FILES = {
    "cut": (lambda data: data[:2000], "it is cut off after 2000 bytes"),
    "corrupt": (corrupt, "its ELF header is corrupt: "),
    "empty": (lambda data: b"", "it is empty: "),
    "text": (lambda data: b"no firmware\n", "it is no ELF file: "),
}


@pytest.mark.parametrize("engine", ENGINES)
def test_files_that_cannot_run(project: Project, engine: str) -> None:
    """Each is told of with its place in the scenario, by both commands; nothing is started."""
    good = {"native": "parrot", "qemu": "parrot.elf"}
    form = "native" if engine == "native" else "elf"
    file = project.path / good.pop(engine)
    data = file.read_bytes()
    lines = ["simcore: 1", "duration: 1s", "nodes:"]
    told = {"missing": "there is no such file: './missing'", "other": "it is for "}
    shutil.copy(project.path / good.popitem()[1], project.path / "other")
    for name, (spoil, why) in BAD_FILES.items():
        told[name] = why
        (project.path / name).write_bytes(spoil(data))
        (project.path / name).chmod(0o755)
    lines += [
        f"  {name}: {{implementation: {engine}, firmware: {{{form}: ./{name}}}}}" for name in told
    ]
    lines += ["network: {model: latency, links: [{between: [missing, other], delay: 1ms}]}"]
    project.write("scenario.yaml", "\n".join(lines) + "\n")
    shown = refused(project)
    checked = project.simcore("validate", "scenario.yaml")
    assert checked.code == 2
    for number, (name, why) in enumerate(told.items(), 4):
        column = lines[number - 1].index("./") + 1
        begin = f"scenario.yaml:{number}:{column}: nodes.{name}.firmware.{form}: "
        for text in (shown, checked.out + checked.err):
            [line] = [line for line in text.splitlines() if begin in line]
            assert why in line
    assert "6 problems; nothing was started" in shown


# -- firmware that goes wrong


def test_a_fault_in_qemu(project: Project) -> None:
    report = failed(project, *options("qemu", [(TELL, "!fault")]))
    assert report.rule == "firmware-fault"
    assert report.first.startswith(
        "dev: the firmware has faulted between 0.016s and 0.017s: an undefined instruction "
        "(CFSR 0x00010000, HFSR 0x40000000)"
    )
    # The last words of the firmware, most of which have not been sent when the run ends.
    assert re.search(
        r"^    0\.017000000 s: written, and not sent in whole: "
        r"fault: exception 00000003 at 0x080\w{5}, cfsr 0x00010000$",
        report.text,
        re.M,
    ), report.text
    assert "advice: if the log has an address, addr2line" in report.text
    assert report.at == 16 * MS


def test_a_fault_on_the_host(project: Project) -> None:
    report = failed(project, *options("native", [(TELL, "!fault")]))
    assert report.rule == "process-ended"
    assert re.match(r"dev was killed by SIG\w+( \(core dumped\))? before it answered", report.first)
    assert "advice: the firmware has crashed or ended" in report.text


def test_a_fault_in_the_handling_of_a_fault(project: Project) -> None:
    """The processor would stop for ever; QEMU ends itself."""
    report = failed(project, *options("qemu", [(TELL, "!lockup")]))
    assert report.rule == "participant-error"
    assert report.first.startswith("dev: QEMU has given up")
    assert "qemu: fatal: Lockup: can't escalate" in report.log
    assert "  advice: the firmware has faulted while it handled a fault, at 0x080" in report.text


def test_a_reset(project: Project) -> None:
    report = failed(project, *options("qemu", [(TELL, "!reset")]))
    assert report.rule == "participant-error"
    assert report.first.startswith("dev: the firmware has reset the processor at 16")
    assert "in QEMU that is not exact" in report.first


def test_an_application_that_returns(project: Project) -> None:
    report = failed(project, *options("native", [(TELL, "!return")]))
    assert report.rule == "process-ended"
    assert report.first.startswith("dev exited with code 0 before it answered")
    assert "app_main" in report.text
    report = failed(project, *options("qemu", [(TELL, "!return")]))
    assert report.rule == "firmware-fault"


def test_spinning_on_the_host(project: Project) -> None:
    report = failed(project, *options("native", [(TELL, "!spin")], timeout="1s"))
    assert report.rule == "deadline"
    assert report.first.startswith("dev sent nothing within 1 s")
    assert (
        "advice: the firmware does not come back: it has to sleep (hal_sleep_until)" in report.text
    )
    assert report.process == "is running"


def test_spinning_in_qemu_only_takes_time(project: Project) -> None:
    completed(project, *options("qemu", [(TELL, "!spin")]))


def test_spinning_in_qemu_for_longer_than_anybody_waits(project: Project) -> None:
    long = ["--set=duration=1000s", "--set=network.links=[{between: [hub, dev], delay: 100s}]"]
    # It runs before it sleeps, so it can be told; the end of that window does not come in time.
    report = failed(project, *options("qemu", [(0, "!spin")], timeout="1s"), *long)
    assert report.rule == "deadline"
    assert report.first.startswith("dev sent nothing within 1 s")
    assert "advice: firmware that never sleeps (WFI) takes about as long" in report.text


def test_an_interrupt_while_qemu_is_busy(project: Project) -> None:
    long = ["--set=duration=1000s", "--set=network.links=[{between: [hub, dev], delay: 100s}]"]
    command = options("qemu", [(0, "!spin"), (150 * 1000 * MS, "READY")])
    with project.start("scenario.yaml", "--out", "run", *command, *long) as started:
        started.until("reached")
        started.send(signal.SIGINT)
        ended = started.end()
    assert ended.code == 130, ended.err
    assert "results so far are in run (exit reason: interrupted)" in ended.err
    assert left_of(started.process.pid) == []


def test_a_flood_in_qemu(project: Project) -> None:
    report = failed(project, *options("qemu", [(TELL, "!flood")], uart={"usart2": {"baud": 300}}),
                    "--set=duration=5s")  # fmt: skip
    assert report.rule == "uart-flood"
    assert re.match(
        r"dev: at \d\.\d+s, the firmware floods usart2: more than 65536 bytes wait to be sent at "
        r"300 baud; let it write less, or sleep in between ",
        report.first,
    )
    assert "usart2 is flooded with: " in report.text and "flood flood flood" in report.text


def test_a_flood_on_the_host_blocks(project: Project) -> None:
    """As a write does on the part: what was sent until the end is in the log."""
    log = completed(project, *options("native", [(TELL, "!flood")]))
    assert "a line without its end: flood flood flood" in log


# -- what it says


@pytest.mark.parametrize("engine", ENGINES)
def test_half_a_line(project: Project, engine: str) -> None:
    """What a later half ends is one line; what nothing ends is in the log."""
    says = [(TELL, "half "), (2 * TELL, "a line\n"), (3 * TELL, "and another half")]
    log = completed(project, *options(engine, says))
    first, second = log.splitlines()
    assert re.fullmatch(r"0\.02\d{7} s: half a line", first)
    assert re.fullmatch(r"0\.0[345]\d{7} s: a line without its end: and another half", second)
    assert heard(project) == []


@pytest.mark.parametrize("engine", ENGINES)
def test_half_a_line_when_the_power_goes(project: Project, engine: str) -> None:
    crash = "--set=faults=[{at: 30ms, for: 10ms, node: dev, crash: true}]"
    log = completed(project, *options(engine, [(TELL, "half")]), crash)
    if engine == "qemu":  # a process that is killed says nothing any more
        assert log == "0.030000000 s: a line without its end: half\n"


@pytest.mark.parametrize("engine", ENGINES)
def test_binary(project: Project, engine: str) -> None:
    data = [0, 255, 254, 10, 27, 10]
    raw = {"usart2": {"mode": "raw", "peer": "hub"}}
    assert completed(project, *options(engine, [(TELL, data)], uart=raw)) == ""
    assert [said[1:] for said in heard(project)] == [
        ("line", {"$b64": "AP/+"}),
        ("line", "\x1b"),
    ]
    log = completed(project, *options(engine, [(TELL, "\x1b[0m \x7f\n")]))
    assert re.fullmatch(r"0\.0\d{8} s: \\x1b\[0m \\x7f\n", log)
    assert heard(project) == []


LINES = {
    "unknown-destination": (
        {"dst": "hubb", "kind": "hello"},
        "there is no node 'hubb' (did you mean 'hub'?)",
    ),
    "payload": (
        {"dst": "hub", "kind": "hello", "payload": {"$b64": "@"}},
        "payload: '$b64' does not hold base64",
    ),
}


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("rule", LINES)
def test_a_line_that_is_no_possible_message(project: Project, engine: str, rule: str) -> None:
    line, told = LINES[rule]
    report = failed(project, *options(engine, [(TELL, _line(line))]))
    assert report.rule == rule
    assert told in report.first
    if engine == "qemu":
        assert re.search(r"    0\.0\d{8} s: not passed on any more: hello to hubb?: ", report.text)


@pytest.mark.parametrize("engine", ENGINES)
def test_an_answer_to_nothing(project: Project, engine: str) -> None:
    line = _line({"dst": "hub", "kind": "hello", "re": "hub/77"})
    log = completed(project, *options(engine, [(TELL, line)]))
    assert re.fullmatch(
        r"0\.0\d{8} s: sent without a cause, for re is none of the last 256 messages that came: "
        r"hub/77\n",
        log,
    )
    assert [said[1] for said in heard(project)] == ["hello"]


def _line(fields: object) -> str:
    import json

    return json.dumps(fields) + "\n"


# -- what it cannot hear


def test_a_receiver_that_is_off(project: Project) -> None:
    """A message that comes before the firmware has switched its UART on."""
    soon = ["--set=network.links=[{between: [hub, dev], delay: 1us}]", "--set=duration=3ms"]
    uart = {"usart2": {"baud": 10_000_000}}
    says = [(0, "x\n"), (2 * MS, "hello\n")]
    log = completed(project, *options("qemu", says, uart=uart), *soon)
    lost = re.search(
        r"s: usart2: (\d+) of the \d+ bytes of hub/1 are lost: the receiver was off$", log, re.M
    )
    assert lost is not None, log
    [(at, count)] = measured(project, "usart2.lost")
    assert count == int(lost.group(1))
    assert at < MS
    assert re.search(r"^0\.002\d{6} s: .*hello$", log, re.M), log


def test_bytes_that_come_too_fast(project: Project) -> None:
    """At 10 Mbaud and 31 million instructions a second, there are 31 for each byte."""
    uart = {"usart2": {"baud": 10_000_000}}
    log = completed(project, *options("qemu", [(TELL, "hello\n")], uart=uart, mips=31.25))
    lost = re.search(
        r"s: usart2: (\d+) of the \d+ bytes of hub/1 are lost: "
        r"the firmware had not read the byte before$",
        log,
        re.M,
    )
    assert lost is not None, log
    assert [count for _, count in measured(project, "usart2.lost")] == [int(lost.group(1))]


@pytest.mark.parametrize("engine", ENGINES)
def test_a_device_that_takes_no_messages(project: Project, engine: str) -> None:
    log = completed(project, *options(engine, [(TELL, "hello")], uart={"usart2": {"mode": "log"}}))
    assert re.fullmatch(
        r"0\.011000000 s: there is no UART for a message: "
        r'{"src":"hub","kind":"say","id":"hub/1","payload":"hello"}\n',
        log,
    )


# -- crashes and restarts


WAKES = '{"dst":"hub","kind":"awake"}\n'


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("at", [20 * MS, 20 * MS + 333_333])
def test_a_crash_and_a_boot(project: Project, engine: str, at: int) -> None:
    """The device is another one: it begins anew, at its time, exact."""
    back = 30 * MS + 123_457
    fault = f"--set=faults=[{{at: {at}ns, for: {back - at}ns, node: dev, crash: true}}]"
    command = ["--set=nodes.dev.firmware=meter", "--set=duration=100ms", fault]
    completed(project, *options(engine), *command, "--set=nodes.gateway={}",
              "--set=network.links=[{between: [hub, dev], delay: 1ms}, {between: [dev, gateway], delay: 1ms}]")  # fmt: skip
    boots = [at for at, kind, _ in heard(project) if kind == "boot"]
    assert len(boots) == 2
    assert boots[1] - boots[0] == back
    assert log_of(project) == ""


def test_one_of_several_dies(project: Project) -> None:
    """The run ends; the others end with it, and only the one is to blame."""
    report = failed(
        project,
        *options("qemu", [(TELL, "!lockup")]),
        "--set=nodes.other={count: 2, implementation: qemu, firmware: {elf: parrot.elf}}",
        "--set=nodes.third={implementation: native, firmware: {native: parrot}}",
    )
    assert report.rule == "participant-error"
    assert "let go as well and not asked yet: other-" in report.text
    assert report.at == 16 * MS
