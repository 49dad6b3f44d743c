"""Write the powers of ten with which the native engine finds the shortest text of a double: `python tools/powers_of_ten.py`.

A test checks that the header is as it is written here.
"""

from pathlib import Path

HEADER = Path(__file__).parents[1] / "src/tallymark/engine/native/powers_of_ten.h"
FIRST, LAST = -292, 324
"""The powers that the algorithm needs for any finite double."""

START = f"""\
/* Made by tools/powers_of_ten.py. Powers of ten from {FIRST} to {LAST}: of each the first 128 bits, rounded up. */
#ifndef TALLYMARK_POWERS_OF_TEN_H
#define TALLYMARK_POWERS_OF_TEN_H

#include <stdint.h>

#define FIRST_POWER ({FIRST})

static const struct {{
    uint64_t high, low;
}} powers_of_ten[] = {{
"""
END = """\
};

#endif
"""


def significand(power: int) -> int:
    """Return the first 128 bits of a power of ten, rounded up: at least 2 ** 127, and less than 2 ** 128."""
    numerator, denominator = (10**power, 1) if power >= 0 else (1, 10**-power)
    shift = 128 - numerator.bit_length() + denominator.bit_length()
    for bits in (shift - 1, shift):  # one of the two gives 128 bits
        above, below = (numerator << bits, denominator) if bits >= 0 else (numerator, denominator << -bits)
        if (above // below).bit_length() == 128:
            return -(-above // below)
    raise AssertionError(power)


def render() -> str:
    """Return the header."""
    rows = [significand(power) for power in range(FIRST, LAST + 1)]
    return START + "".join(f"    {{0x{row >> 64:016x}, 0x{row & (1 << 64) - 1:016x}}},\n" for row in rows) + END


if __name__ == "__main__":
    HEADER.write_text(render())
