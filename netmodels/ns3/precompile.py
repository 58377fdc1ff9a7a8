"""Reads all of ns-3's headers once, for its Python bindings: a program, run by `wheel.headers`.

    precompile.py WHEEL BACKEND TARGET

WHEEL is the folder of ns-3's wheel, BACKEND that of the package cppyy_backend. What comes out takes
the place of cppyy's own precompiled headers, and holds those as well.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path


def main() -> int:
    """Write the precompiled headers; the exit code of what makes them."""
    wheel, backend, target = map(Path, sys.argv[1:])
    headers = [
        f"ns3/{header.name}"
        for library in sorted((wheel / "lib64").glob("libns3*.so"))
        for header in [wheel / "include/ns3" / f"{library.stem.split('-', 1)[1]}-module.h"]
        if header.is_file()
    ]
    command = [
        sys.executable, "etc/dictpch/makepch.py", str(target),
        f"-I{backend / 'include'}", f"-I{wheel / 'include'}", *headers,
    ]  # fmt: skip
    return subprocess.run(command, cwd=backend, check=False).returncode


if __name__ == "__main__":
    raise SystemExit(main())
