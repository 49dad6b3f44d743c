/* The text of an exposition, as it is written: by an exporter and, where there are many rows, here. */
#ifndef TALLYMARK_EXPOSITION_H
#define TALLYMARK_EXPOSITION_H

#include "rows.h"
#include "words.h"

/* The text of a bound of exponential buckets, with all that is between the labels and the number. */
typedef struct {
    uint64_t bits;        /* of the bound */
    unsigned char format; /* UNUSED, PLAIN or CANONICAL */
    unsigned char length; /* at most 31 */
    char text[54];        /* with the space that to write a number needs */
} Edge;

enum { UNUSED, PLAIN, CANONICAL };

#define EDGE_BITS 9
#define N_EDGES (1u << EDGE_BITS) /* that are kept: a place for each hash */

typedef struct {
    PyObject_HEAD
    PyObject *bytes; /* owned by nobody else, and longer than what is written; NULL before the first text */
    size_t size;     /* of what is written */
    Edge *edges;     /* owned; NULL before the first exponential buckets */
    char is_busy;    /* a thread is writing to it, without the GIL */
} Exposition;

/* A str as UTF-8, valid as long as the str is. */
typedef struct {
    const char *bytes;
    size_t size;
    PyObject *replaced; /* owned; NULL where the bytes are the str's own */
} Utf8;

/* Get the bytes of a str, in which a lone surrogate becomes `?`: 0, or -1 with an exception. To be cleared in any case. */
int utf8_of(PyObject *text, Utf8 *utf8);

static inline void
utf8_clear(Utf8 *utf8)
{
    Py_CLEAR(utf8->replaced);
}

/* Rows that are being written. Where they are many, the GIL is let go: the rows never change, and nobody else has the bytes. */
typedef struct {
    Exposition *to;
    const Rows *rows;
    const Labels **labels; /* of each portion; owned */
    char *at, *end;        /* where the next text goes, and where there is no more space */
    uint32_t lines;        /* of a row */
    int is_begun;          /* 1: the exposition is ours */
    PyThreadState *thread; /* to take the GIL again; NULL where it was not let go */
} Writing;

/* Begin to write rows, each of so many lines: 1; 0 if only Python code can write them, since two of them may have the same labels,
 * or the escaping scheme is not known; -1 with an exception. */
int writing_begin(Writing *writing, Exposition *to, const Rows *rows, uint32_t lines, const char *scheme);

/* Begin to write rows in which there are no labels: 1, or -1 with an exception. */
int writing_begin_without_labels(Writing *writing, Exposition *to, const Rows *rows);

/* Have space for so many bytes, and SLACK: 1; 0 with an exception. */
int writing_grow(Writing *writing, size_t bytes);

/* Have space at once for what the rows will take, of which `bytes` are not labels: to grow may mean to copy. 1; 0 with an exception. */
int writing_expect(Writing *writing, size_t bytes);

static inline int
writing_reserve(Writing *writing, size_t bytes)
{
    return (size_t)(writing->end - writing->at) >= bytes + SLACK || writing_grow(writing, bytes);
}

/* The reverse of writing_begin(): `result`, or -1 with an exception if it is less than 0. What was not completed is not kept. */
int writing_end(Writing *writing, int result);

/* Return 1 if a tag is called as the label of a bucket's bound is. Then Python code must write, which gives it another name. */
int writing_has_le(const Writing *writing);

/* Methods: write rows of numbers, and of histograms, as lines or as JSON. */
PyObject *exposition_write_numbers(PyObject *op, PyObject *args);
PyObject *exposition_write_buckets(PyObject *op, PyObject *args);
PyObject *exposition_write_exponential_buckets(PyObject *op, PyObject *args);
PyObject *exposition_write_json_rows(PyObject *op, PyObject *args);
PyObject *exposition_write_json_total(PyObject *op, PyObject *numbers);

extern PyType_Spec exposition_spec;

#endif
