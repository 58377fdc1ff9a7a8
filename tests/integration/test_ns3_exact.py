"""What ns-3 says through simcore is what it says alone, to the nanosecond.

client-0 ... client-4  --[segment]--  gateway  --[p2p]--  cloud
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from ns3_native import SEGMENTS, Traffic, require_ns3

import simcore
from simcore.results import recorder

pytestmark = [pytest.mark.ns3, pytest.mark.slow]

TCP = "  tcp: [{from: client, to: cloud}, {from: cloud, to: client}]"


@pytest.fixture(autouse=True)
def _ns3() -> None:
    require_ns3()


@pytest.mark.parametrize("seed", range(1, 11))
@pytest.mark.parametrize("kind", SEGMENTS)
def test_deliveries_are_those_of_a_native_run(kind: str, seed: int, tmp_path: Path) -> None:
    traffic = Traffic(SEGMENTS[kind], seed=seed, period=200_000_000)
    ours = traffic.through_simcore(tmp_path)
    assert ours == traffic.natively(tmp_path)
    assert len(ours) == 60 or kind == "lrwpan"  # where a frame may be lost for good
    assert len(ours) > 50


@pytest.mark.parametrize("kind", SEGMENTS)
def test_so_are_those_over_tcp(kind: str, tmp_path: Path) -> None:
    traffic = Traffic(SEGMENTS[kind], more=TCP, size=3000, answer=900)
    ours = traffic.through_simcore(tmp_path)
    assert ours == traffic.natively(tmp_path)
    assert len(ours) == 60


@pytest.mark.parametrize("kind", SEGMENTS)
def test_so_are_those_of_a_channel_that_is_too_small(kind: str, tmp_path: Path) -> None:
    traffic = Traffic(
        SEGMENTS[kind], requests=40, period=4_000_000, answer=0,
        wan="{kind: p2p, between: [gateway, cloud], rate: 200kbit/s, delay: 1ms, queue: 5}",
    )  # fmt: skip
    ours = traffic.through_simcore(tmp_path)
    assert ours == traffic.natively(tmp_path)
    assert 20 < len(ours) < 200


@pytest.mark.parametrize("kind", SEGMENTS)
def test_ten_processes_agree_and_another_seed_does_not(kind: str, tmp_path: Path) -> None:
    traffic = Traffic(SEGMENTS[kind], requests=3)
    scenario = traffic.scenario(tmp_path)
    digests = {simcore.Federation(scenario, out=None).run() for _ in range(10)}
    assert len(digests) == 1
    other = replace(traffic, seed=2).scenario(tmp_path)
    assert simcore.Federation(other, out=None).run() not in digests


@pytest.mark.parametrize("kind", ["csma", "wifi"])
def test_slices_make_no_difference(kind: str, tmp_path: Path) -> None:
    traffic = Traffic(SEGMENTS[kind], requests=3, duration=4 * 10**9)
    scenario = traffic.scenario(tmp_path)
    whole = simcore.Federation(scenario, out=None).run()
    federation = simcore.Federation(scenario, out=None)
    with federation:
        for until in range(1, 41):
            federation.env.run(until=until * 10**8)
    assert federation.digest == whole


@pytest.mark.parametrize("kind", SEGMENTS)
def test_a_run_may_be_ended_at_any_time(kind: str, tmp_path: Path) -> None:
    """Also while messages are under way, and when ns-3 has come as far as the run, or further."""
    traffic = Traffic(SEGMENTS[kind], requests=2, duration=4 * 10**9)
    scenario = traffic.scenario(tmp_path)
    arrivals = [at for at, *_ in traffic.through_simcore(tmp_path)]
    for moment in (10**9, 10**9 + 7, arrivals[3] - 1, arrivals[3], arrivals[3] + 1):
        with simcore.Federation(scenario, out=tmp_path / f"{moment}") as federation:
            federation.env.run(until=moment)
        with simcore.open_run(tmp_path / f"{moment}") as run:
            query = "SELECT at FROM messages WHERE fate = 'delivered' ORDER BY at"
            found = [at for (at,) in run.connection.execute(query)]
        assert found == [at for at in arrivals if at < moment]


@pytest.mark.parametrize("kind", SEGMENTS)
def test_exchanges_grow_with_deliveries_and_not_with_time(kind: str, tmp_path: Path) -> None:
    """Ten minutes between two messages are caught up with in slices, and what follows is not run.

    On Wi-Fi they hold 5,900 beacons. Slices get longer while each takes little wall time, which is
    9 of them, and more on a machine that is busy.
    """
    near = Traffic(SEGMENTS[kind], clients=2, answer=0, fixed=[10**9, 10**9], duration=4 * 10**9)
    far = replace(near, fixed=[10**9, 600 * 10**9], duration=1200 * 10**9)
    assert len(near.through_simcore(tmp_path)) == 4
    assert len(far.through_simcore(tmp_path)) == 4
    assert near.exchanges <= far.exchanges <= near.exchanges + 100


def test_nothing_is_written_before_what_got_lost_earlier(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Losses are told with the next delivery, when much has been recorded that came later."""
    traffic = Traffic(
        SEGMENTS["csma"], requests=40, period=4_000_000, answer=0, duration=10**9,
        wan="{kind: p2p, between: [gateway, cloud], rate: 200kbit/s, delay: 30ms, queue: 5}",
    )  # fmt: skip
    scenario = traffic.scenario(tmp_path)
    usual = simcore.Federation(scenario, out=None).run()
    written, late = [0], [0]
    flush, lose = recorder.Recorder._flush, simcore.Federation.lose

    def noted_flush(self: recorder.Recorder, horizon: int) -> None:
        written.append(horizon)
        flush(self, horizon)

    def noted_lose(
        self: simcore.Federation,
        message: simcore.Message,
        fate: simcore.Fate,
        at: int | None = None,
    ) -> None:
        if at is not None:
            assert at >= max(written)
            late.append(self.now - at)
        lose(self, message, fate, at)

    monkeypatch.setattr(recorder, "BUFFER", 1)
    monkeypatch.setattr(recorder.Recorder, "_flush", noted_flush)
    monkeypatch.setattr(simcore.Federation, "lose", noted_lose)
    assert simcore.Federation(scenario, out=None).run() == usual
    assert len(written) > 100
    assert max(late) > 10_000_000
