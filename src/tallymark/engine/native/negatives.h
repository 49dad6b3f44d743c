/* Buckets of observations below 0. Few series have any, so they are made on first use: on the heap, or as a record in shared
 * memory, which then belongs to the slot for ever. */
#ifndef TALLYMARK_NEGATIVES_H
#define TALLYMARK_NEGATIVES_H

#include "instrument.h"

/* Return the buckets of a series with these cells; NULL if it has none. */
Cell *negatives_of(const Family *family, const Cell *cells);

/* Return 1 if the series that a call records to is live and has such buckets. */
int negatives_are_made(Instrument *self, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames);

/* Make them where that is not so: 1; 0 if the record is rejected; -1 with an exception. */
int negatives_make(Instrument *self, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames);

/* Empty them, of cells that are to be those of an empty series. */
void negatives_clear(const Family *family, Cell *cells);

#endif
