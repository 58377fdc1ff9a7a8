"""The end of a run's parts: each is closed, whatever becomes of the others."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from simcore.errors import SimcoreError

if TYPE_CHECKING:
    from simcore.federation import Federation


@contextmanager
def noted(error: BaseException) -> Iterator[None]:
    """What fails in the wake of an error is added to it as a note, and does not hide it."""
    try:
        yield
    except Exception as further:  # noqa: BLE001
        if further is not error:
            error.add_note(f"and then {type(further).__name__}: {further}")


def close_parts(federation: Federation, *, orderly: bool) -> None:
    """Close network, participants and nodes of a run, and let go of all messages.

    Args:
        orderly: ask participants to end, and wait for them; else they are ended at once.

    Raises:
        SimcoreError: the first of what they raised, once all are closed.
    """
    with ExitStack() as stack:  # also when Ctrl-C comes while somebody is waited for
        stack.callback(_let_go, federation)
        errors = _close(federation, orderly)
    if errors:
        raise errors[0]


def _close(federation: Federation, orderly: bool) -> list[SimcoreError]:
    participants = [host.participant for host in federation.hosts if host.participant is not None]
    network = getattr(federation, "network", None)  # none, if it could not be made
    if network is not None:
        participants += network.participants()
    if orderly:
        for each in participants:
            each.shut_down()  # so that all end at the same time
    steps = [each.close if orderly else each.kill for each in participants]
    steps += [] if network is None else [network.close]
    steps += [node.close for node in getattr(federation, "nodes", {}).values()]
    errors = []
    for step in steps:
        try:
            step()
        except SimcoreError as error:
            errors.append(error)
    return errors


def _let_go(federation: Federation) -> None:
    for host in federation.hosts:
        host.forget()
        host.participant = None
    if federation.windows is not None:
        federation.windows.forget()
    federation.instant.forget()
    if "outside" in federation.__dict__:
        federation.outside.close()
