"""The SimPy processes of one node: they start with it, fail in its name and end with it."""

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING, Any

from simpy import Process
from simpy.events import Event

from simcore.calendar import CONTROL
from simcore.errors import ModelError, SimcoreError, UnitError

if TYPE_CHECKING:
    from simcore.node import Node

Steps = Generator[Event, Any, Any]


class Processes:
    """What a node's model does at the moment.

    Args:
        node: the node, in whose name errors are reported.
    """

    __slots__ = ("_ended_late", "_node", "_running")

    def __init__(self, node: Node) -> None:
        self._node = node
        self._running: list[Steps] = []
        self._ended_late = 0

    def start(self) -> None:
        """Begin the node's model from its first line."""
        node = self._node
        assert node.model is not None
        try:
            steps = node.model(node)
        except Exception as error:
            raise self._failure(error) from error
        if not hasattr(steps, "throw"):
            raise ModelError(
                f"the model of {node.name} is no generator: it needs at least one `yield`",
                node=node.name,
                now=node.now,
            )
        # Not guarded as others are: it is resumed at each event, and nobody waits for it.
        process = node.env.process(steps)
        process.callbacks.append(self._over)
        self._running.append(steps)

    def _over(self, process: Event) -> None:
        if not process.ok:
            process.defused = True  # reported by what is raised here
            if isinstance(process.value, KeyboardInterrupt):
                raise process.value  # it came while the model ran, and is not of its making
            raise self._failure(process.value) from process.value

    def add(self, steps: Steps) -> Process:
        """Run a further process."""
        itself: list[Process] = []
        process = self._node.env.process(self._guarded(steps, itself))
        itself.append(process)
        self._running.append(steps)
        return process

    def _guarded(self, steps: Steps, itself: list[Process]) -> Steps:
        try:
            return (yield from steps)
        except Exception as error:
            if itself[0].callbacks:
                raise  # somebody waits for it, and may know what to do
            raise self._failure(error) from error
        finally:
            if steps in self._running:
                self._running.remove(steps)

    def own(self, steps: object) -> bool:
        """Whether a generator is one of these."""
        return any(steps is each for each in self._running)

    def end(self) -> None:
        """End all of them, at once; their `finally` blocks run."""
        # A closed generator ends its SimPy process when the event it waits for happens.
        node = self._node
        running, self._running = self._running, []
        for steps in running:
            if getattr(steps, "gi_running", False):  # it brought this about itself
                self._ended_late += 1
                key = (node.now, CONTROL, 2, node.order, self._ended_late)
                node.federation.calendar.push((*key, self._close, steps))
            else:
                self._close(steps)

    def _close(self, steps: Steps) -> None:
        try:
            steps.close()
        except Exception as error:
            raise self._failure(error) from error

    def _failure(self, error: Any) -> SimcoreError:
        if isinstance(error, SimcoreError) and not isinstance(error, UnitError):
            return error
        node = self._node
        return ModelError(
            f"the model of {node.name} raised {type(error).__name__}: {error}",
            node=node.name,
            now=node.now,
        )
