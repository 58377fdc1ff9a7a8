"""What is installed from a wheel works without the checkout, and brings no stray package.

The wheel is built from the source distribution, as a package index would have it, and goes
into an environment that is empty but for what it asks for. Nothing runs inside the checkout.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import venv
import zipfile
from dataclasses import dataclass
from pathlib import Path

import mosquitto
import pytest
from support import ROOT, require

NOT_SOURCE = shutil.ignore_patterns(
    ".git", ".tox", ".venv", ".*_cache", ".hypothesis", "__pycache__", "*.egg-info", "build",
    "dist", "runs", ".coverage*",
)  # fmt: skip

pytestmark = pytest.mark.slow


@dataclass(frozen=True)
class Installed:
    """An empty environment with the wheel in it, and a folder to work in."""

    python: Path
    folder: Path

    def simcore(self, *arguments: str) -> str:
        return run(self.python, "-m", "simcore", *arguments, cwd=self.folder)


def run(*command: str | Path, cwd: Path) -> str:
    """The output of a command that must succeed, and sees nothing of this environment."""
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "VIRTUAL_ENV"))}
    done = subprocess.run(
        [str(word) for word in command],
        cwd=cwd, env=inherited, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, f"{command}:\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("build")
    shutil.copytree(ROOT, folder / "source", ignore=NOT_SOURCE)
    run(sys.executable, "-m", "build", "--outdir", "dist", "source", cwd=folder)
    [built] = (folder / "dist").glob("*.whl")
    assert len(list((folder / "dist").glob("*.tar.gz"))) == 1
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    folder = tmp_path_factory.mktemp("installed")
    venv.create(folder / "venv", with_pip=True)
    python = folder / "venv" / "bin" / "python"
    run(python, "-m", "pip", "install", "--quiet", wheel, cwd=folder)
    work = folder / "elsewhere"
    work.mkdir()
    return Installed(python, work)


def test_the_wheel_holds_what_it_needs_and_nothing_generic(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    assert {name.split("/")[0] for name in names if ".dist-info" not in name} == {
        "simcore",
        "simcore_backends",
        "simcore_firmware",
        "simcore_netmodels",
        "simcore_scenarios",
        "simcore_schemas",
    }
    assert names >= {
        "simcore/py.typed",
        "simcore/results/report.html",
        "simcore/cli/templates/scenario.yaml.in",
        "simcore/cli/templates/models.py.in",
        "simcore_backends/qemu/plugin.c",
        "simcore_backends/qemu/selftest/selftest.elf",
        "simcore_firmware/app/hal.h",
        "simcore_firmware/prebuilt/meter-stm32f4.elf",
        "simcore_scenarios/quickstart.yaml",
        "simcore_scenarios/mqtt_docker.yaml",
        "simcore_scenarios/mqtt_models.py",
        "simcore_scenarios/data/digits.bin",
        "simcore_scenarios/models/digits_mlp.onnx",
        "simcore_scenarios/models/digits_cnn.pt",
        "simcore_backends/services/onnx_inference/Dockerfile",
        "simcore_schemas/scenario.schema.json",
    }


def test_the_wheel_holds_every_module_of_the_checkout(wheel: Path) -> None:
    packages = {"simcore": "simcore", "simcore_backends": "backends",
                "simcore_firmware": "firmware", "simcore_netmodels": "netmodels",
                "simcore_scenarios": "scenarios", "simcore_schemas": "schemas"}  # fmt: skip
    left_out = {"__pycache__", "build", ".gitignore"}
    names = set(zipfile.ZipFile(wheel).namelist())
    expected = {
        f"{package}/{path.relative_to(ROOT / folder)}"
        for package, folder in packages.items()
        for path in (ROOT / folder).rglob("*")
        if path.is_file() and not left_out & set(path.relative_to(ROOT).parts)
    }
    assert {name for name in names if ".dist-info" not in name} == expected


@pytest.mark.parametrize("name", ["quickstart", "scenarios/quickstart.yaml"])
def test_quickstart(installed: Installed, name: str) -> None:
    shown = installed.simcore(name)
    assert "Expectations   4 held" in shown
    assert "python -m simcore report runs/quickstart-" in shown


def test_firmware_is_built_from_what_is_installed(installed: Installed) -> None:
    require("make")
    require("cc")
    shown = installed.simcore("firmware_native", "--out", "devices")
    assert "Expectations   5 held" in shown
    manifest = json.loads((installed.folder / "devices" / "manifest.json").read_bytes())
    assert manifest["parts"]["firmware of meter"].startswith("meter, SHA-256 ")


def test_mqtt_with_the_model_and_with_mosquitto(installed: Installed) -> None:
    mosquitto.program()
    for name, options in (
        ("mqtt_python", ()),
        ("mqtt_docker", ("--set=nodes.broker.run=process",)),
    ):
        shown = installed.simcore(name, "--out", name, *options)
        assert "Expectations   4 held" in shown
    digests = {
        json.loads((installed.folder / name / "manifest.json").read_bytes())["digest"]
        for name in ("mqtt_python", "mqtt_docker")
    }
    assert len(digests) == 1


def test_schema_is_that_of_the_checkout(installed: Installed) -> None:
    published = (ROOT / "schemas" / "scenario.schema.json").read_text(encoding="utf-8")
    assert installed.simcore("schema") == published


def test_new_scenario_runs(installed: Installed) -> None:
    installed.simcore("new", "mine")
    shown = installed.simcore("mine/scenario.yaml")
    assert "Expectations   2 held" in shown


def test_doctor_finds_everything_that_is_required(installed: Installed) -> None:
    shown = installed.simcore("doctor")
    assert "simcore can run scenarios here" in shown
    assert "pip install 'simcore[report]'" in shown, "pandas is no requirement"


def test_nothing_comes_from_the_checkout(installed: Installed) -> None:
    where = "import simcore, simcore_netmodels as n; print(simcore.__file__, n.__file__)"
    for path in run(installed.python, "-c", where, cwd=installed.folder).split():
        assert Path(path).is_relative_to(installed.python.parents[1])
