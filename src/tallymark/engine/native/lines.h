/* What the lines of each row of an exposition begin with, and where their numbers are. */
#ifndef TALLYMARK_LINES_H
#define TALLYMARK_LINES_H

#include "column.h"
#include "number_text.h"
#include "words.h"

#define MOST_LINES 4 /* of a row, beside its buckets */
#define CONSTANT (-1)

typedef struct {
    Word alone, labelled; /* without labels; before the first label */
    Word constant;
    int which;            /* of the columns; CONSTANT for none; BUCKET_COUNTS for the count of all buckets */
} Line;

typedef struct {
    Line lines[MOST_LINES];
    uint32_t n;
    size_t most; /* bytes of all lines beside labels, at most */
    Words words;
} Lines;

/* Read lines, which must be {0} before, from triples of texts and numbers: 1; 0 if they are not of these rows; -1 with an exception. */
int lines_read(const State *state, const Rows *rows, PyObject *triples, Lines *lines);

/* What the lines after a row's buckets tell. */
typedef struct {
    double created, sum;
    uint64_t count;
    int has_sum; /* 0: neither sum nor count */
} Told;

/* Write the lines that follow the buckets of a row: where they end. */
char *lines_write(char *at, const Lines *lines, const char *labels, size_t length, const Told *told);

/* About how many bytes the lines of all rows take, beside labels. */
size_t lines_expected(const Lines *lines, const Rows *rows);

/* Return 1 if somebody knows when a series was created. */
static inline int
is_known_time(double created)
{
    return created > 0.0 && created < Py_HUGE_VAL;
}

static inline char *
write_start(char *at, const Line *line, const char *labels, size_t length)
{
    if (length == 0) {
        at = copy_word(at, line->alone);
    }
    else {
        at = copy_word(at, line->labelled);
        at = copy_text(at, labels, length);
        *at++ = '}';
    }
    *at++ = ' ';
    return at;
}

#endif
