"""`python -m simcore calibrate`: tables of what services cost here, which a scenario can name.

client (x 2) ---> server      over 1 ms, 20 messages each
"""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path

import pytest
from support import Ended, Project

MODELS = """\
from simcore import Overloaded


class Server:
    def on_message(self, ctx, msg):
        ctx.compute(ctx.config.get("compute", "1us"))
        ctx.reply(msg, "done", {"name": ctx.path(ctx.config["names"]).read_text()})


def client(node):
    for _ in range(20):
        node.send("server", "ask")
        yield node.receive()
"""
CHOOSING = 'node.send(f"server-{node.index}", "ask")'
SCENARIO = """\
simcore: 1
name: asking
duration: 10s
nodes:
  client: {count: 2, model: models.py:client}
  server:
    implementation: python_model
    service: models.py:Server
    config: {names: names.txt}
  idle: {service: echo}
network: {model: latency, links: [{between: [client, server], delay: 1ms}]}
expect: [sent == 0]
"""


@pytest.fixture
def asking(project: Project) -> Project:
    for name, text in (("models.py", MODELS), ("asking.yaml", SCENARIO), ("names.txt", "anna")):
        project.write(name, text)
    return project


def calibrate(project: Project, *options: object) -> Ended:
    return project.simcore("calibrate", "asking.yaml", *options)


@pytest.mark.parametrize("implementation", ["python_model", "process"])
def test_a_table(asking: Project, implementation: str):
    option = f"nodes.server.implementation={implementation}"
    done = calibrate(asking, "--set", option)
    assert done.code == 0, done.err
    lines = (asking.path / "costs" / "server.txt").read_text().splitlines()
    head = [line for line in lines if line.startswith("#")]
    digests = [
        f"# file: {name}, SHA-256 {hashlib.sha256((asking.path / name).read_bytes()).hexdigest()}"
        for name in ("models.py", "names.txt")
    ]
    assert head[:5] == [
        "# service: models.py:Server",
        f"# implementation: {implementation}",
        *digests,
        "# scenario: asking, seed 1",
    ]
    assert re.fullmatch(r"# date: \d{4}-\d\d-\d\d", head[5])
    assert re.fullmatch(r"# machine: .+, \d+ cores, Linux .+", head[6])
    assert re.match(r"# software: Python 3\.\d+\.\d+", head[7])
    assert re.fullmatch(
        r"# N: 30, without the first 10; median: \d+ns; p95: \d+ns", head[8]
    )  # 40 messages came
    times = [int(line.removesuffix("ns")) for line in lines[9:]]
    assert len(times) == 30 and times == sorted(times) and times[0] > 0
    assert "server (models.py:Server, " in done.out and "30 messages, median" in done.out
    assert "use it as: compute: {table: costs/server.txt}" in done.out
    assert "warning: so few samples" in done.err
    assert "idle: handled 0 messages" in done.err and not (asking.path / "costs/idle.txt").exists()

    used = ["--set", "nodes.server.config.compute={table: costs/server.txt}", "--set", "expect=[]"]
    first, second = (asking.simcore("asking.yaml", *used, "--out", out) for out in "ab")
    assert (first.code, second.code) == (0, 0), first.err
    manifests = [json.loads((asking.path / out / "manifest.json").read_bytes()) for out in "ab"]
    assert manifests[0]["digest"] == manifests[1]["digest"]
    assert "costs/server.txt" in manifests[0]["inputs"]


def test_a_group_has_one_table_without_the_warm_up_of_each_member(asking: Project):
    text = SCENARIO.replace("service: models", "count: 2\n    service: models")
    asking.write("asking.yaml", text)
    asking.write("models.py", MODELS.replace('node.send("server", "ask")', CHOOSING))
    assert calibrate(asking, "--node", "server").code == 0
    table = (asking.path / "costs" / "server.txt").read_text()
    assert "# N: 20, without the first 20; " in table
    assert table.count("# machine: ") == table.count("# software: ") == 1, "both say the same"
    assert calibrate(asking, "--node", "server-1").code == 0
    assert "# N: 10, without the first 10; " in (asking.path / "costs/server-1.txt").read_text()


def test_the_run_is_kept_labelled_and_not_repeated(asking: Project):
    assert calibrate(asking, "--node", "server", "--out", "elsewhere").code == 0
    run = asking.path / "runs" / "asking-calibration-1"
    manifest = json.loads((run / "manifest.json").read_bytes())
    assert manifest["determinism"] == "calibration"
    again = asking.simcore("verify", run)
    assert again.code == 2
    assert "is a calibration run: it measured this machine" in again.err
    assert [path.name for path in (asking.path / "elsewhere").iterdir()] == ["server.txt"]


def test_a_table_outside_the_scenarios_folder_has_to_be_copied(asking: Project, tmp_path: Path):
    done = calibrate(asking, "--out", tmp_path / "away")
    assert "copy it beside the scenario, and use it as: compute: {table: server.txt}" in done.out


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--node", "client"], "client has no 'service': only services can be calibrated"),
        (["--node", "sever"], "there is no node or group 'sever' (did you mean 'server'?)"),
        (["--set", "nodes.server.queue=-1"], "must be at least 0"),
    ],
)
def test_what_cannot_be_calibrated(asking: Project, options: list[str], said: str):
    done = calibrate(asking, *options)
    assert (done.code, said in done.err) == (2, True), done.err
    assert not (asking.path / "runs").exists()


def test_a_scenario_without_services(asking: Project):
    done = calibrate(asking, "--set", "nodes={a: {}}", "--set", "network={model: direct}")
    assert done.code == 2 and "nothing to calibrate" in done.err


def test_nothing_measured_is_a_failure(asking: Project):
    done = calibrate(asking, "--until", "15ms")  # 2 x 7 messages, of which 10 are the warm-up
    assert done.code == 0 and "N: 4," in (asking.path / "costs" / "server.txt").read_text()
    done = calibrate(asking, "--until", "8ms", "--out", "none")
    assert done.code == 3
    assert "server: handled 8 messages" in done.err and "--until" in done.err
    assert not (asking.path / "none").exists()


def test_a_run_that_fails_is_reported_as_one(asking: Project):
    done = calibrate(asking, "--set", "nodes.server.config.names=no.txt")
    assert done.code == 3
    assert "the service of server raised FileNotFoundError" in done.err
    assert "results so far are in runs/asking-calibration-1" in done.err
    assert not (asking.path / "costs").exists()


def test_a_folder_that_cannot_be_written(asking: Project):
    (asking.path / "costs").write_text("a file")
    done = calibrate(asking)
    assert done.code == 4 and "cannot write costs/server.txt" in done.err, done.err


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("# service: echo\n# scenario: other, seed 3\n1us\n", "a table of other"),
        ("1us\n2us\n", "no table of calibrate's"),
    ],
)
def test_only_tables_of_the_scenario_are_overwritten(asking: Project, text: str, what: str):
    file = asking.path / "costs" / "server.txt"
    file.parent.mkdir()
    file.write_text(text)
    done = calibrate(asking)
    assert done.code == 2 and file.read_text() == text
    assert f"costs/server.txt is {what}: name another folder with --out" in done.err
    assert not (asking.path / "runs").exists()
    for options in ["--force"], []:
        assert calibrate(asking, *options).code == 0
        assert "# scenario: asking, seed 1\n" in file.read_text()
