"""QEMU in exact windows: the plug-in that it loads, driven byte by byte.

    test --ADVANCE--> plug-in in QEMU, which runs selftest/selftest.c --DONE--> test

What is compared is when each byte was written, to the nanosecond. SIMCORE_QEMU names the QEMU to be
tested. The traps that lie in QEMU are shown with a plug-in from which a remedy was left out.
"""

from __future__ import annotations

import hashlib
import os
import random
import re
import shutil
import signal
import subprocess
from collections.abc import Callable
from contextlib import ExitStack
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from qemu_machine import (
    MS,
    PREBUILT,
    SELFTEST,
    SOURCES,
    Chunk,
    Machine,
    Refused,
    end_of,
    machine,
    plugin,
    start,
    version,
)
from simcore_backends.qemu import timeline
from support import PATIENCE, require, unavailable

Variant = Callable[..., Path]


@pytest.fixture(scope="module")
def variant(tmp_path_factory: pytest.TempPathFactory) -> Variant:
    """The plug-in without some of its remedies."""
    built: dict[tuple[str, ...], Path] = {}

    def build(*without: str) -> Path:
        if without not in built:
            built[without] = plugin(tmp_path_factory.mktemp("plugin"), *without)
        return built[without]

    return build


@pytest.fixture(scope="module")
def module(variant: Variant) -> Path:
    return variant()


@pytest.fixture(scope="module")
def trouble(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What qemu_trouble.c brings about."""
    library = tmp_path_factory.mktemp("trouble") / "trouble.so"
    source = Path(__file__).with_name("qemu_trouble.c")
    subprocess.run(
        [require("gcc"), "-O1", "-fno-builtin", "-shared", "-fPIC", "-o", library, source],
        check=True, timeout=PATIENCE,
    )  # fmt: skip
    return library


def run_timeline(it: Machine) -> None:
    for until, chunks in timeline.WINDOWS:
        it.advance(
            until, [(uart, due, step, bytes.fromhex(text)) for uart, due, step, text in chunks]
        )


def as_known(it: Machine) -> bool:
    """Whether all came as the timeline of the self-test has it."""
    outputs = tuple((uart, at, f"{byte:02x}") for uart, at, byte in it.outputs)
    known = (timeline.OUTPUTS, timeline.LOST, timeline.EXECUTED)
    return (outputs, tuple(it.lost), it.executed) == known


# -- the timeline ----------------------------------------------------------------------------------


@pytest.mark.parametrize("transport", ["unix", "stdio"])
def test_the_known_timeline(transport: str, module: Path, tmp_path: Path):
    with machine(module, tmp_path, timeline.SHIFT, transport) as it:
        run_timeline(it)
        assert as_known(it), it.history
        assert it.fault is None
        it.shut_down()


def test_the_prebuilt_plugin(tmp_path: Path):
    if os.uname().machine != "x86_64":
        unavailable("the prebuilt plug-in is for x86-64")
    with machine(PREBUILT, tmp_path, timeline.SHIFT) as it:
        run_timeline(it)
        assert as_known(it), it.history


@pytest.mark.parametrize("folder", ["prebuilt", "selftest"])
def test_what_is_prebuilt_is_of_these_sources(folder: str):
    record = (SOURCES / folder / "SHA256SUMS").read_text().splitlines()[1:]
    for line in record:
        digest, name = line.split("  ")
        assert hashlib.sha256((SOURCES / name).read_bytes()).hexdigest() == digest, name


def test_the_firmware_of_the_self_test_is_built_bit_by_bit(tmp_path: Path):
    compiler = require("arm-none-eabi-gcc")
    said = subprocess.check_output([compiler, "--version"], text=True).splitlines()[0]
    recorded = (SOURCES / "selftest" / "SHA256SUMS").read_text().splitlines()[0]
    if recorded != f"# compiler: {said}":
        pytest.skip(f"another compiler made what is committed: {recorded}")
    subprocess.run(
        [require("make"), "-C", str(SOURCES), "selftest", f"BUILD={tmp_path}"],
        check=True, capture_output=True, timeout=PATIENCE,
    )  # fmt: skip
    assert (tmp_path / "selftest.elf").read_bytes() == SELFTEST.read_bytes()


# -- windows make no difference --------------------------------------------------------------------

END = 48 * MS


def ends(step: int) -> list[int]:
    return [*range(step, END, step), END]


def random_ends(seed: int) -> list[int]:
    """Windows of all lengths, from a nanosecond to milliseconds."""
    rng, now, found = random.Random(seed), 0, []
    while (now := now + rng.choice([1, 1, 2, 5, 8, 97, 1009, 30_011, 900_001, 3_000_017])) < END:
        found.append(now)
    return [*found, END]


def random_inputs(seed: int) -> list[Chunk]:
    """Lines at several speeds for both UARTs; many bytes of them keep the processor busy."""
    rng, found = random.Random(seed), []
    for uart in (0, 1):
        due = rng.randrange(6 * MS)
        while due < END:
            step = rng.choice([1, 1000, 8681, 86_806, 1_041_667])
            text = bytes(rng.choice([0, 0, 1, 5, 40, 0xEF]) for _ in range(rng.randrange(1, 9)))
            if rng.random() < 0.1:
                text = bytes([rng.choice([0xF0, 0xF5])])
            found.append((uart, due, step, text))
            due += step * (len(text) - 1) + rng.randrange(3 * MS)
    return found


def history(module: Path, folder: Path, windows: list[int], seed: int, shift: int = 3) -> Any:
    with machine(module, folder, shift) as it:
        return it.run(windows, random_inputs(seed)).history


@pytest.mark.parametrize("shift", [0, 3, 5])
def test_windows_make_no_difference(shift: int, module: Path, tmp_path: Path):
    seed = 100 + shift
    known = history(module, tmp_path, ends(MS), seed, shift)
    assert len(known[0]) > 80 and {why for *_, why in known[1]} == {"off", "overrun"}
    cuts = [ends(100_000), ends(7_770_000), [END], random_ends(1), random_ends(2)]
    if shift == 3:
        cuts.append(ends(1000))
    for windows in cuts:
        assert history(module, tmp_path, windows, seed, shift) == known


def test_windows_of_a_nanosecond(module: Path, tmp_path: Path):
    """Around an instruction, its interrupt, and inputs at the very ends of windows."""
    chunks: list[Chunk] = [
        (0, 6 * MS, 1, b"\xef"), (0, 6_100_001, 3, b"\x00\x01"), (1, 6_100_002, 7, b"\x00\x00"),
        (1, 6_100_200, 50, b"\x00\x00\x00"),
    ]  # fmt: skip
    with machine(module, tmp_path) as it:
        known = it.run([9 * MS], chunks).history
    with machine(module, tmp_path) as it:
        windows = [6_100_000, *range(6_100_001, 6_100_500), 9 * MS]
        assert it.run(windows, chunks).history == known
    assert known[1][0] == (0, 6_100_004, "overrun")


def test_a_chunk_may_be_sent_long_before(module: Path, tmp_path: Path):
    """Ahead of its window, in which nothing is to be sent then."""
    chunks = random_inputs(7)
    with machine(module, tmp_path) as it:
        known = it.run(ends(MS), chunks).history
    with machine(module, tmp_path) as it:
        it.advance(10, chunks)
        assert it.run(ends(MS)).history == known


def test_ten_runs_beside_busy_processors(module: Path, tmp_path: Path):
    with ExitStack() as stack:
        for _ in range(2 * (os.cpu_count() or 1)):
            busy = subprocess.Popen([require("sh"), "-c", "while :; do :; done"])
            stack.callback(busy.wait)
            stack.callback(busy.kill)
        runs = [history(module, tmp_path, random_ends(run), seed=3) for run in range(10)]
    assert all(run == runs[0] for run in runs)


# -- traps -----------------------------------------------------------------------------------------


def test_no_tick_is_lost(variant: Variant, tmp_path: Path):
    """A periodic timer, and a processor that sleeps in between."""

    def periods(module: Path) -> set[int]:
        with machine(module, tmp_path) as it:
            it.run([40 * MS])
            stamps = [at for uart, at, _ in it.outputs if uart == 0][1:]  # 'S' is no tick
        return {round((later - sooner) / MS) for sooner, later in pairwise(stamps)}

    assert periods(variant()) == {1}
    if version() < (8,):  # later ones do not put the clock forward from within callbacks
        assert 2 in periods(variant("TICK_REMEDY"))


def test_what_is_armed_first_does_not_hold_up_what_comes_first(variant: Variant, tmp_path: Path):
    """Timers that are armed while the processor sleeps, in any order."""

    def run(module: Path) -> Any:
        with machine(module, tmp_path) as it:
            it.advance(6_500_000)
            it.advance(6_900_000, [(0, 6_700_000, 1, b"\0"), (1, 6_600_000, 1, b"\0")])
            return [output for output in it.outputs if output[1] > 6_500_000]

    assert run(variant()) == [(1, 6_600_032, 0), (0, 6_700_032, 0)]
    if version() < (8,):
        with pytest.raises(Refused, match="due at 6600000 ns came at 6700"):
            run(variant("TICK_REMEDY"))


def test_threads_do_not_race_for_the_clock(variant: Variant, trouble: Path, tmp_path: Path):
    """The processor's thread is held where the main loop can be too fast for it.

    By itself that happens in some few of 100,000 windows.
    """
    environment = {"LD_PRELOAD": str(trouble), "LINGER": "1"}
    with machine(variant(), tmp_path, environment=environment) as it:
        run_timeline(it)
        assert as_known(it), it.history
    caught = ""
    for _ in range(20):  # in some of a hundred runs the main loop is never too fast
        with machine(variant("WARP_REMEDY"), tmp_path, environment=environment) as it:
            try:
                it.run(range(100_000, 20 * MS, 100_000))
            except Refused as refused:
                caught = str(refused)
                break
    assert "this QEMU does not keep time" in caught


def test_windows_end_within_an_instruction_but_nothing_adds_up(variant: Variant, tmp_path: Path):
    """A line at 10 MBd that comes while the processor is busy."""
    line: list[Chunk] = [(0, 6 * MS, 1, b"\xef"), (0, 6_010_003, 1001, bytes(200))]

    def run(module: Path) -> list[int]:
        with machine(module, tmp_path) as it:
            it.run(range(MS, 7 * MS, 1013), line)
            return [at for uart, at, byte in it.outputs if uart == 0 and byte == 0]

    stamps = run(variant())
    assert len(stamps) == 200
    # Each is said again five instructions later, or a tick comes between.
    late = [at - (6_010_003 + 1001 * k) for k, at in enumerate(stamps)]
    assert max(late) - min(late) < 8 + 8
    with pytest.raises(Refused, match="this QEMU does not keep time"):
        run(variant("OVERSHOOT_REMEDY"))


# -- what the machine does -------------------------------------------------------------------------


def test_several_uarts(module: Path, tmp_path: Path):
    with machine(module, tmp_path) as it:
        it.run([8 * MS], [(1, 6 * MS, 86_806, b"\0" * 3), (0, 6 * MS, 86_806, b"\0")])
        assert it.said(1) == b"T\0\0\0"
        assert it.said(0) == b"Sbcdef\0gh"
        # Both at one instant: the interrupt with the lower number first.
        assert [out[0] for out in it.outputs if 6 * MS <= out[1] < 6_050_000 and out[2] == 0] == [
            0,
            1,
        ]


def test_bytes_that_are_lost(module: Path, tmp_path: Path):
    with machine(module, tmp_path) as it:
        it.run(ends(100_000), [
            (0, 2 * MS, 100, b"\0\0"),  # no receiver is on yet
            (0, 6 * MS, 1, b"\xf0"), (0, 6_100_000, 1000, b"\0\0\0"),  # deaf
            (0, 8 * MS, 1, b"\xf5"), (0, 9 * MS, 1, b"\0"), (1, 9 * MS, 1, b"\0"),  # 0 is off
            (0, 15 * MS, 1, b"\0"),  # it is on again
        ])  # fmt: skip
        assert it.lost == [
            (0, 2_000_000, "off"), (0, 2_000_100, "off"),
            (0, 6_101_000, "overrun"), (0, 6_102_000, "overrun"), (0, 9_000_000, "off"),
        ]  # fmt: skip
        assert it.said(1) == b"T\0" and it.said(0).count(0) == 2


def test_without_a_register_an_off_receiver_is_not_told(module: Path, tmp_path: Path):
    with machine(module, tmp_path, options="uart=simcore0,uart=simcore1") as it:
        it.run([6 * MS], [(0, 2 * MS, 1, b"\0")])
        assert it.lost == [] and 0 not in it.said()


def test_a_plugin_without_uarts(module: Path, tmp_path: Path):
    with machine(module, tmp_path, options="") as it:
        it.run(ends(7 * MS))
        assert it.outputs == [] and it.executed > 1000


def test_windows_do_not_wake_the_main_loop(module: Path, tmp_path: Path):
    """Or each of them would cost three times as much."""
    with machine(module, tmp_path) as it:
        status = Path(f"/proc/{it.process.pid}/status")  # of the main thread

        def wakings() -> int:
            [found] = re.findall(r"^voluntary_ctxt_switches:\s+(\d+)$", status.read_text(), re.M)
            return int(found)

        it.advance(MS)
        before = wakings()
        it.run(range(2 * MS, 500 * MS, MS))
        assert wakings() - before < 100


def test_executed_instructions(module: Path, tmp_path: Path):
    with machine(module, tmp_path) as it:
        it.advance(500_000)
        asleep = it.executed
        it.advance(900_000)
        assert it.executed == asleep
        it.run([7 * MS], [(0, 6 * MS, 1, b"\xf4")])  # busy from here on
        before = it.executed
        it.advance(8 * MS)
        assert it.executed - before == MS // 8


def test_a_fault(module: Path, tmp_path: Path):
    with machine(module, tmp_path) as it:
        it.run([6 * MS])
        assert it.fault is None
        it.advance(7 * MS, [(0, 6_500_000, 1, b"\xf1")])
        assert it.fault == [1 << 16, 1 << 30]  # undefined instruction; a forced hard fault
        it.advance(9 * MS)  # it sleeps in its handler, which no tick interrupts
        assert it.fault and it.said().endswith(b"g\xf1X")


def test_a_processor_that_locks_up(module: Path, tmp_path: Path):
    with machine(module, tmp_path) as it:
        with pytest.raises(Refused, match="QEMU has given up, for the reason"):
            it.run(ends(MS), [(0, 6 * MS, 1, b"\xf7")])
        assert "Lockup" in it.log.read_text()


def test_a_processor_that_sleeps_for_ever(module: Path, tmp_path: Path):
    with machine(module, tmp_path) as it:
        it.run([7 * MS, 20 * MS, 10**10], [(0, 6 * MS, 1, b"\xf6")])
        assert it.said().endswith(b"\xf6") and it.now == 10**10


def test_a_reset_is_refused(module: Path, tmp_path: Path):
    said = set()
    for windows in (ends(MS), ends(7_770_000)):
        with machine(module, tmp_path) as it:
            with pytest.raises(Refused) as refused:
                it.run(windows, [(0, 6 * MS, 1, b"\xf2")])
            said.add(str(refused.value))
    [message] = said
    assert re.match(
        r"the firmware has reset the processor at 6000\d\d\d ns after power-on", message
    )


def test_too_much_for_an_answer(module: Path, tmp_path: Path):
    with machine(module, tmp_path) as it:
        it.run([7 * MS], [(0, 6 * MS, 1, b"\xf3")])
        assert it.said().endswith(b"uuu")
        with pytest.raises(Refused, match="give the scenario a shorter 'window'"):
            it.advance(100 * MS)


def test_much_input(module: Path, tmp_path: Path):
    """A line of half a megabyte, of which the machine takes its time to read a part."""
    with machine(module, tmp_path) as it:
        it.run([6 * MS, 7 * MS], [(0, 6_500_000, 86_806, bytes(250_000))])
        assert it.said().count(0) == (500_000 - 26) // 86_806 + 1


# -- ends ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("transport", ["unix", "stdio"])
def test_the_machine_ends_with_simcore(transport: str, module: Path, tmp_path: Path):
    with machine(module, tmp_path, transport=transport) as it:
        it.advance(MS)
        it.channel.close()
        assert it.process.wait(PATIENCE) == 1


@pytest.mark.parametrize("transport", ["unix", "stdio"])
def test_the_machine_ends_with_simcore_in_the_middle_of_a_window(
    transport: str, module: Path, tmp_path: Path
):
    with machine(module, tmp_path, transport=transport) as it:
        it.run([6 * MS, 7 * MS], [(0, 6 * MS, 1, b"\xf4")])
        # An hour of the firmware's, some hours of ours.
        it.channel.send(b'{"type":"ADVANCE","seq":3,"until":3600000000000,"inputs":[]}\n', PATIENCE)
        it.channel.close()
        assert it.process.wait(PATIENCE) == 1


def test_the_machine_ends_where_simcore_does_not_say_a_word(module: Path, tmp_path: Path):
    with start(module, tmp_path) as (process, listener, _):
        listener.accept("m", PATIENCE).close()
        assert process.wait(PATIENCE) == 1


def test_a_signal_ends_the_machine_at_once(module: Path, tmp_path: Path):
    with machine(module, tmp_path) as it:
        it.advance(MS)
        it.process.terminate()
        assert it.process.wait(PATIENCE) == -signal.SIGTERM


def test_what_qemu_prints_goes_to_the_log(module: Path, tmp_path: Path):
    with machine(module, tmp_path) as it:
        files = Path(f"/proc/{it.process.pid}/fd")
        assert (files / "0").readlink() == Path("/dev/null")
        assert (files / "1").readlink() == (files / "2").readlink() == it.log.resolve()
        it.shut_down()


def test_it_says_goodbye(module: Path, tmp_path: Path):
    with machine(module, tmp_path) as it:
        it.advance(MS)
        it.shut_down()
        assert it.log.read_text() == ""
        assert end_of(it) == 0


ADVANCE = '{"type":"ADVANCE","seq":1,"until":'


@pytest.mark.parametrize("name", ["größer", 'with "quotes" and \\', "x" * 513])
def test_the_name_in_hello(name: str, module: Path, tmp_path: Path):
    with start(module, tmp_path, name=name) as (process, listener, log):
        if len(name) > 512:
            assert process.wait(PATIENCE) == 3
            assert "more than 512 bytes" in log.read_text()
        else:
            listener.accept(name, PATIENCE).close()


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("", "this is not understood"),
        ("null", "this is not understood: null"),
        ('{"type":"DANCE"}', "this is not understood: "),
        ('{"type":"é\x00"}', 'this is not understood: {.type.:...$'),
        ('{"type":"INIT"}', "this is not understood: "),
        ('{"type":"ERROR","message":"no"}', "simcore says: .*no"),
        (ADVANCE + "9007199254740992" + ',"inputs":[]}', "this is not understood"),
        (ADVANCE + "-1" + ',"inputs":[]}', "this is not understood"),
        (ADVANCE + "1000" + ',"inputs":[', "this is not understood"),
        (ADVANCE + "1000" + ',"inputs":[]', "this is not understood"),
        (ADVANCE + "1000" + ',"inputs":[[0,1,1]]}', "this is not understood"),
        (ADVANCE + "1000" + ',"inputs":[[0,1,1,"0"]]}', "this is not understood"),
        (ADVANCE + "1000" + ',"inputs":[[0,1,1,"000"]]}', "this is not understood"),
        (ADVANCE + "1000" + ',"inputs":[[0,1,1,"0G"]]}', "this is not understood"),
        (ADVANCE + "1000" + ',"inputs":[[0,1,1,"00]]}', "this is not understood"),
        (ADVANCE + "1000" + ',"inputs":[[0,1,0,"00"]]}', "this is not understood"),
        (ADVANCE + "1000" + ',"inputs":[[0,1,1,""]]}', "this is not understood"),
        (ADVANCE + "1000" + ',"inputs":[[2,1,1,"00"]]}', "for UART 2: there are 2"),
        (ADVANCE + "1000" + ',"inputs":[[0,5,9,"0000"],[0,13,1,"00"]]}', "UART 0 is due at 13 ns"),
        (ADVANCE + "1000" + ',"inputs":[],"more":"of what is unknown"}', None),
        (ADVANCE + "0" + ',"inputs":[]}', None),
    ],
)  # fmt: skip
def test_what_is_not_understood(line: str, why: str | None, module: Path, tmp_path: Path):
    with machine(module, tmp_path) as it:
        if why is None:
            assert it.ask(line.encode() + b"\n")["type"] == "DONE"
        else:
            with pytest.raises(Refused, match=why):
                it.ask(line.encode() + b"\n")


def test_a_line_without_an_end(module: Path, tmp_path: Path):
    with machine(module, tmp_path) as it, pytest.raises(Refused, match="more than 16777216 bytes"):
        it.ask(b"x" * (2**24 + 2))


def test_the_past_is_not_to_be_changed(module: Path, tmp_path: Path):
    with machine(module, tmp_path) as it:
        it.advance(MS)
        with pytest.raises(Refused, match="a window ends at 999999 ns: that is past"):
            it.advance(MS - 1)
    with machine(module, tmp_path) as it:
        it.advance(MS)
        with pytest.raises(Refused, match="UART 1 is due at 999999 ns: that is past"):
            it.advance(2 * MS, [(1, MS - 1, 1, b"\0")])


# -- refusals --------------------------------------------------------------------------------------


def refusal(module: Path, folder: Path, **options: Any) -> str:
    """The one line with which QEMU ends before it runs."""
    with start(module, folder, **options) as (process, _, log):
        assert process.wait(PATIENCE) == 3
        said = log.read_text(encoding="utf-8")
    [line] = [each for each in said.splitlines() if each.startswith("simcore: ")]
    return line


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"icount": None}, "QEMU has to be started with -icount shift=N,sleep=off"),
        ({"icount": "shift=auto"}, "has to be started with"),
        ({"icount": "shift=3"}, "has to be started with"),
        ({"icount": "shift=3,sleep=on"}, "has to be started with"),
        ({"options": "uart=other"}, "no character device other: give QEMU -chardev null,id=other"),
        ({"options": "uart=x", "more": ["-chardev", "ringbuf,id=x"]},
         "character device x is not of the kind 'null'"),
        ({"options": "uarts=simcore0"}, "argument uarts=simcore0 is not known"),
        ({"options": "receiver0=0x4000440c"}, "argument receiver0=0x4000440c is not known"),
        ({"options": "receiver9=0x4000440c:1"}, "argument receiver9=.* is not known"),
        ({"options": ",".join(["uart=simcore0"] * 9)}, "more than 8 UARTs"),
        ({"board": "mps2-an521"}, "has to have one processor"),
        ({"board": "virt"}, "processor is no Cortex-M"),
        ({"environment": {"SIMCORE_TOKEN": ""}}, "this module is loaded by simcore"),
        ({"environment": {"SIMCORE_NAME": ""}}, "this module is loaded by simcore"),
        ({"environment": {"SIMCORE_ADDRESS": ""}}, "this module is loaded by simcore"),
        ({"environment": {"SIMCORE_ADDRESS": "udp:1"}}, "has to be unix:PATH or stdio, not udp:1"),
        ({"environment": {"SIMCORE_ADDRESS": "unix:/" + "x" * 200}}, "has to be unix:PATH or"),
        ({"environment": {"SIMCORE_ADDRESS": "unix:/nowhere"}}, "cannot connect to unix:/nowhere"),
    ],
    ids=str,
)  # fmt: skip
def test_what_cannot_be_exact_is_refused(
    options: dict[str, Any], why: str, module: Path, tmp_path: Path
):
    assert re.search(why, refusal(module, tmp_path, **options))


def test_input_for_a_register_that_does_not_exist(module: Path, tmp_path: Path):
    options = "uart=simcore0,receiver0=0xf0000000:1"
    with (
        machine(module, tmp_path, options=options) as it,
        pytest.raises(Refused, match="there is no register at 0xf0000000"),
    ):
        it.advance(MS, [(0, 1000, 1, b"\0")])


@pytest.mark.parametrize("symbol", ["timer_mod_ns", "rr_kick_vcpu_thread", "use_icount"])
def test_a_qemu_that_lacks_a_symbol(symbol: str, module: Path, trouble: Path, tmp_path: Path):
    environment = {"LD_PRELOAD": str(trouble), "HIDE": symbol}
    said = refusal(module, tmp_path, environment=environment)
    assert said == f"simcore: this QEMU does not export {symbol}"


@pytest.mark.parametrize(
    ("function", "why"),
    [
        ("timer_mod_ns", "the timers of this QEMU are not laid out"),
        ("qemu_clock_notify", "are not told before callbacks run"),
        ("object_class_by_name", "the accelerator of this QEMU is not laid out"),
        ("qemu_chr_write", "simcore0 is not of the kind 'null', or not laid out as is known"),
        ("rr_kick_vcpu_thread", "the accelerator of this QEMU is not laid out"),
        ("qemu_get_cpu", "has to have one processor"),
    ],
)
def test_a_qemu_that_behaves_otherwise(
    function: str, why: str, module: Path, trouble: Path, tmp_path: Path
):
    environment = {"LD_PRELOAD": str(trouble), "FAKE": function}
    assert why in refusal(module, tmp_path, environment=environment)


@pytest.mark.parametrize("function", ["icount_to_ns", "icount_get_raw"])
def test_a_clock_that_behaves_otherwise(function: str, module: Path, trouble: Path, tmp_path: Path):
    environment = {"LD_PRELOAD": str(trouble), "FAKE": function}
    with pytest.raises(Refused), machine(module, tmp_path, environment=environment) as it:
        it.advance(MS)


def test_a_plugin_needs_no_headers_of_qemu():
    assert shutil.which("gcc") is None or "qemu/" not in "".join(
        line for file in SOURCES.glob("*.[ch]") for line in file.read_text().splitlines()
        if line.startswith("#include")
    )  # fmt: skip
