/* Numbers as StatsD servers read them: never with an exponent. As `tallymark.export.statsd_numbers`. */
#ifndef TALLYMARK_PLAIN_NUMBER_H
#define TALLYMARK_PLAIN_NUMBER_H

#include <stdint.h>

#define LONGEST_PLAIN 352 /* bytes that must be there to write to: a double has 17 digits, and 323 zeros before them */
#define LONGEST_RATE 64
#define MOST_RATED (UINT64_C(1) << 32) /* the largest count whose rate is written here: up to it, two never have the same */

/* Write a finite double: the shortest text that gives it back, without `.0`. Where the text ends. */
char *write_plain(char *at, double value);

/* Write a sample rate with which one line counts for so many, from 1 to MOST_RATED; nothing for 1. Where the text ends. */
char *write_rate(char *at, uint64_t count);

#endif
