"""Traps that lie in Renode, each with a test; some are shown with an agent from which a remedy was
left out.

A Renode that does not have them is welcome: these are tests of the agent and of its stand-in.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from renode_fake.dotnet import UNKNOWN
from renode_machine import (
    AGENT,
    FLAGS,
    MS,
    PLATFORM,
    US,
    Machine,
    Refused,
    connected,
    end_of,
    fake_only,
    machine,
    start,
)
from support import PATIENCE


def without(folder: Path, remedy: str, instead: str = "pass") -> Path:
    """The agent without one of its remedies."""
    text = AGENT.read_text(encoding="utf-8")
    assert text.count(remedy) == 1
    variant = folder / "agent.py"
    variant.write_text(text.replace(remedy, instead), encoding="utf-8")
    return variant


def listening(process: int) -> list[str]:
    """Addresses on which a process listens, as /proc/net/tcp has them."""
    inodes = set()
    for each in Path(f"/proc/{process}/fd").iterdir():
        target = os.readlink(each)
        if target.startswith("socket:["):
            inodes.add(target[8:-1])
    rows = [
        row.split()
        for name in ("tcp", "tcp6")
        if (file := Path(f"/proc/{process}/net/{name}")).exists()
        for row in file.read_text().splitlines()[1:]
    ]
    return [row[1] for row in rows if row[3] == "0A" and row[9] in inodes]


def stamps(it: Machine) -> list[int]:
    it.advance(5 * MS)
    return [at for _, at, _ in it.outputs]


def test_renode_deletes_folders_that_are_called_like_its_own(tmp_path: Path):
    """Trap 1: so it is given a folder of its own for temporary files, and there is nothing in it."""
    others, own = tmp_path / "others", tmp_path / "tmp"
    for each in (others / "renode-999999999", own / "renode-999999999", own / "kept"):
        each.mkdir(parents=True)
    with machine(tmp_path) as it:
        assert (others / "renode-999999999").exists() and (own / "kept").exists()
        assert not (own / "renode-999999999").exists()
        assert (own / f"renode-{it.process.pid}").exists()
        it.shut_down()
    assert [each.name for each in own.iterdir()] == ["kept"]


def test_what_renode_keeps_for_its_user_is_in_the_private_home(tmp_path: Path):
    with machine(tmp_path) as it:
        it.shut_down()
    assert [each.name for each in (tmp_path / "home").iterdir()] == ["renode"]


def test_no_port_is_open(tmp_path: Path):
    """Traps 2 and 3: Renode's ports are open to the world, and swallow bytes; so there is none."""
    with machine(tmp_path) as it:
        assert listening(it.process.pid) == []


def test_without_a_word_about_ports_there_is_one(tmp_path: Path):
    fake_only()
    flags = ["0" if flag == "-2" else flag for flag in FLAGS]
    with start(tmp_path, flags=flags) as (process, listener, _):
        channel = listener.accept("m", PATIENCE)  # it ends when simcore is gone
        assert [address.split(":")[0] for address in listening(process.pid)] == ["00000000"]
        channel.close()


def test_time_is_a_whole_number(tmp_path: Path):
    """Trap 4: as a text it goes through a double, and a sign is not seen."""
    with machine(tmp_path) as it:
        for until in (1, 4, 11, 333_344, 10**9 + 63, 10**9 + 64):
            assert it.advance(until)["now"] == until
    assert 'RunFor "' not in AGENT.read_text() and "RunFor '" not in AGENT.read_text()


def test_the_processor_is_asked_for_the_time(tmp_path: Path):
    """Trap 5: what it has told last is some hundred instructions old."""
    fake_only()
    with machine(tmp_path) as it:
        exact = stamps(it)
    variant = without(tmp_path, "self.cpu.SyncTime()")
    with machine(tmp_path, {"agent": variant}) as it:
        stale = stamps(it)
    assert len(stale) == len(exact) and len(set(exact)) == len(exact)
    assert stale[0] < exact[0] and len(set(stale)) < len(exact) / 2


TWO = 'mach create "a"\nmachine LoadPlatformDescription @{0}\nmach create "b"\n'


def test_one_machine_for_each_renode(tmp_path: Path):
    """Trap 6: two on one clock differ from run to run."""
    script = tmp_path / "two.resc"
    script.write_text(TWO.format(PLATFORM))
    with connected(tmp_path) as it, pytest.raises(Refused, match="the script makes 2 machines"):
        it.init(script=str(script), platform=None)


def test_one_processor_for_each_machine(tmp_path: Path):
    text = PLATFORM.read_text() + '\nsecond: CPU.CortexM @ sysbus\n    cpuType: "cortex-m4"\n'
    fake_only()  # Renode has more to say about this description
    with connected(tmp_path) as it, pytest.raises(Refused, match="the platform has 2 processors"):
        it.init(platform=text)


def test_an_exception_in_a_hook_is_told(tmp_path: Path):
    """Trap 7: one that leaves a hook ends the process without a word to simcore."""
    fake_only()
    trouble = {"FAKE_RENODE_TROUBLE": "unsynced@0"}
    with machine(tmp_path, trouble) as it:
        expected = "a hook failed: sysbus.usart2: The processor does not tell its time"
        with pytest.raises(Refused, match=expected):
            it.advance(MS)
    variant = without(tmp_path, "return kind(guarded)", "return kind(body)")
    with machine(tmp_path, {"agent": variant, **trouble}) as it:
        it.channel.send(b'{"type":"ADVANCE","seq":1,"until":1000000,"inputs":[]}\n', PATIENCE)
        assert end_of(it) == 1
        assert "Fatal error" in it.log


def test_the_platform_needs_no_network(tmp_path: Path):
    """Trap 8: Renode's own description of this family asks for a file from the network."""
    text = PLATFORM.read_text(encoding="utf-8")
    assert "ApplySVD" not in text and "://" not in text and "init:" not in text
    assert "\\" not in text  # which the Monitor would not read as it is
    fake_only()
    more = "\nsysbus:\n    init:\n        ApplySVD @https://example.org/STM32F40x.svd.gz\n"
    with connected(tmp_path) as it, pytest.raises(Refused, match="needs the network"):
        it.init(platform=text + more)


def test_bytes_for_a_receiver_that_is_off_are_lost(parrot: str, tmp_path: Path):
    """Trap 9: Renode drops them, or takes them where the part would not, and says nothing."""
    early = (0, 1000, 800, b"abc\n")  # before the firmware has switched it on
    with machine(tmp_path, elf=parrot) as it:
        it.run([MS, 10 * MS], [early, (0, 5 * MS, 86_806, b"x\n")])
        assert it.lost == [(0, 1000 + 800 * number, "off") for number in range(4)]
        assert it.said() == b"x\n"
        assert "the receiver is not enabled" not in it.log


def test_a_receiver_that_is_switched_off(parrot: str, tmp_path: Path):
    fake_only()
    with machine(tmp_path, elf=parrot) as it:
        it.advance(10 * MS, [(1, 2 * MS, 1000, b"!off\n"), (1, 5 * MS, 1000, b"x\n")])
        assert it.lost == [(1, 5 * MS, "off"), (1, 5 * MS + 1000, "off")]


def seconds_of(process: int) -> float:
    """CPU time that a process has taken."""
    words = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")


def test_a_machine_that_waits_takes_no_time(tmp_path: Path):
    """Renode's shell, when no port is open, reads one empty command after the other: so it is kept
    waiting for the agent."""
    with machine(tmp_path) as it:
        it.advance(MS)
        before = seconds_of(it.process.pid)
        time.sleep(0.5)
        assert seconds_of(it.process.pid) - before < 0.25
    fake_only()
    variant = without(tmp_path, "thread.Join()")
    with start(tmp_path, agent=variant) as (process, _, log):
        assert process.wait(PATIENCE) == UNKNOWN
        assert "has nothing to wait for, and spins" in log.read_text()


def test_windows_are_not_in_the_log(tmp_path: Path):
    with machine(tmp_path) as it:
        it.run([MS, 2 * MS])
        assert "Machine resumed" not in it.log and "Machine paused" not in it.log
    fake_only()
    variant = without(tmp_path, 'command("logLevel 2")')
    with machine(tmp_path, {"agent": variant}) as it:
        it.run([MS, 2 * MS])
        assert it.log.count("device: Machine resumed.\n") == 2
        assert it.log.count("device: Machine paused.\n") == 2


BLOCKS = "self.cpu.MaximumBlockSize = 1"


def test_instructions_are_charged_one_by_one(tmp_path: Path):
    """Renode charges those of a block when it begins; where a window ends, there is a shorter one."""

    def history(windows: Iterable[int], agent: Path = AGENT) -> Any:
        with machine(tmp_path, {"agent": agent}) as it:
            return it.run(windows).history

    many = range(US, 100 * US, US)
    assert history([99 * US]) == history(many)
    fake_only()
    variant = without(tmp_path, BLOCKS)
    assert history([99 * US], variant) != history(many, variant)


def test_a_window_is_run_in_one_piece(tmp_path: Path):
    """By itself, Renode runs it in pieces of 100 us, whose ends take time and cut blocks."""
    fake_only()
    remedy, found = "command('emulation SetGlobalQuantum \"1\"')", {}
    for name, instead in (("", remedy), ("none", "pass"), ("us", remedy.replace("1", "0.000001"))):
        variant = without(tmp_path, remedy, instead)
        variant.write_text(variant.read_text().replace(BLOCKS, "pass"))
        with machine(tmp_path, {"agent": variant}) as it:
            it.advance(MS)
            it.shut_down()
            pieces = it.log.rpartition("fake: time was run in ")[2].strip()
            found[name] = (pieces, it.outputs)
    assert [pieces for pieces, _ in found.values()] == ["1 pieces", "10 pieces", "1000 pieces"]
    assert found["us"][1] != found[""][1]


def test_a_file_that_is_not_there_is_looked_for(tmp_path: Path):
    """Of an ELF file that there is not, Renode says something else."""
    fake_only()
    variant = without(tmp_path, "if not File.Exists(name):", "if False:")
    with (
        connected(tmp_path, agent=variant) as it,
        pytest.raises(Refused, match="LoadELF @/none.elf': Parameters did not match the signature"),
    ):
        it.init(elf="/none.elf")
