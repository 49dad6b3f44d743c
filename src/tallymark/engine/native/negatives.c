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

int
negatives_make(Family *family, Series *series)
{
    return family->shared != NULL ? make_shared(family, series) : make_private(family, series);
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
