"""An engine that is not there, refuses, or fails: said clearly, tried again only where that helps.

simcore --- proxy, which lets requests fail --- Docker Engine
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from boxed import boxed, sink
from docker import DockerClient
from engine_proxy import EngineProxy, Fault, Kind
from support import Ended, Project, heeding_modes

CREATE = "POST /containers/create"
"""Also asks for the container that tries what transport there is: the first of three."""
START = "POST /containers/[^/]+/start"
REMOVE = "DELETE /containers/"
TRIES = 4
NODES = ("sink", "other")
DIGEST = re.compile(r"digest ([0-9a-f]+)")


@pytest.fixture
def project(tmp_path: Path, base_image: str) -> Iterator[Project]:
    tmp_path.chmod(0o755)  # nobody's program reads it
    with boxed(tmp_path, base_image) as made:
        yield made


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory, base_image: str) -> list[str]:
    """The digest of a run without any trouble."""
    folder = tmp_path_factory.mktemp("undisturbed")
    folder.chmod(0o755)
    with boxed(folder, base_image) as project:
        found = DIGEST.findall(run(project).out)
    assert len(found) == 1
    return found


@pytest.fixture
def short() -> Iterator[Path]:
    """A folder whose name is short, as sockets need it."""
    with tempfile.TemporaryDirectory(prefix="p") as folder:
        yield Path(folder)


def run(project: Project, *options: str, **environment: str) -> Ended:
    project.environment |= environment
    return project.simcore("scenario.yaml", "--out", "run", *options)


def through(project: Project, folder: Path, *faults: Fault) -> tuple[Ended, EngineProxy]:
    """A run with these faults of the engine's, all of whose requests the proxy has noted."""
    with EngineProxy(folder, faults) as proxy:
        return run(project, DOCKER_HOST=proxy.host), proxy


# -- No engine ---------------------------------------------------------------------------------


def test_no_engine(project: Project, short: Path) -> None:
    ended = run(project, DOCKER_HOST=f"unix://{short}/none.sock")
    assert ended.code == 3
    assert ended.err.startswith(
        f"simcore: no Docker Engine answers at unix://{short}/none.sock (named by DOCKER_HOST): "
        "is that right, and is it running? (No such file or directory)\n"
    )
    assert "Traceback" not in ended.err


def test_engine_elsewhere_that_does_not_answer(project: Project) -> None:
    ended = run(project, DOCKER_HOST="tcp://127.0.0.1:1")
    assert ended.code == 3
    assert ended.err.startswith("simcore: no Docker Engine answers at ")
    assert "(Connection refused)" in ended.err and "Traceback" not in ended.err


def test_no_permission(project: Project, short: Path) -> None:
    with EngineProxy(short) as proxy:
        (short / "proxy.sock").chmod(0o000)
        project.environment["DOCKER_HOST"] = proxy.host
        with project.start("scenario.yaml", "--out", "run", prefix=heeding_modes()) as started:
            ended = started.end()
    assert ended.code == 3
    assert ended.err.startswith(
        f"simcore: no permission to use the Docker Engine at unix://{short}/proxy.sock: "
        "add yourself to the group docker"
    )
    assert "Traceback" not in ended.err and proxy.requests == []


# -- What the engine refuses is final ----------------------------------------------------------


def test_image_that_is_missing(project: Project) -> None:
    ended = run(project, *sink(image="localhost:1/none:1"))
    assert ended.code == 3
    said = "simcore: sink: the image localhost:1/none:1 is not on the Docker Engine at unix:///var/run/docker.sock"
    assert said in ended.err
    assert "Traceback" not in ended.err


DOCKERFILES = {
    "RUN echo all is well && false": "all is well",
    "COPY none /": "none",
    "FRO scratch": "FRO",
}


@pytest.mark.parametrize("line", DOCKERFILES)
def test_build_that_fails(project: Project, base_image: str, line: str) -> None:
    folder = project.path / "image"
    folder.mkdir()
    (folder / "Dockerfile").write_text(f"FROM {base_image}\n{line}\n")
    scenario = (
        (project.path / "scenario.yaml").read_text().replace(f"image: {base_image}", "build: image")
    )
    project.write("scenario.yaml", scenario)
    ended = run(project)
    assert ended.code == 3
    assert re.search(r"^simcore: sink: the image image cannot be built: ", ended.err, re.M), (
        ended.err
    )
    assert DOCKERFILES[line] in ended.err and "Traceback" not in ended.err


BUILD = "POST /build"
PULL = "POST /images/create"


def to_be_built(project: Project, base_image: str) -> None:
    """Have the image of both nodes be built."""
    folder = project.path / "image"
    folder.mkdir()
    (folder / "Dockerfile").write_text(f"FROM {base_image}\nENV A=1\n")
    text = (project.path / "scenario.yaml").read_text()
    project.write("scenario.yaml", text.replace(f"image: {base_image}", "build: image"))


@pytest.mark.parametrize("kind", ["500", "close", "lose", "cut"])
def test_a_build_that_is_disturbed_is_begun_again(
    project: Project, short: Path, base_image: str, undisturbed: list[str], kind: Kind
) -> None:
    to_be_built(project, base_image)
    ended, proxy = through(project, short, Fault(BUILD, kind, times=2))
    assert ended.code == 0, ended.err
    assert DIGEST.findall(ended.out) == undisturbed
    told = (project.path / "run" / "logs" / "simcore.log").read_text()
    assert told.count("the Docker Engine failed to build the image image (") == 2
    assert len(proxy.asked(BUILD)) >= 3


@pytest.mark.parametrize("kind", ["500", "close", "cut"])
def test_a_build_that_is_disturbed_each_time(
    project: Project, short: Path, base_image: str, kind: Kind
) -> None:
    to_be_built(project, base_image)
    ended, proxy = through(project, short, Fault(BUILD, kind, times=99))
    assert ended.code == 3
    assert "simcore: sink: the image image cannot be built: " in ended.err
    assert "Traceback" not in ended.err
    assert len(proxy.asked(BUILD)) == TRIES


@pytest.mark.parametrize(("kind", "tries"), [("500", TRIES), ("close", TRIES), ("refuse", 1)])
def test_a_pull_that_is_disturbed(project: Project, short: Path, kind: Kind, tries: int) -> None:
    image = "--set=nodes.sink.image=localhost:1/none:1"
    with EngineProxy(short, [Fault(PULL, kind, times=99)]) as proxy:
        ended = run(project, image, DOCKER_HOST=proxy.host)
    assert ended.code == 3 and "Traceback" not in ended.err
    assert "simcore: sink: the image localhost:1/none:1 is not on the Docker Engine" in ended.err
    assert len(proxy.asked(PULL)) == tries


@pytest.mark.parametrize("request_", [CREATE, START])
def test_what_is_refused_is_not_asked_again(project: Project, short: Path, request_: str) -> None:
    ended, proxy = through(project, short, Fault(request_, "refuse", times=99))
    assert ended.code == 3
    assert "refuses to " in ended.err and "the engine has a headache" in ended.err
    assert "asked again" not in ended.err
    asked = proxy.asked(request_)
    assert len(asked) == len(set(asked)) <= 3


def test_command_that_is_not_in_the_image(project: Project, short: Path) -> None:
    with EngineProxy(short) as proxy:
        ended = run(project, "--set=nodes.sink.command=[no-such-program]", DOCKER_HOST=proxy.host)
    assert ended.code == 3
    assert "no-such-program" in ended.err and "Traceback" not in ended.err
    starts = proxy.asked(START)
    assert len(starts) == len(set(starts)) == 2


# -- What the engine fails in is tried again, so many times --------------------------------------


@pytest.mark.parametrize(
    ("request_", "what", "kind"),
    [
        *((CREATE, "create", kind) for kind in ("500", "close", "lose")),
        *((START, "start", kind) for kind in ("500", "close", "lose")),
        *((REMOVE, "remove", kind) for kind in ("500", "close", "lose")),
        # Its answer has no end that could be lost.
        *(("POST /containers/[^/]+/attach", "attach", kind) for kind in ("500", "close")),
    ],
)
def test_trouble_that_passes(
    project: Project, short: Path, undisturbed: list[str], request_: str, what: str, kind: Kind
) -> None:
    """Nothing is lost by it, and who watches the run learns of it."""
    ended, _ = through(project, short, Fault(request_, kind, times=2))
    assert ended.code == 0, ended.err
    assert "containers connect over a Unix socket" in ended.err
    assert DIGEST.findall(ended.out) == undisturbed
    told = (project.path / "run" / "logs" / "simcore.log").read_text().splitlines()
    assert len([each for each in told if f"the Docker Engine failed to {what} " in each]) == 2
    assert len([each for each in told if "it is asked again in 0." in each]) == 2


def test_what_was_started_is_not_started_again(
    project: Project, short: Path, engine: DockerClient
) -> None:
    """Its program has ended when the start is asked for again, since the answer was lost."""

    def wait_for_its_end() -> None:
        started = proxy.asked(START)[-1].split("/")[2]
        engine.containers.get(started).wait()

    both = [f"--set=nodes.{node}.command=[python3, program.py, exits_at_once]" for node in NODES]
    fault = Fault(START, "lose", times=9, action=wait_for_its_end)
    with EngineProxy(short, [fault]) as proxy:
        ended = run(project, *both, DOCKER_HOST=proxy.host)
    assert ended.code == 3 and "exited with code 7" in ended.err, ended.err
    for node in NODES:  # the run may have ended before the other got so far
        log = (project.path / "run" / "logs" / f"{node}.log").read_text()
        assert log.count("started as") <= 1, log


@pytest.mark.parametrize("kind", ["500", "close"])
@pytest.mark.parametrize(("request_", "what"), [(CREATE, "create"), (START, "start")])
def test_trouble_that_stays(
    project: Project, short: Path, request_: str, what: str, kind: Kind
) -> None:
    ended, proxy = through(project, short, Fault(request_, kind, times=99))
    assert ended.code == 3
    assert f"failed to {what} " in ended.err and f", {TRIES} times: " in ended.err
    assert "Traceback" not in ended.err
    asked = proxy.asked(request_)
    assert max(asked.count(each) for each in asked) == TRIES
    assert (project.path / "run" / "manifest.json").exists()


def test_container_that_cannot_be_removed(project: Project, short: Path) -> None:
    """The results are there all the same, and the guard tries again."""
    ended, _ = through(project, short, Fault(REMOVE, "500", times=TRIES))
    assert ended.code == 0, ended.err
    assert "Warnings" in ended.out and "Traceback" not in ended.err
    log = (project.path / "run" / "logs" / "simcore.log").read_text()
    left = r"simcore-\w+-1-probe is left: .*failed to remove .*; docker rm -f simcore-\w+-1-probe"
    assert re.search(left, log)
