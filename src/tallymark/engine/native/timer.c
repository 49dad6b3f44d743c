#include "distribution.h"
#include "timing.h"

#include "clock.h"
#include "docs.h"

PyObject *
timer_record_seconds(Instrument *self, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames, double seconds)
{
    if (!(seconds >= 0.0 && seconds < Py_HUGE_VAL)) {
        return reject_number(self->family, seconds);
    }
    return record(self, args, nargs, kwnames, seconds, distribution_observe);
}

/* If datetime was never imported, there is no timedelta. */
static int
is_timedelta(State *state, PyObject *object)
{
    if (state->borrowed[TIMEDELTA] == NULL) {
        PyObject *name = PyUnicode_FromString("datetime");
        PyObject *datetime = name == NULL ? NULL : PyImport_GetModule(name);
        Py_XDECREF(name);
        Py_XDECREF(datetime);
        if (datetime == NULL || state_import(state, TIMEDELTA) == NULL) {
            return 0;
        }
    }
    return PyType_IsSubtype(Py_TYPE(object), (PyTypeObject *)state->borrowed[TIMEDELTA]);
}

/* Read seconds from what is no plain number. Not inlined: tools/record_path.py knows it by its name. */
__attribute__((noinline)) static int
seconds_of_object(Family *family, PyObject *duration, double *seconds)
{
    if (!is_timedelta(family->state, duration)) {
        return PyErr_Occurred() ? -1 : number_slowly(family, duration, seconds);
    }
    PyObject *total = PyObject_CallMethod(duration, "total_seconds", NULL);
    int result = total == NULL ? -1 : number(family, total, seconds);
    Py_XDECREF(total);
    return result;
}

int
timer_seconds_of(Family *family, PyObject *duration, double *seconds)
{
    if (PyFloat_CheckExact(duration) || PyLong_CheckExact(duration)) {
        return number(family, duration, seconds);
    }
    return seconds_of_object(family, duration, seconds);
}

static PyObject *
timer_record(PyObject *op, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames)
{
    Instrument *self = (Instrument *)op;
    double seconds;
    if (nargs != 1 && !takes_one("record", nargs, 1)) {
        return NULL;
    }
    int is_number = timer_seconds_of(self->family, args[0], &seconds);
    if (is_number != 1) {
        return is_number < 0 ? NULL : Py_NewRef(Py_None);
    }
    return timer_record_seconds(self, args, nargs, kwnames, seconds);
}

static PyObject *
timer_record_since(PyObject *op, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames)
{
    double end = (double)clock_now() * 1e-9;
    Instrument *self = (Instrument *)op;
    double start;
    if (nargs != 1 && !takes_one("record_since", nargs, 1)) {
        return NULL;
    }
    int is_number = number(self->family, args[0], &start);
    if (is_number != 1) {
        return is_number < 0 ? NULL : Py_NewRef(Py_None);
    }
    double seconds = end - start;
    if (!(seconds >= 0.0 && seconds < Py_HUGE_VAL)) {
        return reject_number(self->family, seconds);
    }
    Tags tags = has_tags(kwnames) ? tags_of_call(args, nargs, kwnames) : (Tags){NULL, NULL, 0};
    return record_given(self, tags, seconds, distribution_observe) < 0 ? NULL : Py_NewRef(Py_None);
}

static PyObject *
timer_time(PyObject *op, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames)
{
    Instrument *self = (Instrument *)op;
    if (nargs != 0) {
        PyErr_Format(PyExc_TypeError, "time() takes no positional arguments but %zd were given", nargs);
        return NULL;
    }
    if (!has_tags(kwnames)) {
        return timing_of((Instrument *)Py_NewRef(op));
    }
    Series *series = find_live(self, args, nargs, kwnames);
    return timing_of(series != NULL ? instrument_of(self->family, series)
                                    : family_named(self->family, family_find_given(self->family, self->series, tags_of_call(args, nargs, kwnames))));
}

static PyMethodDef timer_methods[] = {
    {"record", (PyCFunction)(void (*)(void))timer_record, METH_FASTCALL | METH_KEYWORDS, DOC_Timer_record},
    {"record_since", (PyCFunction)(void (*)(void))timer_record_since, METH_FASTCALL | METH_KEYWORDS, DOC_Timer_record_since},
    {"time", (PyCFunction)(void (*)(void))timer_time, METH_FASTCALL | METH_KEYWORDS, DOC_Timer_time},
    {"snapshot", distribution_snapshot, METH_NOARGS, DOC_Timer_snapshot},
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef timer_getset[] = {
    {"bounds", distribution_get_bounds, NULL, DOC_Timer_bounds, NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyType_Slot timer_slots[] = {
    {Py_tp_doc, DOC_Timer},
    {Py_tp_dealloc, instrument_dealloc}, /* inherited, it would be wrapped */
    {Py_tp_methods, timer_methods},
    {Py_tp_getset, timer_getset},
    {0, NULL},
};

PyType_Spec timer_spec = {
    .name = "tallymark.engine.native.Timer",
    .basicsize = sizeof(Instrument),
    .flags = INSTRUMENT_FLAGS,
    .slots = timer_slots,
};
