"""Unmodified programs in containers: what they are told, and what becomes of what they say."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from boxed import container_of
from docker import DockerClient
from engine import running
from realtime import SERVED, answers, realtime, run
from simcore_backends.docker.engine import Engine
from simcore_backends.docker.freezer import (
    CgroupFreezer,
    EngineFreezer,
    Freezer,
    Gone,
    cgroup_v1,
    cgroup_v2,
    freezer_of,
)
from support import PATIENCE, ROOT, Project

from simcore import load, open_run
from simcore.runner import run_scenario


@pytest.fixture
def project(tmp_path: Path, base_image: str) -> Iterator[Project]:
    with realtime(tmp_path, base_image) as made:
        yield made


def test_lines_in_real_time(project: Project) -> None:
    run(project)
    assert answers(project) == [
        ("sensor/1", "answer", '{"twice":2}', 12),
        ("sensor/2", "answer", "\"no number: 'text'\"", 17),
        ("sensor/3", "answer", '{"twice":6}', 12),
    ]
    log = (project.path / "run/logs/sink.log").read_text(encoding="utf-8").splitlines()
    assert {"I am not asked", "got 1", 'got "text"', "got 3"} <= set(log)
    with open_run(project.path / "run") as found:
        assert found.manifest["determinism"] == "statistical"
        windows = found.manifest["windows"]
        query = (
            "SELECT sent, origin + 20000000, waited + computed FROM messages WHERE cause NOT NULL"
        )
        spent = [tuple(row) for row in found.connection.execute(query)]
        query = "SELECT name, value FROM measurements WHERE node = 'sink'"
        overruns = found.connection.execute(query).fetchall()
    assert windows["grain_ns"] == 1_000_000
    assert windows["length_ns"] == 20_000_000
    for sent, arrived, took in spent:
        assert took == sent - arrived > 0
    assert {name for name, _ in overruns} == {"overrun_ms"}
    assert 1 <= len(overruns) <= windows["count"]
    assert all(value >= 0 for _, value in overruns)
    assert log[-1].startswith(f"simcore: {len(overruns)} windows, overrun by ")


def test_held_by_the_engine(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """As where simcore may not write the files of cgroups."""
    monkeypatch.setattr(
        "simcore_backends.docker.wallclock.participant.freezer_of",
        lambda engine, container, pid: EngineFreezer(engine, container),
    )
    overrides = ["network.links.0.delay=50ms"]
    scenario = load(project.path / "scenario.yaml", overrides=overrides)
    told: list[str] = []
    result = run_scenario(scenario, project.path / "run", notice=told.append)
    assert result.exit_code == 0
    assert told == [
        "docker: containers in real time are held between windows by the engine's pause; "
        "each time takes tens of milliseconds: keep windows long"
    ]
    assert [payload for _, _, payload, _ in answers(project)][::2] == ['{"twice":2}', '{"twice":6}']
    with open_run(project.path / "run") as found:
        assert found.manifest["parts"]["freezer of sink"] == "the engine's pause"


def test_lines_to_one_node(project: Project) -> None:
    run(project, "nodes.sink.talk={to: sensor, kind: said}")
    assert answers(project) == [
        (None, "said", '"I am not asked"', 14),
        (None, "said", '{"twice":2}', 12),
        (None, "said", "\"no number: 'text'\"", 17),
        (None, "said", '{"twice":6}', 12),
    ]


def test_http(project: Project) -> None:
    run(project, "nodes.sensor.config={payloads: [text, fails, hangs up, bytes, asks]}", *SERVED)
    found = {cause: (kind, json.loads(payload)) for cause, kind, payload, _ in answers(project)}
    assert found["sensor/1"] == ("answer", "text")
    kind, failed = found["sensor/2"]
    assert (kind, failed["status"], failed["reason"]) == ("error", 503, "Service Unavailable")
    kind, failed = found["sensor/3"]
    assert (kind, failed["status"], failed["body"]) == ("error", None, None)
    kind, data = found["sensor/4"]
    assert kind == "answer" and list(data) == ["$b64"]
    assert found["sensor/5"] == ("answer", ["POST", "/predict", "abc"])


def test_several_in_one_window(project: Project) -> None:
    run(
        project,
        "nodes.sink.count=2",
        "nodes.sensor.config={payloads: [1, 2], sinks: [sink-0, sink-1]}",
    )
    for sink in ("sink-0", "sink-1"):
        assert [payload for _, _, payload, _ in answers(project, sink)] == [
            '{"twice":2}', '{"twice":4}',
        ]  # fmt: skip


def test_trials(project: Project) -> None:
    """What differs from run to run is reported as mean and confidence interval."""
    arguments = ["trials", "scenario.yaml", 2, "--jobs", 2, "--out", "trials"]
    with project.start(*arguments) as started:
        out, err = started.process.communicate(timeout=PATIENCE)
    assert started.process.returncode == 0, err
    written = json.loads((project.path / "trials/trials.json").read_text(encoding="utf-8"))
    wanted = ("latency_mean", "sink -> sensor answer")
    [found] = [each for each in written["summary"] if (each["metric"], each["of"]) == wanted]
    assert found["count"] == 2
    assert found["mean"] > 20e6  # the link's share of it
    assert found["half_width"] > 0
    [line] = [line for line in out.splitlines() if line.startswith("latency_mean  sink -> sensor")]
    assert " +/- " in line
    assert len({trial["digest"] for trial in written["trials"]}) == 2


def test_verify_says_why_two_runs_differ(project: Project) -> None:
    ended = project.simcore("verify", "scenario.yaml", "--set=duration=60ms")
    assert ended.code == 1, ended.err
    assert ended.out.startswith("different: digest ")
    assert "the run is labelled statistical" in ended.out.splitlines()[-1]


@pytest.mark.usefixtures("provisions")
def test_scenario(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "scenarios", tmp_path / "scenarios")
    project = Project(tmp_path)
    ended = project.simcore("scenarios/wallclock.yaml", "--out", "run")
    assert ended.code == 0, ended.err
    assert "lost = 0 == 0" in ended.out
    found = answers(project, "predictor")
    assert len(found) >= 5
    for cause, kind, payload, _ in found:
        assert (cause.partition("/")[0], kind, list(json.loads(payload))) == (
            "sensor", "prediction", ["next"],
        )  # fmt: skip


def test_frozen_while_the_run_stands_still(project: Project, engine: DockerClient) -> None:
    option = "--set=nodes.sensor.config.waits_at=2"
    with project.start("scenario.yaml", "--out", "run", option) as started:
        started.until("reached")
        state = container_of(engine, "sink", started.process.pid).attrs["State"]
        identity = container_of(engine, "sink", started.process.pid).id
        ours = Engine()
        freezer = freezer_of(ours, identity, state["Pid"])
        ours.close()
        held = is_held(engine, identity, freezer)
        started.go()
        ended = started.end()
    assert held
    assert ended.code == 0, ended.err
    assert len(answers(project)) == 3


def is_held(engine: DockerClient, identity: str, freezer: Freezer) -> bool:
    """Whether a container is held, or soon is: its window may still be open."""
    for _ in range(PATIENCE * 100):
        if isinstance(freezer, CgroupFreezer):
            if freezer.is_frozen():
                return True
        elif engine.containers.get(identity).status == "paused":
            return True
        engine.ping()  # takes its time
    return False


def test_a_crash_and_another_life(project: Project) -> None:
    # Whoever is to answer has two seconds for it, of which a busy machine may need much.
    faults = "faults=[{at: 2010ms, for: 20ms, node: sink, crash: true}]"
    run(project, faults, f"nodes.sensor.config={{payloads: {list(range(1, 106))}}}")
    found = {cause: payload for cause, _, payload, _ in answers(project)}
    assert found["sensor/1"] == '{"twice":2}'
    assert found["sensor/103"] == '{"twice":206}'
    assert "sensor/101" not in found  # it arrives at 2,020 ms
    with open_run(project.path / "run") as found:
        lives = found.connection.execute("SELECT life, exit FROM participant").fetchall()
    assert [tuple(each) for each in lives] == [
        (1, "was removed by simcore"), (2, "was removed by simcore"),
    ]  # fmt: skip


BUSY = ["sh", "-c", "while :; do :; done"]


def all_freezers(engine: Engine, identity: str, pid: int) -> dict[str, Freezer]:
    """Each way of holding a container that this machine has."""
    found = {"engine": EngineFreezer(engine, identity)}
    for line in Path(f"/proc/{pid}/cgroup").read_text(encoding="utf-8").splitlines():
        _, controllers, path = line.split(":", 2)
        for place, make in (("freezer", cgroup_v1), ("unified", cgroup_v2), ("", cgroup_v2)):
            switch = make(Path("/sys/fs/cgroup") / place / path.lstrip("/"))
            fits = place == controllers or (place == "unified" and not controllers)
            if fits and switch.file.exists():
                found[switch.name] = CgroupFreezer(switch)
    return found


def test_each_freezer_of_this_machine(engine: DockerClient, base_image: str) -> None:
    ours = Engine()
    options = {"network_mode": "none"}
    with running(engine, base_image, BUSY, **options) as container:
        pid = engine.api.inspect_container(container.id)["State"]["Pid"]
        found = all_freezers(ours, container.id, pid)
        for freezer in found.values():
            for _ in range(2):
                freezer.freeze()
                freezer.freeze()  # once more has no effect
                assert ran(pid) == ran(pid)
                if isinstance(freezer, CgroupFreezer):
                    assert freezer.is_frozen()
                before = ran(pid)
                freezer.thaw()
                freezer.thaw()
                while ran(pid) == before:
                    engine.ping()  # takes its time
                if isinstance(freezer, CgroupFreezer):
                    assert not freezer.is_frozen()
        container.kill()
        container.wait()
        for freezer in found.values():
            with pytest.raises(Gone):
                freezer.freeze()
            with pytest.raises(Gone):
                freezer.thaw()
    ours.close()


def ran(pid: int) -> str:
    """How long a process has run so far, and how often."""
    return Path(f"/proc/{pid}/schedstat").read_text(encoding="utf-8")
