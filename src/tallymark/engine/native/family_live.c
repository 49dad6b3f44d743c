#include "exemplar.h"
#include "exponential.h"
#include "instrument.h"
#include "negatives.h"
#include "shared_family.h"

const CellState series_dormant = DEAD, series_live = LIVE; /* of series in private memory */
const CellState series_asking = ASKING;                    /* of any */

void
family_init_cells(const Family *family, Cell *cells)
{
    if (family->is_exponential) {
        exponential_clear(family, cells);
    }
    for (uint32_t i = family->is_exponential ? SUM(family) : 0; i < family->words; i++) {
        cell_set(&cells[i], 0.0);
    }
    if (family->has_buckets) {
        cell_set(&cells[MIN(family)], Py_HUGE_VAL);
        cell_set(&cells[MAX(family)], -Py_HUGE_VAL);
    }
}

void
family_free_cells(const Family *family, Series *series)
{
    if (family->is_exponential && family->empty == NULL) {
        negatives_clear(family, series->own);
    }
}

void
family_point_to(Series *series, Cell *cells)
{
    series->cells = cells;
    if (series->holder != NULL) {
        series->holder->cells = cells;
    }
}

void
family_empty(const Family *family, Series *series)
{
    family_point_to(series, family->empty != NULL ? family->empty : series->own);
    if (family->empty == NULL) {
        family_init_cells(family, series->own);
    }
}

int
family_now(Family *family, const char *clock, double *now)
{
    PyObject *reading = PyObject_CallMethod(family->hooks, clock, NULL);
    if (reading == NULL) {
        return -1;
    }
    *now = PyFloat_AsDouble(reading);
    Py_DECREF(reading);
    return *now == -1.0 && PyErr_Occurred() ? -1 : 0;
}

double
family_mark(const Family *family, const Series *series)
{
    const Cell *cells = series->cells;
    if (!family->has_buckets) {
        return family->words == 1 ? cell_get(cells) : (double)cell_count(&cells[1]);
    }
    if (family->is_exponential) {
        return (double)exponential_total(family, cells);
    }
    uint64_t count = 0;
    for (uint32_t i = 0; i <= family->n_bounds; i++) {
        count += cell_count(&cells[i]);
    }
    return (double)count;
}

int
is_asking_live(const Series *series)
{
    return series->cells == series->own || atomic_load_explicit(&slot_of_cells(series->cells)->state, memory_order_relaxed) == LIVE;
}

static int
may_enter(const Family *family, const Series *series)
{
    return series->kept || family->taken < family->max_series;
}

/* Make a series of private memory live, without running any Python code: 0, or -1 with an exception. */
static int
family_enter(Family *family, Series *series, double now, double uptime)
{
    if (table_move_last(&family->table, series) < 0) {
        PyErr_NoMemory();
        return -1;
    }
    series->created = now;
    series->since = uptime;
    series->mark = family_mark(family, series);
    series->state = family->asks ? &series_asking : &series_live;
    family->has_lived = 1;
    family->table.live++;
    family->taken += !series->kept;
    return 0;
}

/* Call a method of the policy that returns nothing: 0, or -1 with an exception. */
static int
call_policy(Family *family, const char *method)
{
    PyObject *result = PyObject_CallMethod(family->policy, method, "O", family);
    Py_XDECREF(result);
    return result == NULL ? -1 : 0;
}

static Instrument *
family_wake_overflow(Family *family, const char *why)
{
    if (call_policy(family, why) < 0) {
        return NULL;
    }
    Series *series = family_series(family, family->overflow_tags);
    Instrument *overflow = series == NULL ? NULL : instrument_of(family, series);
    Instrument *live = overflow == NULL ? NULL : family_wake(family, overflow);
    Py_XDECREF(overflow);
    return live;
}

/* Register an unregistered family again: 1; 0 if its name is taken; -1 with an exception. */
static int
family_readmit(Family *family)
{
    PyObject *readmitted = PyObject_CallMethod(family->hooks, "readmit", "O", family);
    int result = readmitted == NULL ? -1 : PyObject_IsTrue(readmitted);
    Py_XDECREF(readmitted);
    return result;
}

/* Count what could not be counted while shared memory could not be changed: 0, or -1 with an exception. */
static int
settle(Family *family)
{
    if (!family->shared->owes) {
        return 0;
    }
    PyObject *settled = PyObject_CallMethod(family->policy, "reachable", "O", family);
    int is_settled = settled == NULL ? -1 : PyObject_IsTrue(settled);
    family->shared->owes = is_settled <= 0;
    Py_XDECREF(settled);
    return is_settled < 0 ? -1 : 0;
}

#define WAKE_AGAIN 2

/* Find a slot in shared memory for a series: 1; WAKE_AGAIN; -1 with an exception; 0 with `*why` if the record goes to the
 * overflow series, or 0 without it if the record is rejected. */
static int
family_wake_shared(Family *family, Series *series, double now, double uptime, const char **why)
{
    static const char *const reasons[] = {
        [CROWDED] = "crowded", [NO_SPACE] = "no_space", [TAKEN] = "name_taken", [UNREACHABLE] = "unreachable"};
    int attached = family_attach(family, series, now, uptime);
    if (attached == ATTACHED) {
        return settle(family) < 0 ? -1 : 1;
    }
    if (attached == AGAIN || attached < 0) {
        return attached < 0 ? -1 : WAKE_AGAIN;
    }
    family->shared->owes = family->shared->owes || attached == UNREACHABLE;
    if (attached != CROWDED && (attached != NO_SPACE || is_overflow(family, series) || family->entry.record == NULL)) {
        return call_policy(family, reasons[attached]);
    }
    *why = reasons[attached];
    return 0;
}

/* Get ready to make a series live: 1 with the times in `*now` and `*uptime`; 0 if the family cannot be registered; -1 with
 * an exception. */
static int
get_ready(Family *family, double *now, double *uptime)
{
    do {
        int has_entry = family->shared == NULL || family->entry.record != NULL; /* else the registry looks for space again */
        int back = family->registered && has_entry ? 1 : family_readmit(family);
        if (back <= 0) {
            if (back == 0) {
                call_policy(family, "name_taken");
            }
            return PyErr_Occurred() ? -1 : 0;
        }
        if (family_now(family, "now", now) < 0 || (family->ttl > 0.0 && family_now(family, "uptime", uptime) < 0)) {
            return -1;
        }
    } while (!family->registered); /* the clocks and the registry are Python code, and let others run */
    return 1;
}

/* Make a dormant series live: 1; WAKE_AGAIN; -1 with an exception; 0 as family_wake_shared(). */
static int
wake(Family *family, Series *series, double now, double uptime, const char **why)
{
    if (is_entered(series)) { /* by what ran meanwhile */
        return 1;
    }
    if (family->shared != NULL) {
        return family_wake_shared(family, series, now, uptime, why);
    }
    if (!may_enter(family, series)) {
        *why = "crowded";
        return 0;
    }
    return family_enter(family, series, now, uptime) < 0 ? -1 : 1;
}

Instrument *
family_wake(Family *family, Instrument *instrument)
{
    Series *series = instrument->series; /* its instrument keeps it alive, whatever runs meanwhile */
    const char *why = NULL;
    double now, uptime = 0.0;
    int woken;
    do {
        if (!is_live(series)) {
            family_lose(family, series); /* another process may have ended it */
        }
        if (get_ready(family, &now, &uptime) <= 0) {
            return NULL;
        }
        woken = wake(family, series, now, uptime, &why);
    } while (woken == WAKE_AGAIN);
    tagsets_settle(family->state);
    if (woken <= 0) {
        return woken == 0 && why != NULL ? family_wake_overflow(family, why) : NULL;
    }
    return (Instrument *)Py_NewRef((PyObject *)instrument);
}

Instrument *
family_named(Family *family, Instrument *instrument_steal)
{
    if (instrument_steal == NULL || is_live(instrument_steal->series)) {
        return instrument_steal;
    }
    Instrument *live = family_wake(family, instrument_steal);
    if (live == NULL && !PyErr_Occurred()) {
        return instrument_steal;
    }
    Py_DECREF(instrument_steal);
    return live;
}

static void
family_forget(Family *family, Series *series)
{
    TagSet *tags = series->tags;
    table_remove(&family->table, series);
    arena_give(&family->series, series->number);
    tagset_release(tags);
}

void
family_leave(Family *family, Series *series)
{
    if (family->shared != NULL) {
        family_detach(family, series);
    }
    series->state = &series_dormant;
    exemplars_forget(family, series);
    family_empty(family, series);
    table_forget_block(&family->table, series->row); /* which would keep its tags */
    family->table.live--;
    family->taken -= !series->kept;
}

void
family_lose(Family *family, Series *series)
{
    if (!is_entered(series)) {
        return;
    }
    family_leave(family, series);
    if (series->holder == NULL && !series->kept) {
        family_forget(family, series);
    }
}

void
family_release(Family *family, Series *series)
{
    series->holder = NULL;
    if (!is_entered(series) && !series->kept) {
        family_forget(family, series);
    }
}

Instrument *
instrument_of(Family *family, Series *series)
{
    if (series->holder != NULL) {
        return (Instrument *)Py_NewRef((PyObject *)series->holder);
    }
    State *state = family->state;
    Instrument *self = state->n_spare_instruments > 0 ? (Instrument *)state->spare_instruments[--state->n_spare_instruments]
                                                      : PyObject_Malloc(sizeof *self);
    if (self == NULL) {
        if (!is_entered(series) && !series->kept) {
            family_forget(family, series);
        }
        PyErr_NoMemory();
        return NULL;
    }
    PyObject_Init((PyObject *)self, family->instrument_type);
    self->family = (Family *)Py_NewRef((PyObject *)family);
    self->series = series;
    self->cells = series->cells;
    self->weaklist = NULL;
    self->tags = (TagSet *)Py_NewRef((PyObject *)series->tags);
    series->holder = self;
    return self;
}
