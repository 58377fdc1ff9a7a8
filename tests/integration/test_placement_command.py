"""One scenario under each policy, compared; and what results tell of its inferences.

meter (x 3) ---- gateway ---- edge
                    |
                    +-------- cloud
"""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from placement_world import OVER_MQTT, SCENARIO, write

import simcore
from simcore.cli.placement import command
from simcore.cli.trace import command as trace
from simcore.errors import ExitCode, ResultsError, ScenarioError, UsageError
from simcore.results import report_runs, variants
from simcore.results.inferences import NONE, Inferences, load
from simcore.results.split import PARTS

MS = 10**6


@pytest.fixture
def scenario(tmp_path: Path) -> Path:
    path = write(tmp_path) / "meters.yaml"
    path.write_text(SCENARIO.replace("30s", "8s"), encoding="utf-8")
    return path


def compare(scenario: Path, *options: object) -> tuple[Result, Path]:
    out = scenario.parent / "out"
    arguments = [str(scenario), "--out", str(out), *map(str, options)]
    return CliRunner().invoke(command, arguments, standalone_mode=False), out


def document(out: Path) -> Any:
    return json.loads((out / "placement.json").read_text(encoding="utf-8"))


def rows(out: Path) -> dict[str, dict[str, str]]:
    with (out / "placement.csv").open(newline="", encoding="utf-8") as file:
        return {row["policy"]: row for row in csv.DictReader(file)}


def test_each_policy_is_the_run_it_would_be_alone(scenario: Path) -> None:
    result, out = compare(scenario, "--jobs", 2)
    assert result.return_value == ExitCode.OK, result.output
    assert (
        "running device, edge, cloud, confidence, latency: 5 runs, 2 at a time\n" in result.output
    )
    written = document(out)
    digests = {each["policy"]: each["runs"][0]["digest"] for each in written["policies"]}
    assert list(digests) == ["device", "edge", "cloud", "confidence", "latency"]
    assert len(set(digests.values())) == 5
    alone = simcore.load(scenario, overrides=["placement.policy=edge"])
    assert simcore.Federation(alone).run() == digests["edge"]
    shares = {
        policy: [float(row[f"share_{place}"]) for place in ("device", "edge", "cloud")]
        for policy, row in rows(out).items()
    }
    assert shares["device"] == [1, 0, 0]
    assert shares["edge"] == [0, 1, 0]
    assert shares["cloud"] == [0, 0, 1]
    assert all(share > 0 for share in shares["confidence"])
    # As right as the cloud, and quicker; nothing is as quick as the device.
    front = {policy: row["front"] for policy, row in rows(out).items()}
    assert (front["device"], front["confidence"], front["cloud"]) == ("1", "1", "0")
    assert "* Pareto front of accuracy and latency: device," in result.output


def test_energy_is_compared_if_it_is_counted(scenario: Path) -> None:
    keys = "{idle: 1mW, active: 30mW, radio: {tx: 1uJ, rx: 1uJ, overhead: 10B}}"
    result, out = compare(
        scenario, "--policies", "device,edge", "--set", f"energy={{meter: {keys}}}"
    )
    assert result.return_value == ExitCode.OK, result.output
    assert "* Pareto front of accuracy, latency and energy" in result.output
    # device: 12 ms at 29 mW, 26 B; edge: 82 B and 18 B sent, 26 B received.
    assert float(rows(out)["device"]["energy_J"]) == pytest.approx(12e-3 * 29e-3 + 26e-6)
    assert float(rows(out)["edge"]["energy_J"]) == pytest.approx(126e-6)


def test_replications_have_directories_of_their_own(scenario: Path) -> None:
    result, out = compare(scenario, "--policies", "edge,cloud", "--replications", 2, "--seed", 5)
    assert result.return_value == ExitCode.OK, result.output
    runs = [run["run"] for each in document(out)["policies"] for run in each["runs"]]
    assert runs == [f"{policy}/trial-00{n}" for policy in ("edge", "cloud") for n in (0, 1)]
    assert "edge (seed 6): done" in result.output
    found = {(m["metric"], m["of"]): m for m in document(out)["policies"][0]["summary"]}
    assert found["latency_mean", "inferences"]["half_width"] > 0


def test_what_cannot_run_is_named_and_left_out(scenario: Path) -> None:
    text = scenario.read_text(encoding="utf-8")
    scenario.write_text(
        text.replace("  cloud: cloud\n", "").replace("  deadline: 150ms\n", ""), encoding="utf-8"
    )
    result, out = compare(scenario)
    assert result.return_value == ExitCode.OK, result.output
    assert "cloud: left out: the policy cloud needs 'cloud'\n" in result.output
    assert "latency: left out: the policy latency needs 'deadline'\n" in result.output
    assert [each["policy"] for each in document(out)["left_out"]] == ["cloud", "latency"]
    assert list(rows(out)) == ["device", "edge", "confidence"]


def test_policies_of_ones_own(scenario: Path) -> None:
    mine = ("--set", "placement.policy=my_policy.py:Mine", "--set", "placement.config={every: 3}")
    result, out = compare(scenario, *mine, "--policies", "edge,my_policy.py:Mine")
    assert result.return_value == ExitCode.OK, result.output
    assert (out / "Mine" / "manifest.json").is_file()
    assert float(rows(out)["my_policy.py:Mine"]["share_cloud"]) == 2 / 8


def test_a_policy_that_fails_does_not_hide_the_others(scenario: Path) -> None:
    wrong = "my_policy.py:Wrong"
    result, out = compare(scenario, "--set", f"placement.policy={wrong}", "--jobs", 1)
    assert result.return_value == ExitCode.FAILED
    assert f"{wrong}: failed, exit code 3: the policy {wrong} decided for 'moon'" in result.output
    assert "1 of 6 failed: Wrong" in result.output
    assert "* Pareto front" in result.output
    failed = document(out)["policies"][-1]
    assert (failed["policy"], failed["front"], failed["summary"]) == (wrong, None, [])


EXPECT = ("--policies", "device,cloud", "--set", 'expect=["accuracy(inference) >= 99%"]', "--set")


def test_a_missed_expectation_is_told(scenario: Path) -> None:
    result, _ = compare(scenario, *EXPECT, "placement.policy=device")
    assert result.return_value == ExitCode.DIFFERENT
    assert "device: done, but an expectation failed" in result.output
    assert "1 of 2 missed an expectation: device" in result.output


def test_of_other_policies_a_scenario_expects_nothing(scenario: Path) -> None:
    result, _ = compare(scenario, *EXPECT, "placement.policy=cloud")
    assert result.return_value == ExitCode.OK
    assert "an expectation" not in result.output


def test_a_report_blames_no_policy_for_what_another_should_do(scenario: Path) -> None:
    _, out = compare(scenario, *EXPECT, "placement.policy=edge", "--policies", "device,edge,cloud")
    found = variants.compare(variants.directories([out]))
    page = report_runs.content(found)
    (runs,) = page.sections[-1].tables
    assert [row[:3] for row in runs.rows] == [
        ("device", "device", "completed"),
        ("edge", "edge", "expectation failed"),
        ("cloud", "cloud", "completed"),
    ]
    assert found.varied == ["placement.policy"]


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        (["--policies", "egde"], UsageError, "unknown policy 'egde'"),
        (["--policies", "my_policy.py:Nobody"], ScenarioError, "Nobody"),
        (["--set", "placement.dispatcher=nobody"], ScenarioError, "nobody"),
        (["--policies", "cloud", "--set", "placement.cloud=edge"], ScenarioError, "edge"),
    ],
)
def test_nothing_is_started_by_mistake(
    scenario: Path, options: list[str], error: type[Exception], words: str
) -> None:
    result, out = compare(scenario, *options)
    assert isinstance(result.exception, error)
    assert words in str(result.exception)
    assert not out.exists()


def test_a_scenario_without_placement_is_one_error(tmp_path: Path) -> None:
    path = tmp_path / "none.yaml"
    path.write_text("{simcore: 1, duration: 1s, nodes: {a: {}}}", encoding="utf-8")
    result, _ = compare(path)
    assert isinstance(result.exception, UsageError)
    assert "has no section 'placement'" in str(result.exception)


def test_an_occupied_directory_is_refused(scenario: Path) -> None:
    (scenario.parent / "out").mkdir()
    (scenario.parent / "out" / "mine.txt").touch()
    result, _ = compare(scenario)
    assert isinstance(result.exception, ResultsError)


# --- inferences of whole runs ---


def inferences(path: Path, text: str, *overrides: str) -> tuple[Inferences, Path]:
    scenario = simcore.loads(text.replace("30s", "8s"), base=write(path), overrides=overrides)
    simcore.Federation(scenario, out=path / "run").run()
    with simcore.open_run(path / "run") as run:
        return load(run.connection), path / "run"


def adds_up(found: Inferences) -> bool:
    total = sum(found.parts[part] for part in PARTS)
    return bool((total[found.answered] == found.latency[found.answered]).all())


def test_every_nanosecond_is_accounted_for(tmp_path: Path) -> None:
    """Over links without loss nothing is left for `other`."""
    found, _ = inferences(tmp_path, SCENARIO)
    assert len(found) == 24 and adds_up(found)
    assert not found.parts["other"].any()
    assert (found.parts["sampling"] < 1000).all()  # devices' clocks count microseconds
    kept, cloud = (found.messages == 1) & found.answered, found.place == 2
    assert (found.parts["computing"][kept] == 12 * MS).all()
    assert (found.parts["wan"][cloud] == 90 * MS).all()
    # The device, the edge (asked first), the cloud.
    assert (found.parts["computing"][cloud] == (12 + 4 + 2) * MS).all()
    assert (found.parts["lan"][cloud] == 2 * MS).all()
    assert (found.parts["radio"][~kept & found.answered] >= 16 * MS).all()


def test_chains_lead_through_a_broker(tmp_path: Path) -> None:
    """Each way over MQTT is two segments; nothing is lost on the way, so nothing waits."""
    text = OVER_MQTT.replace("  gateway:\n", "  gateway:\n    tier: edge\n")
    found, _ = inferences(tmp_path, text)
    assert len(found) == 24 and adds_up(found)
    assert not found.parts["other"].any()
    edge = (found.place == 1) & (found.ended != NONE)
    assert (found.parts["lan"][edge] == (4 * 0.5 + 2) * MS).all()
    assert set(found.messages[edge].tolist()) <= {8, 9}  # the last ones are not acknowledged yet


def test_what_tcp_waits_for_is_other(tmp_path: Path) -> None:
    """A tenth of the segments is lost, and sent again when a timer says so."""
    lossy = OVER_MQTT.replace(
        "[gateway, broker], delay: 500us", "[gateway, broker], delay: 500us, loss: 10%"
    )
    found, _ = inferences(tmp_path, lossy, "placement.policy=edge", "seed=3")
    assert adds_up(found)
    waited = found.parts["other"]
    assert (waited >= 0).all() and (waited >= 10 * MS).any() and (waited == 0).any()


def test_one_image_is_followed_to_its_end(tmp_path: Path) -> None:
    found, path = inferences(tmp_path, OVER_MQTT)
    place = int((found.place == 2).argmax())
    asked = (found.nodes[int(found.node[place])], str(found.n[place]))
    result = CliRunner().invoke(trace, [str(path), "--inference", *asked])
    assert result.exit_code == 0, result.output
    head, *blocks = result.output.split("\n\n")
    assert f"Picture {asked[1]} of {asked[0]}: " in head and "from the cloud" in head
    kinds = [block.splitlines()[0].rpartition("   ")[2].partition(",")[0] for block in blocks[1:-1]]
    assert kinds == [
        "image", "mqtt.publish", "mqtt.publish", "infer", "answer", "infer", "answer",
        "mqtt.publish", "mqtt.publish", "result", "shown",
    ]  # fmt: skip
    assert f"{asked[0]} takes picture {asked[1]}" in blocks[0]
    assert "after it computed for 12 ms" in blocks[1] and "why unsure" in blocks[1]
    assert "why confidence" in blocks[4] and "computed for 4 ms" in blocks[5]
    assert f"{asked[0]} shows " in blocks[10]
    assert "more beside this way" in blocks[-1]
