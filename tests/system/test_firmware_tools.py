"""What simcore needs for firmware, QEMU and a C compiler, is missing, or not what it seems to be.

Where there is another way, it is taken, with a warning; else the user is told what to do.
"""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

import pytest
from firmware_devices import (
    ENGINES,
    FALLBACK,
    builds,
    completed,
    failed,
    heard,
    on_another_machine,
    options,
    parrots,
    program,
    project,
    refused,
    report_of,
    run,
    without,
)
from support import Project, require

__all__ = ["builds", "parrots", "project"]

MS = 1_000_000
HELLO = '{"dst":"hub","kind":"hello"}\n'
COMPILERS = ("cc", "gcc", "clang", "tcc")
SELF_TEST = "self-test of QEMU (netduinoplus2)"


def qemu() -> str:
    return require(os.environ.get("SIMCORE_QEMU") or "qemu-system-arm")


# -- QEMU


@pytest.fixture
def in_qemu(project: Project) -> Project:
    """The project, with QEMU as its engine."""
    qemu()
    file = project.path / "scenario.yaml"
    text = file.read_text(encoding="utf-8")
    file.write_text(text.replace("implementation: native", "implementation: qemu"))
    return project


def test_no_qemu(in_qemu: Project) -> None:
    in_qemu.environment["SIMCORE_QEMU"] = ""
    without(in_qemu, "qemu-system-arm")
    shown = refused(in_qemu)
    assert shown.startswith(
        "scenario.yaml:10:21: nodes.dev.implementation: there is no qemu-system-arm in PATH: install "
        "it (Debian: apt-get install qemu-system-arm), or say with SIMCORE_QEMU where it is; "
        + FALLBACK
    )
    ended = in_qemu.simcore("doctor")
    assert re.search(r"qemu +.*there is no qemu-system-arm in PATH", ended.out), ended.out


def test_a_variable_that_names_no_qemu(in_qemu: Project) -> None:
    in_qemu.environment["SIMCORE_QEMU"] = "/no/such/qemu"
    assert "/no/such/qemu, which SIMCORE_QEMU names, does not exist: " in refused(in_qemu)


NOT_QEMU = {"echo I am no QEMU": "'I am no QEMU'", "exit 0": "'nothing'", "exec cat": "'nothing'"}


@pytest.mark.parametrize("script", NOT_QEMU)
def test_not_qemu(in_qemu: Project, script: str) -> None:
    tool = in_qemu.environment["SIMCORE_QEMU"] = str(program(in_qemu, "qemu", script))
    shown = refused(in_qemu)
    assert shown == (
        f"simcore: {tool} does not look like QEMU: asked for its version, it says "
        f"{NOT_QEMU[script]}; name a qemu-system-arm; {FALLBACK}\n"
    )
    ended = in_qemu.simcore("doctor")
    assert f"{tool} does not look like QEMU" in ended.out


VERSION = 'case "$1" in --version) echo "QEMU emulator version 99.0"; exit;; esac'


def test_qemu_that_dies_at_its_start(in_qemu: Project) -> None:
    script = f"{VERSION}\necho 'no such machine' >&2; exit 1"
    in_qemu.environment["SIMCORE_QEMU"] = str(program(in_qemu, "qemu", script))
    report = report_of(in_qemu, run(in_qemu), SELF_TEST)
    assert report.rule == "process-ended"
    assert report.first.startswith(f"{SELF_TEST} exited with code 1 before it was ready")
    assert "    no such machine\n" in report.text
    assert f"advice: simcore knows QEMU 7.2 and 10.0 of Debian; {FALLBACK}" in report.text


def test_a_device_that_dies_at_its_start(in_qemu: Project) -> None:
    script = f'case "$*" in *parrot*) exit 9;; esac\nexec {qemu()} "$@"'
    in_qemu.environment["SIMCORE_QEMU"] = str(program(in_qemu, "qemu", script))
    report = failed(in_qemu)
    assert report.rule == "process-ended"
    assert report.first.startswith("dev exited with code 9 before it was ready")
    assert f"advice: {FALLBACK}" in report.text


def test_qemu_that_does_not_connect(in_qemu: Project) -> None:
    script = f'case "$*" in *parrot*) exec sleep 1000;; esac\nexec {qemu()} "$@"'
    in_qemu.environment["SIMCORE_QEMU"] = str(program(in_qemu, "qemu", script))
    report = failed(in_qemu, *options("qemu", start_timeout="1s"))
    assert report.rule == "deadline"
    assert report.first.startswith("dev did not say HELLO within 1 s")


def test_a_qemu_that_runs_at_another_speed(in_qemu: Project) -> None:
    script = f'exec {qemu()} "$@" -icount shift=4,sleep=off'
    in_qemu.environment["SIMCORE_QEMU"] = str(program(in_qemu, "qemu", script))
    assert_unknown(in_qemu)


def test_a_plugin_without_a_remedy(in_qemu: Project) -> None:
    """As if QEMU behaved otherwise: what follows an instruction that took long comes late."""
    script = f'exec {require("gcc")} "$@" -DWITHOUT_OVERSHOOT_REMEDY'
    in_qemu.environment["CC"] = str(program(in_qemu, "compiler", script))
    assert_unknown(in_qemu)


def assert_unknown(project: Project) -> None:
    """The self-test has refused it, before anything else has happened."""
    report = report_of(project, run(project), SELF_TEST)
    assert report.rule in ("self-test", "participant-error"), report.text
    assert report.first.startswith(f"{SELF_TEST}: ")
    assert f"advice: simcore knows QEMU 7.2 and 10.0 of Debian; {FALLBACK}" in report.text
    assert report.at == 0


def test_a_qemu_that_refuses_the_plugin(in_qemu: Project) -> None:
    compiler = program(
        in_qemu, "compiler", f'exec {require("gcc")} "$@" -Dqemu_plugin_version=versions'
    )
    in_qemu.environment["CC"] = str(compiler)
    report = report_of(in_qemu, run(in_qemu), SELF_TEST)
    assert report.rule == "process-ended"
    assert "qemu_plugin_version" in report.text


def test_a_plugin_that_qemu_refuses(in_qemu: Project) -> None:
    """QEMU without the option that counts instructions."""
    script = f"""
for word; do
    shift
    case "$word" in -icount) skip=1;; *) [ "$skip" ] && skip= || set -- "$@" "$word";; esac
done
exec {qemu()} "$@"
"""
    in_qemu.environment["SIMCORE_QEMU"] = str(program(in_qemu, "qemu", script))
    report = report_of(in_qemu, run(in_qemu), SELF_TEST)
    assert report.rule == "participant-error"
    assert "QEMU has to be started with -icount shift=N,sleep=off" in report.first


def test_a_damaged_plugin_is_built_anew(in_qemu: Project, builds: Path) -> None:
    completed(in_qemu)
    cache = in_qemu.path / "cache"
    shutil.copytree(builds, cache)
    in_qemu.environment["XDG_CACHE_HOME"] = str(cache)
    modules = list(cache.glob("simcore/builds/plugin-*/plugin.so"))
    whole = {module: module.read_bytes() for module in modules}
    assert whole
    for module in modules:
        module.write_bytes(whole[module][:5000])
    completed(in_qemu)
    assert any(module.read_bytes() == whole[module] for module in modules)


def test_a_board_that_qemu_does_not_have(in_qemu: Project) -> None:
    """QEMU 7.2 has one of the two; so has what says it is QEMU here."""
    script = f'{VERSION}\ncase "$*" in *olimex*) exit 1;; esac\nexec {qemu()} "$@"'
    in_qemu.environment["SIMCORE_QEMU"] = str(program(in_qemu, "qemu", script))
    olimex = "olimex-stm32-h405"
    ended = run(in_qemu, *options("qemu", machine=olimex))
    report = report_of(in_qemu, ended, f"self-test of QEMU ({olimex})")
    assert f"advice: QEMU 7.2 has no {olimex}, but netduinoplus2; simcore knows" in report.text


def test_a_program_that_is_no_firmware(project: Project) -> None:
    shutil.copy(require("true"), project.path / "parrot")
    report = failed(project)
    assert report.rule == "process-ended"
    assert report.first.startswith("dev exited with code 0 before it was ready")
    assert "advice: firmware for the host has to be built with simcore's port: " in report.text


# -- a device that is ended, or held up, from outside


@pytest.mark.parametrize("engine", ENGINES)
def test_killed(project: Project, engine: str) -> None:
    says = [(10 * MS, HELLO), (30 * MS, "SIGKILL"), (31 * MS, "are you there?")]
    report = failed(project, *options(engine, says))
    assert report.rule == "process-ended"
    assert re.match("dev was killed by SIGKILL before it ", report.first)
    assert report.process == "was killed by SIGKILL"
    assert [kind for _, kind, _ in heard(project)] == ["hello"]
    assert "at virtual time 0.03" in report.text


@pytest.mark.parametrize("engine", ENGINES)
def test_stopped(project: Project, engine: str) -> None:
    says = [(10 * MS, HELLO), (30 * MS, "SIGSTOP"), (31 * MS, "are you there?")]
    report = failed(project, *options(engine, says, timeout="10s"))
    assert report.rule == "deadline"
    assert report.first.startswith("dev sent nothing within 10 s")
    assert report.process == "is stopped (SIGSTOP)"
    assert [kind for _, kind, _ in heard(project)] == ["hello"]


# -- builds


THINGS = {"qemu": "the plug-in for QEMU", "native": "the host build of the firmware meter"}
METERS = [
    "--set=nodes.dev={count: 2, implementation: qemu, firmware: meter}",
    "--set=nodes.gateway={}",
    "--set=nodes.hub.model=models.py:idle",
]
NATIVE_METERS = "--set=nodes.other={count: 2, implementation: native, firmware: meter}"


def links(*names: str) -> str:
    return f"--set=network.links=[{', '.join(f'{{between: [{x}, gateway], delay: 1ms}}' for x in names)}]"


def assert_prebuilt(project: Project, why: str) -> None:
    """A run of what was prebuilt, with one warning for each, however many devices need it."""
    ended = run(project, *METERS, NATIVE_METERS, links("dev", "other"))
    assert ended.code == 0, ended.err
    log = (project.path / "run/logs/simcore.log").read_text(encoding="utf-8")
    for thing in THINGS.values():
        [line] = [line for line in log.splitlines() if thing in line]
        assert line.startswith("WARNING simcore: ")
        assert why in line and line.endswith("; the prebuilt one is used")


def assert_not_built(project: Project, why: str, remedy: str) -> None:
    """Neither is built, and there is nothing else to run."""
    for engine, thing in THINGS.items():
        shown = refused(project, *options(engine), "--set=nodes.dev.firmware=meter")
        assert f"{thing} cannot be built: " in shown
        assert why in shown
        assert "  and the prebuilt one does not serve: there is none for vax-linux" in shown
        assert shown.splitlines()[-1].strip().startswith(remedy)


def broken_compiler(project: Project) -> None:
    project.environment["CC"] = str(program(project, "broken", "echo 'it is broken' >&2; exit 1"))


def no_compiler(project: Project) -> None:
    project.environment.pop("CC", None)
    without(project, "make", *COMPILERS)


def no_cache(project: Project) -> None:
    """Where it is to be, there is a file."""
    project.environment["XDG_CACHE_HOME"] = str(project.write("file", ""))


TROUBLE = {
    "broken compiler": (broken_compiler, "it is broken", "CC in the environment is "),
    "no compiler": (no_compiler, "there is no cc", "install a C compiler and make"),
    "no cache": (no_cache, "cannot be written: Not a directory", "make that folder writable"),
}


@pytest.mark.parametrize("case", TROUBLE)
def test_nothing_can_be_built_here(project: Project, case: str) -> None:
    qemu()
    bring_about, why, _ = TROUBLE[case]
    bring_about(project)
    assert_prebuilt(project, why)


@pytest.mark.parametrize("case", TROUBLE)
def test_nothing_can_be_built_and_nothing_was(project: Project, case: str) -> None:
    qemu()
    bring_about, why, remedy = TROUBLE[case]
    bring_about(project)
    on_another_machine(project)
    assert_not_built(project, why, remedy)


def test_doctor_without_a_compiler(project: Project) -> None:
    qemu()
    no_compiler(project)
    said = project.simcore("doctor").out
    assert re.search(
        r"native +ok +there is no cc and no make in PATH; prebuilt: bridge, meter", said
    )
    assert re.search(r"qemu +ok .*; there is no cc in PATH; the plug-in is prebuilt", said)
    on_another_machine(project)
    said = project.simcore("doctor").out
    assert re.search(r"native +.*there is no cc and no make in PATH: install a C compiler", said)
    assert re.search(r"qemu +.*there is no cc in PATH: install a C compiler", said)
