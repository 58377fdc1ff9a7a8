"""Which messages a device has heard when, and so may answer."""

from __future__ import annotations

from typing import Any

import pytest
from said import message as arriving
from simcore_backends.firmware.frames import Chunk
from simcore_backends.firmware.reception import Reception

from simcore.answers import CAUSES


def expect(reception: Reception, number: int, due: int, size: int = 2, uart: int = 0) -> Any:
    message = arriving("hub", number, "say", "x", due)
    message.id = f"hub/{number}"
    reception.expect(message, Chunk(uart, due, 10, "00" * size))
    return message


def test_it_is_heard_when_its_last_byte_is_complete() -> None:
    reception = Reception()
    message = expect(reception, 1, 100, size=3)
    assert reception.pending
    reception.settle([], 120)
    assert (reception.find("hub/1", 10**6), reception.pending) == (None, True)
    reception.settle([], 121)
    assert not reception.pending
    assert reception.find("hub/1", 119) is None
    assert reception.find("hub/1", 120) is message
    assert reception.find("hub/2", 120) is None


@pytest.mark.parametrize("windows", [[10**7], range(1000, 10**6, 1000), range(7, 10**6, 7777)])
def test_the_last_256_whatever_the_windows(windows: Any) -> None:
    reception = Reception()
    lines = [(number, 1000 * number) for number in range(1, 401)]
    found: dict[int, list[int]] = {}
    since = 0
    for until in windows:
        for number, due in lines:
            if since <= due < until:
                expect(reception, number, due, size=1)
        reception.settle([], until)
        for at in (255_999, 256_000, 256_999, 257_000, 300_500, 400_000):
            if since <= at < until:
                found[at] = [n for n, _ in lines if reception.find(f"hub/{n}", at) is not None]
        since = until
    assert [(each[0], each[-1], len(each)) for _, each in sorted(found.items())] == [
        (1, 255, 255),
        (1, 256, 256),
        (1, 256, 256),
        (2, 257, CAUSES),
        (45, 300, CAUSES),
        (145, 400, CAUSES),
    ]


def test_lines_of_two_uarts_are_heard_in_the_order_of_time() -> None:
    reception = Reception()
    expect(reception, 1, 100, size=50)
    second = expect(reception, 2, 200, uart=1)
    reception.settle([], 10_000)
    assert reception.find("hub/2", 300) is second
    assert reception.find("hub/1", 300) is None
