/* Exemplars: what tells one record of a series from all others, such as the trace in which it was made. A series has a place for
 * one in each bucket, a counter has one place.
 *
 * An exemplar is given with a record, or the registry is asked for it, at most once a second for each place. Either happens when
 * the record is made already, and may run Python code: so no pointer to a place is kept over it. In private memory, places are
 * of the family, by their series, and made for the first exemplar, or when the registry is asked first. In shared memory they
 * are in a block there (exemplar_block.h); of this process are only the times at which it asked. */
#ifndef TALLYMARK_EXEMPLAR_H
#define TALLYMARK_EXEMPLAR_H

#include "instrument.h"
#include "rows.h"

/* Keep the exemplar of a record of `value`, just made to a live series: 0, or -1 with an exception. The caller holds an
 * instrument of the series. Labels are pairs of exact str, as Policy.labels() returns them. */
int exemplar_offer(Family *family, Series *series, double value, PyObject *labels);

/* After a record of `value` to a live series of a family that asks: ask, and keep what is returned, unless that was done within
 * the last second: 0, or -1 with an exception. The caller need not hold the series, and must not use it from then on. */
int exemplar_consider(Family *family, Series *series, double value);

/* Forget what this process keeps for a series; for all. */
void exemplars_forget(Family *family, const Series *series);
void exemplars_clear(Family *family);

/* The exemplars of the series of some rows: a dict from the number of each row that has any to a tuple of labels, value and
 * time of each, in the order of the places. Labels are a tuple, or the bytes of shared memory, which are to be checked. NULL
 * without an exception if there are none. Other threads may run between two rows. */
PyObject *exemplars_read(const Family *family, const Rows *rows);

/* Return the number of places of a series, and the place of a value, as place_of() of engine/exemplar.py. */
uint32_t exemplar_places(const Family *family);
uint32_t exemplar_place(const Family *family, double value);

#endif
