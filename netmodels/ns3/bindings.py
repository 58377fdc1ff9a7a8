"""ns-3's Python bindings, in the process of ns-3: the namespace `ns` of its own documents.

They come with the wheel and are made by cppyy, which reads ns-3's headers anew in each process:
that takes seconds. They use the ns-3 that is loaded already.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from .building import Impossible


def load(wheel: Path, headers: Sequence[str] | None) -> Any:
    """The namespace `ns` of the wheel in a folder.

    Args:
        wheel: the folder.
        headers: the precompiled headers, and the arguments that they were made with; None: there
            are none, and the bindings read all headers themselves.

    Raises:
        Impossible: the bindings are of another ns-3, or do not work.
    """
    spec = find_spec("ns3")
    places = [Path(place) for place in (spec and spec.submodule_search_locations) or ()]
    if wheel not in places:
        raise Impossible(f"the ns-3 that Python finds is not that in {wheel}: {places}")
    if headers is not None:
        os.environ["CLING_STANDARD_PCH"], os.environ["EXTRA_CLING_ARGS"] = headers
        os.environ["CLING_REBUILD_PCH"] = "0"
    try:
        import_module("cppyy")  # it asks the compiler in PATH where its headers are
        with _nothing_else(wheel):
            ns = import_module("ns").ns
    except Exception as error:
        raise Impossible(
            f"ns-3's Python bindings do not work: {type(error).__name__}: {error}"
        ) from error
    _keep(ns, "LrWpanHelper")
    return ns


@contextmanager
def _nothing_else(wheel: Path) -> Iterator[None]:
    """Have the bindings find no other libraries: they look through PATH and the present folder."""
    before, kept = (
        Path.cwd(),
        {key: os.environ.pop(key, None) for key in ("PATH", "LD_LIBRARY_PATH")},
    )
    os.chdir(wheel)
    try:
        yield
    finally:
        os.chdir(before)
        os.environ.update({key: value for key, value in kept.items() if value is not None})


def _keep(ns: Any, name: str) -> None:
    """Have objects of a class live on when Python has no more use for them: the destructor of
    LrWpanHelper disposes of its channel, and then nothing arrives any more.
    """
    kind = getattr(ns, name)
    make, kept = kind.__init__, []

    def init(self: Any, *arguments: Any) -> None:
        make(self, *arguments)
        kept.append(self)

    kind.__init__ = init
