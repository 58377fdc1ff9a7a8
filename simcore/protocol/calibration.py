"""What a calibration run measures where a service is hosted, be it in a container.

How long a handler takes depends on the machine and the libraries, so these are told as well, by
the very process that was measured. Standard library only.
"""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from pathlib import Path

HANDLER_TIME = "handler_ns"
"""Measurement: wall time (ns) that the handler of a message took."""

HANDLER_MACHINE = "handler_machine"
"""Measurement, once for each life of a service: `machine()`."""

_LIBRARIES = ("numpy", "onnxruntime", "torch")


def machine() -> str:
    """The processor, its cores, the kernel; then Python and the libraries in use, after a ';'."""
    import platform  # here, for every service loads this module when it starts

    system = f"{_processor()}, {os.cpu_count()} cores, {platform.system()} {platform.release()}"
    used = [f"Python {platform.python_version()}"]
    for name in _LIBRARIES:
        if name in sys.modules:
            used.append(f"{name} {getattr(sys.modules[name], '__version__', 'of no version')}")
    return f"{system}; {', '.join(used)}"


def _processor() -> str:
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            key, _, value = line.partition(":")
            if key.strip() == "model name":
                return " ".join(value.split())
    return os.uname().machine
