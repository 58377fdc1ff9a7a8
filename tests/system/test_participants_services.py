"""A service in a process of its own has the digest of its twin in simcore's process.

client (x 3) --ask--> service --answer--> client
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from outsiders import outsiders
from support import Project

from simcore import Federation, open_run
from simcore.scenario import loads

CODE = '''
import helper


def client(node):
    number = 0
    while True:
        yield node.sleep(round(node.random.expovariate(1 / 1e6)))
        node.send("service", "ask", {"number": number, "data": bytes([number % 256])})
        number += 1


class Draws:
    """Random numbers of two streams, answers and measurements."""

    def start(self, ctx):
        ctx.record("started", ctx.now)

    def on_message(self, ctx, msg):
        ctx.reply(msg, "answer", {"x": ctx.random.random(), "y": ctx.stream("other").gauss(0, 1)})
        ctx.record("drawn", ctx.stream("third").randrange(10))


class Computes:
    """Computing with workers and a bounded queue; what finds no room is answered."""

    def on_message(self, ctx, msg):
        try:
            ctx.compute({"exponential": "2ms"})
        except helper.Overloaded:
            ctx.reply(msg, "busy")
            return
        ctx.record("service", ctx.compute("100us") - ctx.now)
        ctx.reply(msg, "answer", msg.payload, size=2000)


class Overloads(Computes):
    """As above, but it is simcore that counts what finds no room."""

    def on_message(self, ctx, msg):
        ctx.compute("2ms")
        ctx.reply(msg, "answer")


class Ticks:
    """Timers: equal times, replaced, cancelled, at once, and from messages."""

    def start(self, ctx):
        ctx.set_timer("tick", "1ms")
        ctx.set_timer("tock", "1ms")
        ctx.set_timer("never", "2ms")
        self.count = 0

    def on_timer(self, ctx, name):
        ctx.cancel_timer("never")
        ctx.record(name, self.count)
        self.count += 1
        if name == "late":
            ctx.set_timer("now", 0)
        else:
            ctx.set_timer("tick", "1500us")

    def on_message(self, ctx, msg):
        ctx.set_timer("late", "700us")
        ctx.send("client-0", "note", {"of": msg.source, "text": "d\\u00e9j\\u00e0 \\u2028", "big": 1e22,
                                      "small": 1e-7, "data": msg.payload["data"]})


class Configured:
    def on_message(self, ctx, msg):
        ctx.reply(msg, "answer", {"config": dict(ctx.config), "name": ctx.name, "id": msg.id,
                                  "sent": msg.sent, "size": msg.size, "kind": msg.kind})
'''

HELPER = "from simcore.protocol.service import Overloaded\n"

SCENARIO = """
simcore: 1
name: services
duration: 60ms
nodes:
  client: {{count: 3, model: code.py:client}}
  service: {service}
network:
  model: latency
  links:
    - {{between: [client, service], delay: {{min: 100us, exponential: 300us}}, rate: 10Mbit/s}}
{faults}
"""

CRASH = "faults: [{node: service, at: 20ms, for: 7ms, crash: true}]"

SERVICES: dict[str, dict[str, Any]] = {
    "draws": {"service": "code.py:Draws"},
    "computes": {"service": "code.py:Computes", "workers": 2, "queue": 1},
    "overloads": {"service": "code.py:Overloads", "queue": 0},
    "ticks": {"service": "code.py:Ticks"},
    "configured": {"service": "code.py:Configured", "config": {"a": [1, 2.5, None], "ü": "x"}},
    "installed": {"service": "echo", "config": {"compute": {"min": "1us", "uniform": "1ms"}}},
}


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Project]:
    with outsiders(tmp_path) as made:
        for name in ("TMPDIR", "XDG_RUNTIME_DIR", "PATH"):
            monkeypatch.setenv(name, made.environment[name])
        monkeypatch.setattr("tempfile.tempdir", None)
        made.write("code.py", CODE)
        made.write("helper.py", HELPER)
        yield made


def digest(project: Project, service: dict[str, Any], faults: str = "", **more: Any) -> str:
    """The digest of a run; its directory is named by the implementation."""
    node = {**service, **more}
    out = project.path / f"run-{len(list(project.path.iterdir()))}"
    scenario = loads(SCENARIO.format(service=node, faults=faults), base=project.path)
    return Federation(scenario, out=out).run()


@pytest.mark.parametrize("faults", ["", CRASH], ids=["whole", "restarted"])
@pytest.mark.parametrize("name", SERVICES)
def test_same_digest_in_a_process(project: Project, name: str, faults: str) -> None:
    service = SERVICES[name]
    inside = digest(project, service, faults)
    for transport in ("unix", "tcp", "stdio"):
        outside = digest(project, service, faults, implementation="process", transport=transport)
        assert outside == inside, transport


def test_the_services_do_something(project: Project) -> None:
    # Otherwise equal digests would say little.
    for name, service in SERVICES.items():
        digest(project, service, CRASH, implementation="process")
        last = max(project.path.glob("run-*"), key=lambda path: int(path.name[4:]))
        with open_run(last) as run:
            [(answers,)] = run.connection.execute(
                "SELECT count(*) FROM messages WHERE source = 'service'"
            )
            records = dict(
                run.connection.execute("SELECT name, count(*) FROM measurements GROUP BY name")
            )
        assert answers > 5, name
        if name == "draws":
            assert records["started"] == 2
        if name == "overloads":
            assert records["rejected"] > 5


def test_another_seed_is_another_run(project: Project) -> None:
    service = SERVICES["draws"] | {"implementation": "process"}
    first = digest(project, service)
    text = SCENARIO.format(service=service, faults="") + "seed: 2\n"
    assert Federation(loads(text, base=project.path)).run() != first


def test_service_that_raises(project: Project) -> None:
    project.write(
        "broken.py",
        "class Broken:\n"
        "    def on_message(self, ctx, msg):\n"
        "        print('about to fail')\n"
        "        raise KeyError('weights')\n",
    )
    project.write(
        "services.yaml",
        SCENARIO.format(service={"service": "broken.py:Broken", "implementation": "process"},
                        faults=""),
    )  # fmt: skip
    ended = project.simcore("services.yaml", "--out", "run")
    assert ended.code == 3
    assert "simcore: the service of service raised KeyError: 'weights'" in ended.err
    assert f'File "{project.path / "broken.py"}", line 4, in on_message' in ended.err
    assert "    about to fail\n" in ended.err


def test_service_that_cannot_be_imported(project: Project) -> None:
    project.write("broken.py", "import nothing_of_this_name\nclass Broken: pass\n")
    project.write(
        "services.yaml",
        SCENARIO.format(service={"service": "broken.py:Broken", "implementation": "process"},
                        faults=""),
    )  # fmt: skip
    ended = project.simcore("services.yaml", "--out", "run")
    assert ended.code == 3
    assert "broken.py:Broken: importing it raised ModuleNotFoundError" in ended.err


def test_a_service_finds_what_simcore_finds(
    project: Project, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    (elsewhere / "far_away.py").write_text("VALUE = 42\n")
    monkeypatch.setattr(sys, "path", [*sys.path, str(elsewhere)])
    project.write(
        "far.py",
        "import far_away\n"
        "class Far:\n"
        "    def start(self, ctx):\n"
        "        ctx.record('value', far_away.VALUE)\n",
    )
    inside = digest(project, {"service": "far.py:Far"})
    assert digest(project, {"service": "far.py:Far"}, implementation="process") == inside
