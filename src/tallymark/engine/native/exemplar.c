#include "exemplar.h"

#include <math.h>

#include "clock.h"
#include "distribution.h"
#include "exemplar_block.h"
#include "hold.h"
#include "member.h"
#include "shared_family.h"

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
    return !family->has_buckets ? 1 : family->is_exponential ? EXPONENTIAL_PLACES : family->n_bounds + 1;
}

uint32_t
exemplar_place(const Family *family, double value)
{
    if (!family->has_buckets) {
        return 0;
    }
    return family->is_exponential ? (uint32_t)((bits_of(fabs(value)) >> 50) % EXPONENTIAL_PLACES)
                                  : bucket_of(family->bounds, family->n_bounds, value);
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

/* Count an exemplar that found no space: 0, or -1 with an exception. */
static int
reject_for_space(Family *family)
{
    PyObject *told = PyObject_CallMethod(family->policy, "no_space_for_exemplar", "O", family);
    Py_XDECREF(told);
    return told == NULL ? -1 : 0;
}

/* Keep an exemplar in shared memory, if that can be locked: 0, or -1 with an exception. */
static int
share(Family *family, Series *series, uint32_t place, const KeptExemplar *kept)
{
    int has_space = 1, locked = shared_lock(family->shared, PATIENT);
    if (locked > 0) {
        if (is_live(series)) { /* a fork or another process may have ended it while we waited */
            Slot slot = slot_again(&family->entry, slot_of_cells(series->cells));
            has_space = slot.record == NULL || block_keep(&family->entry, &slot, exemplar_places(family), place, kept);
        }
        shared_unlock(family->shared);
    }
    return locked < 0 ? -1 : has_space ? 0 : reject_for_space(family);
}

/* Return the bytes of labels in shared memory, copied to `*kept`: 0, or -1 with an exception. */
static int
write_labels(State *state, PyObject *labels, KeptExemplar *kept)
{
    PyObject *write = borrowed(state, LABELS_TEXT);
    PyObject *text = write == NULL ? NULL : PyObject_CallOneArg(write, labels);
    if (text == NULL) {
        return -1;
    }
    Py_ssize_t length = PyBytes_GET_SIZE(text);
    kept->length = length > (Py_ssize_t)LONGEST_TEXT ? 0 : (uint32_t)length; /* which no checked labels are */
    memcpy(kept->text, PyBytes_AS_STRING(text), kept->length);
    Py_DECREF(text);
    return 0;
}

int
exemplar_offer(Family *family, Series *series, double value, PyObject *labels)
{
    uint32_t place = exemplar_place(family, value);
    KeptExemplar shared = {.value = value};
    if ((family->shared != NULL && write_labels(family->state, labels, &shared) < 0)
        || family_now(family, "now", &shared.time) < 0) {
        return -1;
    }
    int is_kept_here = family->shared == NULL || family->asks;
    Exemplars *exemplars = is_kept_here && is_live(series) ? exemplars_have(family, series) : NULL;
    if (exemplars != NULL) {
        Kept *kept = &exemplars->places[place];
        kept->asked = shared.time;
        if (family->shared == NULL) {
            kept->time = shared.time;
            kept->value = value;
            Py_XSETREF(kept->labels, Py_NewRef(labels));
        }
    }
    return family->shared == NULL ? 0 : share(family, series, place, &shared);
}

/* Asking */

/* A coarse clock is a little behind; one that was set back is more. */
static int
is_recent(double time, double now)
{
    double age = now - time;
    return age > -ASK_AFTER && age < ASK_AFTER;
}

static int
is_due(const Exemplars *exemplars, uint32_t place, double now)
{
    return exemplars == NULL || !is_recent(exemplars->places[place].asked, now);
}

/* Return 1 if another process kept an exemplar in a place of a live series within the last second; then it counts as asked. */
static int
is_kept_by_others(const Family *family, const Series *series, uint32_t place, Kept *kept, double now)
{
    KeptExemplar found;
    if (family->shared == NULL) {
        return 0;
    }
    Slot slot = slot_again(&family->entry, slot_of_cells(series->cells));
    if (slot.record == NULL || !block_read(&family->entry, &slot, exemplar_places(family), place, &found)
        || !is_recent(found.time, now)) {
        return 0;
    }
    kept->asked = found.time;
    return 1;
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
        || (exemplars = exemplars_have(family, series)) == NULL
        || is_kept_by_others(family, series, place, &exemplars->places[place], now)) {
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

/* Add a tuple of labels, value and time to a list: 0, or -1 with an exception. Steals; NULL passes on. */
static int
add_to(PyObject *list, PyObject *labels_steal, double value, double time)
{
    PyObject *one = labels_steal == NULL ? NULL : Py_BuildValue("(Ndd)", labels_steal, value, time);
    int result = one == NULL ? -1 : PyList_Append(list, one);
    Py_XDECREF(one);
    return result;
}

/* Add the exemplars of a series that has some in private memory to a list: 0, or -1 with an exception. */
static int
read_private(const Family *family, const Series *series, PyObject *list)
{
    const Exemplars *exemplars = exemplars_find(family, series);
    for (uint32_t i = 0; i < exemplar_places(family); i++) {
        const Kept *kept = &exemplars->places[i];
        if (kept->labels != NULL && add_to(list, Py_NewRef(kept->labels), kept->value, kept->time) < 0) {
            return -1;
        }
    }
    return 0;
}

/* The same, of shared memory. One whose value is of another place is damaged. */
static int
read_shared(const Family *family, const Series *series, PyObject *list)
{
    uint32_t n = exemplar_places(family);
    KeptExemplar kept;
    Slot slot = slot_again(&family->entry, slot_of_cells(series->cells));
    for (uint32_t i = 0; slot.record != NULL && i < n; i++) {
        if (block_read(&family->entry, &slot, n, i, &kept) && exemplar_place(family, kept.value) == i
            && add_to(list, PyBytes_FromStringAndSize(kept.text, kept.length), kept.value, kept.time) < 0) {
            return -1;
        }
    }
    return 0;
}

/* Return 1 if a series may have an exemplar: few have. */
static int
may_have_any(const Family *family, const Series *series)
{
    if (family->shared == NULL) {
        return exemplars_find(family, series) != NULL;
    }
    return family->entry.record != NULL && is_live(series) && has_block(&family->entry, slot_of_cells(series->cells));
}

/* The exemplars of one series: a tuple, or NULL with an exception. */
static PyObject *
read_series(const Family *family, const Series *series)
{
    PyObject *list = PyList_New(0), *found = NULL;
    if (list != NULL && (family->shared == NULL ? read_private : read_shared)(family, series, list) == 0) {
        found = PyList_AsTuple(list);
    }
    Py_XDECREF(list);
    return found;
}

static int
has_any(const Family *family)
{
    return family->shared == NULL ? family->exemplars.used > 0 : entry_has_blocks(&family->entry);
}

/* Return the live series of a row; NULL if it went. It mostly is the next one of the table, after `*at`. */
static const Series *
series_of_row(const Family *family, const TagSet *tags, uint32_t *at)
{
    const Table *table = &family->table;
    while (*at < table->n_rows && (table->rows[*at] == NULL || !is_live(table->rows[*at]))) {
        ++*at;
    }
    if (*at < table->n_rows && table->rows[*at]->tags == tags) {
        return table->rows[(*at)++];
    }
    const Series *series = table_find(table, tags);
    return series != NULL && is_live(series) ? series : NULL;
}

/* Read the rows of a portion into a dict: 0, or -1 with an exception. */
static int
read_portion(const Family *family, const Portion *portion, uint32_t *at, PyObject *found)
{
    int result = 0, collecting = PyGC_Disable(); /* else a finaliser might end a series that is read */
    for (uint32_t i = 0; result == 0 && i < portion->block->n; i++) {
        const Series *series = series_of_row(family, portion->block->tags[i], at);
        if (series == NULL || !may_have_any(family, series)) {
            continue;
        }
        PyObject *row = read_series(family, series), *number = PyLong_FromUnsignedLong(portion->start + i);
        result = row == NULL || number == NULL ? -1 : PyTuple_GET_SIZE(row) == 0 ? 0 : PyDict_SetItem(found, number, row);
        Py_XDECREF(row);
        Py_XDECREF(number);
    }
    if (collecting) {
        PyGC_Enable();
    }
    return result;
}

PyObject *
exemplars_read(const Family *family, const Rows *rows)
{
    PyObject *found = has_any(family) ? PyDict_New() : NULL;
    uint32_t at = 0;
    Hold hold;
    hold_begin(&hold);
    for (uint32_t i = 0; found != NULL && i < rows->n_portions; i++) {
        if (read_portion(family, rows->portions[i], &at, found) < 0) {
            Py_CLEAR(found);
        }
        hold_pause(&hold);
    }
    return found;
}
