/* The reading of totals, and their expiry. */
#include "totals.h"

#include <math.h>

#include "instrument.h"
#include "member.h"
#include "rows.h"
#include "shared_family.h"
#include "tag_text.h"

static int
is_live_share(const SlotRecord *slot, const Share *share)
{
    return atomic_load(&slot->state) == LIVE && slot->hash == share->hash;
}

/* A sum keeps what rounding loses (Neumaier, "Rundungsfehleranalyse einiger Verfahren zur Summation endlicher Summen",
 * 1974), so that it is the same in whatever order processes came. */
static void
add_value(Total *total, double value, uint32_t aggregate)
{
    if (total->n_read == 0) {
        total->value = value;
        total->rest = 0.0;
    }
    else if (aggregate == SUM_OF) {
        double sum = total->value + value;
        total->rest += fabs(total->value) >= fabs(value) ? (total->value - sum) + value : (value - sum) + total->value;
        total->value = sum;
    }
    else if (aggregate == MAX_OF ? value > total->value : value < total->value) {
        total->value = value;
    }
}

static double
value_of(const Total *total)
{
    return Py_IS_FINITE(total->value) ? total->value + total->rest : total->value;
}

static void
read_shares(Family *family)
{
    Totals *totals = &family->totals;
    for (size_t i = 0; i < totals->n_rows; i++) {
        totals->rows[i]->n_read = 0;
    }
    for (size_t i = 0; i < totals->n_shares; i++) {
        const Share *share = &totals->shares[i];
        const SlotRecord *slot = share_record(family->shared, share);
        Total *total = share->total;
        if (total == NULL || !is_live_share(slot, share)) {
            continue;
        }
        uint64_t word = cell_count(&slot->cells[0]), mark = slot_mark(&family->entry, slot, share->offset);
        int is_in_use = family->words > 1 && gauge_is_in_use(slot->cells);
        double created = slot->created;
        atomic_thread_fence(memory_order_acquire);
        if (is_live_share(slot, share)) {
            add_value(total, double_of(word), family->entry.aggregate);
            total->created = total->n_read == 0 || created < total->created ? created : total->created;
            total->mark = total->n_read == 0 ? mark : total->mark + mark;
            total->is_in_use = is_in_use || (total->n_read > 0 && total->is_in_use);
            total->n_read++;
        }
    }
}

/* Add the next totals that lived, at most a block of them, and move `*at` behind them: 0, or -1 with an exception. */
static int
add_block(const Totals *totals, Rows *rows, size_t *at)
{
    const Total *living[BLOCK_ROWS];
    uint32_t n = 0;
    for (; n < BLOCK_ROWS && *at < totals->n_rows; ++*at) {
        if (totals->rows[*at]->n_read > 0) {
            living[n++] = totals->rows[*at];
        }
    }
    Block *block = n == 0 ? NULL : block_new(n);
    if (block == NULL) {
        return n == 0 ? 0 : -1;
    }
    for (uint32_t i = 0; i < n; i++) {
        block->tags[i] = (TagSet *)Py_NewRef((PyObject *)living[i]->tags);
        block->created[i] = living[i]->created;
    }
    Portion *portion = rows_add(rows, block);
    for (uint32_t i = 0; portion != NULL && i < n; i++) {
        portion->words[i] = bits_of(value_of(living[i]));
    }
    return portion == NULL ? -1 : 0;
}

Rows *
totals_read(Family *family)
{
    Rows *rows = rows_new(family);
    if (rows == NULL) {
        return NULL;
    }
    read_shares(family);
    int result = 0;
    for (size_t at = 0; result == 0 && at < family->totals.n_rows;) {
        result = add_block(&family->totals, rows, &at);
    }
    if (result < 0 || rows->n == 0) {
        rows_release(rows, family->state);
        return NULL;
    }
    return rows;
}

/* Expiry */

/* Return the tags of the totals that did not change for the ttl, in a list, with their marks; NULL with an exception. */
static PyObject *
find_unchanged(Family *family, double now, uint64_t **marks)
{
    Totals *totals = &family->totals;
    PyObject *found = PyList_New(0);
    *marks = PyMem_Malloc((totals->n_rows + 1) * sizeof **marks);
    if (found == NULL || *marks == NULL) {
        goto error;
    }
    for (size_t i = 0; i < totals->n_rows; i++) {
        Total *total = totals->rows[i];
        if (total->mark != total->last_mark || total->is_in_use) {
            total->last_mark = total->mark;
            total->since = now;
        }
        if (total->n_read > 0 && now - total->since >= family->ttl) {
            (*marks)[PyList_GET_SIZE(found)] = total->mark;
            if (PyList_Append(found, (PyObject *)total->tags) < 0) {
                goto error;
            }
        }
    }
    return found;
error:
    Py_XDECREF(found);
    PyMem_Free(*marks);
    *marks = NULL;
    return PyErr_Occurred() ? NULL : PyErr_NoMemory();
}

/* End all slots with these tags, if they still have this mark: 1; 0 if they were not ended; -1 with an exception. */
static int
end_unchanged(Family *family, TagSet *tags, uint64_t mark)
{
    PyObject *text = text_of_tags(tags);
    int ended = text == NULL ? -1 : shared_lock(family->shared, PATIENT);
    if (ended > 0) {
        const char *bytes = PyBytes_AS_STRING(text);
        uint32_t length = (uint32_t)PyBytes_GET_SIZE(text);
        int is_there = slot_find(&family->entry, ANYONE, bytes, length).record != NULL;
        ended = is_there && slots_mark(&family->entry, bytes, length) == mark;
        if (ended) {
            slots_end(&family->entry, bytes, length);
        }
        shared_unlock(family->shared);
    }
    Py_XDECREF(text);
    return ended;
}

long
totals_expire(Family *family, double now)
{
    uint64_t *marks;
    long n = 0;
    read_shares(family);
    PyObject *found = find_unchanged(family, now, &marks);
    for (Py_ssize_t i = 0; found != NULL && i < PyList_GET_SIZE(found); i++) {
        int ended = end_unchanged(family, (TagSet *)PyList_GET_ITEM(found, i), marks[i]);
        if (ended < 0) {
            n = -1;
            break;
        }
        n += ended;
    }
    PyMem_Free(marks);
    Py_XDECREF(found);
    return found == NULL ? -1 : n;
}
