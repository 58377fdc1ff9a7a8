"""Nothing of a run with programs is left behind, whoever is killed, at whatever moment.

What was recorded can be read, and where a participant was killed the report names it. The guard
alone is killed at more moments in `test_guard_kills.py`.
"""

from __future__ import annotations

import sys

import pytest
from killing import killing


def test_twenty_kills_at_random_moments() -> None:
    with killing(seed=3) as kills:
        for _ in range(20):
            kills.kill_one()
        counts = kills.counts
    assert counts["runs"] + counts["participants"] == 20
    assert counts["participants"] == counts["reports"] >= 5
    assert counts["databases"] >= 10 and counts["rows"] > 1000


@pytest.mark.slow
@pytest.mark.bench
def test_a_thousand_kills_at_random_moments(capsys: pytest.CaptureFixture[str]) -> None:
    with killing(seed=1000) as kills:
        for _ in range(1000):
            kills.kill_one()
        counts = kills.counts
    with capsys.disabled():
        sys.stdout.write(
            f"\n1,000 kills ({counts['runs']} of simcore, {counts['participants']} of a participant): "
            f"nothing left behind; {counts['databases']:,} databases with {counts['rows']:,} rows "
            f"read; {counts['reports']} reports, each named the participant\n"
        )
