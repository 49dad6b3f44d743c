/* How Python reads and changes the directory. */
#define PY_SSIZE_T_CLEAN
#include "slot.h"

static int
append_steal(PyObject *list, PyObject *item)
{
    int result = item == NULL ? -1 : PyList_Append(list, item);
    Py_XDECREF(item);
    return result;
}

PyObject *
shared_families(PyObject *op, PyObject *Py_UNUSED(ignored))
{
    Shared *self = (Shared *)op;
    PyObject *list = PyList_New(0);
    for (SharedFamily *family = first_family(self); list != NULL && family != NULL; family = next_family(self, family)) {
        PyObject *registered = PyBool_FromLong(atomic_load(&family->registered) != 0);
        if (append_steal(list, Py_BuildValue("KN", (unsigned long long)offset_in(self, family), registered)) < 0) {
            Py_CLEAR(list);
        }
    }
    return list;
}

PyObject *
shared_text(PyObject *op, PyObject *args)
{
    unsigned long long offset;
    if (!PyArg_ParseTuple(args, "K:text", &offset)) {
        return NULL;
    }
    const SharedFamily *family = family_at((Shared *)op, offset);
    return family == NULL ? Py_NewRef(Py_None) : PyBytes_FromStringAndSize(family->text, family->length);
}

static PyObject *
cells_of(const SharedFamily *family, const Slot *slot)
{
    PyObject *cells = PyTuple_New(family->words);
    for (uint32_t i = 0; cells != NULL && i < family->words; i++) {
        PyObject *word = PyLong_FromUnsignedLongLong(cell_count(&slot->cells[i]));
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
slot_entry(Shared *shared, const SharedFamily *family, const Slot *slot)
{
    uint64_t hash = slot->hash;
    uint32_t owner = atomic_load(&slot->owner);
    PyObject *text = slot_copy_text(shared, family, slot);
    PyObject *cells = text == NULL ? NULL : cells_of(family, slot);
    if (cells == NULL) {
        Py_XDECREF(text);
        return NULL;
    }
    if (text == Py_None || slot->hash != hash || !slot_is_live(slot)) {
        Py_DECREF(text);
        Py_DECREF(cells);
        Py_RETURN_NONE;
    }
    return Py_BuildValue("NIdN", text, (unsigned)owner, slot->created, cells);
}

PyObject *
shared_series(PyObject *op, PyObject *args)
{
    Shared *self = (Shared *)op;
    unsigned long long offset;
    if (!PyArg_ParseTuple(args, "K:series", &offset)) {
        return NULL;
    }
    SharedFamily *family = family_at(self, offset);
    PyObject *list = PyList_New(0);
    Slot *slot = family == NULL ? NULL : first_slot(self, family);
    for (; list != NULL && slot != NULL; slot = next_slot(self, family, slot)) {
        PyObject *entry = slot_is_live(slot) ? slot_entry(self, family, slot) : Py_NewRef(Py_None);
        if (entry == Py_None) {
            Py_DECREF(entry);
        }
        else if (append_steal(list, entry) < 0) {
            Py_CLEAR(list);
        }
    }
    return list;
}

PyObject *
shared_add_family(PyObject *op, PyObject *args)
{
    Shared *self = (Shared *)op;
    const char *text;
    Py_ssize_t length;
    unsigned words, aggregate;
    if (!PyArg_ParseTuple(args, "y#II:add_family", &text, &length, &words, &aggregate)) {
        return NULL;
    }
    if (!shared_lock(self)) {
        return PyLong_FromLong(0);
    }
    SharedFamily *family = length > UINT32_MAX ? NULL : family_find_or_make(self, text, (uint32_t)length, words, aggregate);
    unsigned long long offset = family == NULL ? 0 : offset_in(self, family);
    shared_unlock(self);
    return PyLong_FromUnsignedLongLong(offset);
}

PyObject *
shared_register(PyObject *op, PyObject *args)
{
    Shared *self = (Shared *)op;
    unsigned long long offset;
    if (!PyArg_ParseTuple(args, "K:register", &offset)) {
        return NULL;
    }
    SharedFamily *family = family_at(self, offset);
    int done = family != NULL && atomic_load(&family->registered) != 0;
    if (family != NULL && !done && shared_lock(self)) {
        done = family_register(self, family);
        shared_unlock(self);
    }
    return PyBool_FromLong(done);
}

PyObject *
shared_unregister(PyObject *op, PyObject *args)
{
    Shared *self = (Shared *)op;
    unsigned long long offset;
    if (!PyArg_ParseTuple(args, "K:unregister", &offset)) {
        return NULL;
    }
    SharedFamily *family = family_at(self, offset);
    int done = family != NULL && shared_lock(self);
    if (done) {
        family_unregister(self, family);
        shared_unlock(self);
    }
    return PyBool_FromLong(done);
}

PyObject *
shared_expire(PyObject *op, PyObject *args)
{
    Shared *self = (Shared *)op;
    unsigned long long offset, mark;
    const char *text;
    Py_ssize_t length;
    if (!PyArg_ParseTuple(args, "Ky#K:expire", &offset, &text, &length, &mark)) {
        return NULL;
    }
    SharedFamily *family = family_at(self, offset);
    int done = family != NULL && shared_lock(self);
    if (done) {
        done = slots_mark(self, family, text, (uint32_t)length) == mark && slots_kill(self, family, text, (uint32_t)length) > 0;
        shared_unlock(self);
    }
    return PyBool_FromLong(done);
}
