/* Numbers as text: doubles as Python's repr() writes them. Nothing here needs the GIL. */
#ifndef TALLYMARK_NUMBER_TEXT_H
#define TALLYMARK_NUMBER_TEXT_H

#include <stdint.h>

#define LONGEST_NUMBER 24 /* bytes of the longest text, and so of the space that each of these needs */

/* Write a count: where the text ends. */
char *write_count(char *at, uint64_t count);

/* Write a finite double as repr() does: the fewest digits that give it back, of those the closest; NaN, +Inf and -Inf as
 * Prometheus reads them. Where the text ends. */
char *write_double(char *at, double value);

#endif
