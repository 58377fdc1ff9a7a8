"""A service leaves the simulation: the same image, a real broker, and the answers are the same.

simulated:  meter  --messages-->  node (python_model)
deployed:   paho client  --MQTT-->  Mosquitto  --MQTT-->  node's container, started by
                                                          scripts/deploy_to_edge.sh
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest
from brokers import Device, Mosquitto
from deploying import NODE, deploy, deployed, forget_images
from docker import DockerClient
from simcore_backends.docker import images
from simcore_backends.docker.engine import Engine
from simcore_backends.docker.hardening import USER, settings
from simcore_backends.services.echo import Echo
from support import ROOT

import simcore

METER = """\
from pathlib import Path

RECORDS = (Path(__file__).parent / "data" / "digits.bin").read_bytes()


def meter(node):
    # The half that the models were not trained on: 64 grey levels and the digit, each.
    images = [RECORDS[at : at + 64] for at in range(898 * 65, len(RECORDS), 65)]
    payloads = [{"index": index, "image": image} for index, image in enumerate(images)]
    payloads += [{"index": -1, "image": b"short"}, {"index": -2}, [1e-5, None]]
    for payload in payloads:
        node.send(NODE, "reading", payload)
        yield node.receive()


NODE = "%s"
"""

SCENARIO = """\
simcore: 1
seed: 7
duration: 1000s
nodes:
  meter: {model: meter.py:meter}
  %s: {service: %s, config: %s}
network:
  model: latency
  links:
    - {between: [meter, %s], delay: 10ms}
"""

CONFIGS = {
    "echo": "{kind: pong, compute: 4ms}",
    "onnx_inference": "{model: models/digits_mlp.onnx, scale: 16, digits: 6, keep: [index], "
    "compute: {min: 12ms, exponential: 4ms}}",
    "torch_inference": "{model: models/digits_cnn.py:DigitsCnn, weights: models/digits_cnn.pt, "
    "shape: [1, 8, 8], scale: 16, softmax: true, compute: 8ms, kind: verdict, keep: [index]}",
}


@dataclass
class Simulated:
    """What was asked and answered in a simulation: kind and payload, in order."""

    scenario: Path
    asked: list[tuple[str, str]]
    answered: list[tuple[str, str]]


def simulated(folder: Path, service: str) -> Simulated:
    for name in ("models", "data"):
        (folder / name).symlink_to(ROOT / "scenarios" / name)
    (folder / "meter.py").write_text(METER % NODE, encoding="utf-8")
    scenario = folder / "scenario.yaml"
    scenario.write_text(SCENARIO % (NODE, service, CONFIGS[service], NODE), encoding="utf-8")
    simcore.run_scenario(simcore.load(scenario), out=folder / "run")
    with simcore.open_run(folder / "run") as run:
        query = "SELECT kind, payload FROM messages WHERE source = ? ORDER BY number"
        asked, answered = (
            run.connection.execute(query, (name,)).fetchall() for name in ("meter", NODE)
        )
    assert len(asked) == len(answered) == 902
    return Simulated(scenario, asked, answered)


@pytest.fixture(autouse=True)
def no_images_left(engine: DockerClient) -> Iterator[None]:
    """The node's own images go; those of the services are kept, for they take long to build."""
    yield
    forget_images(engine)


@pytest.mark.usefixtures("provisions")
@pytest.mark.parametrize("service", CONFIGS)
def test_answers_are_those_of_the_simulation(
    engine: DockerClient, broker: Mosquitto, tmp_path: Path, service: str
) -> None:
    expected = simulated(tmp_path, service)
    with (
        Device(broker.port, f"simcore/meter/{NODE}/+", f"simcore/{NODE}/status") as device,
        deployed(engine, expected.scenario, broker) as container,
    ):
        device.hears(f"simcore/{NODE}/status", b"online")
        for kind, payload in expected.asked:
            device.say(f"simcore/{NODE}/meter/{kind}", payload.encode())
        device.until(lambda: len(device.heard) == len(expected.answered))
        heard = [(topic.rpartition("/")[2], text.decode()) for topic, text in device.heard]
        assert heard == expected.answered
        device.heard.clear()
        container.stop()
        device.hears(f"simcore/{NODE}/status", b"offline")
        container.reload()
        assert container.attrs["State"]["ExitCode"] == 0


@pytest.mark.usefixtures("provisions")
def test_the_container_may_do_what_it_may_in_a_simulation(
    engine: DockerClient, broker: Mosquitto, tmp_path: Path
) -> None:
    expected = simulated(tmp_path, "echo")
    with deployed(engine, expected.scenario, broker) as container:
        found = container.attrs["HostConfig"]
        wanted = settings({}, ())
        # Beside the network, over which it reaches the broker, and the log, which is kept.
        for key in wanted.keys() - {"NetworkMode", "LogConfig"}:
            assert found[key] == wanted[key], key
        assert container.attrs["Config"]["User"] == USER
        assert found["RestartPolicy"]["Name"] == "unless-stopped"


@pytest.mark.usefixtures("provisions")
def test_the_image_is_that_of_the_simulation(
    engine: DockerClient, broker: Mosquitto, tmp_path: Path
) -> None:
    expected = simulated(tmp_path, "echo")
    with closing(Engine()) as asked:
        image = images.of_service(asked, "echo", Echo, print)
    try:
        ended = deploy(expected.scenario, broker)
        assert f"{image.name} is here already" in ended.stdout.splitlines(), ended
        found = engine.containers.get(f"simcore-{NODE}").image.attrs["RootFS"]["Layers"]
    finally:
        engine.containers.get(f"simcore-{NODE}").remove(force=True, v=True)
    layers = engine.images.get(image.id).attrs["RootFS"]["Layers"]
    assert found[: len(layers)] == layers


@pytest.mark.usefixtures("provisions")
def test_a_service_that_fails_at_its_start_is_noticed(
    engine: DockerClient, broker: Mosquitto, tmp_path: Path
) -> None:
    (tmp_path / "mine.py").write_text(
        "class Mine:\n    def start(self, ctx):\n        raise ValueError('no sensor')\n",
        encoding="utf-8",
    )
    scenario = tmp_path / "scenario.yaml"
    scenario.write_text(
        f"simcore: 1\nduration: 1s\nnodes:\n  {NODE}: {{service: 'mine.py:Mine'}}\n",
        encoding="utf-8",
    )
    try:
        ended = deploy(scenario, broker)
        assert ended.returncode == 2, ended
        assert "ValueError: no sensor" in ended.stderr
        assert f"simcore-{NODE} does not stay up on local" in ended.stderr
    finally:
        engine.containers.get(f"simcore-{NODE}").remove(force=True, v=True)


@pytest.mark.usefixtures("provisions")
def test_limits_of_the_scenario_come_along(
    engine: DockerClient, broker: Mosquitto, tmp_path: Path
) -> None:
    expected = simulated(tmp_path, "echo")
    text = expected.scenario.read_text(encoding="utf-8").replace(
        "service: echo",
        "implementation: docker, service: echo, allow: [write], "
        "limits: {memory: 64MiB, cpus: 0.5, cpu_set: '0', processes: 20, shm: 1MiB}",
    )
    expected.scenario.write_text(text, encoding="utf-8")
    limits = {"memory": "64MiB", "cpus": 0.5, "cpu_set": "0", "processes": 20, "shm": "1MiB"}
    with deployed(engine, expected.scenario, broker) as container:
        found = container.attrs["HostConfig"]
        wanted = settings(limits, ["write"])
        for key in wanted.keys() - {"NetworkMode", "LogConfig"}:
            assert found[key] == wanted[key], key


@pytest.mark.usefixtures("provisions")
def test_it_starts_again_when_it_died_and_when_it_is_deployed_again(
    engine: DockerClient, broker: Mosquitto, tmp_path: Path
) -> None:
    expected = simulated(tmp_path, "echo")
    status = f"simcore/{NODE}/status"
    with (
        Device(broker.port, status, "simcore/meter/#") as device,
        deployed(engine, expected.scenario, broker) as container,
    ):
        device.hears(status, b"online")
        container.exec_run(["python3", "-c", "import os; os.kill(-1, 9)"])
        device.hears(status, b"offline")
        device.hears(status, b"online")
        assert deploy(expected.scenario, broker).returncode == 0
        device.hears(status, b"offline")
        device.hears(status, b"online")
        assert engine.containers.get(f"simcore-{NODE}").id != container.id
        device.say(f"simcore/{NODE}/meter/x", b"1")
        device.hears(f"simcore/meter/{NODE}/pong", b"1")


@pytest.mark.usefixtures("provisions")
def test_a_container_of_somebody_else_is_left_alone(
    engine: DockerClient, base_image: str, broker: Mosquitto, tmp_path: Path
) -> None:
    expected = simulated(tmp_path, "echo")
    other = engine.containers.create(base_image, ["true"], name=f"simcore-{NODE}")
    try:
        ended = deploy(expected.scenario, broker)
        assert ended.returncode == 2
        assert (
            f"a container simcore-{NODE} already, and this script did not make it" in ended.stderr
        )
        other.reload()
        assert other.status == "created"
    finally:
        other.remove(force=True)


@pytest.mark.usefixtures("provisions")
def test_a_service_of_the_scenarios_own(
    engine: DockerClient, broker: Mosquitto, tmp_path: Path
) -> None:
    (tmp_path / "words.py").write_text("WORD = 'seen'\n", encoding="utf-8")
    (tmp_path / "mine.py").write_text(
        "from words import WORD\n\n\n"
        "class Mine:\n"
        "    def on_message(self, ctx, msg):\n"
        "        ctx.reply(msg, WORD, ctx.path('notes/a.txt').read_text())\n",
        encoding="utf-8",
    )
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "a.txt").write_text("a note", encoding="utf-8")
    scenario = tmp_path / "scenario.yaml"
    scenario.write_text(
        f"simcore: 1\nduration: 1s\nnodes:\n  {NODE}: {{service: 'mine.py:Mine'}}\n",
        encoding="utf-8",
    )
    files = ("--file", "words.py", "--file", "notes")
    with (
        Device(broker.port, f"simcore/meter/{NODE}/+", f"simcore/{NODE}/status") as device,
        deployed(engine, scenario, broker, *files),
    ):
        device.hears(f"simcore/{NODE}/status", b"online")
        device.say(f"simcore/{NODE}/meter/x", b"1")
        device.hears(f"simcore/meter/{NODE}/seen", b'"a note"')
