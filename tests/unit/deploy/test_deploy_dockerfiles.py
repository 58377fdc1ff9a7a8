"""Images of services: one recipe for the classic builder and BuildKit, the same packages as here."""

from __future__ import annotations

import configparser
import re
from importlib.metadata import entry_points
from pathlib import Path

import pytest
from support import ROOT

SERVICES = sorted(file.parent for file in (ROOT / "backends" / "services").glob("*/Dockerfile"))

pytestmark = pytest.mark.parametrize("folder", SERVICES, ids=lambda folder: folder.name)


def instructions(folder: Path) -> list[str]:
    """The instructions of a Dockerfile, each on a line."""
    text = (folder / "Dockerfile").read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return "\n".join(lines).replace("\\\n", "").splitlines()


def test_nothing_that_only_one_builder_knows(folder: Path) -> None:
    text = (folder / "Dockerfile").read_text(encoding="utf-8")
    assert not re.search(
        r"<<|--mount|--link|--chmod|^# *(syntax|escape|check) *=", text, re.M | re.I
    )
    assert len([each for each in instructions(folder) if each.startswith("FROM ")]) == 2


def test_a_container_is_nobody_and_serves(folder: Path) -> None:
    found = instructions(folder)
    assert "USER 65534:65534" in found
    assert found[-1] == 'CMD ["python3", "-m", "simcore_backends.services.deploy"]'
    assert not any(each.startswith("ENTRYPOINT") for each in found)


def test_it_deploys_the_installed_service_of_its_name(folder: Path) -> None:
    entry = entry_points(group="simcore.services")[folder.name]
    (environment,) = [each for each in instructions(folder) if each.startswith("ENV ")]
    assert f"SIMCORE_DEPLOY_SERVICE={entry.value}" in environment.split()


def test_what_its_library_has_to_find_in_the_environment(folder: Path) -> None:
    """ONNX Runtime would send telemetry otherwise, as soon as it is imported."""
    service = entry_points(group="simcore.services")[folder.name].load()
    wanted = {f"{key}={value}" for key, value in getattr(service, "environment", {}).items()}
    assert ("ORT_DISABLE_TELEMETRY=1" in wanted) is (folder.name == "onnx_inference")
    importing = [each for each in instructions(folder) if each.startswith(("RUN ", "ENV "))]
    for each in importing:
        if "import " in each or each.startswith("ENV "):
            assert wanted <= set(each.split())


def test_packages_are_those_of_the_extras(folder: Path) -> None:
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg", encoding="utf-8")
    extras = dict(setup["options.extras_require"])
    known = [
        *extras["ml"].split("\n"),
        extras["mqtt"],
        *setup["options"]["install_requires"].split("\n"),
    ]
    wanted = (folder / "requirements.txt").read_text(encoding="utf-8").splitlines()
    assert any(each.startswith("paho-mqtt") for each in wanted)
    assert set(wanted) <= set(known)
