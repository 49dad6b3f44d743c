/* How Python reads and changes the metrics in shared memory. Other threads wait for what changes them, so it waits not long. */
#define PY_SSIZE_T_CLEAN
#include "shared_methods.h"

#include "member.h"
#include "slot.h"

static int
append_steal(PyObject *list, PyObject *item)
{
    int result = item == NULL ? -1 : PyList_Append(list, item);
    Py_XDECREF(item);
    return result;
}

/* Read the offset of an entry: 0 with the entry, or none, in `*entry`; -1 with an exception. */
static int
read_offset(PyObject *op, PyObject *args, const char *format, Entry *entry)
{
    unsigned long long offset;
    if (!PyArg_ParseTuple(args, format, &offset)) {
        return -1;
    }
    *entry = entry_at((Shared *)op, offset);
    return 0;
}

PyObject *
shared_families(PyObject *op, PyObject *Py_UNUSED(ignored))
{
    PyObject *list = PyList_New(0);
    Entry entry = entry_first((Shared *)op);
    for (; list != NULL && entry.record != NULL; entry = entry_next(&entry)) {
        PyObject *registered = PyBool_FromLong(atomic_load(&entry.record->registered) != 0);
        PyObject *has_lived = PyBool_FromLong(atomic_load(&entry.record->born) != 0);
        if (append_steal(list, Py_BuildValue("KNN", (unsigned long long)entry.offset, registered, has_lived)) < 0) {
            Py_CLEAR(list);
        }
    }
    return list;
}

PyObject *
shared_text(PyObject *op, PyObject *args)
{
    Entry entry;
    if (read_offset(op, args, "K:text", &entry) < 0) {
        return NULL;
    }
    return entry.record == NULL ? Py_NewRef(Py_None) : entry_text(&entry);
}

PyObject *
tuple_of_cells(const Cell *from, uint32_t n)
{
    PyObject *cells = PyTuple_New(n);
    for (uint32_t i = 0; cells != NULL && i < n; i++) {
        PyObject *word = PyLong_FromUnsignedLongLong(cell_count(&from[i]));
        if (word == NULL) {
            Py_CLEAR(cells);
            break;
        }
        PyTuple_SET_ITEM(cells, i, word);
    }
    return cells;
}

/* Return what a live slot holds, or None if another series took the slot meanwhile. */
static PyObject *
slot_contents(const Entry *entry, const Slot *slot)
{
    uint32_t owner = atomic_load(&slot->record->owner);
    double created = slot->record->created;
    PyObject *text = slot_copy_text(entry, slot);
    PyObject *cells = text == NULL ? NULL : tuple_of_cells(slot->record->cells, entry->words);
    if (cells == NULL) {
        Py_XDECREF(text);
        return NULL;
    }
    if (text == Py_None || slot->record->hash != slot->hash || !slot_is_live(slot)) {
        Py_DECREF(text);
        Py_DECREF(cells);
        Py_RETURN_NONE;
    }
    return Py_BuildValue("NIdN", text, (unsigned)owner, created, cells);
}

PyObject *
shared_series(PyObject *op, PyObject *args)
{
    Entry entry;
    if (read_offset(op, args, "K:series", &entry) < 0) {
        return NULL;
    }
    PyObject *list = PyList_New(0);
    Slot slot = {0};
    if (entry.record != NULL) {
        slot = slot_first(&entry);
    }
    for (; list != NULL && slot.record != NULL; slot = slot_next(&entry, &slot)) {
        PyObject *contents = slot_is_live(&slot) ? slot_contents(&entry, &slot) : Py_NewRef(Py_None);
        if (contents == Py_None) {
            Py_DECREF(contents);
        }
        else if (append_steal(list, contents) < 0) {
            Py_CLEAR(list);
        }
    }
    return list;
}

PyObject *
shared_wait(PyObject *op, PyObject *Py_UNUSED(ignored))
{
    int locked = shared_lock((Shared *)op, PATIENT);
    if (locked > 0) {
        shared_unlock((Shared *)op);
    }
    return locked < 0 ? NULL : PyBool_FromLong(locked);
}

PyObject *
shared_add_family(PyObject *op, PyObject *args)
{
    Shared *self = (Shared *)op;
    const char *text;
    Py_ssize_t length;
    EntryShape shape = {0};
    if (!PyArg_ParseTuple(args, "y#II|I:add_family", &text, &length, &shape.words, &shape.aggregate, &shape.extra)) {
        return NULL;
    }
    int locked = shared_lock(self, SOON);
    unsigned long long offset = 0;
    if (locked > 0) {
        uint32_t size = length > UINT32_MAX ? UINT32_MAX : (uint32_t)length; /* which is too long */
        offset = entry_find_or_make(self, text, size, shape).offset;
        shared_unlock(self);
    }
    return locked < 0 ? NULL : PyLong_FromUnsignedLongLong(offset);
}

PyObject *
shared_register(PyObject *op, PyObject *args)
{
    Entry entry;
    if (read_offset(op, args, "K:register", &entry) < 0) {
        return NULL;
    }
    int done = entry.record != NULL && atomic_load(&entry.record->registered) != 0;
    int locked = entry.record != NULL && !done ? shared_lock(entry.shared, SOON) : 0;
    if (locked > 0) {
        entry_follow(&entry);
        done = entry_register(&entry);
        shared_unlock(entry.shared);
    }
    return locked < 0 ? NULL : PyBool_FromLong(done);
}

PyObject *
shared_unregister(PyObject *op, PyObject *args)
{
    Entry entry;
    if (read_offset(op, args, "K:unregister", &entry) < 0) {
        return NULL;
    }
    int locked = entry.record != NULL ? shared_lock(entry.shared, SOON) : 0;
    if (locked > 0) {
        entry_follow(&entry);
        entry_unregister(&entry);
        shared_unlock(entry.shared);
    }
    return locked < 0 ? NULL : PyBool_FromLong(locked);
}
