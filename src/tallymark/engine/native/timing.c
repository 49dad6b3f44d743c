/* The interpreter binds __enter__ and __exit__ to the object before it calls them, and a bound method of a C type is a new
 * object each time. So a timing's are of a type of their own, Moment, and a Moment binds to the timing itself. The number of
 * arguments decides what a call of a timing does: none enters, three (an exception) exit, one is a function to time. */
#include "timing.h"

#include <structmember.h>

#include "clock.h"
#include "docs.h"

typedef struct {
    unsigned long thread;
    int64_t start;
} Entered;

typedef struct {
    PyObject_HEAD
    vectorcallfunc vectorcall;
    Instrument *timer; /* owned */
    uint32_t depth;    /* entries now open: the first is here, further ones are on the heap */
    uint32_t capacity;
    Entered first;
    Entered *more;
} Timing;

static Entered *
entered_at(Timing *self, uint32_t i)
{
    return i == 0 ? &self->first : &self->more[i - 1];
}

/* Inlined, these would have each entry and exit save registers that only they need; and tools/record_path.py knows by its name
 * what is rare, and allocates or raises. */
#define NOINLINE __attribute__((noinline)) static

/* Make space for more entries within one another: 0, or -1 with an exception. */
NOINLINE int
timing_grow(Timing *self)
{
    uint32_t capacity = self->capacity * 2 + 4;
    Entered *more = PyMem_Realloc(self->more, capacity * sizeof *more);
    if (more == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    self->more = more;
    self->capacity = capacity;
    return 0;
}

NOINLINE void
timing_misused(PyObject *exception, const char *message)
{
    PyErr_SetString(exception, message);
}

NOINLINE PyObject *
timing_enter(Timing *self)
{
    if (self->depth > self->capacity && timing_grow(self) < 0) {
        return NULL;
    }
    Entered *entry = entered_at(self, self->depth++);
    entry->thread = PyThread_get_thread_ident();
    entry->start = clock_now();
    return Py_NewRef((PyObject *)self);
}

/* Remove the last entry of this thread; if it has none (another thread entered), the last of all. */
static int64_t
take_start(Timing *self)
{
    unsigned long thread = PyThread_get_thread_ident();
    uint32_t which = self->depth - 1;
    for (uint32_t i = self->depth; i-- > 0;) {
        if (entered_at(self, i)->thread == thread) {
            which = i;
            break;
        }
    }
    int64_t start = entered_at(self, which)->start;
    self->depth--;
    for (uint32_t i = which; i < self->depth; i++) {
        *entered_at(self, i) = *entered_at(self, i + 1);
    }
    return start;
}

static PyObject *
timing_exit(Timing *self)
{
    int64_t end = clock_now();
    if (self->depth == 0) {
        timing_misused(PyExc_RuntimeError, "a timing was exited that had not been entered");
        return NULL;
    }
    return timer_record_seconds(self->timer, NULL, 0, NULL, (double)(end - take_start(self)) * 1e-9);
}

NOINLINE PyObject *
timing_decorate(Timing *self, PyObject *function)
{
    State *state = self->timer->family->state;
    PyObject *timed = borrowed(state, TIMED);
    return timed == NULL ? NULL : PyObject_CallFunctionObjArgs(timed, self->timer, function, state->timed_type, NULL);
}

static PyObject *
timing_call(PyObject *op, PyObject *const *args, size_t nargsf, PyObject *kwnames)
{
    Timing *self = (Timing *)op;
    Py_ssize_t nargs = PyVectorcall_NARGS(nargsf);
    if (kwnames == NULL || PyTuple_GET_SIZE(kwnames) == 0) {
        switch (nargs) {
        case 0:
            return timing_enter(self);
        case 1:
            return timing_decorate(self, args[0]);
        case 3:
            return timing_exit(self);
        }
    }
    timing_misused(PyExc_TypeError, "a timing is called with one function, to time it");
    return NULL;
}

PyObject *
timing_of(Instrument *timer_steal)
{
    if (timer_steal == NULL) {
        return NULL;
    }
    State *state = timer_steal->family->state;
    Timing *self;
    if (state->n_spare_timings > 0) {
        self = (Timing *)state->spare_timings[--state->n_spare_timings];
    }
    else if ((self = PyObject_Malloc(sizeof *self)) == NULL) {
        Py_DECREF(timer_steal);
        return PyErr_NoMemory();
    }
    PyObject_Init((PyObject *)self, state->timing_type);
    self->vectorcall = timing_call;
    self->timer = timer_steal;
    self->depth = self->capacity = 0;
    self->more = NULL;
    return (PyObject *)self;
}

static PyObject *
timing_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    PyObject *timer;
    if (kwargs != NULL && PyDict_GET_SIZE(kwargs) > 0) {
        PyErr_SetString(PyExc_TypeError, "Timing() takes no keyword arguments");
        return NULL;
    }
    if (!PyArg_ParseTuple(args, "O!:Timing", state_of_type(type)->timer_type, &timer)) {
        return NULL;
    }
    return timing_of((Instrument *)Py_NewRef(timer));
}

static void
timing_dealloc(PyObject *op)
{
    Timing *self = (Timing *)op;
    PyTypeObject *type = Py_TYPE(op);
    Instrument *timer = self->timer;
    State *state = timer->family->state;
    PyMem_Free(self->more);
    if (state->n_spare_timings < MAX_SPARES) {
        state->spare_timings[state->n_spare_timings++] = op;
    }
    else {
        PyObject_Free(op);
    }
    Py_DECREF(timer);
    Py_DECREF(type);
}

static PyMemberDef timing_members[] = {
    {"__vectorcalloffset__", T_PYSSIZET, offsetof(Timing, vectorcall), READONLY, NULL},
    {NULL, 0, 0, 0, NULL},
};

static PyObject *
timing_repr(PyObject *op)
{
    return PyUnicode_FromFormat("<Timing %R>", ((Timing *)op)->timer);
}

static PyType_Slot timing_slots[] = {
    {Py_tp_doc, DOC_Timing},
    {Py_tp_new, timing_new},
    {Py_tp_dealloc, timing_dealloc},
    {Py_tp_call, PyVectorcall_Call},
    {Py_tp_repr, timing_repr},
    {Py_tp_members, timing_members},
    {0, NULL},
};

PyType_Spec timing_spec = {
    .name = "tallymark.engine.native.Timing",
    .basicsize = sizeof(Timing),
    .flags = INSTRUMENT_FLAGS | Py_TPFLAGS_HAVE_VECTORCALL,
    .slots = timing_slots,
};

/* Moments */

typedef struct {
    PyObject_HEAD
    int enters;
} Moment;

static PyObject *
moment_bind(PyObject *op, PyObject *timing, PyObject *Py_UNUSED(type))
{
    return Py_NewRef(timing == NULL || timing == Py_None ? op : timing);
}

/* Called unbound: type(timing).__exit__(timing, *exc_info), as contextlib.ExitStack does. */
static PyObject *
moment_call(PyObject *op, PyObject *args, PyObject *kwargs)
{
    State *state = state_of_type(Py_TYPE(op));
    if (PyTuple_GET_SIZE(args) == 0 || !Py_IS_TYPE(PyTuple_GET_ITEM(args, 0), state->timing_type)
        || (kwargs != NULL && PyDict_GET_SIZE(kwargs) > 0)) {
        PyErr_SetString(PyExc_TypeError, "this method of Timing needs a timing, and no keywords");
        return NULL;
    }
    Timing *timing = (Timing *)PyTuple_GET_ITEM(args, 0);
    return ((Moment *)op)->enters ? timing_enter(timing) : timing_exit(timing);
}

/* A moment's type holds it, and it holds its type: unless the garbage collector sees that, nothing would free the module. */
static int
moment_traverse(PyObject *op, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(op));
    return 0;
}

static void
moment_dealloc(PyObject *op)
{
    PyTypeObject *type = Py_TYPE(op);
    PyObject_GC_UnTrack(op);
    type->tp_free(op);
    Py_DECREF(type);
}

static PyType_Slot moment_slots[] = {
    {Py_tp_dealloc, moment_dealloc},
    {Py_tp_traverse, moment_traverse},
    {Py_tp_call, moment_call},
    {Py_tp_descr_get, moment_bind},
    {0, NULL},
};

PyType_Spec moment_spec = {
    .name = "tallymark.engine.native.Moment",
    .basicsize = sizeof(Moment),
    .flags = INSTRUMENT_FLAGS | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = moment_slots,
};

int
timing_add_moments(State *state)
{
    for (int enters = 0; enters <= 1; enters++) {
        Moment *moment = (Moment *)state->moment_type->tp_alloc(state->moment_type, 0);
        if (moment == NULL) {
            return -1;
        }
        moment->enters = enters;
        int result = PyDict_SetItemString(state->timing_type->tp_dict, enters ? "__enter__" : "__exit__", (PyObject *)moment);
        Py_DECREF(moment);
        if (result < 0) {
            return -1;
        }
    }
    PyType_Modified(state->timing_type);
    return 0;
}
