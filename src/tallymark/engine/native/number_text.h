/* Numbers as text: doubles as Python's repr() writes them. Nothing here needs the GIL. */
#ifndef TALLYMARK_NUMBER_TEXT_H
#define TALLYMARK_NUMBER_TEXT_H

#include <stdint.h>

#define LONGEST_NUMBER 24 /* bytes of the longest text: twice as many must be there to write to */
#define TYPICAL_FRACTION 19 /* bytes of the text of a number of 17 digits */

#define TENFOLD(power) power, power * 10, power * 100, power * 1000, power * 10000

/* Of at most 19. */
static inline uint64_t
power_of_ten(uint32_t power)
{
    static const uint64_t powers[] = {TENFOLD(UINT64_C(1)), TENFOLD(UINT64_C(100000)), TENFOLD(UINT64_C(10000000000)),
                                      TENFOLD(UINT64_C(1000000000000000))};
    return powers[power];
}

static inline uint32_t
count_digits(uint64_t number)
{
    uint32_t bits = 64 - (uint32_t)__builtin_clzll(number | 1), most = (bits * 1233) >> 12; /* log10(2) is 1233 / 4096 */
    return most + (number >= power_of_ten(most)) + (number == 0);
}

/* About how long the text of a double is, and seldom longer. */
static inline uint32_t
expected_size(double value)
{
    double size = value < 0.0 ? -value : value;
    int is_integer = size < 9007199254740992.0 && size == (double)(uint64_t)size;
    return is_integer ? count_digits((uint64_t)size) + 2 + (value < 0.0) : TYPICAL_FRACTION;
}

/* Write a count: where the text ends. */
char *write_count(char *at, uint64_t count);

/* Write a finite double as repr() does: the fewest digits that give it back, of those the closest; NaN, +Inf and -Inf as
 * Prometheus reads them. Where the text ends. */
char *write_double(char *at, double value);

#endif
