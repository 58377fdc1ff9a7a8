"""Nothing of a run with devices is kept when nobody has it any more: many runs fit in one process."""

from __future__ import annotations

import gc
import weakref

import pytest
from support import ROOT, require

from simcore.federation import Federation
from simcore.scenario import load


@pytest.mark.parametrize("engine", ["native", "qemu"])
def test_a_run_is_let_go(engine: str) -> None:
    if engine == "qemu":
        require("qemu-system-arm")
    scenario = load(ROOT / "scenarios" / f"firmware_{engine}.yaml", until="100ms")
    federation = Federation(scenario)
    federation.run()
    remains = weakref.ref(federation)
    del federation
    gc.collect()
    assert remains() is None
