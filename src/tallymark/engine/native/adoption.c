/* Adoption: a process enters the series that others have made, when it reads them. */
#include "member.h"
#include "shared_family.h"
#include "slot_tags.h"

#define AT_ONCE 1000 /* series that are adopted in one hold of the lock: a millisecond */

/* Hold a live slot that another process made, and enter its series: 0, or -1 with an exception. Under the lock. */
static int
enter_slot(Family *family, TagSet *tags, SlotRecord *slot, double uptime)
{
    Series *series = family_series(family, tags);
    if (series == NULL) {
        return -1;
    }
    if (is_entered(series)) {
        if (is_live(series)) {
            return 0;
        }
        family_leave(family, series); /* it was ended, or was our parent's */
    }
    if (table_move_last(&family->table, series) < 0) {
        if (series->holder == NULL && !series->kept) {
            family_release(family, series);
        }
        PyErr_NoMemory();
        return -1;
    }
    slot_hold(slot, family->shared->index);
    family_enter_slot(family, series, slot, uptime);
    return 0;
}

/* Whether a slot has this text, and lives. */
static int
is_still(const Entry *entry, const Slot *slot, PyObject *text)
{
    return slot->record != NULL && slot_is_live(slot) && slot->length == (uint32_t)PyBytes_GET_SIZE(text)
           && memcmp(slot_text(entry, slot), PyBytes_AS_STRING(text), slot->length) == 0;
}

/* Adopt a slot whose keys are seen for the first time: 0; -1 with an exception or, where the lock cannot be had, without. One
 * whose text is damaged is skipped. */
static int
adopt_slowly(Family *family, const Slot *slot, double uptime)
{
    PyObject *text;
    TagSet *tags = slot_tags_slowly(family->state, &family->entry, slot, &text);
    int locked = tags == NULL ? 0 : shared_lock(family->shared, PATIENT);
    int result = tags == NULL ? (PyErr_Occurred() ? -1 : 0) : -1;
    if (locked > 0) {
        Slot now = slot_again(&family->entry, slot->record);
        result = is_still(&family->entry, &now, text) ? enter_slot(family, tags, now.record, uptime) : 0;
        shared_unlock(family->shared);
    }
    Py_XDECREF(text);
    Py_XDECREF(tags);
    return result;
}

/* Adopt a slot, under the lock and without running any Python code: 1; 0 where that takes the slow way; -1 with an
 * exception. */
static int
adopt(Family *family, const Slot *slot, double uptime, Shape **hint)
{
    TagSet *tags = slot_tags(family->state, &family->entry, slot, hint);
    if (tags == NULL) {
        return PyErr_Occurred() ? -1 : 0;
    }
    int result = enter_slot(family, tags, slot->record, uptime) < 0 ? -1 : 1;
    Py_DECREF(tags);
    return result;
}

/* Whether a live slot is of a series that is live here: then we hold it. The overflow series' is held all the time. */
static int
is_entered_here(const Family *family, const SlotRecord *slot)
{
    if (!family_is_ours(family) || !slot_is_held(slot, family->shared->index)) {
        return 0;
    }
    const Series *overflow = slot == family->reserved ? table_find(&family->table, family->overflow_tags) : NULL;
    return slot != family->reserved || (overflow != NULL && is_entered(overflow));
}

static int
is_to_adopt(const Family *family, const Slot *slot)
{
    return slot_is_live(slot) && !is_entered_here(family, slot->record);
}

/* Adopt the slots of other processes, from one on, as many as one hold of the lock may take: 1; 0 where the slot that it
 * came to takes the slow way; -1 with an exception, or, without the lock, without. `*at` is then where to go on: none at
 * the end. */
static int
adopt_some(Family *family, Slot *at, double uptime)
{
    Shape *hint = NULL; /* borrowed: the series that are adopted meanwhile keep it alive */
    int result = 1;
    if (shared_lock(family->shared, PATIENT) <= 0) {
        return -1;
    }
    for (int n = 0; at->record != NULL && n < AT_ONCE; *at = slot_next(&family->entry, at)) {
        Slot slot = slot_again(&family->entry, at->record); /* its text may have changed before we had the lock */
        if (slot.record != NULL && is_to_adopt(family, &slot)) {
            result = adopt(family, &slot, uptime, &hint);
            if (result <= 0) {
                break;
            }
            n++;
        }
    }
    shared_unlock(family->shared);
    return result;
}

/* The first slot that another process made: none where there is none. */
static Slot
first_of_others(const Family *family)
{
    Slot slot = slot_first(&family->entry);
    while (slot.record != NULL && !is_to_adopt(family, &slot)) {
        slot = slot_next(&family->entry, &slot);
    }
    return slot;
}

/* Adopt all: 0; -1 with an exception, or, where the lock cannot be had, without. */
static int
adopt_all(Family *family)
{
    double uptime = 0.0;
    Slot slot = first_of_others(family);
    if (slot.record != NULL && family->ttl > 0.0 && family_now(family, "uptime", &uptime) < 0) {
        return -1;
    }
    while (slot.record != NULL) {
        int result = adopt_some(family, &slot, uptime);
        if (result == 0) {
            result = adopt_slowly(family, &slot, uptime);
            slot = slot_next(&family->entry, &slot);
        }
        if (result < 0) {
            return -1;
        }
    }
    return 0;
}

int
family_sync(Family *family)
{
    if (family->entry.record == NULL) {
        return 0;
    }
    if (has_shares(family)) {
        family_refresh(family);
        return 0;
    }
    uint64_t born = family_births(family, family->seen_born);
    if (born != family->seen_born && !PyErr_Occurred() && adopt_all(family) == 0) {
        family->seen_born = born;
    }
    if (PyErr_Occurred()) {
        return -1;
    }
    if (family->seen_ended != entry_ended(&family->entry) || family->seen_born == UINT64_MAX) {
        family_refresh(family); /* last: what was ended and made again needs no new record */
    }
    return 0;
}
