#include "exemplar.h"

#include <math.h>

#include "clock.h"
#include "distribution.h"

#define EXPONENTIAL_PLACES 20u
#define ASK_AFTER 1.0 /* seconds */

/* What this process keeps of a place. */
typedef struct {
    double asked;       /* when the registry was asked last, or an exemplar was kept: seconds since the epoch */
    double value, time; /* of the exemplar */
    PyObject *labels;   /* its own; NULL if there is none here */
} Kept;

typedef struct {
    const Series *series;
    Kept places[];
} Exemplars;

/* Places */

uint32_t
exemplar_places(const Family *family)
{
    return !family->has_buckets ? 1 : family->n_bounds > 0 ? family->n_bounds + 1 : EXPONENTIAL_PLACES;
}

uint32_t
exemplar_place(const Family *family, double value)
{
    if (!family->has_buckets) {
        return 0;
    }
    return family->n_bounds > 0 ? bucket_of(family->bounds, family->n_bounds, value)
                                : (uint32_t)((bits_of(fabs(value)) >> 50) % EXPONENTIAL_PLACES);
}

static uint64_t
hash_of_series(const Series *series)
{
    return mixed((uint64_t)(uintptr_t)series >> 4);
}

static uint64_t
hash_of_exemplars(const void *entry)
{
    return hash_of_series(((const Exemplars *)entry)->series);
}

static Exemplars *
exemplars_find(const Family *family, const Series *series)
{
    const Pointers *table = &family->exemplars;
    for (size_t at = hash_of_series(series) & table->mask; table->slots != NULL && table->slots[at] != NULL;
         at = (at + 1) & table->mask) {
        Exemplars *found = table->slots[at];
        if (found->series == series) {
            return found;
        }
    }
    return NULL;
}

/* Return the places of a series, made if need be; NULL, without an exception, if there is no memory. */
static Exemplars *
exemplars_have(Family *family, const Series *series)
{
    Exemplars *known = exemplars_find(family, series);
    if (known != NULL) {
        return known;
    }
    uint32_t n = exemplar_places(family);
    Exemplars *made = PyMem_Calloc(1, sizeof *made + n * sizeof made->places[0]);
    if (made == NULL) {
        return NULL;
    }
    made->series = series;
    for (uint32_t i = 0; i < n; i++) {
        made->places[i].asked = -Py_HUGE_VAL;
    }
    if (pointers_add(&family->exemplars, made, hash_of_exemplars) < 0) {
        PyMem_Free(made);
        return NULL;
    }
    return made;
}

static void
exemplars_free(const Family *family, Exemplars *exemplars)
{
    uint32_t n = exemplar_places(family);
    for (uint32_t i = 0; i < n; i++) {
        Py_XDECREF(exemplars->places[i].labels); /* tuples of exact str: no code runs */
    }
    PyMem_Free(exemplars);
}

void
exemplars_forget(Family *family, const Series *series)
{
    Exemplars *found = family->exemplars.used > 0 ? exemplars_find(family, series) : NULL;
    if (found != NULL) {
        pointers_remove(&family->exemplars, found, hash_of_exemplars);
        exemplars_free(family, found);
    }
}

void
exemplars_clear(Family *family)
{
    for (size_t i = 0; family->exemplars.slots != NULL && i <= family->exemplars.mask; i++) {
        if (family->exemplars.slots[i] != NULL) {
            exemplars_free(family, family->exemplars.slots[i]);
        }
    }
    PyMem_Free(family->exemplars.slots);
    family->exemplars = (Pointers){NULL, 0, 0};
}

/* Keeping */

int
exemplar_offer(Family *family, Series *series, double value, PyObject *labels)
{
    double now;
    if (family_now(family, "now", &now) < 0) {
        return -1;
    }
    Exemplars *exemplars = is_live(series) ? exemplars_have(family, series) : NULL;
    if (exemplars != NULL) {
        Kept *kept = &exemplars->places[exemplar_place(family, value)];
        kept->asked = kept->time = now;
        kept->value = value;
        Py_XSETREF(kept->labels, Py_NewRef(labels));
    }
    return 0;
}

/* Asking */

/* Return 1 unless the place was asked for within the last second; or if the clock was set back, by more than a coarse clock is
 * behind. */
static int
is_due(const Exemplars *exemplars, uint32_t place, double now)
{
    double age = exemplars == NULL ? Py_HUGE_VAL : now - exemplars->places[place].asked;
    return !(age > -ASK_AFTER && age < ASK_AFTER);
}

/* Ask for an exemplar, unless it is not due by the registry's own clock. Not inlined: tools/record_path.py knows it by its
 * name. */
__attribute__((noinline)) static int
exemplar_ask(Family *family, Series *series, double value)
{
    uint32_t place = exemplar_place(family, value);
    double now;
    Exemplars *exemplars;
    PyObject *labels = NULL;
    int result = -1;
    Instrument *holder = instrument_of(family, series); /* keeps the series, whatever runs */
    if (holder == NULL || family_now(family, "now", &now) < 0) {
        goto error;
    }
    result = 0;
    if (!is_live(series) || !is_due(exemplars_find(family, series), place, now)
        || (exemplars = exemplars_have(family, series)) == NULL) {
        goto error;
    }
    exemplars->places[place].asked = now; /* first: who is asked may record here, too */
    labels = PyObject_CallMethod(family->policy, "asked_labels", NULL);
    result = labels == NULL ? -1 : PyTuple_GET_SIZE(labels) == 0 ? 0 : exemplar_offer(family, series, value, labels);
error:
    Py_XDECREF(labels);
    Py_XDECREF(holder);
    return result;
}

int
exemplar_consider(Family *family, Series *series, double value)
{
    if (family->has_system_clock && !is_due(exemplars_find(family, series), exemplar_place(family, value), clock_epoch())) {
        return 0;
    }
    return exemplar_ask(family, series, value);
}

/* Reading */

/* The exemplars of one series: a tuple, or NULL with an exception. */
static PyObject *
read_kept(const Family *family, const Series *series)
{
    const Exemplars *exemplars = exemplars_find(family, series);
    PyObject *found = PyList_New(0);
    for (uint32_t i = 0; found != NULL && exemplars != NULL && i < exemplar_places(family); i++) {
        const Kept *kept = &exemplars->places[i];
        PyObject *one = kept->labels == NULL ? NULL : Py_BuildValue("(Odd)", kept->labels, kept->value, kept->time);
        if (kept->labels != NULL && (one == NULL || PyList_Append(found, one) < 0)) {
            Py_CLEAR(found);
        }
        Py_XDECREF(one);
    }
    PyObject *tuple = found == NULL ? NULL : PyList_AsTuple(found);
    Py_XDECREF(found);
    return tuple;
}

PyObject *
exemplars_read(const Family *family, const Series *const *rows, Py_ssize_t n)
{
    if (family->exemplars.used == 0) {
        return NULL;
    }
    int any = 0;
    PyObject *column = PyTuple_New(n);
    for (Py_ssize_t i = 0; column != NULL && i < n; i++) {
        PyObject *row = read_kept(family, rows[i]);
        if (row == NULL) {
            Py_CLEAR(column);
            break;
        }
        any = any || PyTuple_GET_SIZE(row) > 0;
        PyTuple_SET_ITEM(column, i, row);
    }
    if (!any) {
        Py_CLEAR(column);
    }
    return column;
}
