#include "shared_family.h"

#include <unistd.h>

#include "instrument.h"
#include "slot.h"
#include "tag_text.h"

/* Sharing a family */

static Family *
family_of_user(User *user)
{
    return (Family *)((char *)user - offsetof(Family, user));
}

/* In a forked child: lose all series. The next record to each finds its slot again, and the child itself then holds it. */
static void
family_forked(User *user)
{
    Family *family = family_of_user(user);
    for (uint32_t i = 0; i < family->table.n_rows; i++) {
        if (family->table.rows[i] != NULL) {
            family_lose(family, family->table.rows[i]);
        }
    }
    family->reserved = NULL;
}

/* Under the lock: set the slot of the overflow series aside, by holding it for as long as the family is in use here. It is free
 * when nobody does, as when this process has died and is buried. (The crowd's hold would be for ever.) */
static void
reserve_overflow(Family *family, PyObject *text)
{
    const char *bytes = PyBytes_AS_STRING(text);
    uint32_t length = (uint32_t)PyBytes_GET_SIZE(text);
    Slot *slot = slot_find(family->shared, family->entry, NOBODY, bytes, length);
    slot = slot != NULL ? slot : slot_make(family->shared, family->entry, NOBODY, bytes, length);
    if (slot != NULL && family->shared->index != CROWD) {
        slot_hold(slot, family->shared->index);
        family->reserved = slot;
    }
}

/* The same, where it was not done yet: a forked child holds nothing at first. 0, or -1 with an exception. */
static int
look_for_overflow(Family *family)
{
    PyObject *text = family->reserved != NULL ? NULL : text_of_tags(family->overflow_tags);
    if (text == NULL) {
        return family->reserved != NULL ? 0 : -1;
    }
    if (shared_lock(family->shared)) {
        reserve_overflow(family, text);
        shared_unlock(family->shared);
    }
    Py_DECREF(text);
    return 0;
}

int
family_share(Family *family, PyObject *object)
{
    if (!Py_IS_TYPE(object, family->state->shared_type) || !((Shared *)object)->writable) {
        PyErr_SetString(PyExc_TypeError, "shared must be a writable Shared");
        return -1;
    }
    family->shared = (Shared *)Py_NewRef(object);
    family->user = (User){family->shared->users, family_forked};
    family->shared->users = &family->user;
    return 0;
}

int
family_bind(Family *family, unsigned long long offset)
{
    SharedFamily *found = family->shared == NULL || family->entry != NULL ? NULL : family_at(family->shared, offset);
    if (found == NULL || found->words != family->cells.width / sizeof(Cell)) {
        PyErr_SetString(PyExc_ValueError, "there is no family of this shape at this offset");
        return -1;
    }
    family->entry = found;
    family->seen = atomic_load(&found->version);
    return look_for_overflow(family);
}

/* Whether what this family holds is held by this process alone: else it is the parent's hold, or others' too. */
int
family_is_ours(const Family *family)
{
    return family->shared->pid == getpid() && family->shared->index != CROWD;
}

void
family_unshare(Family *family)
{
    for (uint32_t i = 0; i < family->table.n_rows; i++) {
        if (family->table.rows[i] != NULL && is_entered(family->table.rows[i])) {
            family_detach(family, family->table.rows[i]);
        }
    }
    if (family->reserved != NULL && family_is_ours(family)) {
        slot_let_go(family->reserved, family->shared->index);
        atomic_fetch_add(&family->entry->version, 1); /* it is worth looking for a free slot again */
    }
    for (User **link = &family->shared->users; *link != NULL; link = &(*link)->next) {
        if (*link == &family->user) {
            *link = family->user.next;
            break;
        }
    }
    Py_CLEAR(family->shared);
}

/* Entering and leaving */

static void
point_to(Series *series, Cell *cells)
{
    series->cells = cells;
    if (series->holder != NULL) {
        series->holder->cells = cells;
    }
}

static uint32_t
owner_in(const Family *family)
{
    return has_shares(family) ? family->shared->index : NOBODY;
}

void
family_enter_slot(Family *family, Series *series, Slot *slot, double uptime)
{
    point_to(series, slot->cells);
    series->state = &slot->state;
    series->created = slot->created;
    series->since = uptime;
    series->mark = family_mark(family, series);
    family->table.live++;
    family->taken += !series->kept;
}

void
family_detach(Family *family, Series *series)
{
    Slot *slot = slot_of_cells(series->cells);
    point_to(series, arena_at(&family->cells, series->number));
    if (family_is_ours(family) && slot != family->reserved) {
        slot_let_go(slot, family->shared->index);
    }
}

/* Lose the series that other processes have removed. */
void
family_refresh(Family *family)
{
    family->seen = atomic_load(&family->entry->version);
    for (uint32_t i = 0; i < family->table.n_rows; i++) {
        Series *series = family->table.rows[i];
        if (series != NULL && is_entered(series) && !is_live(series)) {
            family_lose(family, series);
        }
    }
}

/* Under the lock: find or make the slot of a series; NULL if there is no space for one. */
static Slot *
find_or_make(Family *family, const Series *series, const char *text, uint32_t length)
{
    Slot *slot = slot_find(family->shared, family->entry, owner_in(family), text, length);
    if (slot == NULL) {
        slot = slot_make(family->shared, family->entry, owner_in(family), text, length);
    }
    /* All processes that find no space for a share of the overflow series have one together. */
    return slot == NULL && is_overflow(family, series) ? slot_find(family->shared, family->entry, NOBODY, text, length) : slot;
}

/* Under the lock: return the slot of a series, live and held; NULL with the reason in `*why`. */
static Slot *
slot_for(Family *family, const Series *series, PyObject *text_object, double now, int *why)
{
    Shared *shared = family->shared;
    SharedFamily *entry = family->entry;
    const char *text = PyBytes_AS_STRING(text_object);
    uint32_t length = (uint32_t)PyBytes_GET_SIZE(text_object);
    if (!family_register(shared, entry)) {
        *why = TAKEN;
        return NULL;
    }
    if (!series->kept && atomic_load(&entry->live) >= family->max_series
        && slot_find(shared, entry, ANYONE, text, length) == NULL) {
        *why = CROWDED;
        return NULL;
    }
    Slot *slot = find_or_make(family, series, text, length);
    if (slot == NULL) {
        *why = NO_SPACE;
    }
    else if (!slot_is_live(slot)) {
        family_init_cells(family, slot->cells);
        slot_enliven(shared, entry, slot, series->kept, now);
    }
    else {
        slot_hold(slot, shared->index);
    }
    return slot;
}

static int
is_reachable(Shared *shared)
{
    int locked = shared_lock(shared);
    if (locked) {
        shared_unlock(shared);
    }
    return locked;
}

int
family_attach(Family *family, Series *series, double now, double uptime)
{
    int why = ATTACHED;
    if (family->entry == NULL) {
        return is_reachable(family->shared) ? NO_SPACE : UNREACHABLE;
    }
    PyObject *text = look_for_overflow(family) < 0 ? NULL : text_of_tags(series->tags);
    if (text == NULL) {
        return -1;
    }
    /* A process that makes series but never reads must lose removed ones too: rarely, so that each new one costs little. */
    if (atomic_load(&family->entry->version) - family->seen > 64 + family->table.live / 2) {
        family_refresh(family);
    }
    if (table_move_last(&family->table, series) < 0) {
        PyErr_NoMemory();
        why = -1;
        goto done;
    }
    if (!shared_lock(family->shared)) {
        why = UNREACHABLE;
        goto done;
    }
    Slot *slot = slot_for(family, series, text, now, &why);
    shared_unlock(family->shared);
    if (slot != NULL) {
        family_enter_slot(family, series, slot, uptime);
    }
done:
    Py_DECREF(text);
    return why;
}

/* Ending series */

int
family_kill(Family *family, Series *series)
{
    int killed = 0;
    if (family->shared->pid != getpid() || !shared_lock(family->shared)) { /* a child holds nothing before it joins */
        return 0;
    }
    Slot *slot = slot_of_cells(series->cells);
    if (slot_is_live(slot)) { /* another process may have been first */
        atomic_store(&slot->state, DEAD); /* before the mark is read: records that start from now on go to a new series */
        step(family->shared);
        killed = is_same_mark(family_mark(family, series), series->mark);
        if (killed) {
            slot_died(family->shared, family->entry, slot);
        }
        else {
            atomic_store(&slot->state, LIVE);
        }
    }
    shared_unlock(family->shared);
    return killed;
}

int
family_remove(Family *family, Series *series)
{
    if (family->entry == NULL) {
        return 0;
    }
    PyObject *text = text_of_tags(series->tags);
    if (text == NULL) {
        return -1;
    }
    int locked = shared_lock(family->shared);
    if (locked) {
        slots_kill(family->shared, family->entry, PyBytes_AS_STRING(text), (uint32_t)PyBytes_GET_SIZE(text));
        shared_unlock(family->shared);
        family_lose(family, series);
    }
    Py_DECREF(text);
    PyObject *called = locked ? Py_NewRef(Py_None) : PyObject_CallMethod(family->policy, "unreachable", "O", family);
    Py_XDECREF(called);
    return called == NULL ? -1 : 0;
}
