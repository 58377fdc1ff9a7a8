"""Services in containers answer as they do in simcore's own process, however the container is made.

client (x 3) --ask--> service --answer--> client
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from contained import choice_of, contained, digest_of, log_of, manifest_of, run
from docker import DockerClient
from support import ROOT, Project

from simcore import open_run

SERVICES = '''
import json

import helper


class Tariff:
    """Prices from a file, random numbers, timers, measurements and computing."""

    def start(self, ctx):
        self.prices = json.loads(ctx.path("data/prices.json").read_text())
        ctx.set_timer("report", "5ms")
        self.asked = 0

    def on_message(self, ctx, msg):
        self.asked += 1
        ctx.compute({"table": "data/costs.txt"})
        price = helper.price(self.prices, msg.payload["number"], ctx.random.random())
        ctx.reply(msg, "answer", {"price": price, "data": msg.payload["data"]})

    def on_timer(self, ctx, name):
        ctx.record("asked", self.asked)
        ctx.set_timer("report", "5ms")
        print("asked", self.asked, flush=True)
'''

HELPER = """
def price(prices, number, chance):
    return round(prices[number % len(prices)] * (1 + chance), 6)
"""

SCENARIO = """
simcore: 1
name: tariff
duration: 50ms
nodes:
  client: {count: 3, model: models.py:client}
  service: {implementation: python_model, SERVICE}
network: {model: latency, links: [{between: [client, service], delay: 100us}]}
"""

DOCKERFILE = """
ARG BASE
FROM ${BASE} AS wanted
RUN echo a layer of its own > /made
FROM wanted AS unwanted
RUN false
"""


@pytest.fixture
def project(tmp_path: Path, base_image: str) -> Iterator[Project]:
    with contained(tmp_path) as made:
        made.write("services.py", SERVICES)
        made.write("helper.py", HELPER)
        (tmp_path / "data").mkdir()
        made.write("data/prices.json", "[1.5, 2.25, 3]")
        made.write("data/costs.txt", "# measured\n20us\n30us\n")
        made.write("scenario.yaml", SCENARIO.replace("SERVICE", "service: services.py:Tariff"))
        yield made


@pytest.fixture
def wanted(project: Project) -> str:
    """The digest in simcore's own process."""
    run(project)
    with open_run(project.path / "run") as opened:
        [(answers,)] = opened.connection.execute(
            "SELECT count(*) FROM messages WHERE kind = 'answer'"
        )
    assert answers > 50
    return digest_of(project)


def in_docker(*keys: str) -> list[str]:
    return [f"--set=nodes.service.{key}" for key in ("implementation=docker", *keys)]


def test_in_a_process(project: Project, wanted: str) -> None:
    run(project, "--set=nodes.service.implementation=process")
    assert digest_of(project) == wanted


def test_in_an_image(project: Project, wanted: str, base_image: str) -> None:
    """Which holds Python, and nothing of simcore's."""
    ended = run(project, *in_docker(f"image={base_image}"))
    assert digest_of(project) == wanted
    assert choice_of(ended) == "a Unix socket"
    assert re.findall(r"^asked (\d+)$", log_of(project, "service"), re.M) != []


@pytest.mark.usefixtures("provisions")
def test_in_the_image_of_simcores_own(project: Project, wanted: str) -> None:
    run(project, *in_docker())
    assert digest_of(project) == wanted


def test_in_an_image_that_is_built(
    project: Project, wanted: str, base_image: str, engine: DockerClient
) -> None:
    (project.path / "image").mkdir()
    project.write("image/tariff.dockerfile", DOCKERFILE)
    args = f"{{BASE: '{base_image}'}}"
    build = f"{{context: image, dockerfile: tariff.dockerfile, args: {args}, target: wanted}}"
    ended = run(project, *in_docker(f"build={build}"))
    assert digest_of(project) == wanted
    assert "docker: building the image of image" in ended.err
    made = manifest_of(project)["parts"]["image of service"]
    run(project, *in_docker(f"build={build}"))
    assert manifest_of(project)["parts"]["image of service"] == made, "taken from the cache"
    engine.images.remove(made)


def test_over_its_streams(project: Project, wanted: str, base_image: str) -> None:
    """What it prints then goes to the log, and not into the conversation."""
    run(project, *in_docker(f"image={base_image}", "transport=stdio"))
    assert digest_of(project) == wanted
    assert "asked " in log_of(project, "service")


CLOSED = {".": 0o700, "data": 0o700, "data/prices.json": 0o600}


@pytest.mark.parametrize("name", CLOSED)
def test_in_a_folder_that_only_its_owner_may_read(
    project: Project, wanted: str, base_image: str, name: str
) -> None:
    """It is copied into the container, in which another user reads it."""
    (project.path / name).chmod(CLOSED[name])
    run(project, *in_docker(f"image={base_image}"), "--log-level=info")
    assert digest_of(project) == wanted
    log = (project.path / "run" / "logs" / "simcore.log").read_text()
    assert f"{project.path} is copied into containers: " in log
    assert "may not be read by everybody" in log


def test_with_data_elsewhere(project: Project, wanted: str, base_image: str) -> None:
    """A link that leads out of the scenario's folder is followed for the container."""
    (project.path / "data").rename(project.path.parent / f"{project.path.name}-data")
    (project.path / "data").symlink_to(f"../{project.path.name}-data")
    run(project, *in_docker(f"image={base_image}"))
    assert digest_of(project) == wanted


FILES = "[services.py, helper.py, data/prices.json, data/costs.txt]"


@pytest.mark.parametrize("transport", ["unix", "stdio"])
def test_with_the_files_that_it_needs(
    project: Project, wanted: str, base_image: str, transport: str
) -> None:
    keys = (f"image={base_image}", f"transport={transport}")
    run(project, *in_docker(*keys, f"files={FILES}"))
    assert digest_of(project) == wanted
    some = FILES.replace("data/costs.txt", "data/../data/costs.txt")
    assert project.simcore("scenario.yaml", *in_docker(*keys, f"files={some}")).code == 2
    missing = FILES.replace("helper.py, ", "")
    ended = project.simcore("scenario.yaml", *in_docker(*keys, f"files={missing}"))
    assert ended.code == 3
    assert (
        "services.py:Tariff: importing it raised ModuleNotFoundError: No module named 'helper'"
        in ended.err
    )


def test_files_called_as_modules_of_pythons_are(
    project: Project, wanted: str, base_image: str
) -> None:
    """The scenario's folder is the working directory, from which Python must not import."""
    for name in ("socket", "json", "selectors", "heapq"):
        project.write(f"{name}.py", "raise SystemExit('this is not the module')\n")
    above = Project(project.path.parent, project.environment)
    scenario = f"{project.path.name}/scenario.yaml"
    services = SERVICES.replace("import json\n", "").replace("json.loads", "eval")
    project.write("services.py", services)
    ended = above.simcore(
        scenario, "--out", project.path / "run2", *in_docker(f"image={base_image}")
    )
    assert ended.code == 0, ended.err
    assert digest_of(project, "run2") == wanted


def test_workers_and_queue(project: Project, base_image: str) -> None:
    slow = SERVICES.replace('{"table": "data/costs.txt"}', '{"exponential": "900us"}')
    project.write("services.py", slow)
    limits = ["--set=nodes.service.workers=2", "--set=nodes.service.queue=1"]
    ended = project.simcore("scenario.yaml", "--out", "run", *limits)
    contained = project.simcore(
        "scenario.yaml", "--out", "run2", *limits, *in_docker(f"image={base_image}")
    )
    assert (ended.code, contained.code) == (0, 0), contained.err
    assert digest_of(project) == digest_of(project, "run2")
    with open_run(project.path / "run2") as opened:
        query = "SELECT count(*) FROM measurements WHERE name = 'rejected'"
        assert opened.connection.execute(query).fetchone() > (5,)


def test_ten_runs_of_an_installed_service(
    project: Project, provisions: dict[str, str], base_image: str
) -> None:
    """And each of its own image, of a plain one, of either transport."""
    project.write(
        "scenario.yaml",
        SCENARIO.replace("SERVICE", "service: echo, config: {compute: {exponential: 50us}}"),
    )
    run(project)
    wanted = digest_of(project)
    run(project, "--set=nodes.service.implementation=process")
    assert digest_of(project) == wanted
    for number in range(10):
        keys = ["transport=stdio"] if number % 2 else []
        keys += [f"image={base_image}"] if number % 5 == 0 else []
        run(project, *in_docker(*keys))
        assert digest_of(project) == wanted


@pytest.mark.slow
@pytest.mark.usefixtures("provisions")
def test_ten_runs_of_the_gateway(tmp_path: Path) -> None:
    """Real models: ONNX Runtime at the edge, and PyTorch in the cloud, in containers."""
    with contained(tmp_path) as project:
        scenarios = ROOT / "scenarios"
        ended = project.simcore(scenarios / "gateway_python.yaml", "--out", "run")
        assert ended.code == 0, ended.err
        wanted = digest_of(project)
        both = "--set=nodes.cloud.implementation=docker"
        for number in range(10):
            options = [both] if number % 2 else []
            ended = project.simcore(
                scenarios / "gateway_docker.yaml", "--out", f"run{number}", *options
            )
            assert ended.code == 0, ended.err
            assert digest_of(project, f"run{number}") == wanted


# -- What the results say


def test_results_tell_of_the_container(
    project: Project, base_image: str, engine: DockerClient
) -> None:
    run(project, *in_docker(f"image={base_image}"))
    parts = manifest_of(project)["parts"]
    assert parts["docker"] == engine.version()["Version"]
    assert parts["image of service"] == engine.images.get(base_image).id
    with open_run(project.path / "run") as opened:
        life = opened.participants().iloc[0]
    assert (life["name"], life["implementation"], life["kind"]) == (
        "service", "docker", "reactive",
    )  # fmt: skip
    assert life["exit"] == "exited with code 0"
    assert base_image in life["command"]


def test_verify_finds_what_depends_on_the_order_of_a_set(project: Project, base_image: str) -> None:
    # So many that no two seeds of hashes give one order.
    texts = "list({str(number) for number in range(50)})"
    project.write("services.py", SERVICES.replace('"price": price', f'"price": {texts}'))
    run(project, *in_docker(f"image={base_image}"))
    ended = project.simcore("verify", "run")
    assert ended.code == 1, ended.err + ended.out
    assert "service/1" in ended.out


def test_verify_and_compare(project: Project, base_image: str) -> None:
    keys = in_docker(f"image={base_image}")
    run(project, *keys)
    ended = project.simcore("verify", "run")
    assert ended.code == 0, ended.err + ended.out
    assert "identical" in ended.out
    run(project, out="other")
    ended = project.simcore("compare", "run", "other")
    assert ended.code == 0, ended.err + ended.out
    assert "image of service" in ended.out
