/* The rows of a family, as a snapshot holds them: numbers as they were copied, and nothing that is made for each row.
 *
 * What does not change of a row, its tags and when it was created, is in blocks. A block never changes, and is kept by the family's
 * table for as long as none of its rows goes: so snapshots share it, and with it the text of its labels. */
#ifndef TALLYMARK_ROWS_H
#define TALLYMARK_ROWS_H

#include "labels.h"

#include <stdatomic.h>

struct Family;
struct Series;

#define BLOCK_ROWS 1024u /* of a table that one block is for, at most */

typedef struct Block {
    uint32_t references, n;
    _Atomic(Labels *) labels[N_SCHEMES]; /* owned; NULL until somebody needs them */
    double *created;                     /* after the tags */
    TagSet *tags[];                      /* owned */
} Block;

/* The rows of one block, and their words: those of a row together. */
typedef struct {
    Block *block;     /* owned */
    uint32_t start;   /* the first of them, among all */
    uint32_t n_counts, capacity;
    uint8_t *counts;  /* owned: of exponential buckets, packed (exponential_rows.h); then `n_counts` is in bytes */
    uint64_t words[];
} Portion;

typedef struct Rows {
    uint32_t references, n, width; /* width: words of a row */
    uint32_t n_bounds;
    char has_buckets; /* then a row's words are those of the series' cells; else one, its value */
    char is_exponential; /* of those that have buckets: then a row's words are others */
    uint32_t n_portions, capacity;
    Portion **portions;
    uint32_t at, end;  /* while it is read: the rows of the table that are still to be read */
    struct Rows *next; /* the next that is read now */
} Rows;

/* Read the live series of a family's table or, if there never was one, its root: NULL with an exception. Each row is copied at
 * once. Other threads may run between two of them, so rows of many may be a few milliseconds apart: one that lived all the time is
 * there once, and none is there twice. */
Rows *rows_of_table(struct Family *family);

/* A reading of other rows than those of the table. */
Rows *rows_new(const struct Family *family);
Portion *rows_add(Rows *rows, Block *block_steal); /* with space for its words; NULL with an exception */

/* A block of `n` rows without tags and times; NULL with an exception. */
Block *block_new(uint32_t n);
void block_release(Block *block); /* runs no Python code: see tagset_release() */

static inline Rows *
rows_retain(Rows *rows)
{
    rows->references++;
    return rows;
}

/* This lets other threads run, if there are many. */
void rows_release(Rows *rows, State *state);

/* Where a row is: its portion, and in `*row` which of that it is. */
const Portion *rows_find(const Rows *rows, uint32_t i, uint32_t *row);

/* The words of a histogram, as family.h has them for cells. */
#define SUM_WORD(rows) ((rows)->n_bounds + 1)
#define MIN_WORD(rows) ((rows)->n_bounds + 2)
#define MAX_WORD(rows) ((rows)->n_bounds + 3)

#endif
