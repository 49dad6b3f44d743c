#include "instrument.h"
#include "operation_recorder.h"
#include "timing.h"

State *
state_of_type(PyTypeObject *type)
{
    return PyType_GetModuleState(type);
}

typedef struct {
    PyType_Spec *spec;
    size_t place;
    int is_instrument;
    const char *public_name; /* NULL for types that users do not name */
} TypeEntry;

static const TypeEntry type_entries[] = {
    {&tagset_spec, offsetof(State, tagset_type), 0, "TagSet"},
    {&family_spec, offsetof(State, family_type), 0, "Family"},
    {&instrument_spec, offsetof(State, instrument_type), 0, "Instrument"},
    {&counter_spec, offsetof(State, counter_type), 1, "Counter"},
    {&gauge_spec, offsetof(State, gauge_type), 1, "Gauge"},
    {&histogram_spec, offsetof(State, histogram_type), 1, "Histogram"},
    {&timer_spec, offsetof(State, timer_type), 1, "Timer"},
    {&timing_spec, offsetof(State, timing_type), 0, "Timing"},
    {&operation_recorder_spec, offsetof(State, operation_recorder_type), 0, "OperationRecorder"},
    {&shared_spec, offsetof(State, shared_type), 0, "Shared"},
    {&moment_spec, offsetof(State, moment_type), 0, NULL},
    {&timed_spec, offsetof(State, timed_type), 0, NULL},
};

static const struct {
    const char *module, *attribute;
    size_t place;
} borrowed[] = {
    {"tallymark.engine.policy", "Policy", offsetof(State, policy)},
    {"tallymark.engine.columns", "Columns", offsetof(State, columns)},
    {"tallymark.engine.histogram_snapshot", "HistogramSnapshot", offsetof(State, histogram_snapshot)},
    {"tallymark.engine.text", "checked_tags", offsetof(State, checked_tags)},
    {"tallymark.engine.text", "as_tags", offsetof(State, as_tags)},
    {"tallymark.engine.text", "text_tags", offsetof(State, text_tags)},
    {"tallymark.engine.decorators", "timed", offsetof(State, timed)},
    {"functools", "update_wrapper", offsetof(State, update_wrapper)},
    {"datetime", "timedelta", offsetof(State, timedelta)},
    {"collections.abc", "Mapping", offsetof(State, mapping)},
    {"collections.abc", "KeysView", offsetof(State, keys_view)},
    {"collections.abc", "ValuesView", offsetof(State, values_view)},
    {"collections.abc", "ItemsView", offsetof(State, items_view)},
};

#define LENGTH(array) (sizeof(array) / sizeof(array)[0])
#define PLACE(state, offset, type) ((type *)((char *)(state) + (offset)))

static int
add_type(PyObject *module, State *state, const TypeEntry *entry)
{
    PyObject *base = entry->is_instrument ? (PyObject *)state->instrument_type : NULL;
    PyObject *type = PyType_FromModuleAndSpec(module, entry->spec, base);
    if (type == NULL) {
        return -1;
    }
    *PLACE(state, entry->place, PyObject *) = type;
    return entry->public_name == NULL ? 0 : PyModule_AddObjectRef(module, entry->public_name, type);
}

static int
borrow(State *state, const char *module_name, const char *attribute, size_t place)
{
    PyObject *module = PyImport_ImportModule(module_name);
    PyObject *object = module == NULL ? NULL : PyObject_GetAttrString(module, attribute);
    Py_XDECREF(module);
    *PLACE(state, place, PyObject *) = object;
    return object == NULL ? -1 : 0;
}

static int
set_kind(PyTypeObject *type, const char *kind)
{
    PyObject *text = PyUnicode_InternFromString(kind);
    int result = text == NULL ? -1 : PyDict_SetItemString(type->tp_dict, "kind", text);
    Py_XDECREF(text);
    PyType_Modified(type);
    return result;
}

static int
module_exec(PyObject *module)
{
    State *state = PyModule_GetState(module);
    for (size_t i = 0; i < LENGTH(borrowed); i++) {
        if (borrow(state, borrowed[i].module, borrowed[i].attribute, borrowed[i].place) < 0) {
            return -1;
        }
    }
    for (size_t i = 0; i < LENGTH(type_entries); i++) {
        if (add_type(module, state, &type_entries[i]) < 0) {
            return -1;
        }
    }
    if (set_kind(state->counter_type, "counter") < 0 || set_kind(state->gauge_type, "gauge") < 0
        || set_kind(state->histogram_type, "histogram") < 0 || set_kind(state->timer_type, "timer") < 0) {
        return -1;
    }
    PyObject *registered = PyObject_CallMethod(state->mapping, "register", "O", state->tagset_type);
    Py_XDECREF(registered);
    return registered == NULL ? -1 : timing_add_moments(state);
}

static int
module_traverse(PyObject *module, visitproc visit, void *arg)
{
    State *state = PyModule_GetState(module);
    for (size_t i = 0; i < LENGTH(type_entries); i++) {
        Py_VISIT(*PLACE(state, type_entries[i].place, PyObject *));
    }
    for (size_t i = 0; i < LENGTH(borrowed); i++) {
        Py_VISIT(*PLACE(state, borrowed[i].place, PyObject *));
    }
    return 0;
}

static int
module_clear(PyObject *module)
{
    State *state = PyModule_GetState(module);
    for (size_t i = 0; i < LENGTH(type_entries); i++) {
        Py_CLEAR(*PLACE(state, type_entries[i].place, PyObject *));
    }
    for (size_t i = 0; i < LENGTH(borrowed); i++) {
        Py_CLEAR(*PLACE(state, borrowed[i].place, PyObject *));
    }
    while (state->n_spare_instruments > 0) {
        PyObject_Free(state->spare_instruments[--state->n_spare_instruments]);
    }
    while (state->n_spare_timings > 0) {
        PyObject_Free(state->spare_timings[--state->n_spare_timings]);
    }
    return 0;
}

static void
module_free(void *module)
{
    State *state = PyModule_GetState(module);
    module_clear(module);
    shapes_clear(&state->shapes);
    PyMem_Free(state->tagsets.slots);
}

static PyModuleDef_Slot module_slots[] = {
    {Py_mod_exec, module_exec},
#if PY_VERSION_HEX >= 0x030C0000
    {Py_mod_multiple_interpreters, Py_MOD_PER_INTERPRETER_GIL_SUPPORTED},
#endif
    {0, NULL},
};

static PyModuleDef module_definition = {
    PyModuleDef_HEAD_INIT,
    .m_name = "tallymark.engine.native._engine",
    .m_doc = "The native engine: the contract of the record path in C11.",
    .m_size = sizeof(State),
    .m_slots = module_slots,
    .m_traverse = module_traverse,
    .m_clear = module_clear,
    .m_free = module_free,
};

PyMODINIT_FUNC
PyInit__engine(void)
{
    return PyModuleDef_Init(&module_definition);
}
