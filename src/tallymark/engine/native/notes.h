/* Notes of an exposition: texts that follow the numbers of some lines, as exemplars do. Few lines have one. */
#ifndef TALLYMARK_NOTES_H
#define TALLYMARK_NOTES_H

#include <Python.h>

#include <stdint.h>
#include <string.h>

/* A note belongs to the first line of its row whose position is not below its own: that is, for a bucket, its number or its
 * bound. Of those of one line, the one with the highest rank is written. */
typedef struct {
    uint32_t row, rank;
    double position;
    const char *text; /* of a Python text */
    size_t length;
} Note;

/* They are used up row by row, from the first position to the last. */
typedef struct {
    Note *notes; /* owned; in order of rows, then of positions */
    uint32_t n, at;
} Notes;

/* Read notes, which must be {0} before: 1; 0 if only Python code can write them; -1 with an exception. */
int notes_read(PyObject *tuples, Notes *notes);

static inline void
notes_clear(Notes *notes)
{
    PyMem_Free(notes->notes);
}

static inline int
has_note(const Notes *notes, uint32_t row)
{
    return notes->at < notes->n && notes->notes[notes->at].row == row;
}

/* Return how many bytes the notes of a row may take. No earlier row is written any more. */
static inline size_t
notes_size(Notes *notes, uint32_t row)
{
    size_t size = 0;
    while (notes->at < notes->n && notes->notes[notes->at].row < row) {
        notes->at++;
    }
    for (uint32_t i = notes->at; i < notes->n && notes->notes[i].row == row; i++) {
        size += notes->notes[i].length;
    }
    return size;
}

/* Write the note of a line of a row: where it ends. */
static inline char *
notes_write(char *at, Notes *notes, uint32_t row, double position)
{
    const Note *newest = NULL;
    for (; has_note(notes, row) && notes->notes[notes->at].position <= position; notes->at++) {
        const Note *note = &notes->notes[notes->at];
        newest = newest == NULL || note->rank > newest->rank ? note : newest;
    }
    if (newest != NULL) {
        memcpy(at, newest->text, newest->length);
        at += newest->length;
    }
    return at;
}

#endif
