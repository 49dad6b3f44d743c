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

static inline void
write_eight(char *at, uint32_t number)
{
    uint32_t high = number / 10000, low = number % 10000;
    write_pair(at, high / 100);
    write_pair(at + 2, high % 100);
    write_pair(at + 4, low / 100);
    write_pair(at + 6, low % 100);
}

/* Write a number that has `n` digits. */
static inline void
write_digits(char *at, uint64_t number, uint32_t n)
{
    while (n >= 8) {
        n -= 8;
        write_eight(at + n, (uint32_t)(number % 100000000));
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

static inline Decimal
without_zeros(Decimal one)
{
    if (one.digits % 10 != 0) {
        return one;
    }
    static const struct {
        uint64_t power;
        int zeros;
    } steps[] = {{100000000, 8}, {10000, 4}, {100, 2}, {10, 1}};
    for (int i = 0; i < 4; i++) {
        while (one.digits % steps[i].power == 0) {
            one.digits /= steps[i].power;
            one.exponent += steps[i].zeros;
        }
    }
    return one;
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
    uint64_t s = middle / 4;
    if (s >= 10) {
        uint64_t tens = s / 10;
        int below = least <= 40 * tens, above = 40 * tens + 40 <= most;
        if (below != above) {
            return (Decimal){tens + (uint64_t)above, k + 1};
        }
    }
    int below = least <= 4 * s, above = 4 * s + 4 <= most;
    if (below != above) {
        return (Decimal){s + (uint64_t)above, k};
    }
    uint64_t half = 4 * s + 2;
    return (Decimal){s + (uint64_t)(middle > half || (middle == half && (s & 1) != 0)), k};
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

/* As `float_repr_style` "short": without an exponent from 1e-4 to below 1e16. */
static char *
write_decimal(char *at, Decimal one)
{
    uint32_t n = count_digits(one.digits);
    int point = (int)n + one.exponent; /* where it is, counted from the first digit */
    if (point > 16 || point < -3) {
        write_digits(at + 1, one.digits, n);
        at[0] = at[1];
        at[1] = '.';
        return write_exponent(n == 1 ? at + 1 : at + n + 1, point - 1);
    }
    if (point <= 0) {
        memcpy(at, "0.0000", 6);
        write_digits(at + 2 - point, one.digits, n);
        return at + 2 - point + n;
    }
    if (point >= (int)n) {
        write_digits(at, one.digits, n);
        memset(at + n, '0', (size_t)one.exponent);
        memcpy(at + point, ".0", 2);
        return at + point + 2;
    }
    write_digits(at + 1, one.digits, n);
    memmove(at, at + 1, (size_t)point);
    at[point] = '.';
    return at + n + 1;
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
    return write_decimal(at, without_zeros(shortest(fraction, biased)));
}
