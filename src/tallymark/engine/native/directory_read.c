/* What Python reads of the directory, and how a registry enters families into it. */

#define PY_SSIZE_T_CLEAN
#include "shared.h"

PyObject *shared_families(PyObject *op, PyObject *ignored);
PyObject *shared_series(PyObject *op, PyObject *args);
PyObject *shared_add_family(PyObject *op, PyObject *args);
PyObject *shared_set_registered(PyObject *op, PyObject *args);

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
    uint64_t left = self->limit / sizeof(SharedFamily);
    for (uint64_t at = atomic_load(&self->header->families); list != NULL && at != 0 && left-- > 0;) {
        SharedFamily *family = family_at(self, at);
        if (family == NULL) {
            break;
        }
        PyObject *one = Py_BuildValue("Ky#i", (unsigned long long)at, family->text, (Py_ssize_t)family->length,
                                      (int)(atomic_load(&family->registered) != 0));
        if (append_steal(list, one) < 0) {
            Py_CLEAR(list);
        }
        at = next_family(self, family);
    }
    return list;
}

static PyObject *
slot_entry(const SharedFamily *family, const Slot *slot)
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
    return cells == NULL ? NULL
                         : Py_BuildValue("y#IdN", slot_text(family, slot), (Py_ssize_t)slot->length, (unsigned)atomic_load(&slot->owner),
                                         slot->created, cells);
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
    if (family == NULL) {
        PyErr_SetString(PyExc_ValueError, "there is no family at this offset");
        return NULL;
    }
    PyObject *list = PyList_New(0);
    uint64_t left = self->limit / sizeof(Slot), next = atomic_load(&family->first);
    for (Slot *slot; list != NULL && next != 0 && left-- > 0 && (slot = slot_at(self, family, next)) != NULL;
         next = next_slot(self, slot)) {
        if (atomic_load(&slot->state) == LIVE && append_steal(list, slot_entry(family, slot)) < 0) {
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
    if (!PyArg_ParseTuple(args, "y#II:add_family", &text, &length, &words, &aggregate) || shared_lock(self) < 0) {
        return NULL;
    }
    SharedFamily *family = family_named_like(self, text, (uint32_t)length);
    if (family == NULL) {
        family = family_make(self, text, (uint32_t)length, words, aggregate);
    }
    else {
        atomic_store(&family->registered, 1);
    }
    unsigned long long offset = family == NULL ? 0 : offset_in(self, family);
    shared_unlock(self);
    return PyLong_FromUnsignedLongLong(offset);
}

PyObject *
shared_set_registered(PyObject *op, PyObject *args)
{
    Shared *self = (Shared *)op;
    unsigned long long offset;
    int registered, result = 0;
    if (!PyArg_ParseTuple(args, "Kp:set_registered", &offset, &registered) || shared_lock(self) < 0) {
        return NULL;
    }
    SharedFamily *family = family_at(self, offset);
    if (family != NULL) {
        SharedFamily *other = registered ? family_named_like(self, family->text, family->length) : family;
        if (other == NULL || other == family || !atomic_load(&other->registered)) {
            atomic_store(&family->registered, (uint32_t)registered);
            result = 1;
        }
    }
    shared_unlock(self);
    return PyBool_FromLong(result);
}
