"""What the engine is told a container may do."""

from __future__ import annotations

from typing import Any

import pytest
from simcore_backends.docker.hardening import ALLOWED, settings

HARDENED = settings({}, [])


def test_by_default_a_container_may_do_as_little_as_possible() -> None:
    assert HARDENED == {
        "Init": True,
        "LogConfig": {"Type": "none", "Config": {}},
        "Memory": 1 << 30,
        "MemorySwap": 1 << 30,
        "PidsLimit": 256,
        "IpcMode": "none",
        "NetworkMode": "none",
        "Tmpfs": {"/tmp": "size=67108864,mode=1777,noexec,nosuid,nodev"},
        "ReadonlyRootfs": True,
        "CapDrop": ["ALL"],
        "SecurityOpt": ["no-new-privileges"],
    }


LIFTED: dict[str, dict[str, Any]] = {
    "root": {},  # the user is no part of these settings
    "write": {"ReadonlyRootfs": False},
    "network": {"NetworkMode": "bridge"},
    "capabilities": {"CapDrop": None, "SecurityOpt": None},
}


@pytest.mark.parametrize("word", ALLOWED)
def test_each_word_lifts_one_thing(word: str) -> None:
    found = settings({}, [word])
    changed = {
        key: found.get(key)
        for key in HARDENED.keys() | found.keys()
        if found.get(key) != HARDENED.get(key)
    }
    assert changed == LIFTED[word]


@pytest.mark.parametrize(
    ("limits", "expected"),
    [
        ({"memory": "256MiB"}, {"Memory": 256 << 20, "MemorySwap": 256 << 20}),
        ({"cpus": 0.29}, {"NanoCpus": 290_000_000}),
        ({"cpu_set": "0,2-3"}, {"CpusetCpus": "0,2-3"}),
        ({"processes": 7}, {"PidsLimit": 7}),
        ({"shm": "1MB"}, {"IpcMode": "private", "ShmSize": 1_000_000}),
    ],
)
def test_limits(limits: dict[str, Any], expected: dict[str, Any]) -> None:
    assert settings(limits, []) == HARDENED | expected
