#include "shared_family.h"

#include "instrument.h"

static void
point_to(Series *series, Cell *cells)
{
    series->cells = cells;
    if (series->holder != NULL) {
        series->holder->cells = cells;
    }
}

static uint32_t
owner_of(const Family *family)
{
    return family->place->aggregate == LAST ? NOBODY : family->shared->index;
}

static void
enter_table(Family *family, Series *series, Slot *slot, double uptime)
{
    point_to(series, slot->cells);
    series->created = slot->created;
    series->since = uptime;
    series->mark = family_mark(family, series);
    series->live = 1;
    family->table.live++;
    family->taken += !series->kept;
}

static int
has_room(const Family *family, const Series *series)
{
    uint32_t taken = owner_of(family) == NOBODY ? atomic_load(&family->place->live) : family->taken;
    return series->kept || taken < family->max_series;
}

/* Under the lock: the slot of a series, live and held; NULL with why in `*why`. */
static Slot *
slot_for(Family *family, const Series *series, PyObject *text, double now, int *why)
{
    const char *bytes = PyBytes_AS_STRING(text);
    uint32_t length = (uint32_t)PyBytes_GET_SIZE(text), owner = owner_of(family);
    Slot *slot = slot_find(family->shared, family->place, owner, bytes, length);
    int dead = slot == NULL || atomic_load(&slot->state) == DEAD;
    if (dead && !has_room(family, series)) {
        *why = CROWDED;
        return NULL;
    }
    if (slot == NULL) {
        slot = slot_make(family->shared, family->place, owner, bytes, length);
        if (slot == NULL) {
            *why = NO_SPACE;
            return NULL;
        }
    }
    if (dead) {
        family_init_cells(family, slot->cells);
        slot->created = now;
        slot->kept = series->kept;
        if (owner == NOBODY && !series->kept) {
            atomic_fetch_add(&family->place->live, 1);
        }
        step(family->shared);
        slot_hold(slot, family->shared->index);
        step(family->shared);
        atomic_store(&slot->state, LIVE);
        step(family->shared);
    }
    slot_hold(slot, family->shared->index);
    return slot;
}

int
family_attach(Family *family, Series *series, double now, double uptime)
{
    int why = ATTACHED;
    PyObject *text = PyObject_CallFunctionObjArgs(family->state->tags_text, series->tags, NULL);
    if (text == NULL) {
        return -1;
    }
    if (series->live) { /* making the text may have let others run */
        goto done;
    }
    if (table_move_last(&family->table, series) < 0) {
        PyErr_NoMemory();
        why = -1;
        goto done;
    }
    if (shared_lock(family->shared) < 0) {
        why = -1;
        goto done;
    }
    Slot *slot = slot_for(family, series, text, now, &why);
    atomic_store(&family->place->registered, 1);
    shared_unlock(family->shared);
    if (slot != NULL) {
        enter_table(family, series, slot, uptime);
    }
done:
    Py_DECREF(text);
    return why;
}

/* Under the lock. */
static void
slot_kill(Family *family, Slot *slot)
{
    if (atomic_load(&slot->state) != LIVE) {
        return;
    }
    step(family->shared);
    atomic_store(&slot->state, DEAD);
    step(family->shared);
    if (atomic_load(&slot->owner) == NOBODY && !slot->kept && atomic_load(&family->place->live) > 0) {
        atomic_fetch_sub(&family->place->live, 1);
    }
    uint64_t before = atomic_fetch_add(&family->place->version, 1);
    if (before == family->seen) { /* we know of this one: no need to look */
        family->seen = before + 1;
    }
}

void
family_detach(Family *family, Series *series, int kill)
{
    Slot *slot = slot_of_cells(series->cells);
    if (kill) {
        if (shared_lock(family->shared) < 0) {
            PyErr_WriteUnraisable((PyObject *)family->shared);
        }
        else {
            slot_kill(family, slot);
            shared_unlock(family->shared);
        }
    }
    point_to(series, arena_at(&family->cells, series->own));
    family_init_cells(family, series->cells);
    slot_let_go(slot, family->shared->index);
}

void
family_refresh(Family *family)
{
    if (family->shared == NULL) {
        return;
    }
    family->seen = atomic_load(family->version);
    for (uint32_t i = 0; i < family->table.n_rows; i++) {
        Series *series = family->table.rows[i];
        if (series != NULL && series->live) {
            const Slot *slot = slot_of_cells(series->cells);
            uint32_t owner = atomic_load(&slot->owner);
            if (atomic_load(&slot->state) == DEAD || (owner != NOBODY && owner != family->shared->index)) {
                family_lose(family, series);
            }
        }
    }
}

/* Enter a slot that another process made: 0, or -1 with an exception. One whose text is damaged is passed over. */
static int
adopt(Family *family, Slot *slot)
{
    PyObject *text = PyBytes_FromStringAndSize(slot_text(family->place, slot), slot->length);
    PyObject *items = text == NULL ? NULL : PyObject_CallFunctionObjArgs(family->state->text_tags, text, NULL);
    Series *series = NULL;
    int result = -1;
    double uptime = 0.0;
    if (items == NULL || (family->ttl > 0.0 && family_now(family, "uptime", &uptime) < 0)) {
        goto done;
    }
    if (items == Py_None) {
        result = 0;
        goto done;
    }
    TagSet *tags = tagset_from_sorted(family->state, items);
    series = tags == NULL ? NULL : family_series(family, tags);
    Py_XDECREF(tags);
    if (series == NULL || table_move_last(&family->table, series) < 0 || shared_lock(family->shared) < 0) {
        goto done;
    }
    if (!series->live && atomic_load(&slot->state) == LIVE && slot->length == (uint32_t)PyBytes_GET_SIZE(text)
        && memcmp(slot_text(family->place, slot), PyBytes_AS_STRING(text), slot->length) == 0) {
        slot_hold(slot, family->shared->index);
        enter_table(family, series, slot, uptime);
    }
    shared_unlock(family->shared);
    result = 0;
done:
    if (series != NULL && !series->live && series->holder == NULL && !series->kept) {
        family_let_go(family, series);
    }
    Py_XDECREF(text);
    Py_XDECREF(items);
    return result;
}

int
family_sync(Family *family)
{
    Shared *shared = family->shared;
    if (shared == NULL) {
        return 0;
    }
    family_refresh(family);
    uint64_t left = shared->limit / sizeof(Slot);
    uint64_t next = family->place->aggregate == LAST ? atomic_load(&family->place->first) : 0;
    while (next != 0 && left-- > 0) {
        Slot *slot = slot_at(shared, family->place, next);
        if (slot == NULL) {
            break;
        }
        if (atomic_load(&slot->state) == LIVE && (shared->index == CROWD || !slot_is_held(slot, shared->index))
            && adopt(family, slot) < 0) {
            return -1;
        }
        next = next_slot(shared, slot);
    }
    return 0;
}
