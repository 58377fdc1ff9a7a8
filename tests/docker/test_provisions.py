"""What the other tests stand on: images, wheels, and a look at what is left that can see it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from docker import DockerClient
from engine import OWNER, left, made_by_simcore, of_another, running
from provisions import base_image, requirements, sources, wheels

from simcore.guard import Owner
from simcore.private import owner_of

ONE_LINE = """
# deb http://mirror/ bookworm main
deb [arch=amd64 signed-by=/usr/share/keyrings/k.gpg] http://mirror/debian bookworm main
"""
STANZAS = """
Types: deb
URIs: http://mirror/debian
Suites: bookworm-updates bookworm
Components: main
"""


@pytest.mark.parametrize(
    ("name", "text", "taken"),
    [
        ("a.list", ONE_LINE, True),
        ("a.sources", STANZAS, True),
        ("a.list", "deb http://mirror/ cloud-bookworm main\n", False),
        ("a.list", "# deb http://mirror/ bookworm main\n", False),
        (
            "a.sources",
            "Types: deb\nURIs: http://mirror/\nSuites: trixie\nComponents: main\n",
            False,
        ),
        ("a.sources.bak", STANZAS, False),
    ],
)
def test_sources_of_the_suite(tmp_path: Path, name: str, text: str, taken: bool) -> None:
    folder = tmp_path / "sources.list.d"
    folder.mkdir()
    (folder / name).write_text(text)
    assert sources("bookworm", tmp_path) == ([folder / name] if taken else [])


def test_the_base_has_python_and_nothing_of_simcores(engine: DockerClient, base_image: str) -> None:
    program = "import pip, sys, venv; print(sys.version_info >= (3, 11)); import simcore"
    with running(engine, base_image, ["python3", "-c", program], network_mode="none") as container:
        assert container.wait()["StatusCode"] == 1
        told = container.logs().decode()
    assert "True\n" in told and "No module named 'simcore'" in told


def test_what_is_there_is_not_made_again(engine: DockerClient) -> None:
    first = base_image(engine)
    identity = engine.images.get(first).id
    folder = wheels(engine, first)
    made = [(file.name, file.stat().st_mtime_ns) for file in sorted(folder.iterdir())]
    assert base_image(engine) == first
    assert engine.images.get(first).id == identity
    assert wheels(engine, first) == folder
    assert [(file.name, file.stat().st_mtime_ns) for file in sorted(folder.iterdir())] == made


def test_the_wheels_suffice_without_an_index(
    engine: DockerClient, base_image: str, wheels: Path
) -> None:
    lists = [
        word for file in requirements() for word in ("-r", f"/services/{file.parent.name}.txt")
    ]
    assert lists
    options = ["--dry-run", "--no-index", "--find-links=/wheels", "--target=/tmp/packages"]
    mounts = {wheels: "/wheels"}
    mounts |= {file: f"/services/{file.parent.name}.txt" for file in requirements()}
    with running(
        engine, base_image, ["python3", "-m", "pip", "install", *options, *lists], network_mode="none",
        volumes={str(ours): {"bind": theirs, "mode": "ro"} for ours, theirs in mounts.items()},
    ) as container:  # fmt: skip
        assert container.wait()["StatusCode"] == 0, container.logs().decode()


def test_mosquitto_is_there(engine: DockerClient, mosquitto_image: str) -> None:
    with running(engine, mosquitto_image, ["mosquitto", "-h"], network_mode="none") as container:
        container.wait()
        assert b"mosquitto version 2." in container.logs()


def labels(run: str) -> dict[str, str]:
    return {"simcore.run": run, OWNER: json.dumps(owner_of(run))}


def test_what_is_left_is_seen(engine: DockerClient, base_image: str) -> None:
    ours = labels(Owner.new().run)
    with running(engine, base_image, ["true"], network_mode="none", labels=ours) as container:
        [seen] = [each for each in made_by_simcore(engine) if each.id == container.id]
        assert seen.labels == ours
        assert len([each for each in left(engine, clearing=0) if container.name in each]) == 1
        # Also what a test beside this one has killed at this moment, and its guard will remove.
        before = {each.id for each in made_by_simcore(engine)}
        assert container.id in before
        found = left(engine, before=before, clearing=0)
        assert [each for each in found if container.name in each] == []
    assert left(engine) == []


def test_what_belongs_to_another_run_is_not_ours() -> None:
    program = "from simcore.guard import Owner; print(Owner.new().run, flush=True); __import__('sys').stdin.read()"
    command = [sys.executable, "-c", program]
    with subprocess.Popen(command, stdin=-1, stdout=-1, text=True) as other:
        assert other.stdout is not None
        theirs = labels(other.stdout.readline().strip())
        assert of_another(theirs)
        other.communicate("")
    assert not of_another(theirs), "nobody is there any more to remove it"
    assert not of_another(labels(Owner.new().run))
    assert not of_another({"simcore.run": "1"})


@pytest.mark.parametrize(("ci", "code"), [("true", 1), ("", 0)])
def test_no_engine_is_said(tmp_path: Path, ci: str, code: int) -> None:
    environment = os.environ | {"DOCKER_HOST": f"unix://{tmp_path}/none.sock", "CI": ci}
    program = Path(__file__).with_name("prepare.py")
    done = subprocess.run(
        [sys.executable, program], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == code
    assert done.stderr.startswith("tests with Docker cannot run: no Docker Engine answers: ")
