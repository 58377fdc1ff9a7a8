"""CI runs what users are told to run, and a test that cannot run there fails."""

from __future__ import annotations

import configparser
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest
from support import PATIENCE, ROOT, require


def test_ci_runs_the_test_command_of_the_readme() -> None:
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8").splitlines()
    [command] = [line for line in script if ".venv/bin/tox" in line]
    assert f"$ {command}\n" in (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_matrix_never_skips_what_is_promised() -> None:
    tox = configparser.ConfigParser(interpolation=None)
    tox.read(ROOT / "tox.ini")
    names = tox["tox"]["env_list"]
    assert names.endswith("py311-core"), "its closing line ends the output"
    skipping = tox["testenv:py{311,312,313}-core"]["skip_missing_interpreters"].split("\n")
    assert "py311: false" in skipping


def test_what_needs_an_engine_runs_in_one_environment_and_no_other() -> None:
    tox = configparser.ConfigParser(interpolation=None)
    tox.read(ROOT / "tox.ini")
    assert "py311-docker" in tox["tox"]["env_list"]
    with_engine = tox["testenv:py311-docker"]
    assert '-m "(docker or ml) and not bench"' in with_engine["commands"]
    assert with_engine["commands_pre"].split("\n")[-1] == "python tests/docker/prepare.py"
    assert with_engine["skip_missing_interpreters"] == "false"
    without = tox["testenv:py{311,312,313}-core"]["set_env"]
    assert '--ignore tests/docker -m "not (docker or ml or ns3 or bench)"' in without


def test_what_needs_ns3_runs_in_one_environment_and_no_other() -> None:
    tox = configparser.ConfigParser(interpolation=None)
    tox.read(ROOT / "tox.ini")
    assert "py311-ns3" in tox["tox"]["env_list"]
    with_ns3 = tox["testenv:py311-ns3"]
    assert '-m "ns3 and not bench"' in with_ns3["commands"]
    assert "ns3" in with_ns3["extras"].split(", ")
    assert with_ns3["skip_missing_interpreters"] == "false"


def test_a_missing_tool_skips_for_users_and_fails_in_ci(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CI", "")
    with pytest.raises(pytest.skip.Exception, match="no-such-tool is not installed"):
        require("no-such-tool")
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match="no-such-tool is not installed"):
        require("no-such-tool")


# -- The script itself, on a machine whose programs are stand-ins --------------------------------

STAND_INS = {
    "python3": """
case "$*" in
    *venv\\ .venv) mkdir -p .venv/bin; cp "$MACHINE/pip" "$MACHINE/tox" .venv/bin ;;
esac""",
    "pip": "",
    "tox": 'exit "${TOX_ENDS_WITH:-0}"',
    "apt-get": """
for word in "$@"; do
    case "$word" in
        docker.io) touch "$MACHINE/engine-is-there"
            if [ -z "${NEWER:-}" ]; then cp "$MACHINE/docker-program" "$MACHINE/docker"; fi ;;
        docker-cli) cp "$MACHINE/docker-program" "$MACHINE/docker" ;;
    esac
done""",
    "docker-program": 'test -e "$MACHINE/engine-runs"',
    "dockerd": """
echo "the log of dockerd"
if [ -n "${DOCKERD_FAILS:-}" ]; then exit 1; fi
trap 'rm "$MACHINE/engine-runs"; exit 0' TERM
touch "$MACHINE/engine-runs"
while true; do read -t 1 <>"$MACHINE/never" || true; done""",
    "sleep": 'read -t 0.01 <>"$MACHINE/never" || true',
    "timeout": 'shift; exec "$@"',
}
COMMANDS = ("gcc", "c++", "make", "node", "arm-none-eabi-gcc", "qemu-system-arm", "iptables")
COMMANDS += ("mmdebstrap", "mosquitto", "openssl", "chromium")


@dataclass
class Machine:
    """Has stand-ins for all that `.ci/run` calls, each of which notes its call."""

    path: Path

    def __post_init__(self) -> None:
        self.programs = self.path / "bin"
        self.project = self.path / "project"
        (self.project / ".ci").mkdir(parents=True)
        self.programs.mkdir()
        shutil.copy(ROOT / ".ci" / "run", self.project / ".ci")
        os.mkfifo(self.programs / "never")
        for name in ("bash", "cp", "dirname", "mkdir", "mktemp", "rm", "tail", "touch"):
            (self.programs / name).symlink_to(require(name))
        for name, text in STAND_INS.items():
            self.has(name, text)

    def has(self, name: str, text: str = "") -> None:
        """Install one more program."""
        program = self.programs / name
        program.write_text(
            f'#!/usr/bin/env bash\necho "${{0##*/}} $*" >>"$MACHINE/calls"\n{text}\n'
        )
        program.chmod(0o755)

    def run(self, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run the script, which leaves no file behind."""
        temporary = self.path / "tmp"
        temporary.mkdir()
        environment |= {"PATH": str(self.programs), "MACHINE": str(self.programs)}
        done = subprocess.run(
            [self.project / ".ci" / "run"], capture_output=True, text=True, timeout=PATIENCE,
            env={"TMPDIR": str(temporary), **environment}, check=False,
        )  # fmt: skip
        assert list(temporary.iterdir()) == []
        return done

    def calls(self, program: str) -> list[str]:
        """The arguments of all calls of a program."""
        lines = (self.programs / "calls").read_text().splitlines()
        return [line.partition(" ")[2] for line in lines if line.split(" ")[0] == program]


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    made = Machine(tmp_path)
    for name in COMMANDS:
        made.has(name)
    return made


def test_an_engine_that_runs_is_used(machine: Machine) -> None:
    machine.has("docker", STAND_INS["docker-program"])
    (machine.programs / "engine-runs").touch()
    done = machine.run()
    assert done.returncode == 0, done
    assert machine.calls("apt-get") == machine.calls("dockerd") == []
    assert machine.calls("tox") == ["-qq"]
    assert (machine.programs / "engine-runs").exists()


@pytest.mark.parametrize("code", [0, 3])
def test_an_engine_is_started_and_ended(machine: Machine, code: int) -> None:
    machine.has("docker", STAND_INS["docker-program"])
    done = machine.run(TOX_ENDS_WITH=str(code))
    assert done.returncode == code, done
    assert machine.calls("dockerd") == [""]
    assert machine.calls("tox") == ["-qq"]
    assert not (machine.programs / "engine-runs").exists(), "it has been ended"


def test_an_engine_that_does_not_start_is_an_error(machine: Machine) -> None:
    machine.has("docker", STAND_INS["docker-program"])
    done = machine.run(DOCKERD_FAILS="1")
    assert done.returncode == 1
    assert "no Docker Engine answers" in done.stderr and "the log of dockerd" in done.stderr
    assert machine.calls("tox") == []


@pytest.mark.parametrize("newer", ["", "1"])
def test_the_command_docker_is_installed_wherever_it_is(machine: Machine, newer: str) -> None:
    (machine.programs / "mmdebstrap").unlink()
    (machine.programs / "gcc").unlink()
    done = machine.run(NEWER=newer)
    assert done.returncode == 0, done
    installs = [call.split()[3:] for call in machine.calls("apt-get") if call != "update"]
    assert installs[0][:2] == ["gcc", "libc6-dev"] and "mmdebstrap" in installs[0]
    assert installs[1:] == ([["docker-cli"]] if newer else [])
    assert machine.calls("tox") == ["-qq"]
