#include "totals.h"

#include "member.h"
#include "shared_family.h"
#include "slot_tags.h"

#define MOST_ROUNDS 10 /* of a sync, while others sync at the same time: then the next reading goes on */

static uint64_t
total_hash_of(const void *total)
{
    return ((const Total *)total)->tags->hash;
}

static void
total_free(Total *total)
{
    tagset_release(total->tags);
    PyMem_Free(total);
}

void
totals_invalidate(Totals *totals)
{
    totals->seen_born = UINT64_MAX;
}

void
totals_clear(Totals *totals)
{
    Totals old = *totals;
    memset(totals, 0, sizeof *totals);
    for (size_t i = 0; i < old.n_rows; i++) {
        total_free(old.rows[i]);
    }
    PyMem_Free(old.rows);
    PyMem_Free(old.shares);
    PyMem_Free(old.index.slots);
}

static void *
grown(void *old, size_t *capacity, size_t width)
{
    size_t more = *capacity + *capacity / 2 + 16;
    void *array = PyMem_Realloc(old, more * width);
    if (array != NULL) {
        *capacity = more;
    }
    return array;
}

static Total *
add_total(Totals *totals, TagSet *tags, double now)
{
    if (totals->n_rows == totals->capacity) {
        Total **rows = grown(totals->rows, &totals->capacity, sizeof *rows);
        if (rows == NULL) {
            goto error;
        }
        totals->rows = rows;
    }
    Total *total = PyMem_Calloc(1, sizeof *total);
    if (total == NULL) {
        goto error;
    }
    total->tags = (TagSet *)Py_NewRef((PyObject *)tags);
    total->since = now;
    if (pointers_add(&totals->index, total, total_hash_of) < 0) {
        total_free(total);
        goto error;
    }
    totals->rows[totals->n_rows++] = total;
    return total;
error:
    PyErr_NoMemory();
    return NULL;
}

/* Return the total of a tag set, made if need be; NULL with an exception. */
static Total *
total_of(Totals *totals, TagSet *tags, double now)
{
    const Pointers *index = &totals->index;
    for (size_t at = tags->hash & index->mask; index->slots != NULL && index->slots[at] != NULL; at = (at + 1) & index->mask) {
        Total *total = index->slots[at];
        if (total->tags == tags) { /* tag sets are interned */
            return total;
        }
    }
    return add_total(totals, tags, now);
}

/* Finding the shares */

/* Have the totals be those of the shares that were found: 0, or -1 with an exception. Steals the shares. */
static int
set_shares(Totals *totals, Share *found, size_t n)
{
    size_t n_rows = 0, n_gone = 0, n_old = totals->n_rows;
    Total **old = totals->rows, **rows = PyMem_Malloc((n_old + 1) * sizeof *rows);
    if (rows == NULL) {
        PyMem_Free(found);
        PyErr_NoMemory();
        return -1;
    }
    for (size_t i = 0; i < n_old; i++) {
        old[i]->n_shares = 0;
    }
    for (size_t i = 0; i < n; i++) {
        if (found[i].total != NULL && found[i].total->n_shares++ == 0) {
            rows[n_rows++] = found[i].total;
        }
    }
    for (size_t i = 0; i < n_old; i++) {
        if (old[i]->n_shares == 0) {
            pointers_remove(&totals->index, old[i], total_hash_of);
            old[n_gone++] = old[i];
        }
    }
    PyMem_Free(totals->shares);
    totals->rows = rows;
    totals->n_rows = n_rows;
    totals->capacity = n_old + 1;
    totals->shares = found;
    totals->n_shares = n;
    totals->syncs++;
    for (size_t i = 0; i < n_gone; i++) { /* last: to free tags may run Python code, which may read us */
        total_free(old[i]);
    }
    PyMem_Free(old);
    return 0;
}

/* Return the total of a live slot, without running any Python code; NULL with an exception or, where only resolve() can
 * tell it, without. `*known` is what was found before, from here on: both are ascending. */
static Total *
total_of_slot(Family *family, const Slot *slot, double now, size_t *known, Shape **hint)
{
    Totals *totals = &family->totals;
    while (*known < totals->n_shares && totals->shares[*known].offset < slot->offset) {
        ++*known;
    }
    const Share *share = *known < totals->n_shares ? &totals->shares[*known] : NULL;
    if (share != NULL && share->total != NULL && share->offset == slot->offset && share->hash == slot->hash) {
        return share->total;
    }
    TagSet *tags = slot_tags(family->state, &family->entry, slot, hint);
    Total *total = tags == NULL ? NULL : total_of(totals, tags, now);
    Py_XDECREF(tags);
    return total;
}

static int
find_shares(Family *family, double now)
{
    Share *found = NULL;
    size_t n = 0, capacity = 0, known = 0;
    Shape *hint = NULL; /* borrowed: the totals that are made meanwhile keep it alive */
    for (Slot slot = slot_first(&family->entry); slot.record != NULL; slot = slot_next(&family->entry, &slot)) {
        if (!slot_is_live(&slot)) {
            continue;
        }
        if (n == capacity) {
            Share *more = grown(found, &capacity, sizeof *found);
            if (more == NULL) {
                PyErr_NoMemory();
                goto error;
            }
            found = more;
        }
        Total *total = total_of_slot(family, &slot, now, &known, &hint);
        if (total == NULL && PyErr_Occurred()) {
            goto error;
        }
        found[n++] = (Share){slot.offset, slot.hash, total};
    }
    return set_shares(&family->totals, found, n);
error:
    PyMem_Free(found);
    return -1;
}

/* Find the totals of the shares that have none yet, in Python: 0; 1 if the shares changed meanwhile; -1 with an exception. */
static int
resolve(Family *family, double now)
{
    Totals *totals = &family->totals;
    uint64_t syncs = totals->syncs;
    for (size_t i = 0; i < totals->n_shares; i++) {
        if (totals->shares[i].total != NULL) {
            continue;
        }
        Slot slot = slot_again(&family->entry, share_record(family->shared, &totals->shares[i]));
        int is_same = slot.record != NULL && slot.hash == totals->shares[i].hash;
        TagSet *tags = is_same ? slot_tags_slowly(family->state, &family->entry, &slot, NULL) : NULL;
        if (tags == NULL && PyErr_Occurred()) {
            return -1;
        }
        Total *total = tags == NULL ? NULL : total_of(totals, tags, now);
        Py_XDECREF(tags);
        if (total == NULL && PyErr_Occurred()) {
            return -1;
        }
        if (totals->syncs != syncs) { /* the total is there now, so the next sync finds it without Python */
            return 1;
        }
        if (total != NULL) {
            total->n_shares++;
            totals->shares[i].total = total;
        }
    }
    return 0;
}

int
totals_sync(Family *family)
{
    Totals *totals = &family->totals;
    double now = 0.0;
    for (int again = 1, rounds = 0; again == 1 && rounds < MOST_ROUNDS; rounds++) {
        uint64_t ended = entry_ended(&family->entry), born = family_births(family, totals->seen_born);
        if (born == totals->seen_born && ended == totals->seen_ended) {
            return PyErr_Occurred() ? -1 : 0;
        }
        if (PyErr_Occurred() || (family->ttl > 0.0 && family_now(family, "uptime", &now) < 0) || find_shares(family, now) < 0) {
            return -1;
        }
        again = resolve(family, now);
        if (again < 0) {
            return -1;
        }
        if (again == 0) { /* only now: who reads while this one resolves must find the shares itself */
            totals->seen_born = born;
            totals->seen_ended = ended;
        }
    }
    return 0;
}
