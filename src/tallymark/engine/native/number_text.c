/* The shortest text of a double that gives it back.
 *
 * Source: Raffaello Giulietti, "The Schubfach way to render doubles" (2020). A double stands for all numbers that round to it.
 * Scaled by a power of ten, that interval is so wide that it holds at least one integer, and at most one multiple of ten. Only
 * its ends and the double itself are scaled, each with one multiplication by 128 bits of the power. */
#include "number_text.h"

#include <string.h>

#include "cell.h"
#include "powers_of_ten.h"

#define SIGNIFICAND_BITS 52
#define EXPONENT_BIAS 1075
#define HIDDEN_BIT (UINT64_C(1) << SIGNIFICAND_BITS)
#define MOST_EXACT (UINT64_C(1) << 53) /* up to here, every integer is a double */

__extension__ typedef unsigned __int128 uint128_t;

/* digits * 10 ** exponent */
typedef struct {
    uint64_t digits;
    int exponent;
} Decimal;

/* Integers */

static const char pairs[] = "00010203040506070809101112131415161718192021222324252627282930313233343536373839404142434445464748"
                            "49505152535455565758596061626364656667686970717273747576777879808182838485868788899091929394959697"
                            "9899";

static inline void
write_pair(char *at, uint32_t number)
{
    memcpy(at, pairs + 2 * number, 2);
}

/* Return the digits of a number of 8, zeros first, in the bytes of a word: the first in the lowest. */
static inline uint64_t
eight_digits(uint32_t number)
{
    uint64_t fours = number / 10000 | (uint64_t)(number % 10000) << 32;
    uint64_t hundreds = ((fours * 10486) >> 20) & UINT64_C(0x7f0000007f);
    uint64_t twos = hundreds | (fours - 100 * hundreds) << 16;
    uint64_t tens = ((twos * 103) >> 10) & UINT64_C(0xf000f000f000f);
    return tens | (twos - 10 * tens) << 8;
}

#define ZEROS UINT64_C(0x3030303030303030)

static inline void
write_eight(char *at, uint64_t text)
{
#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
    text = __builtin_bswap64(text);
#endif
    memcpy(at, &text, sizeof text);
}

/* Write a number that has `n` digits. */
static inline void
write_digits(char *at, uint64_t number, uint32_t n)
{
    while (n >= 8) {
        n -= 8;
        write_eight(at + n, eight_digits((uint32_t)(number % 100000000)) + ZEROS);
        number /= 100000000;
    }
    uint32_t rest = (uint32_t)number;
    while (n >= 2) {
        n -= 2;
        write_pair(at + n, rest % 100);
        rest /= 100;
    }
    if (n > 0) {
        *at = (char)('0' + rest);
    }
}

char *
write_count(char *at, uint64_t count)
{
    if (count < 10) {
        *at = (char)('0' + count);
        return at + 1;
    }
    uint32_t n = count_digits(count);
    write_digits(at, count, n);
    return at + n;
}

/* The shortest decimal */

/* floor(log10(2 ** e)), floor(log10(3/4 * 2 ** e)), floor(log2(10 ** e)): exact for all exponents that doubles need. */
static inline int
log10_of_power(int e, int is_closer)
{
    return (e * 1262611 - (is_closer ? 524031 : 0)) >> 22;
}

static inline int
log2_of_power(int e)
{
    return (e * 1741647) >> 19;
}

/* Return the upper bits of a product, the last of them set if any below it is: enough to compare with multiples of 1/4. */
static inline uint64_t
scaled(uint64_t high, uint64_t low, uint64_t factor)
{
    uint128_t lower = (uint128_t)low * factor, upper = (uint128_t)high * factor + (uint64_t)(lower >> 64);
    return (uint64_t)(upper >> 64) | ((uint64_t)upper > 1);
}

/* Of a positive, finite double, from its bits. */
static Decimal
shortest(uint64_t fraction, int biased)
{
    uint64_t c = biased == 0 ? fraction : fraction | HIDDEN_BIT;
    int q = (biased == 0 ? 1 : biased) - EXPONENT_BIAS;
    int is_closer = fraction == 0 && biased > 1; /* the double below is half as far as the one above */
    int k = log10_of_power(q, is_closer), h = q + log2_of_power(-k) + 1;
    uint64_t high = powers_of_ten[-k - FIRST_POWER].high, low = powers_of_ten[-k - FIRST_POWER].low;
    uint64_t is_odd = c & 1; /* a tie rounds to the even one, so the ends belong to those alone */
    uint64_t least = scaled(high, low, (4 * c - 2 + (uint64_t)is_closer) << h) + is_odd;
    uint64_t middle = scaled(high, low, (4 * c) << h);
    uint64_t most = scaled(high, low, (4 * c + 2) << h) - is_odd;
    uint64_t s = middle / 4, tens = s / 10, half = 4 * s + 2;
    /* A multiple of 10 in the interval? Else one of the two integers around the double. Without a branch, since both happen, and
     * one that is guessed wrong takes as long as all of this. */
    uint64_t is_below = least <= 40 * tens, is_above = 40 * tens + 40 <= most;
    uint64_t is_shorter = (is_below != is_above) & (s >= 10);
    uint64_t below = least <= 4 * s, above = 4 * s + 4 <= most, up = (middle > half) | ((middle == half) & s);
    uint64_t exact = s + (above & (below ^ above)) + (up & ~(below ^ above) & 1), shorter = 10 * (tens + is_above);
    return (Decimal){exact + ((shorter - exact) & (0 - is_shorter)), k};
}

/* Layout */

static char *
write_exponent(char *at, int exponent)
{
    *at++ = 'e';
    *at++ = exponent < 0 ? '-' : '+';
    uint32_t size = (uint32_t)(exponent < 0 ? -exponent : exponent);
    if (size < 10) {
        *at++ = '0';
    }
    return write_count(at, size);
}

#define MOST_DIGITS 17
#define LEAST_OF_MOST UINT64_C(10000000000000000)

/* Have a decimal be of 17 digits, by zeros behind them. All have 16 or 17, but for subnormal doubles. */
static inline Decimal
padded(Decimal one)
{
    if (one.digits < LEAST_OF_MOST / 10) {
        uint32_t zeros = MOST_DIGITS - count_digits(one.digits);
        return (Decimal){one.digits * power_of_ten(zeros), one.exponent - (int)zeros};
    }
    int is_less = one.digits < LEAST_OF_MOST; /* as often as not, so without a branch */
    return (Decimal){one.digits + 9 * one.digits * (uint64_t)is_less, one.exponent - is_less};
}

/* 17 digits as text, and how many there are without the zeros in the end. */
typedef struct {
    uint64_t eight, last; /* those after the first, and those after them */
    uint32_t n;
    char first;
} Digits;

static inline Digits
digits_of(uint64_t number)
{
    uint64_t nine = number / 100000000, first = nine / 100000000;
    uint64_t eight = eight_digits((uint32_t)(nine - 100000000 * first)), last = eight_digits((uint32_t)(number - 100000000 * nine));
    uint32_t n = last != 0 ? 17 - (uint32_t)__builtin_clzll(last) / 8 : eight != 0 ? 9 - (uint32_t)__builtin_clzll(eight) / 8 : 1;
    return (Digits){eight + ZEROS, last + ZEROS, n, (char)('0' + first)};
}

/* Return a text of eight with a point after so many of them, and without the last. */
static inline uint64_t
with_point(uint64_t text, uint32_t after)
{
    uint64_t before = ((uint64_t)1 << 8 * after) - 1;
    return (text & before) | (uint64_t)'.' << 8 * after | (text & ~before) << 8;
}

static inline char *
write_behind_point(char *at, const Digits *digits)
{
    at[0] = digits->first;
    write_eight(at + 1, digits->eight);
    write_eight(at + 9, digits->last);
    return at + digits->n;
}

/* Write digits with a point after so many of them: 1 to 16. The words are written where they belong, not moved in memory: a text
 * that was just written can be read only a while later. */
static inline char *
write_around_point(char *at, const Digits *digits, uint32_t point)
{
    at[0] = digits->first;
    if (point <= 8) {
        write_eight(at + 2, digits->eight);
        write_eight(at + 10, digits->last);
        write_eight(at + 1, with_point(digits->eight, point - 1));
    }
    else {
        write_eight(at + 1, digits->eight);
        write_eight(at + 10, digits->last);
        write_eight(at + 9, with_point(digits->last, point - 9));
    }
    return digits->n > point ? at + digits->n + 1 : at + point + 2;
}

/* As `float_repr_style` "short": without an exponent from 1e-4 to below 1e16. */
static char *
write_decimal(char *at, Decimal one)
{
    int point = MOST_DIGITS + one.exponent; /* where it is, counted from the first digit */
    Digits digits = digits_of(one.digits);
    if (point > 16 || point < -3) {
        write_behind_point(at + 1, &digits);
        at[0] = digits.first;
        at[1] = '.';
        return write_exponent(digits.n == 1 ? at + 1 : at + digits.n + 1, point - 1);
    }
    if (point > 0) {
        return write_around_point(at, &digits, (uint32_t)point);
    }
    memcpy(at, "0.0000", 6);
    return write_behind_point(at + 2 - point, &digits);
}

static char *
write_word(char *at, const char *word, size_t length)
{
    memcpy(at, word, length);
    return at + length;
}

char *
write_double(char *at, double value)
{
    uint64_t bits = bits_of(value), fraction = bits & (HIDDEN_BIT - 1);
    int biased = (int)(bits >> SIGNIFICAND_BITS) & 0x7ff;
    if (biased == 0x7ff) {
        return fraction != 0 ? write_word(at, "NaN", 3) : write_word(at, bits >> 63 ? "-Inf" : "+Inf", 4);
    }
    *at = '-';
    at += bits >> 63;
    double size = double_of(bits & ~(UINT64_C(1) << 63));
    if (size < (double)MOST_EXACT && size == (double)(uint64_t)size) {
        at = write_count(at, (uint64_t)size);
        return write_word(at, ".0", 2);
    }
    return write_decimal(at, padded(shortest(fraction, biased)));
}
