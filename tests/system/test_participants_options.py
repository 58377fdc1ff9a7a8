"""What the keys of `implementation: process` do to the program, as the program sees it.

sensor --reading--> probe    a program that answers with what it is asked for
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from outsiders import MODELS, outsiders
from support import PATIENCE, ROOT, Project, require

from simcore import Federation, Run, open_run
from simcore.errors import ParticipantError
from simcore.protocol import peer
from simcore.scenario import load, loads

PROBE = """
import os, resource, sys
from peer import serve


class Probe:
    def start(self, peer):
        self.peer = peer
        print("life", peer.life, "of", *peer.nodes, flush=True)
        return peer.time

    def advance(self, peer, until, inputs):
        if until == peer.time:
            several = len(peer.nodes) > 1
            for node in peer.nodes:
                told = {
                    "nodes": peer.nodes, "name": peer.name, "life": peer.life,
                    "config": peer.config, "time": peer.time, "end": peer.end, "seed": peer.seed,
                    "cwd": os.getcwd(), "arguments": sys.argv[1:],
                    "hash_seed": os.environ["PYTHONHASHSEED"],
                    "extra": os.environ.get("EXTRA"), "home": os.environ.get("FROM_OUTSIDE"),
                    "transport": os.environ["SIMCORE_ADDRESS"].partition(":")[0],
                    "memory": resource.getrlimit(resource.RLIMIT_AS)[0],
                    "cpu": resource.getrlimit(resource.RLIMIT_CPU)[0],
                    "files": resource.getrlimit(resource.RLIMIT_NOFILE)[0],
                    "processes": resource.getrlimit(resource.RLIMIT_NPROC)[0],
                }
                peer.send("sink", "told", told, source=node if several else None)
                peer.record("life", peer.life, node=node if several else None)
        for message in inputs:
            source = message.destination if len(peer.nodes) > 1 else None
            peer.send("sink", "heard", message.id, cause=message, source=source)


serve(Probe())
"""

SENSOR = """
def sensor(node):
    while True:
        yield node.sleep("1ms")
        for name in node.config["to"]:
            node.send(name, "reading")
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Project]:
    with outsiders(tmp_path) as made:
        for name in ("TMPDIR", "XDG_RUNTIME_DIR", "PATH"):
            monkeypatch.setenv(name, made.environment[name])
        monkeypatch.setattr("tempfile.tempdir", None)
        made.write("probe.py", PROBE)
        made.write("models.py", SENSOR)
        made.write("peer.py", Path(peer.__file__).read_text(encoding="utf-8"))
        yield made


_opened: list[Run] = []


@pytest.fixture(autouse=True)
def _close_runs() -> Iterator[None]:
    yield
    while _opened:
        _opened.pop().close()


def run(
    project: Project, *, count: int | None = None, faults: str = "[]", **keys: Any
) -> tuple[list[Any], Run]:
    """What the program was told at each start, and the run."""
    names = ["probe"] if count is None else [f"probe-{i}" for i in range(count)]
    node = {"implementation": "process", "command": ["python", "probe.py"]} | keys
    if count is not None:
        node["count"] = count
    text = f"""
simcore: 1
duration: 5ms
seed: 9
nodes:
  sensor: {{model: models.py:sensor, config: {{to: {names}}}}}
  sink: {{}}
  probe: {json.dumps(node)}
faults: {faults}
"""
    out = project.path / "run"
    Federation(loads(text, base=project.path), out=out).run()
    opened = open_run(out)
    _opened.append(opened)
    told = opened.connection.execute(
        "SELECT payload FROM messages WHERE kind = 'told' ORDER BY sent, source, number"
    )
    return [json.loads(payload) for (payload,) in told], opened


def test_defaults(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FROM_OUTSIDE", "kept")
    monkeypatch.delenv("PYTHONHASHSEED", raising=False)
    [told], _ = run(project, config={"a": [1, 2.5, "ü"]})
    assert told["nodes"] == ["probe"] and told["name"] == "probe"
    assert told["config"] == {"a": [1, 2.5, "ü"]}
    assert (told["life"], told["time"], told["end"], told["seed"]) == (1, 0, 5_000_000, 9)
    assert told["cwd"] == str(project.path)
    assert told["home"] == "kept" and told["extra"] is None and told["hash_seed"] == "0"
    assert told["transport"] == "unix"
    assert (project.path / "run/logs/probe.log").read_text() == "life 1 of probe\n"


def test_environment_and_directory(project: Project) -> None:
    (project.path / "folder").mkdir()
    environment = {"EXTRA": "ä =1", "PYTHONHASHSEED": "7", "PYTHONPATH": str(project.path)}
    [told], _ = run(
        project,
        command=["python", "../probe.py", "two words", "*"],
        directory="folder",
        environment=environment,
    )
    assert told["cwd"] == str(project.path / "folder")
    assert told["extra"] == "ä =1" and told["hash_seed"] == "7"
    assert told["arguments"] == ["two words", "*"]


def test_program_of_its_own_beside_the_scenario(project: Project) -> None:
    project.write("probe", f"#!{sys.executable}\n{PROBE}").chmod(0o755)
    (project.path / "folder").mkdir()
    environment = {"PYTHONPATH": str(project.path)}
    for command in (["probe"], ["./probe"]):
        [told], opened = run(project, command=command, directory="folder", environment=environment)
        assert told["cwd"] == str(project.path / "folder")
        opened.close()
        (project.path / "run").rename(project.path / f"run-{len(command[0])}")


def test_python_that_is_not_in_path(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/bin-without-python")
    [told], _ = run(project)
    assert told["nodes"] == ["probe"]


def test_limits(project: Project) -> None:
    limits = {"memory": "3GiB", "cpu": "17s", "files": 77, "processes": 5000}
    [told], _ = run(project, limits=limits)
    found = {key: told[key] for key in limits}
    assert found == {"memory": 3 * 2**30, "cpu": 17, "files": 77, "processes": 5000}


@pytest.mark.parametrize("transport", ["unix", "tcp", "stdio"])
def test_transport(project: Project, transport: str) -> None:
    [told], opened = run(project, transport=transport)
    assert told["transport"] == transport
    # What it prints cannot corrupt the wire, not even where that is its standard output.
    assert (project.path / "run/logs/probe.log").read_text() == "life 1 of probe\n"
    [(heard,)] = opened.connection.execute("SELECT count(*) FROM messages WHERE kind = 'heard'")
    assert heard == 4


def test_a_process_for_each_node(project: Project) -> None:
    told, _ = run(project, count=3)
    assert [each["nodes"] for each in told] == [["probe-0"], ["probe-1"], ["probe-2"]]
    logs = sorted(path.name for path in (project.path / "run/logs").iterdir())
    assert logs == ["probe-0.log", "probe-1.log", "probe-2.log"]


def test_a_process_for_the_group(project: Project) -> None:
    told, opened = run(project, count=3, hosts="group")
    assert [each["nodes"] for each in told] == [["probe-0", "probe-1", "probe-2"]] * 3
    assert told[0]["name"] == "probe"
    assert [path.name for path in (project.path / "run/logs").iterdir()] == ["probe.log"]
    heard = opened.connection.execute(
        "SELECT source, count(*) FROM messages WHERE kind = 'heard' GROUP BY source"
    ).fetchall()
    assert heard == [("probe-0", 4), ("probe-1", 4), ("probe-2", 4)]
    lives = opened.connection.execute("SELECT node, count(*) FROM measurements GROUP BY node")
    assert lives.fetchall() == [("probe-0", 1), ("probe-1", 1), ("probe-2", 1)]


def test_a_crash_kills_the_process_and_a_restart_begins_a_new_life(project: Project) -> None:
    crash = "[{node: probe, at: 1500us, for: 1ms, crash: true}]"
    told, opened = run(project, faults=crash)
    assert [(each["life"], each["time"]) for each in told] == [(1, 0), (2, 2_500_000)]
    assert (project.path / "run/logs/probe.log").read_text() == "life 1 of probe\nlife 2 of probe\n"
    heard = opened.connection.execute(
        "SELECT sent FROM messages WHERE kind = 'heard' ORDER BY sent"
    ).fetchall()
    assert heard == [(1_000_000,), (3_000_000,), (4_000_000,)]


def test_a_free_running_process_crashes_within_a_window(project: Project) -> None:
    program = Path(__file__).parent / "participants/program.py"
    project.write("program.py", program.read_text(encoding="utf-8"))
    project.write("models.py", MODELS)
    fault = "faults=[{node: sink, at: 3200001ns, for: 2300us, crash: true}]"
    digests = set()
    for number in (1, 2):
        scenario = load(project.path / "windows.yaml", overrides=[fault])
        digests.add(Federation(scenario, out=project.path / f"run-{number}").run())
        log = (project.path / f"run-{number}/logs/sink.log").read_text()
        assert log.count("started as good\nadvance 1\n") == 2
    assert len(digests) == 1
    with open_run(project.path / "run-1") as opened:
        pongs = opened.connection.execute(
            "SELECT sent FROM messages WHERE source = 'sink' ORDER BY sent"
        ).fetchall()
    # Readings of 1 ms to 9 ms arrive half a millisecond later; those of 3, 4 and 5 ms find it down.
    assert pongs == [(at * 1_000_000 + 500_000,) for at in (1, 2, 6, 7, 8, 9)]


def test_exchanges_are_recorded(project: Project) -> None:
    _, opened = run(project)
    rows = opened.connection.execute(
        "SELECT participant, seq, at, until, inputs, outputs FROM exchange ORDER BY seq"
    ).fetchall()
    ms = 1_000_000
    assert rows == [("probe", 1, 0, 0, 0, 1)] + [
        ("probe", seq, (seq - 1) * ms, (seq - 1) * ms, 1, 1) for seq in range(2, 6)
    ]
    for begun, awaited, done in opened.connection.execute(
        "SELECT begun, awaited, done FROM exchange"
    ):
        assert 0 < begun <= awaited <= done


def test_files_of_a_command_are_inputs_of_the_run(project: Project) -> None:
    node = "{implementation: process, command: [python, probe.py]}"
    project.write(
        "scenario.yaml",
        "simcore: 1\nduration: 5ms\nnodes:\n  sink: {}\n  probe: " + node + "\n",
    )
    ended = project.simcore("scenario.yaml", "--out", "out")
    assert ended.code == 0, ended.err
    inputs = json.loads((project.path / "out/manifest.json").read_text())["inputs"]
    assert "probe.py" in inputs


def test_who_prints_nothing_leaves_no_log(project: Project) -> None:
    project.write(
        "quiet.py", "\n".join(line for line in PROBE.splitlines() if "print(" not in line)
    )
    _, opened = run(project, command=["python", "quiet.py"])
    opened.close()
    assert list((project.path / "run/logs").iterdir()) == []


def test_without_a_run_directory(project: Project) -> None:
    text = """
simcore: 1
duration: 5ms
nodes:
  sink: {}
  probe: {implementation: process, command: [python, probe.py]}
"""
    with Federation(loads(text, base=project.path)) as federation:
        logs = federation.outside.logs
        assert logs.parent != project.path
        federation.env.run(until=1_000_000)
        assert (logs / "probe.log").read_text() == "life 1 of probe\n"
    assert federation.digest
    assert not logs.exists()


def test_programs_start_at_the_same_time(project: Project) -> None:
    # Each waits for the other one, so they could not start one after the other.
    project.write(
        "together.py",
        "import os, sys\n"
        "mine, other = sys.argv[1:]\n"
        "for name in (mine, other):\n"
        "    if not os.path.exists(name):\n"
        "        try:\n"
        "            os.mkfifo(name)\n"
        "        except FileExistsError:\n"
        "            pass\n"
        "both = [os.open(name, os.O_RDWR) for name in (mine, other)]\n"
        "os.write(both[1], b'x')\n"
        "assert os.read(both[0], 1) == b'x'\n"
        "import probe\n",
    )
    text = """
simcore: 1
duration: 5ms
nodes:
  sink: {}
  a: {implementation: process, command: [python, together.py, pipe-a, pipe-b]}
  b: {implementation: process, command: [python, together.py, pipe-b, pipe-a]}
"""
    assert Federation(loads(text, base=project.path)).run()


def test_error_has_the_parts_of_the_report(project: Project) -> None:
    project.write("program.py", (Path(__file__).parent / "participants/program.py").read_text())
    with pytest.raises(ParticipantError) as caught:
        run(project, command=["python", "program.py", "exits"])
    error = caught.value
    assert (error.participant, error.node, error.now) == ("probe", "probe", 3_000_000)
    assert error.rule == "process-ended"
    assert error.pending is not None and error.pending.startswith("ADVANCE 3 until 0.003s")
    assert error.last_done == "DONE 2 for 0.002s with 1 output"
    assert error.exit == "exited with code 3"
    assert error.log[-2:] == ("advance 2", "advance 3")
    assert error.waiting == "the run, at 0.003s, waits for probe to answer"
    again = ParticipantError(*error.args)  # as SimPy makes it
    assert str(again) == str(error) and vars(again) == vars(error)


# -- the shipped example, in three languages


def example(out: Path, *overrides: str) -> str:
    """The digest of the example, with another program in the place of its own."""
    options = [f"nodes.thermostat.{each}" for each in overrides]
    scenario = load(ROOT / "scenarios/participants.yaml", overrides=options)
    return Federation(scenario, out=out).run()


def test_example_in_three_languages(project: Project) -> None:
    folder = ROOT / "scenarios/participants"
    shipped = example(project.path / "python")
    javascript = f"command=[{require('node')}, {folder}/thermostat.js]"
    assert example(project.path / "js", javascript) == shipped
    assert example(project.path / "js-tcp", javascript, "transport=tcp") == shipped
    program = project.path / "thermostat"
    build = [require("gcc"), "-O2", "-o", str(program), str(folder / "thermostat.c")]
    subprocess.run(build, check=True, timeout=PATIENCE)
    assert example(project.path / "c", f"command=[{program}]", "transport=stdio") == shipped
