#include "plain_number.h"

#include <string.h>

#include "cell.h"
#include "number_text.h"

#define SMALLEST 1e-4
#define LARGEST 1e16 /* between them, the second excluded, a shortest text has no exponent */

/* Read the digits of a text with an exponent, as `1.25e-07`: how many there are. */
static size_t
read_digits(const char *text, const char *end, char *digits, int *exponent)
{
    size_t n = 0;
    for (; *text != 'e'; text++) {
        if (*text != '.') {
            digits[n++] = *text;
        }
    }
    int is_below = text[1] == '-', size = 0;
    for (text += 2; text < end; text++) {
        size = 10 * size + (*text - '0');
    }
    *exponent = is_below ? -size : size;
    return n;
}

static char *
write_zeros(char *at, size_t n)
{
    memset(at, '0', n);
    return at + n;
}

/* Write a positive number that is too small or too large for a text without an exponent. */
static char *
write_spread(char *at, double size)
{
    char text[2 * LONGEST_NUMBER], digits[2 * LONGEST_NUMBER];
    int exponent;
    size_t n = read_digits(text, write_double(text, size), digits, &exponent);
    if (exponent < 0) {
        memcpy(at, "0.", 2);
        at = write_zeros(at + 2, (size_t)(-exponent - 1));
    }
    memcpy(at, digits, n);
    at += n;
    return exponent < 0 ? at : write_zeros(at, (size_t)exponent + 1 - n);
}

char *
write_plain(char *at, double value)
{
    double size = value < 0.0 ? -value : value;
    if (size == 0.0) {
        *at = '0';
        return at + 1;
    }
    if (value < 0.0) {
        *at++ = '-';
    }
    if (size < SMALLEST || size >= LARGEST) {
        return write_spread(at, size);
    }
    at = write_double(at, size);
    return at[-1] == '0' && at[-2] == '.' ? at - 2 : at;
}

/* Servers divide 1 by a rate, and some drop what is after the point. So it is the largest double whose reciprocal, as doubles are
 * divided, is not below the count. */
char *
write_rate(char *at, uint64_t count)
{
    if (count == 1) {
        return at;
    }
    double share = 1.0 / (double)count;
    while (1.0 / share < (double)count) {
        share = double_of(bits_of(share) - 1);
    }
    memcpy(at, "|@", 2);
    return write_plain(at + 2, share);
}
