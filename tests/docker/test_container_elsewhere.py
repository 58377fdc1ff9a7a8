"""An engine on another machine: containers are spoken with over their streams, files are copied.

simcore --- TCP, also encrypted --- proxy, which hides this machine's files --- Docker Engine

What stands in for another machine is a proxy; the engine behind it is the local one.
"""

from __future__ import annotations

import os
import shutil
import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from contained import choice_of, contained, digest_of, log_of, run
from engine_proxy import EngineProxy
from support import PATIENCE, Project, require

SERVICES = """
import helper


class Reads:
    def start(self, ctx):
        print("started", flush=True)

    def on_message(self, ctx, msg):
        ctx.reply(msg, "answer", helper.table(ctx)[msg.payload["number"] % 3])
"""

HELPER = """
def table(ctx):
    return ctx.path("data/table.txt").read_text().split()
"""

SCENARIO = """
simcore: 1
duration: 20ms
nodes:
  client: {count: 2, model: models.py:client}
  service: {implementation: python_model, service: services.py:Reads}
network: {model: latency, links: [{between: [client, service], delay: 1ms}]}
"""

STREAMS = (
    "their standard input and output, for the engine does not share this machine's files with them"
)


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    with contained(tmp_path) as made:
        made.write("services.py", SERVICES)
        made.write("helper.py", HELPER)
        (tmp_path / "data").mkdir()
        made.write("data/table.txt", "one two three")
        made.write("scenario.yaml", SCENARIO)
        run(made)
        (tmp_path / "run").rename(tmp_path / "own")
        yield made


def in_docker(image: str, *keys: str) -> list[str]:
    return [
        f"--set=nodes.service.{key}" for key in ("implementation=docker", f"image={image}", *keys)
    ]


def test_over_tcp(project: Project, tmp_path: Path, base_image: str) -> None:
    with EngineProxy(tmp_path, elsewhere=True) as proxy:
        project.environment["DOCKER_HOST"] = proxy.host
        ended = run(project, *in_docker(base_image))
    assert choice_of(ended) == STREAMS
    assert proxy.host in ended.err
    assert digest_of(project) == digest_of(project, "own")
    assert log_of(project, "service") == "started\n"
    assert len(proxy.asked("PUT /containers/[^/]+/archive")) == 3, "the scenario, and simcore's two"


def test_encrypted(
    project: Project, tmp_path: Path, base_image: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As DOCKER_TLS_VERIFY asks for; both sides show who they are."""
    folder = tmp_path / "certificates"
    folder.mkdir()
    _make_certificates(folder)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "cert.pem", folder / "key.pem")
    context.load_verify_locations(folder / "ca.pem")
    context.verify_mode = ssl.CERT_REQUIRED
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):  # they would come first
        monkeypatch.delenv(name, raising=False)
    with EngineProxy(tmp_path, elsewhere=True, tls=context) as proxy:
        project.environment |= {
            "DOCKER_HOST": proxy.host, "DOCKER_TLS_VERIFY": "1", "DOCKER_CERT_PATH": str(folder),
        }  # fmt: skip
        ended = run(project, *in_docker(base_image))
    assert choice_of(ended) == STREAMS
    assert digest_of(project) == digest_of(project, "own")
    assert log_of(project, "service") == "started\n"


def _make_certificates(folder: Path) -> None:
    """One authority, and one certificate for both sides."""
    make = [require("openssl"), "req", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-x509"]
    ca = ["-subj", "/CN=authority", "-keyout", "ca-key.pem", "-out", "ca.pem"]
    own = ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1",
           "-CA", "ca.pem", "-CAkey", "ca-key.pem", "-keyout", "key.pem", "-out", "cert.pem"]  # fmt: skip
    for options in (ca, own):
        subprocess.run(
            [*make, *options], cwd=folder, check=True, capture_output=True, timeout=PATIENCE
        )


def test_a_socket_cannot_be_had_there(project: Project, tmp_path: Path, base_image: str) -> None:
    with EngineProxy(tmp_path, elsewhere=True) as proxy:
        project.environment["DOCKER_HOST"] = proxy.host
        ended = project.simcore("scenario.yaml", *in_docker(base_image, "transport=unix"))
    assert ended.code == 3
    assert (
        "service cannot be started: the Docker Engine refuses to create the container" in ended.err
    )
    assert "bind source path does not exist" in ended.err
    assert "Traceback" not in ended.err


def test_what_is_too_large_to_copy(project: Project, tmp_path: Path, base_image: str) -> None:
    """Said with what to do; and then done."""
    with (project.path / "video.bin").open("wb") as file:
        file.truncate(257 << 20)
    with EngineProxy(tmp_path, elsewhere=True) as proxy:
        project.environment["DOCKER_HOST"] = proxy.host
        ended = project.simcore("scenario.yaml", *in_docker(base_image))
        assert ended.code == 2, ended.err
        assert "is larger than 256 MiB: name what is needed with 'files'" in ended.err
        assert "Traceback" not in ended.err
        run(project, *in_docker(base_image, "files=[services.py, helper.py, data]"))
    assert digest_of(project) == digest_of(project, "own")


def test_the_current_context(project: Project, tmp_path: Path, base_image: str) -> None:
    """What `docker context use` has chosen, as Docker Desktop's and Colima's setup does."""
    docker = require("docker")
    environment = {**os.environ, **project.environment, "DOCKER_CONFIG": str(tmp_path / "config")}
    environment.pop("DOCKER_HOST", None)
    with EngineProxy(tmp_path, elsewhere=True) as proxy:
        for words in (("create", "lab", "--docker", f"host={proxy.host}"), ("use", "lab")):
            subprocess.run(
                [docker, "context", *words],
                env=environment,
                check=True,
                capture_output=True,
                timeout=PATIENCE,
            )
        project.environment["DOCKER_CONFIG"] = str(tmp_path / "config")
        ended = run(project, *in_docker(base_image))
    assert f" at {proxy.host}; containers connect over {STREAMS}" in ended.err
    assert digest_of(project) == digest_of(project, "own")
    shutil.rmtree(tmp_path / "config")
