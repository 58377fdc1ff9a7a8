"""What all tests share: property tests draw the same examples each time, and never by the clock.

Benchmarks run only when they are asked for.
"""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, settings

settings.register_profile(
    "simcore",
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("simcore")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Without `-m`, leave the benchmarks out: they take minutes and judge the machine as well."""
    if config.option.markexpr:
        return
    left_out = [item for item in items if "bench" in item.keywords]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]
