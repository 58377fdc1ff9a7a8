"""Writes `digits.c`: what a meter knows, made from the digits that the scenarios use.

    python firmware/app/make_digits.py            # writes digits.c beside this file
    python firmware/app/make_digits.py FILE

The file is committed, so nobody needs this to build a meter. Standard library only; the result
depends on `scenarios/data/digits.bin` alone.

The classifier is that of `scenarios/quickstart_models.py`: the mean image of each digit in the
training half, in sixteenths of a grey level, rounded down. The pictures are the first of the test
half, which the means have never seen.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path

DATA = Path(__file__).parents[2] / "scenarios" / "data" / "digits.bin"
RECORD, PIXELS = 65, 64
TRAINING = 898  # records of the training half
PICTURES = 128  # of the test half: 8 KiB of flash
SCALE = 16

HEAD = """\
/* Made by make_digits.py from scenarios/data/digits.bin, of which only the format was changed:
 * E. Alpaydin, C. Kaynak (1998): Optical Recognition of Handwritten Digits, UCI Machine Learning
 * Repository, https://doi.org/10.24432/C50P49, licence CC BY 4.0. */
#include "digits.h"
"""


def rows(numbers: Iterable[int]) -> str:
    """An initializer of one image, in lines of 32."""
    texts = [str(number) for number in numbers]
    lines = [",".join(texts[at : at + 32]) for at in range(0, len(texts), 32)]
    return "{" + ",\n     ".join(lines) + "}"


def table(images: Iterable[Iterable[int]]) -> str:
    """An initializer of many images."""
    return "{\n" + "".join(f"    {rows(image)},\n" for image in images) + "};\n"


def digits_c(data: bytes) -> str:
    """The text of `digits.c`."""
    records = [data[at : at + RECORD] for at in range(0, len(data), RECORD)]
    means = []
    for digit in range(10):
        own = [record for record in records[:TRAINING] if record[PIXELS] == digit]
        sums = (sum(record[pixel] for record in own) for pixel in range(PIXELS))
        means.append([total * SCALE // len(own) for total in sums])
    pictures = [record[:PIXELS] for record in records[TRAINING : TRAINING + PICTURES]]
    return (
        f"{HEAD}\n"
        f"const uint16_t digit_means[10][DIGIT_PIXELS] = {table(means)}\n"
        f"const uint8_t digit_pictures[DIGIT_PICTURES][DIGIT_PIXELS] = {table(pictures)}"
    )


if __name__ == "__main__":
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).with_name("digits.c")
    target.write_text(digits_c(DATA.read_bytes()), encoding="ascii")
