#include "column.h"
#include "difference.h"
#include "docs.h"
#include "exposition.h"
#include "frozen.h"
#include "instrument.h"
#include "number_lines.h"
#include "observation_lines.h"
#include "operation_recorder.h"
#include "tag_fields.h"
#include "tag_texts.h"
#include "timing.h"

State *
state_of_type(PyTypeObject *type)
{
    return PyType_GetModuleState(type);
}

typedef struct {
    PyType_Spec *spec;
    size_t offset;
    size_t base;             /* of its base; 0 for none */
    const char *public_name; /* NULL for types that users do not name */
} TypeEntry;

#define OF(type) offsetof(State, type)

static const TypeEntry type_entries[] = {
    {&tagset_spec, OF(tagset_type), 0, "TagSet"},
    {&family_spec, OF(family_type), 0, "Family"},
    {&instrument_spec, OF(instrument_type), 0, "Instrument"},
    {&counter_spec, OF(counter_type), OF(instrument_type), "Counter"},
    {&gauge_spec, OF(gauge_type), OF(instrument_type), "Gauge"},
    {&expiring_gauge_spec, OF(expiring_gauge_type), OF(gauge_type), NULL},
    {&undecided_gauge_spec, OF(undecided_gauge_type), OF(gauge_type), NULL},
    {&histogram_spec, OF(histogram_type), OF(instrument_type), "Histogram"},
    {&timer_spec, OF(timer_type), OF(instrument_type), "Timer"},
    {&timing_spec, OF(timing_type), 0, "Timing"},
    {&operation_recorder_spec, OF(operation_recorder_type), 0, "OperationRecorder"},
    {&shared_spec, OF(shared_type), 0, "Shared"},
    {&exposition_spec, OF(exposition_type), 0, "Exposition"},
    {&column_spec, OF(column_type), 0, NULL},
    {&moment_spec, OF(moment_type), 0, NULL},
    {&timed_spec, OF(timed_type), 0, NULL},
};

static const struct {
    const char *module, *attribute;
} imports[N_BORROWED] = {
    [POLICY] = {"tallymark.engine.policy", "Policy"},
    [COLUMNS] = {"tallymark.engine.columns", "Columns"},
    [WITH_EXEMPLARS] = {"tallymark.engine.exemplar", "with_exemplars"},
    [LABELS_TEXT] = {"tallymark.engine.exemplar", "labels_text"},
    [HISTOGRAM_SNAPSHOT] = {"tallymark.engine.histogram_snapshot", "HistogramSnapshot"},
    [EXPONENTIAL_SNAPSHOT] = {"tallymark.engine.exponential_snapshot", "ExponentialSnapshot"},
    [CHECKED_TAGS] = {"tallymark.engine.text", "checked_tags"},
    [TEXT_TAGS] = {"tallymark.engine.text", "text_tags"},
    [DESCRIBE] = {"tallymark.engine.description", "describe"},
    [TIMED] = {"tallymark.engine.decorators", "timed"},
    [IN_PROGRESS] = {"tallymark.engine.tracking", "InProgress"},
    [EXCEPTION_COUNT] = {"tallymark.engine.tracking", "ExceptionCount"},
    [TAG_FIELDS] = {"tallymark.engine.reference.tag_fields", "tag_fields"},
    [TIMEDELTA] = {"datetime", "timedelta"},
    [NOT_A_NUMBER] = {"math", "nan"},
    [UPDATE_WRAPPER] = {"functools", "update_wrapper"},
    /* `collections.abc` is this too, but imports all of `collections`. */
    [MAPPING] = {"_collections_abc", "Mapping"},
    [SEQUENCE] = {"_collections_abc", "Sequence"},
    [KEYS_VIEW] = {"_collections_abc", "KeysView"},
    [VALUES_VIEW] = {"_collections_abc", "ValuesView"},
    [ITEMS_VIEW] = {"_collections_abc", "ItemsView"},
};

#define LENGTH(array) (sizeof(array) / sizeof(array)[0])
#define AT_OFFSET(state, offset, type) ((type *)((char *)(state) + (offset)))

static int
add_type(PyObject *module, State *state, const TypeEntry *entry)
{
    PyTypeObject *base = entry->base == 0 ? NULL : *AT_OFFSET(state, entry->base, PyTypeObject *);
    unsigned long flags = base == NULL ? 0 : base->tp_flags;
    if (base != NULL) { /* only here: others make no subtypes */
        base->tp_flags |= Py_TPFLAGS_BASETYPE;
    }
    PyObject *type = PyType_FromModuleAndSpec(module, entry->spec, (PyObject *)base);
    if (base != NULL) {
        base->tp_flags = flags;
    }
    if (type == NULL) {
        return -1;
    }
    *AT_OFFSET(state, entry->offset, PyObject *) = type;
    return entry->public_name == NULL ? 0 : PyModule_AddObjectRef(module, entry->public_name, type);
}

PyObject *
state_import(State *state, int which)
{
    PyObject *module = PyImport_ImportModule(imports[which].module);
    PyObject *object = module == NULL ? NULL : PyObject_GetAttrString(module, imports[which].attribute);
    Py_XDECREF(module);
    if (object != NULL) { /* importing runs Python code, which may have been here first */
        Py_XSETREF(state->borrowed[which], object);
    }
    return object;
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

/* Make a type a subclass of an abstract one: 0, or -1 with an exception. */
static int
register_as(State *state, int which, PyTypeObject *type)
{
    PyObject *abstract = borrowed(state, which);
    PyObject *registered = abstract == NULL ? NULL : PyObject_CallMethod(abstract, "register", "O", type);
    Py_XDECREF(registered);
    return registered == NULL ? -1 : 0;
}

static int
module_exec(PyObject *module)
{
    State *state = PyModule_GetState(module);
    if ((state->match_args = PyUnicode_InternFromString("__match_args__")) == NULL) {
        return -1;
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
    if (register_as(state, MAPPING, state->tagset_type) < 0 || register_as(state, SEQUENCE, state->column_type) < 0) {
        return -1;
    }
    return timing_add_moments(state);
}

static int
module_traverse(PyObject *module, visitproc visit, void *arg)
{
    State *state = PyModule_GetState(module);
    for (size_t i = 0; i < LENGTH(type_entries); i++) {
        Py_VISIT(*AT_OFFSET(state, type_entries[i].offset, PyObject *));
    }
    for (size_t i = 0; i < N_BORROWED; i++) {
        Py_VISIT(state->borrowed[i]);
    }
    return 0;
}

static int
module_clear(PyObject *module)
{
    State *state = PyModule_GetState(module);
    for (size_t i = 0; i < LENGTH(type_entries); i++) {
        Py_CLEAR(*AT_OFFSET(state, type_entries[i].offset, PyObject *));
    }
    for (size_t i = 0; i < N_BORROWED; i++) {
        Py_CLEAR(state->borrowed[i]);
    }
    Py_CLEAR(state->match_args);
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
    PyMem_Free(state->unsettled);
}

static PyMethodDef module_functions[] = {
    {"difference", difference, METH_VARARGS, DOC_difference},
    {"frozen", (PyCFunction)(void (*)(void))frozen, METH_FASTCALL, DOC_frozen},
    {"number_lines", (PyCFunction)(void (*)(void))number_lines, METH_FASTCALL, DOC_number_lines},
    {"observation_lines", observation_lines, METH_VARARGS, DOC_observation_lines},
    {"tag_fields", (PyCFunction)(void (*)(void))tag_fields, METH_FASTCALL, DOC_tag_fields},
    {"tag_texts", (PyCFunction)(void (*)(void))tag_texts, METH_FASTCALL, DOC_tag_texts},
    {NULL, NULL, 0, NULL},
};

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
    .m_methods = module_functions,
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
