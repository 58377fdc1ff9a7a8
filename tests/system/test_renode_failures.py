"""Whatever is wrong with Renode, with what it is given, or with what it does ends in one report.

Each test is a run of the command line, after which no process and no directory is left, except
that of another Renode, which nobody has touched.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
from pathlib import Path

import pytest
import renode_machine
from firmware_devices import (
    completed,
    failed,
    heard,
    log_of,
    manifest,
    measured,
    refused,
    run,
    without,
)
from outsiders import left_of
from renode_devices import (
    MS,
    options,
    parrot,
    project,
    refused_by_renode,
    says_it_is,
    stand_in,
)
from renode_machine import PLATFORM, fake_only
from support import PATIENCE, Project, until_none

__all__ = ["parrot", "project"]

HELLO = '{"dst":"hub","kind":"hello"}\n'
FALLBACK = "`implementation: qemu` and `native` run the same firmware without Renode"
SOURCE = "get a release from https://github.com/renode/renode/releases"


# -- Renode ----------------------------------------------------------------------------------------


def told_before_anything_starts(project: Project, *more: str) -> str:
    """What both commands say."""
    shown = refused(project, *more)
    checked = project.simcore("validate", "scenario.yaml", *more)
    assert checked.code == 2
    assert shown.splitlines()[0] in checked.out + checked.err
    return shown


def test_no_renode(project: Project) -> None:
    del project.environment["RENODE"]
    project.environment["RENODE"] = ""
    without(project, "renode")
    assert told_before_anything_starts(project).startswith(
        "scenario.yaml:10:21: nodes.dev.implementation: there is no renode in PATH: "
        f"{SOURCE}, or say with RENODE where it is; {FALLBACK}"
    )
    ended = project.simcore("doctor")
    assert re.search(r"renode +.*there is no renode in PATH", ended.out), ended.out


def test_a_variable_that_names_nothing(project: Project) -> None:
    project.environment["RENODE"] = "/no/such/renode"
    assert (
        f"nodes.dev.implementation: /no/such/renode, which RENODE names, does not exist: {SOURCE}"
        in told_before_anything_starts(project)
    )


def test_a_key_that_names_nothing(project: Project) -> None:
    (project.path / "tools").mkdir()
    shown = told_before_anything_starts(project, *options(renode="./tools"))
    assert "nodes.dev.renode: " in shown
    assert f"{project.path}/tools, which 'renode' names, is a directory: {SOURCE}" in shown


NOT_RENODE = {"echo I am no emulator": "'I am no emulator'", "exit 0": "'nothing'",
              "exec cat": "'nothing'"}  # fmt: skip


@pytest.mark.parametrize("script", NOT_RENODE)
def test_not_renode(project: Project, script: str) -> None:
    tool = says_it_is(project, script)
    assert refused(project) == (
        f"simcore: {tool} does not look like Renode: asked for its version, it says "
        f"{NOT_RENODE[script]}; {SOURCE}; {FALLBACK}\n"
    )
    assert f"{tool} does not look like Renode" in project.simcore("doctor").out


def test_a_renode_that_is_too_old(project: Project) -> None:
    tool = says_it_is(project, "echo 'Renode, version 1.15.0.1234 (abc)'")
    told = f"{tool} is Renode 1.15.0, and 1.15.3 is the oldest that keeps exact time: {SOURCE}"
    assert refused(project).startswith(f"simcore: {told}")
    assert told in " ".join(project.simcore("doctor").out.split())


@pytest.mark.parametrize("version", ["1.15.3", "1.17.0", "2.0.0"])
def test_other_releases(project: Project, version: str) -> None:
    """What is newer is tried: it may do."""
    stand_in(project, version=version)
    completed(project, *options([(10 * MS, HELLO)]))
    assert [kind for _, kind, _ in heard(project)] == ["hello"]
    assert manifest(project)["parts"]["renode"] == version


# -- what it is given ------------------------------------------------------------------------------


def test_files_that_cannot_run(project: Project) -> None:
    good = (project.path / "parrot.elf").read_bytes()
    (project.path / "corrupt").write_bytes(good[:4] + b"\xff" * 60 + good[64:])
    (project.path / "other").write_bytes(Path("/bin/true").read_bytes())
    told = {"missing": "there is no such file: './missing'",
            "corrupt": "its ELF header is corrupt: ", "other": "it is for "}  # fmt: skip
    for name, why in told.items():
        shown = told_before_anything_starts(project, f"--set=nodes.dev.firmware.elf=./{name}")
        assert "nodes.dev.firmware.elf: " in shown and why in shown
    lines = (project.path / "scenario.yaml").read_text().splitlines()
    column = lines[10].index("parrot") + 1
    (project.path / "parrot.elf").write_bytes(b"")
    assert f"scenario.yaml:11:{column}: nodes.dev.firmware.elf: parrot.elf: it is empty" in refused(
        project
    )


@pytest.mark.parametrize("name", ["board.repl", "board.resc"])
def test_no_such_platform(project: Project, name: str) -> None:
    (project.path / "bord.repl").write_text("")
    shown = told_before_anything_starts(project, *options(platform=name))
    assert f"nodes.dev.platform: there is no such file: '{name}'" in shown


def test_a_platform_that_renode_refuses(project: Project) -> None:
    text = PLATFORM.read_text(encoding="utf-8") + "\nlamp: Miscellaneous.Lantern @ gpioPortD\n"
    project.write("my board.repl", text)
    report = refused_by_renode(project, *options(platform="my board.repl"))
    assert report.first.startswith(
        f"dev: Renode refused 'machine LoadPlatformDescription @{project.path}/my\\ board.repl': "
    )
    assert "Could not resolve type: 'Miscellaneous.Lantern'" in report.text
    assert "lamp: Miscellaneous.Lantern @ gpioPortD" in report.text, "the line, as Renode shows it"
    assert "advice" not in report.text, report.text
    assert "Traceback" not in report.text


BOARD = ('mach create "board"', f"machine LoadPlatformDescription @{PLATFORM}")
SCRIPTS = {
    "time": ((*BOARD, "start"), "the script lets time pass: leave 'start' and 'RunFor' to simcore"),
    "a second": (
        (*BOARD, 'emulation RunFor "0.1"'),
        "the script lets time pass: leave 'start' and 'RunFor' to simcore",
    ),
    "two machines": (
        (*BOARD, 'mach create "another"'),
        "the script makes 2 machines: one is needed",
    ),
    "none": (("# nothing",), "the script makes 0 machines: one is needed"),
    "an error": ((*BOARD, "fly away"), "No such command or device: fly"),
}


@pytest.mark.parametrize("case", SCRIPTS)
def test_scripts(project: Project, case: str) -> None:
    lines, told = SCRIPTS[case]
    project.write("board.resc", "\n".join(lines) + "\n")
    report = refused_by_renode(project, *options(platform="board.resc"))
    assert told in report.text


def test_a_uart_that_the_platform_lacks(project: Project) -> None:
    project.write("board.repl", PLATFORM.read_text(encoding="utf-8"))
    uart = {"uart99": {}}
    report = refused_by_renode(project, *options(platform="board.repl", uart=uart))
    assert report.first.startswith("dev: the platform has no sysbus.uart99: ")


# -- its start -------------------------------------------------------------------------------------


def test_a_script_that_is_never_run(project: Project) -> None:
    stand_in(project, trouble="mute")
    report = failed(project, *options(start_timeout="2s"))
    assert report.rule == "deadline"
    assert report.first.startswith("dev did not connect within 2 s")
    assert "advice: Renode takes some seconds to start, and longer where many start" in report.text
    assert FALLBACK in report.text
    assert report.process == "is running"


def test_an_agent_that_cannot_connect(project: Project) -> None:
    """As if something forbade it to connect on this machine."""
    tool = project.environment["RENODE"]
    text = f'case "$1" in --version) ;; *) SIMCORE_ADDRESS=tcp:127.0.0.1:1;; esac\nexec {tool} "$@"'
    says_it_is(project, f"export SIMCORE_ADDRESS\n{text}")
    report = failed(project)
    assert report.rule == "process-ended"
    assert report.first.startswith("dev exited with code 3 before it was ready")
    assert re.search(r"^    simcore's agent: .*refused", report.text, re.M), report.text
    assert f"advice: {FALLBACK}" in report.text


def test_a_renode_that_dies_at_its_start(project: Project) -> None:
    says_it_is(
        project,
        'case "$1" in --version) echo "Renode v1.16.1.1"; exit;; esac\n'
        "echo 'Could not load libllvm' >&2; exit 1",
    )
    report = failed(project)
    assert report.rule == "process-ended"
    assert report.first.startswith("dev exited with code 1 before it was ready")
    assert "    Could not load libllvm\n" in report.text
    assert f"advice: {FALLBACK}" in report.text


# -- its end ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("trouble", "ended"),
    [("die", "exited with code 5"), ("kill", "was killed by SIGKILL")],
)
def test_it_ends_inside_a_window(project: Project, trouble: str, ended: str) -> None:
    stand_in(project, trouble=f"{trouble}@{20 * MS}")
    report = failed(project, *options([(5 * MS, HELLO)]))
    assert report.rule == "process-ended"
    assert report.first.startswith(f"dev {ended} before it answered")
    assert report.process == ended
    assert [kind for _, kind, _ in heard(project)] == ["hello"]
    assert report.at == 19 * MS


def test_killed(project: Project) -> None:
    report = failed(project, *options([(10 * MS, HELLO), (30 * MS, "SIGKILL"), (31 * MS, "?")]))
    assert report.rule == "process-ended"
    assert re.match("dev was killed by SIGKILL before it ", report.first)
    assert [kind for _, kind, _ in heard(project)] == ["hello"]
    assert "at virtual time 0.03" in report.text


def test_stopped(project: Project) -> None:
    says = [(10 * MS, HELLO), (30 * MS, "SIGSTOP"), (31 * MS, "?")]
    report = failed(project, *options(says, timeout="10s"))
    assert report.rule == "deadline"
    assert report.first.startswith("dev sent nothing within 10 s")
    assert report.process == "is stopped (SIGSTOP)"


def test_it_stops_itself_inside_a_window(project: Project) -> None:
    stand_in(project, trouble=f"stop@{20 * MS}")
    report = failed(project, *options(timeout="10s"))
    assert (report.rule, report.process) == ("deadline", "is stopped (SIGSTOP)")


def test_it_hangs(project: Project) -> None:
    stand_in(project, trouble=f"hang@{20 * MS}")
    report = failed(project, *options([(10 * MS, HELLO)], timeout="10s"))
    assert report.rule == "deadline"
    assert report.first.startswith("dev sent nothing within 10 s")
    assert report.process == "is running"
    assert "advice: firmware that never sleeps (WFI) takes about as long as on the real" in (
        report.text
    )
    assert "give it a longer 'timeout', or the scenario a shorter 'window'" in report.text


def test_firmware_that_spins_only_takes_time(project: Project) -> None:
    completed(project, *options([(10 * MS, "!spin")]))


def test_an_interrupt(project: Project) -> None:
    """Ctrl-C while a window does not end."""
    stand_in(project, trouble=f"hang@{20 * MS}")
    _tell_when_it_is_under_way(project)
    with project.start("scenario.yaml", "--out", "run") as started:
        started.until("reached")
        started.send(signal.SIGINT)
        ended = started.end()
    assert ended.code == 130, ended.err
    assert "results so far are in run (exit reason: interrupted)" in ended.err
    assert left_of(started.process.pid) == []


def test_simcore_is_killed(project: Project) -> None:
    """Its guard ends Renode, and removes what both have left."""
    stand_in(project, trouble=f"hang@{20 * MS}")
    _tell_when_it_is_under_way(project)
    with project.start("scenario.yaml", "--out", "run") as started:
        started.until("reached")
        started.send(signal.SIGKILL)
        started.process.wait(PATIENCE)
        until_none(lambda: left_of(started.process.pid), "its processes are ended")


def _tell_when_it_is_under_way(project: Project) -> None:
    text = (project.path / "models.py").read_text()
    text = text.replace(
        "def hub(node):",
        "def hub(node):\n    yield node.sleep('15ms')\n"
        "    with open(os.environ['READY'], 'w') as pipe:\n        pipe.write('reached')",
    )
    project.write("models.py", text)


# -- what it says ----------------------------------------------------------------------------------


def test_it_does_not_stop_where_it_should(project: Project) -> None:
    stand_in(project, trouble=f"overshoot@{20 * MS}")
    report = failed(project)
    assert report.rule == "now"
    assert report.first.startswith(
        "dev: DONE: now is 20001000, 20000000 was granted: this emulator does not stop where it is "
        "to stop"
    )
    assert "advice: simcore was made for Renode 1.15.3 to 1.16.1; " in report.text
    assert report.at == 19 * MS


def test_a_run_that_renode_refuses(project: Project) -> None:
    stand_in(project, trouble=f"throw@{20 * MS}")
    report = failed(project)
    assert report.rule == "participant-error"
    assert "Something is wrong in here" in report.first


def test_a_hook_that_fails(project: Project) -> None:
    """It would end Renode without a word."""
    stand_in(project, trouble=f"unsynced@{5 * MS}")
    report = failed(project, *options([(10 * MS, HELLO)]))
    assert report.rule == "participant-error"
    assert report.first.startswith(
        "dev: a hook failed: sysbus.usart2: The processor does not tell its time"
    )
    assert report.process.startswith("exited with code 3"), report.process


def test_a_fault_of_the_firmware(project: Project) -> None:
    report = failed(project, *options([(10 * MS, "!fault")]))
    assert report.rule == "firmware-fault"
    assert re.match(
        r"dev: the firmware has faulted between 0\.01\ds and 0\.01\ds: an undefined instruction "
        r"\(CFSR 0x00010000, HFSR 0x0{8}\)",
        report.first,
    ), report.first
    assert re.search(r"written, and not sent in whole: fault: exception \d+ at 0x", report.text)
    assert "advice: if the log has an address, addr2line" in report.text


def test_a_flood(project: Project) -> None:
    uart = {"usart2": {"baud": 300}}
    report = failed(project, *options([(MS, "!flood")], uart=uart), "--set=duration=5s")
    assert report.rule == "uart-flood"
    assert "usart2 is flooded with: " in report.text


def test_a_receiver_that_is_off(project: Project) -> None:
    fake_only()
    log = completed(project, *options([(10 * MS, "!off"), (20 * MS, "hello\n")]))
    [(at, count)] = measured(project, "usart2.lost")
    assert f"0.{at:09} s: usart2: {count:.0f} of the {count:.0f} bytes of hub/2 are lost: " in log
    assert "the receiver was off" in log
    # Renode would not tell that of the other bytes of a receiver that is off; nor is it asked to.
    assert "dropping" not in log


# -- several, and several lives --------------------------------------------------------------------


def test_one_of_several_dies(project: Project) -> None:
    """The others end with it, and only the one is to blame."""
    fake_only()
    more = "--set=nodes.other={count: 2, implementation: renode, firmware: {elf: parrot.elf}}"
    crashing = renode_machine.install(
        _folder(project, "crashing"), FAKE_RENODE_TROUBLE=f"die@{20 * MS}"
    )
    report = failed(project, *options(renode=str(crashing)), more)
    assert report.rule == "process-ended"
    assert report.first.startswith("dev exited with code 5")
    assert "let go as well and not asked yet: other-" in report.text


def test_a_second_life_that_cannot_begin(project: Project) -> None:
    """Its Renode is gone by then; the first life has left nothing."""
    fake_only()
    folder = _folder(project, "gone")
    tool = renode_machine.install(folder)
    once = project.write("once", f'#!/bin/sh\ncase "$1" in --version) exec {tool} "$@";; esac\n'
                         f'[ -e {folder}/used ] && exit 7\ntouch {folder}/used\nexec {tool} "$@"\n')  # fmt: skip
    once.chmod(0o755)
    fault = "--set=faults=[{at: 20ms, for: 10ms, node: dev, crash: true}]"
    report = failed(project, *options(renode=str(once)), fault)
    assert report.first.startswith("dev exited with code 7 before it was ready")
    assert report.at >= 20 * MS


def test_two_lives_have_folders_of_their_own(project: Project) -> None:
    """Each Renode sees an empty folder for its temporary files and a home without settings."""
    fake_only()
    seen = project.path / "seen"
    tool = project.environment["RENODE"]
    say = f'echo "$(ls -A "$TMPDIR" "$HOME" | tr -d "\\n") $TMPDIR $HOME $XDG_CONFIG_HOME" >>{seen}'
    project.environment["RENODE"] = str(
        project.write("watched", f'#!/bin/sh\n[ "$1" = --version ] || {say}\nexec {tool} "$@"\n')
    )
    os.chmod(project.environment["RENODE"], 0o755)
    fault = "--set=faults=[{at: 20ms, for: 10ms, node: dev, crash: true}]"
    completed(project, fault)
    lives = seen.read_text().splitlines()
    assert len(lives) == 2
    outer = project.environment["TMPDIR"]
    folders = []
    for life in lives:
        found = re.fullmatch(rf"\S*:\S*: ({outer}/\S+)/tmp (\S+)/home (\S+)/home", life)
        assert found is not None, life
        assert len(set(found.groups())) == 1 and "renode-" not in found[1]
        folders.append(found[1])
    assert len(set(folders)) == 2
    assert not any(map(os.path.exists, folders))


def _folder(project: Project, name: str) -> Path:
    folder = project.path / name
    folder.mkdir()
    return folder


def test_what_it_prints_is_in_the_log(project: Project) -> None:
    completed(project, *options([(10 * MS, "hello\n")]))
    log = log_of(project)
    assert re.search(r"^0\.01\d{7} s: hello$", log, re.M)
    shutil.rmtree(project.path / "run")
    assert run(project).code == 0
