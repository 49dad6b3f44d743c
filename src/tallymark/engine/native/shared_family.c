#include "shared_family.h"

#include "instrument.h"
#include "member.h"
#include "burial.h"
#include "exemplar.h"
#include "exemplar_block.h"
#include "slot.h"
#include "tag_text.h"

#define AT_ONCE 1000 /* series that are ended in one hold of the lock: less than a millisecond */
#define UNKNOWN UINT64_MAX

/* Sharing a family */

static Family *
family_of_user(User *user)
{
    return (Family *)((char *)user - offsetof(Family, user));
}

/* In a forked child, which holds nothing: the next record to each series finds its slot again, and the child itself then
 * holds it. */
static void
family_forked(User *user, Forked what)
{
    Family *family = family_of_user(user);
    for (uint32_t i = 0; what != FOLLOW && i < family->table.n_rows; i++) {
        Series *series = family->table.rows[i];
        if (series != NULL && (what == LEAVE_ALL || (is_entered(series) && !is_live(series)))) {
            family_lose(family, series);
        }
    }
    entry_follow(&family->entry);
    family->reserved = NULL;
    family->seen_born = UNKNOWN;
    totals_invalidate(&family->totals);
}

/* Under the lock: find or make a slot; none if there is no space. If there was none, bury the dead, whose space is then
 * free. */
static Slot
find_or_make(const Entry *entry, uint32_t owner, const char *text, uint32_t length)
{
    Slot slot = slot_find(entry, owner, text, length);
    if (slot.record == NULL) {
        slot = slot_make(entry, owner, text, length);
    }
    if (slot.record == NULL && slot_may_be_free(entry)) {
        bury_all(entry->shared);
        slot = slot_make_from_any(entry, owner, text, length);
    }
    return slot;
}

/* Under the lock: set the slot of the overflow series aside, by holding it for as long as the family is in use here. It is free
 * when nobody does, as when this process has died and is buried. (The crowd's hold may be for ever.) */
static void
reserve_overflow(Family *family, PyObject *text)
{
    Slot slot = find_or_make(&family->entry, NOBODY, PyBytes_AS_STRING(text), (uint32_t)PyBytes_GET_SIZE(text));
    if (slot.record != NULL && family->shared->index != CROWD) {
        slot_hold(slot.record, family->shared->index);
        family->reserved = slot.record;
    }
}

int
family_share(Family *family, PyObject *object)
{
    if (!Py_IS_TYPE(object, family->state->shared_type) || !((Shared *)object)->writable) {
        PyErr_SetString(PyExc_TypeError, "shared must be a writable Shared");
        return -1;
    }
    if ((family->empty = PyMem_Calloc(family->words, sizeof(Cell))) == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    family_init_cells(family, family->empty);
    family->is_undecided = family->instrument_type == family->state->gauge_type || has_gauges_that_expire(family);
    if (family->instrument_type == family->state->gauge_type) {
        Py_SETREF(family->instrument_type, (PyTypeObject *)Py_NewRef((PyObject *)family->state->undecided_gauge_type));
    }
    family->shared = (Shared *)Py_NewRef(object);
    family->user = (User){family->shared->users, family_forked};
    family->shared->users = &family->user;
    return 0;
}

int
family_bind(Family *family, unsigned long long offset)
{
    Entry found = {0};
    if (family->shared != NULL && family->entry.record == NULL) {
        found = entry_at(family->shared, offset);
    }
    if (found.record == NULL || found.words != family->words) {
        PyErr_SetString(PyExc_ValueError, "there is no family of this shape at this offset");
        return -1;
    }
    PyObject *text = text_of_tags(family->overflow_tags);
    if (text == NULL) {
        return -1;
    }
    family->entry = found;
    family->seen_born = UNKNOWN;
    family->seen_ended = entry_ended(&found);
    totals_invalidate(&family->totals);
    int locked = shared_lock(family->shared, SOON);
    if (locked > 0) {
        reserve_overflow(family, text);
        shared_unlock(family->shared);
    }
    Py_DECREF(text);
    return locked < 0 ? -1 : 0;
}

int
family_is_ours(const Family *family)
{
    return is_joined(family->shared) && family->shared->index != CROWD;
}

/* Release a slot that this process holds. One at an address of before a fork is not ours. */
static void
release(const Family *family, SlotRecord *slot)
{
    const Shared *shared = family->shared;
    if (family_is_ours(family) && (char *)slot >= shared->base && (char *)slot < shared->base + shared->limit) {
        slot_release(slot, shared->index);
    }
}

void
family_unshare(Family *family)
{
    for (uint32_t i = 0; i < family->table.n_rows; i++) {
        if (family->table.rows[i] != NULL && is_entered(family->table.rows[i])) {
            family_detach(family, family->table.rows[i]);
        }
    }
    if (family->reserved != NULL) {
        release(family, family->reserved);
        atomic_fetch_add(&family->entry.record->ended, 1); /* it is worth looking for a free slot again */
    }
    for (User **link = &family->shared->users; *link != NULL; link = &(*link)->next) {
        if (*link == &family->user) {
            *link = family->user.next;
            break;
        }
    }
    totals_clear(&family->totals);
    Py_CLEAR(family->shared);
}

/* Entering and leaving */

static uint32_t
owner_in(const Family *family)
{
    return has_shares(family) ? family->shared->index : NOBODY;
}

void
family_enter_slot(Family *family, Series *series, SlotRecord *slot, double uptime)
{
    family_point_to(series, slot->cells);
    series->state = family->asks ? &series_asking : &slot->state;
    family->has_lived = 1;
    series->created = slot->created;
    series->since = uptime;
    series->mark = family_mark(family, series);
    family->table.live++;
    family->taken += !series->kept;
}

void
family_detach(Family *family, Series *series)
{
    SlotRecord *slot = slot_of_cells(series->cells);
    if (slot != family->reserved) {
        release(family, slot);
    }
}

void
family_refresh(Family *family)
{
    family->seen_ended = entry_ended(&family->entry);
    for (uint32_t i = 0; i < family->table.n_rows; i++) {
        Series *series = family->table.rows[i];
        if (series == NULL || !is_entered(series)) {
            continue;
        }
        if (!is_live(series)) {
            family_lose(family, series);
        }
        else if (series->created != slot_of_cells(series->cells)->created) { /* it was ended, and made again */
            series->created = slot_of_cells(series->cells)->created;
            series->mark = UNMARKED;
        }
    }
    table_trim(&family->table);
}

uint64_t
family_births(Family *family, uint64_t seen)
{
    uint64_t born = atomic_load(&family->entry.record->born);
    if (born == seen) {
        return born;
    }
    int locked = shared_lock(family->shared, PATIENT);
    born = UNKNOWN;
    if (locked > 0) {
        born = atomic_load(&family->entry.record->born);
        shared_unlock(family->shared);
    }
    return born;
}

/* Under the lock: return the slot of a series, live and held; none with the reason in `*why`. */
static SlotRecord *
slot_for(Family *family, const Series *series, PyObject *text_object, double now, int *why)
{
    const Entry *entry = &family->entry;
    const char *text = PyBytes_AS_STRING(text_object);
    uint32_t length = (uint32_t)PyBytes_GET_SIZE(text_object);
    if (!entry_register(entry)) {
        *why = TAKEN;
        return NULL;
    }
    if (!series->kept && atomic_load(&entry->record->live) >= family->max_series
        && slot_find(entry, ANYONE, text, length).record == NULL) {
        *why = CROWDED;
        return NULL;
    }
    Slot slot = find_or_make(entry, owner_in(family), text, length);
    if (slot.record == NULL && is_overflow(family, series)) { /* all that find no space for a share of it have one together */
        slot = slot_find(entry, NOBODY, text, length);
    }
    if (slot.record == NULL) {
        *why = NO_SPACE;
    }
    else if (!slot_is_live(&slot)) {
        family_init_cells(family, slot.record->cells);
        block_empty(entry, &slot, exemplar_places(family));
        slot_enliven(entry, &slot, series->kept, now);
        family->seen_born += family->seen_born != UNKNOWN; /* our own is no news */
    }
    else {
        slot_hold(slot.record, family->shared->index);
    }
    return slot.record;
}

/* Under the lock, which other threads may have had before. */
static int
attach(Family *family, Series *series, PyObject *text, PyObject *overflow, double now, double uptime)
{
    int why = ATTACHED;
    if (!family->registered || is_entered(series)) {
        return AGAIN;
    }
    if (table_move_last(&family->table, series) < 0) {
        PyErr_NoMemory();
        return -1;
    }
    if (overflow != NULL && family->reserved == NULL) {
        reserve_overflow(family, overflow);
    }
    SlotRecord *slot = slot_for(family, series, text, now, &why);
    if (slot != NULL) {
        family_enter_slot(family, series, slot, uptime);
    }
    return why;
}

int
family_attach(Family *family, Series *series, double now, double uptime)
{
    int result = -1;
    PyObject *text = text_of_tags(series->tags);
    PyObject *overflow = family->reserved != NULL ? NULL : text_of_tags(family->overflow_tags); /* a forked child holds nothing yet */
    if (text == NULL || (overflow == NULL && family->reserved == NULL)) {
        goto done;
    }
    int locked = shared_lock(family->shared, PATIENT);
    if (locked <= 0) {
        result = locked < 0 ? -1 : UNREACHABLE;
        goto done;
    }
    result = family->entry.record == NULL ? NO_SPACE : attach(family, series, text, overflow, now, uptime);
    shared_unlock(family->shared);
    /* A process that makes series but never reads must lose ended ones too: rarely, so that each new one costs little. */
    if (result == ATTACHED && entry_ended(&family->entry) - family->seen_ended > 64 + family->table.live / 2) {
        family_refresh(family);
    }
done:
    Py_XDECREF(text);
    Py_XDECREF(overflow);
    return result;
}

/* Ending series */

static int
is_due(const Family *family, const Series *series, double uptime)
{
    return series != NULL && is_live(series) && uptime - series->since >= family->ttl;
}

/* Under the lock: end a series, unless it changes meanwhile. */
static int
end_if_unchanged(const Family *family, const Series *series)
{
    Slot slot = slot_again(&family->entry, slot_of_cells(series->cells));
    if (slot.record == NULL || !slot_is_live(&slot)) { /* another process may have been first */
        return 0;
    }
    atomic_store(&slot.record->state, DEAD); /* before the mark is read: records that start from now on go to a new series */
    step(family->shared);
    if (is_same_mark(family_mark(family, series), series->mark)) {
        slot_ended(&family->entry, &slot);
        return 1;
    }
    slot_revive(&family->entry, &slot); /* not just its state: others may have lost it meanwhile */
    return 0;
}

/* Other threads run between two holds of the lock, so a series may be looked at twice, or not before the next reading. They
 * are lost at the end, without the lock, since to free their tags may run Python code. */
long
family_end_unchanged(Family *family, double uptime)
{
    long ended = 0;
    int locked = 1;
    for (uint32_t i = 0; locked > 0 && i < family->table.n_rows;) {
        if (!is_due(family, family->table.rows[i], uptime)) {
            i++;
            continue;
        }
        locked = is_joined(family->shared) ? shared_lock(family->shared, PATIENT) : 0; /* a child holds nothing before it joins */
        for (int n = 0; locked > 0 && n < AT_ONCE && i < family->table.n_rows; i++) {
            if (is_due(family, family->table.rows[i], uptime)) {
                ended += end_if_unchanged(family, family->table.rows[i]);
                n++;
            }
        }
        if (locked > 0) {
            shared_unlock(family->shared);
        }
    }
    if (ended > 0) {
        family_refresh(family);
    }
    return locked < 0 ? -1 : ended;
}

int
family_remove(Family *family, Series *series)
{
    if (family->entry.record == NULL) {
        return 0;
    }
    PyObject *text = text_of_tags(series->tags);
    int locked = text == NULL ? -1 : shared_lock(family->shared, PATIENT);
    if (locked > 0) {
        slots_end(&family->entry, PyBytes_AS_STRING(text), (uint32_t)PyBytes_GET_SIZE(text));
        shared_unlock(family->shared);
        family_lose(family, series);
    }
    Py_XDECREF(text);
    if (locked != 0) {
        return locked < 0 ? -1 : 0;
    }
    PyObject *called = PyObject_CallMethod(family->policy, "unreachable", "O", family);
    Py_XDECREF(called);
    return called == NULL ? -1 : 0;
}
