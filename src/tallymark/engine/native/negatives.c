#include "negatives.h"

#include "buckets.h"
#include "distribution.h"
#include "member.h"
#include "shared_family.h"
#include "shared_methods.h"

#define NEGATIVES_MARK 0x2047454eu

/* As it lies in the file. */
typedef struct {
    uint32_t mark, unused;
    Cell buckets[SHARED_CELLS];
} Record;

static Cell *
place_of(const Family *family, Cell *cells)
{
    return &cells[SUM(family) - 1];
}

static Cell *
buckets_at(Shared *shared, uint64_t offset)
{
    Record *record = offset == 0 ? NULL : shared_at(shared, offset, sizeof *record);
    return record != NULL && record->mark == NEGATIVES_MARK ? record->buckets : NULL;
}

Cell *
negatives_of(const Family *family, const Cell *cells)
{
    uint64_t place = cell_count(place_of(family, (Cell *)cells));
    return family->shared == NULL ? (Cell *)(uintptr_t)place : buckets_at(family->shared, place);
}

void
negatives_clear(const Family *family, Cell *cells)
{
    Cell *buckets = negatives_of(family, cells);
    if (family->shared == NULL) {
        PyMem_Free(buckets);
        atomic_store(place_of(family, cells), 0);
    }
    else if (buckets != NULL) {
        buckets_clear(buckets, 1);
    }
}

/* Making */

/* Under the lock: have a record in the file, if there is space: 1, or 0. */
static int
make_record(const Family *family, Cell *cells)
{
    Shared *shared = family->shared;
    uint64_t offset = shared_take(shared, sizeof(Record));
    if (offset == 0) {
        return 0;
    }
    ((Record *)(shared->base + offset))->mark = NEGATIVES_MARK;
    step(shared);
    atomic_store(place_of(family, cells), offset);
    step(shared);
    return 1;
}

/* Count a record that is rejected: 0, or -1 with an exception. */
static int
reject(Family *family, const char *reason)
{
    PyObject *called = PyObject_CallMethod(family->policy, reason, "O", family);
    Py_XDECREF(called);
    return called == NULL ? -1 : 0;
}

/* Have buckets for a live series: 1; 0 if the record is rejected; -1 with an exception. Other threads may run, and end it. */
static int
make_shared(Family *family, Series *series)
{
    int locked = shared_lock(family->shared, PATIENT);
    if (locked <= 0) {
        family->shared->owes = 1;
        return locked < 0 ? -1 : reject(family, "unreachable");
    }
    int is_to_make = is_live(series) && negatives_of(family, series->cells) == NULL;
    int made = !is_to_make || make_record(family, series->cells);
    shared_unlock(family->shared);
    return made ? 1 : reject(family, "no_space");
}

static int
make_private(Family *family, Series *series)
{
    Cell *buckets = PyMem_Calloc(PRIVATE_CELLS, sizeof *buckets);
    if (buckets == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    atomic_store(place_of(family, series->cells), (uint64_t)(uintptr_t)buckets);
    return 1;
}

static int
make(Family *family, Series *series)
{
    if (negatives_of(family, series->cells) != NULL) {
        return 1;
    }
    return family->shared != NULL ? make_shared(family, series) : make_private(family, series);
}

/* For a call */

int
negatives_are_made(Instrument *self, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames)
{
    const Series *series = has_tags(kwnames) ? find_live(self, args, nargs, kwnames) : self->series;
    return series != NULL && is_live(series) && negatives_of(self->family, series->cells) != NULL;
}

/* Return the tags of a call, a dict; NULL with an exception or, for a call that is wrong, without: who records tells so. */
static PyObject *
tags_of(PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames)
{
    PyObject *tags = PyDict_New();
    for (Py_ssize_t i = 0; tags != NULL && i < PyTuple_GET_SIZE(kwnames); i++) {
        PyObject *key = PyTuple_GET_ITEM(kwnames, i);
        if (PyUnicode_CompareWithASCIIString(key, "exemplar") == 0) {
            continue;
        }
        if (has_no_tag(&key, 1) || PyDict_SetItem(tags, key, args[nargs + i]) < 0) {
            Py_CLEAR(tags);
        }
    }
    return tags;
}

/* Return the instrument that a call records to, which may be dormant; NULL as tags_of(). */
static Instrument *
target_of(Instrument *self, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames)
{
    if (!has_tags(kwnames)) {
        return (Instrument *)Py_NewRef((PyObject *)self);
    }
    PyObject *tags = tags_of(args, nargs, kwnames);
    Instrument *found = tags == NULL ? NULL
                        : PyDict_GET_SIZE(tags) == 0 ? (Instrument *)Py_NewRef((PyObject *)self)
                                                     : family_find(self->family, self->series, tags);
    Py_XDECREF(tags);
    return found;
}

/* Return the live instrument that a record to one belongs to; NULL, with an exception or without where the record is rejected.
 * Steals. */
static Instrument *
woken(Instrument *target_steal)
{
    Instrument *target = target_steal;
    while (target != NULL && !is_live(target->series)) { /* once, unless other code removes it again meanwhile */
        Instrument *live = family_wake(target->family, target);
        Py_DECREF(target);
        target = live;
    }
    return target;
}

int
negatives_make(Instrument *self, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames)
{
    Instrument *target = target_of(self, args, nargs, kwnames);
    if (target == NULL) {
        return PyErr_Occurred() ? -1 : 1;
    }
    int made = 0;
    while ((target = woken(target)) != NULL) {
        made = make(self->family, target->series);
        if (made <= 0 || is_live(target->series)) {
            break;
        }
    }
    Py_XDECREF(target);
    return PyErr_Occurred() ? -1 : made;
}

/* Reading */

PyObject *
shared_negatives(PyObject *op, PyObject *args)
{
    unsigned long long offset;
    if (!PyArg_ParseTuple(args, "K:negatives", &offset)) {
        return NULL;
    }
    const Cell *buckets = buckets_at((Shared *)op, offset);
    return buckets == NULL ? Py_NewRef(Py_None) : tuple_of_cells(buckets, SHARED_CELLS);
}
