/* The text of labels, as Prometheus' formats have it between braces. */
#ifndef TALLYMARK_LABELS_H
#define TALLYMARK_LABELS_H

#include "tagset.h"

struct Block;

/* What becomes of keys that are not names of labels (`tallymark.export.escaping`). UNDERSCORES: what is not allowed becomes one.
 * UTF_8: they are as they are, in quotes. AS_VALUES: only Python code can write them. */
typedef enum { UNDERSCORES, UTF_8, N_SCHEMES, AS_VALUES = N_SCHEMES } Scheme;

#define MOST_SHAPES 4 /* in one block, whose keys are not all label names as they are; with more, nothing is known of them */

/* Of the rows of a block, one after the other. Before each is its length: a byte, or MORE and four bytes. */
typedef struct {
    char is_known;    /* 0: only Python code can write them */
    char has_changed; /* 1: a key is not a label name as it is, under all schemes that are known here */
    char has_empty;   /* 1: a tag was left out, since its value is empty */
    char has_le;      /* 1: a tag is called as the bound of a bucket is */
    uint32_t n_shapes; /* of the tags; noted from the second on only if `has_changed` */
    const Shape *shapes[MOST_SHAPES];
    size_t size;
    char text[]; /* and SLACK */
} Labels;

#define MORE 255
#define SLACK 32 /* bytes that may be read, or written, after any text: it is copied in pieces of this size */

/* Return the labels of a block, made if need be: NULL without memory. It needs no GIL, but a reference to the block. */
const Labels *labels_of(struct Block *block, Scheme scheme);

/* Return 1 if no two different tag sets of these have the same labels under a scheme. */
int are_distinct(const Labels *const *all, uint32_t n, Scheme scheme);

/* Move `*at` to the text of the next row, and return its length. */
static inline size_t
label_next(const char **at)
{
    size_t length = (unsigned char)*(*at)++;
    if (length == MORE) {
        uint32_t longer;
        memcpy(&longer, *at, sizeof longer);
        *at += sizeof longer;
        length = longer;
    }
    return length;
}

#endif
