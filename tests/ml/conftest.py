"""Tests with real models: what they share. Each test in this folder bears the marker `ml`."""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support import ROOT, unavailable

from simcore.payload import freeze, thaw
from simcore.protocol.service import ServiceHost

FOLDER = Path(__file__).parent
DIGITS = ROOT / "scenarios" / "data" / "digits.bin"

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # for tests that import it themselves


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Before anything is chosen by marker."""
    for item in items:
        if FOLDER in item.path.parents:
            item.add_marker("ml")


def library(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError:
        unavailable(f"{name} is not installed")


@pytest.fixture(scope="session")
def onnxruntime() -> Any:
    return library("onnxruntime")


@pytest.fixture(scope="session")
def torch() -> Any:
    return library("torch")


@pytest.fixture(scope="session")
def onnx() -> Any:
    return library("onnx")


@pytest.fixture(scope="session")
def digits() -> tuple[list[bytes], list[int]]:
    """Images and labels of the test half."""
    records = np.frombuffer(DIGITS.read_bytes(), dtype=np.uint8).reshape(-1, 65)[898:]
    return [row[:64].tobytes() for row in records], records[:, 64].tolist()


class Message:
    """What a service sees of a message that holds an image."""

    id, source, kind, size, sent = "meter/1", "meter", "reading", 72, 0

    def __init__(self, image: Any) -> None:
        self.payload = {"image": image}


Ask = Callable[[Any], tuple[str, Any]]


@pytest.fixture
def serve() -> Callable[..., Ask]:
    """Starts a service; what that gives takes an image and returns kind and payload."""

    def start(service: Any, base: Path, **config: Any) -> Ask:
        host = ServiceHost(
            service(), name="gateway", seed=1, config=config, base=base, freeze=freeze
        )
        host.advance(0, [])

        def ask(image: Any) -> tuple[str, Any]:
            [output] = host.advance(1, [Message(image)]).outputs
            return output.kind, thaw(output.payload)

        return ask

    return start
