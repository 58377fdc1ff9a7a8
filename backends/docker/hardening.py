"""What a container may do: as little as a service needs, unless the scenario allows it more.

Each measure was tried from inside a container, together with all others; the tests do so again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from simcore.units import size

USER = "65534:65534"
"""Nobody's."""
MEMORY = "1GiB"
PROCESSES = 256
TEMPORARY = "64MiB"

ALLOWED = {
    "root": "the user that the image names, who may be root",
    "write": "writing to the container's file system, which is lost at its end",
    "network": "the engine's bridge network, and by it whatever the machine reaches",
    "capabilities": "the capabilities that Docker gives by default, and gaining more by setuid",
}
"""What a scenario may allow."""

LIMITS: Mapping[str, Any] = {
    "type": "object",
    "additionalProperties": False,
    "default": {},
    "description": "What the container may use.",
    "properties": {
        "memory": {
            "type": "string",
            "format": "size",
            "default": MEMORY,
            "description": "Memory, without swap; whoever takes more is killed.",
            "examples": ["256MiB"],
        },
        "cpus": {
            "type": "number",
            "minimum": 0.01,
            "description": "Processors' time in a second of wall time. Unlimited without it.",
            "examples": [0.5],
        },
        "cpu_set": {
            "type": "string",
            "pattern": r"^\d+(-\d+)?(,\d+(-\d+)?)*$",
            "errorMessage": "is a list of processors, as in 0,2-3",
            "description": "The processors that it may run on.",
            "examples": ["0", "0,2-3"],
        },
        "processes": {
            "type": "integer",
            "minimum": 2,
            "maximum": 2**22,
            "default": PROCESSES,
            "description": "Processes and threads; the engine's init is one of them.",
        },
        "shm": {
            "type": "string",
            "format": "size",
            "description": "Shared memory in /dev/shm; none without it.",
            "examples": ["64MiB"],
        },
    },
}
"""Schema of the key `limits`."""


def settings(limits: Mapping[str, Any], allow: Sequence[str]) -> dict[str, Any]:
    """The engine's host configuration of a container.

    Args:
        limits: the key `limits`.
        allow: the key `allow`.
    """
    memory = size(limits.get("memory", MEMORY))
    found: dict[str, Any] = {
        "Init": True,  # a Python that is process 1 does not heed SIGTERM
        "LogConfig": {"Type": "none", "Config": {}},  # simcore keeps the log
        "Memory": memory,
        "MemorySwap": memory,
        "PidsLimit": limits.get("processes", PROCESSES),
        "IpcMode": "none",
        "NetworkMode": "bridge" if "network" in allow else "none",
        "Tmpfs": {"/tmp": f"size={size(TEMPORARY)},mode=1777,noexec,nosuid,nodev"},
        "ReadonlyRootfs": "write" not in allow,
    }
    if "capabilities" not in allow:
        found["CapDrop"] = ["ALL"]
        found["SecurityOpt"] = ["no-new-privileges"]
    if "cpus" in limits:
        found["NanoCpus"] = round(limits["cpus"] * 1e9)
    if "cpu_set" in limits:
        found["CpusetCpus"] = limits["cpu_set"]
    if "shm" in limits:
        found["IpcMode"] = "private"
        found["ShmSize"] = size(limits["shm"])
    return found
