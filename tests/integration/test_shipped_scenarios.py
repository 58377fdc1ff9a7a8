"""The examples do what their comments say, whole runs against the recorded database.

quickstart:  meter (x 20) -> gateway -> cloud -> (over gateway) meter
faults:      thermometer (x 3) -> gateway -> cloud
routes:      camera (x 4) -> mast -> core -> server; camera-3 by way of backup
participants: room <-> thermostat (a process) -> panel
firmware_native: meter (x 4, firmware) <-> gateway;  test_firmware_scenarios.py has more of it
firmware_bridge: station <-> bridge (firmware) <-> modem
mqtt_python: tank (x 6) <-> broker <-> controller;  broker <-> modem <-> pump
"""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support import PATIENCE, require

from simcore.expect import evaluate, parse
from simcore.federation import Federation
from simcore.results.metrics import Metrics
from simcore.results.store import Run, open_run
from simcore.scenario import load

SCENARIOS = Path(__file__).parents[2] / "scenarios"
NAMES = (
    "quickstart",
    "faults",
    "routes",
    "participants",
    "firmware_native",
    "firmware_bridge",
    "mqtt_python",
)
SECOND = 10**9


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Run]]:
    folder = tmp_path_factory.mktemp("runs")
    for name in NAMES:
        Federation(load(SCENARIOS / f"{name}.yaml"), out=folder / name).run()
    opened = {name: open_run(folder / name) for name in NAMES}
    yield opened
    for run in opened.values():
        run.close()


def rows(run: Run, sql: str, *values: object) -> list[Any]:
    """Rows of a query; bare values where it has one column."""
    found = run.connection.execute(sql, values).fetchall()
    return [row[0] if len(row) == 1 else row for row in found]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("seed", [None, 1, 2])
def test_expectations_hold_whatever_the_seed(name: str, seed: int | None, tmp_path: Path) -> None:
    scenario = load(SCENARIOS / f"{name}.yaml", seed=seed)
    Federation(scenario, out=tmp_path / "run").run()
    with open_run(tmp_path / "run") as run:
        metrics = Metrics(run.connection)
        for text in scenario.expect:
            outcome = evaluate(parse(text), metrics)
            assert outcome.passed, outcome.explanation


@pytest.mark.parametrize("name", NAMES)
def test_same_seed_same_digest_another_seed_another(name: str) -> None:
    digests = [Federation(load(SCENARIOS / f"{name}.yaml", seed=seed)).run() for seed in (5, 5, 6)]
    assert digests[0] == digests[1] != digests[2]


def test_a_copy_elsewhere_runs_the_same(tmp_path: Path) -> None:
    copy = tmp_path / "mine"
    shutil.copytree(SCENARIOS, copy, ignore=shutil.ignore_patterns("__pycache__"))
    here, there = (Federation(load(f / "quickstart.yaml")).run() for f in (SCENARIOS, copy))
    assert here == there


def test_quickstart_traces_from_reading_to_acknowledgement(runs: dict[str, Run]) -> None:
    columns = "id, source, destination, cause, origin, sent, payload"
    by_kind = {
        kind: rows(runs["quickstart"], f"SELECT {columns} FROM messages WHERE kind = ?", kind)
        for kind in ("reading", "result", "ack")
    }
    readings, results = ({row[0]: row for row in by_kind[kind]} for kind in ("reading", "result"))
    assert len(by_kind["ack"]) > 300
    for _, source, meter, cause, origin, _, payload in by_kind["ack"]:
        result = results[cause]
        reading = readings[result[3]]
        assert (source, result[1:3], reading[1:4]) == (
            "cloud",
            ("gateway", "cloud"),
            (meter, "gateway", None),
        )
        assert origin == reading[5]
        assert len({json.loads(text)["index"] for text in (payload, result[6], reading[6])}) == 1


def test_quickstart_sends_images_of_the_test_half_and_no_label(runs: dict[str, Run]) -> None:
    run = runs["quickstart"]
    records = (SCENARIOS / "data" / "digits.bin").read_bytes()
    readings = [
        json.loads(payload)
        for payload in rows(run, "SELECT payload FROM messages WHERE kind = 'reading'")
    ]
    truth = [records[at : at + 65] for at in range(898 * 65, len(records), 65)]
    for reading in readings:
        assert set(reading) == {"index", "image"}
        assert base64.b64decode(reading["image"]["$b64"]) == truth[reading["index"]][:64]
    results = rows(
        run, "SELECT at, payload FROM messages WHERE kind = 'result' AND fate = 'delivered'"
    )
    correct = [truth[(p := json.loads(text))["index"]][64] == p["digit"] for _, text in results]
    recorded = rows(run, "SELECT value FROM measurement WHERE name = 'accuracy' ORDER BY rowid")
    assert sorted(recorded) == sorted(map(int, correct))
    assert 0.8 < sum(correct) / len(correct) < 0.95


def test_quickstart_cameras_are_not_in_step(runs: dict[str, Run]) -> None:
    first = rows(
        runs["quickstart"],
        "SELECT min(sent) FROM messages WHERE kind = 'reading' GROUP BY source",
    )
    assert len(first) == len(set(first)) == 20
    assert max(first) < 3 * SECOND


def test_faults_cost_what_the_comments_say(runs: dict[str, Run]) -> None:
    run = runs["faults"]
    lost = Counter(rows(run, "SELECT fate, kind FROM messages WHERE fate <> 'delivered'"))
    assert lost["link_down", "report"] == 15  # five seconds of three reports each
    assert 9 <= lost["node_down", "temperature"] <= 12  # four seconds, some lost otherwise
    phases = rows(run, "SELECT phase, kind, target FROM fault ORDER BY at, number")
    assert ("begin", "node_crash", "thermometer-2") in phases
    assert ("end", "node_crash", "thermometer-2") not in phases
    assert ("end", "node_crash", "gateway") in phases
    last = "SELECT max(sent) FROM messages WHERE source = ?"
    assert rows(run, last, "thermometer-2") == [49 * SECOND]
    assert rows(run, last, "thermometer-1") == [59 * SECOND]


def test_faults_restart_forgets_and_the_alarm_is_raised_and_taken_back(
    runs: dict[str, Run],
) -> None:
    run = runs["faults"]
    numbers = [
        json.loads(payload)["number"]
        for payload in rows(run, "SELECT payload FROM messages WHERE kind = 'report' ORDER BY sent")
    ]
    assert numbers.count(1) == 2 and numbers[0] == 1
    alarms = rows(run, "SELECT value FROM measurement WHERE name = 'alarm' ORDER BY at")
    assert alarms == [1, 0, 1, 0]


def test_routes_fewest_hops_unless_a_route_says_so(runs: dict[str, Run]) -> None:
    run = runs["routes"]
    hops = rows(
        run,
        "SELECT n.name, h.link FROM hop h JOIN node n ON n.id = h.source "
        "WHERE n.name LIKE 'camera-%' ORDER BY h.source, h.number, h.hop",
    )
    detours = {source for source, link in hops if link == "mast->backup"}
    assert detours == {"camera-3"}
    assert {source for source, link in hops if link == "mast->core"} == {
        "camera-0",
        "camera-1",
        "camera-2",
    }


def test_routes_losses_come_in_bursts_and_at_the_bottleneck(runs: dict[str, Run]) -> None:
    run = runs["routes"]
    full = rows(run, "SELECT name, queue_full, queue_max FROM link WHERE queue_full > 0")
    assert [(name, longest) for name, _, longest in full] == [("mast->core", 8)]
    fates = Counter(rows(run, "SELECT fate FROM messages"))
    assert fates["queue_full"] == full[0][1]
    assert fates["loss"] > 0


def test_participants_warms_the_room_and_reports_every_minute(runs: dict[str, Run]) -> None:
    run = runs["participants"]
    celsius = rows(run, "SELECT value FROM measurement WHERE name = 'celsius' ORDER BY at")
    assert celsius[0] < 18 and all(19.5 < value < 22 for value in celsius[30:])
    reports = rows(run, "SELECT sent FROM messages WHERE kind = 'status' ORDER BY sent")
    assert reports == [minute * 60 * SECOND for minute in range(1, 30)]
    assert rows(run, "SELECT name, life, exit FROM participant") == [
        ("thermostat", 1, "exited with code 0")
    ]


@pytest.mark.parametrize("language", ["c", "javascript"])
def test_participants_the_same_in_another_language(
    language: str, runs: dict[str, Run], tmp_path: Path
) -> None:
    """What the comment at the top of the scenario says."""
    shutil.copytree(
        SCENARIOS, tmp_path / "s", ignore=shutil.ignore_patterns("__pycache__", "thermostat")
    )
    if language == "c":
        source = tmp_path / "s" / "participants" / "thermostat.c"
        build = [require("gcc"), "-O2", "-o", str(tmp_path / "s" / "thermostat"), str(source)]
        subprocess.run(build, check=True, timeout=PATIENCE)
        options = ["nodes.thermostat.command=[./thermostat]", "nodes.thermostat.transport=stdio"]
    else:
        options = [f"nodes.thermostat.command=[{require('node')}, participants/thermostat.js]"]
    digest = Federation(load(tmp_path / "s" / "participants.yaml", overrides=options)).run()
    assert digest == runs["participants"].manifest["digest"]


def test_mqtt_leads_from_a_level_to_the_pump_and_back(runs: dict[str, Run]) -> None:
    run = runs["mqtt_python"]
    query = "SELECT id, source, kind, destination, cause, at - origin FROM messages"
    messages = {row[0]: row[1:] for row in rows(run, query)}
    reactions = []
    states = [id for id, row in messages.items() if row[:2] == ("pump", "state")]
    for state in states:
        chain, cause = [], state
        while cause is not None:
            source, kind, destination, cause, taken = messages[cause]
            if (source, kind) == ("modem", "command"):
                reactions.append(taken)
            chain.append((source.partition("-")[0], kind, destination))
        assert [each for each in chain[::-1] if each[1] not in ("mqtt.pubrec", "mqtt.pubrel")] == [
            ("tank", "mqtt.publish", "broker"),
            ("broker", "mqtt.publish", "controller"),
            ("controller", "mqtt.publish", "broker"),
            ("broker", "mqtt.publish", "modem"),
            ("modem", "command", "pump"),
            ("pump", "state", "modem"),
        ]
    assert len(reactions) >= 4
    assert sorted(reactions) == sorted(
        rows(run, "SELECT value FROM measurements WHERE name = 'reaction'")
    )


def test_mqtt_publishes_the_wills_of_tanks_that_are_gone(runs: dict[str, Run]) -> None:
    query = "SELECT at, value FROM measurements WHERE name = 'gone' ORDER BY at"
    (first, crashed), (second, cut_off) = rows(runs["mqtt_python"], query)
    # Seven and a half seconds after their last packet, which came at most a second before.
    assert (crashed, cut_off) == ("tank-2", "tank-4")
    assert 36 * SECOND < first < 38 * SECOND
    assert 96 * SECOND < second < 98 * SECOND
