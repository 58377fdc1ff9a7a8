"""Rebuilds `digits.bin`, byte for byte, from the file that scikit-learn ships.

The data are committed, so nobody needs this to run anything; it is here so that anybody can
check where they came from. scikit-learn itself is not needed, only the file in its wheel:

    pip download --no-deps scikit-learn
    unzip -p scikit_learn-*.whl sklearn/datasets/data/digits.csv.gz > digits.csv.gz
    python scenarios/data/make_digits.py digits.csv.gz

Format of `digits.bin`: 1,797 records of 65 bytes, 64 pixels (row by row, 0 white to 16 black)
and the label (0 to 9). The first 898 records are the training half, the other 899 the test
half; which is which was drawn once with the seed below.
"""

from __future__ import annotations

import gzip
import random
import sys
from pathlib import Path

PIXELS = 64
IMAGES = 1797
SPLIT_SEED = 1998  # the year in which the data were published; any fixed number would do


def records(csv: str) -> list[bytes]:
    """One record of 65 bytes per line of scikit-learn's CSV, in its order."""
    rows = [bytes(int(float(cell)) for cell in line.split(",")) for line in csv.split()]
    for row in rows:
        if len(row) != PIXELS + 1 or max(row[:PIXELS]) > 16 or row[PIXELS] > 9:
            raise ValueError("not the digits data: a line is not 64 pixels (0..16) and a label")
    if len(rows) != IMAGES:
        raise ValueError(f"not the digits data: {len(rows)} lines instead of {IMAGES}")
    return rows


def shuffled(rows: list[bytes]) -> list[bytes]:
    """The records in the order of the split.

    Sorting by `random()` instead of `shuffle()`: Python promises that a seed gives the same
    `random()` in every version, and promises nothing for the other methods.
    """
    generator = random.Random(SPLIT_SEED)
    keys = [generator.random() for _ in rows]
    return [row for _, row in sorted(zip(keys, rows, strict=True))]


def main() -> None:
    source = Path(sys.argv[1])
    target = Path(sys.argv[2]) if len(sys.argv) > 2 else Path(__file__).with_name("digits.bin")
    csv = gzip.decompress(source.read_bytes()).decode("ascii")
    target.write_bytes(b"".join(shuffled(records(csv))))


if __name__ == "__main__":
    main()
