"""Where an inference is made: on the device, at the edge or in the cloud, and who decides it.

A device keeps to a *rule*, which it can follow by itself; what it does not keep goes to the
dispatcher, which asks the *policy*. Models of one's own need `device`, and policies `policy`.
"""

from __future__ import annotations

from typing import Any

__all__ = ["device"]


def __getattr__(name: str) -> Any:
    # A dispatcher in a container has the policies, and nothing that a model needs.
    if name == "device":
        from .devices import device

        return device
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
