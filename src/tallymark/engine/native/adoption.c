/* Adoption: a process enters the series that others have made, when it reads them. */
#include "shared_family.h"

#include "slot.h"
#include "tag_text.h"

#define AT_ONCE 1000 /* series that are adopted in one hold of the lock: a millisecond */
#define SHORT 1024   /* bytes: a longer text takes the slow way */

/* Hold a live slot that another process made, and enter its series: 0, or -1 with an exception. Under the lock. */
static int
enter_slot(Family *family, TagSet *tags, Slot *slot, double uptime)
{
    Series *series = family_series(family, tags);
    if (series == NULL) {
        return -1;
    }
    if (is_entered(series)) {
        return 0;
    }
    if (table_move_last(&family->table, series) < 0) {
        if (series->holder == NULL && !series->kept) {
            family_let_go(family, series);
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
is_still(const Family *family, const Slot *slot, PyObject *text)
{
    return slot_is_live(slot) && slot->length == (uint32_t)PyBytes_GET_SIZE(text)
           && memcmp(slot_text(family->entry, slot), PyBytes_AS_STRING(text), slot->length) == 0;
}

/* Adopt a slot whose keys are seen for the first time: 0, or -1 with an exception. One whose text is damaged is skipped. */
static int
adopt_slowly(Family *family, Slot *slot, double uptime)
{
    PyObject *text = slot_copy_text(family->shared, family->entry, slot);
    PyObject *items = text == NULL || text == Py_None ? Py_XNewRef(text) : tags_of_text(family->state, text);
    TagSet *tags = items == NULL || items == Py_None ? NULL : tagset_from_sorted(family->state, items);
    int result = tags != NULL || items == Py_None ? 0 : -1;
    if (tags != NULL && shared_lock(family->shared)) {
        result = is_still(family, slot, text) ? enter_slot(family, tags, slot, uptime) : 0;
        shared_unlock(family->shared);
    }
    Py_XDECREF(text);
    Py_XDECREF(items);
    Py_XDECREF(tags);
    return result;
}

/* Adopt a slot, under the lock and without running any Python code: 1; 0 where that takes the slow way; -1 with an exception. */
static int
adopt(Family *family, Slot *slot, double uptime, Shape **hint)
{
    char text[SHORT];
    int64_t length = slot_read_text(family->shared, family->entry, slot, text, sizeof text);
    TagSet *tags = length < 0 ? NULL : tagset_of_text(family->state, text, (uint32_t)length, hint);
    if (tags == NULL) {
        return PyErr_Occurred() ? -1 : 0;
    }
    int result = enter_slot(family, tags, slot, uptime) < 0 ? -1 : 1;
    Py_DECREF(tags);
    return result;
}

/* Whether a live slot is of a series that is live here: then we hold it. The overflow series' is held all the time. */
static int
is_entered_here(Family *family, const Slot *slot)
{
    if (!family_is_ours(family) || !slot_is_held(slot, family->shared->index)) {
        return 0;
    }
    const Series *overflow = slot == family->reserved ? table_find(&family->table, family->overflow_tags) : NULL;
    return slot != family->reserved || (overflow != NULL && is_entered(overflow));
}

/* Adopt the slots of other processes, from one on, as many as one hold of the lock may take: 1, or 0 where the slot that it came to
 * takes the slow way, or -1 with an exception. `*at` is then where to go on: NULL at the end. */
static int
adopt_some(Family *family, Slot **at, double uptime)
{
    Shape *hint = NULL; /* borrowed: the series that are adopted meanwhile keep it alive */
    int result = 1;
    if (!shared_lock(family->shared)) {
        *at = NULL;
        return 1;
    }
    for (int n = 0; *at != NULL && n < AT_ONCE; *at = next_slot(family->shared, family->entry, *at)) {
        if (slot_is_live(*at) && !is_entered_here(family, *at)) {
            result = adopt(family, *at, uptime, &hint);
            if (result <= 0) {
                break;
            }
            n++;
        }
    }
    shared_unlock(family->shared);
    return result;
}

/* The first slot, from one on, that another process made: NULL where there is none. */
static Slot *
first_of_others(Family *family, Slot *slot)
{
    while (slot != NULL && (!slot_is_live(slot) || is_entered_here(family, slot))) {
        slot = next_slot(family->shared, family->entry, slot);
    }
    return slot;
}

int
family_sync(Family *family)
{
    double uptime = 0.0;
    if (family->entry == NULL) {
        return 0;
    }
    family_refresh(family);
    Slot *first = has_shares(family) ? NULL : first_of_others(family, first_slot(family->shared, family->entry));
    if (first != NULL && family->ttl > 0.0 && family_now(family, "uptime", &uptime) < 0) {
        return -1;
    }
    for (Slot *slot = first; slot != NULL;) {
        int result = adopt_some(family, &slot, uptime);
        if (result == 0) {
            result = adopt_slowly(family, slot, uptime);
            slot = next_slot(family->shared, family->entry, slot);
        }
        if (result < 0) {
            return -1;
        }
    }
    return 0;
}
