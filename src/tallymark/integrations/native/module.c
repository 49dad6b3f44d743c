/* Requests under way, in C: what integrations/exchange.py, asgi_exchanges.py and wsgi_response.py specify. */
#include "state.h"

#include <stddef.h>

static const char *const texts[N_TEXTS] = {
    [BODY] = "body", [CLAIM] = "tallymark.http", [CLAIMS] = "claim", [CONTENT_LENGTH] = "CONTENT_LENGTH", [EMPTY] = "",
    [END] = "http.response.body", [ENDPOINT] = "endpoint", [ERROR] = "tallymark.error", [HTTP] = "http", [METHOD] = "method",
    [MORE_BODY] = "more_body", [PATHSEND] = "http.response.pathsend", [REQUEST_METHOD] = "REQUEST_METHOD", [RULE] = "rule",
    [SCHEME] = "scheme", [SERVER_PROTOCOL] = "SERVER_PROTOCOL", [START] = "http.response.start", [STATUS] = "status",
    [TRANSFER_ENCODING] = "HTTP_TRANSFER_ENCODING", [TYPE] = "type", [URL_RULE] = "url_rule", [URL_SCHEME] = "wsgi.url_scheme",
    [VERSION] = "http_version", [WERKZEUG_REQUEST] = "werkzeug.request", [ZEROCOPYSEND] = "http.response.zerocopysend",
};

static const struct {
    PyType_Spec *spec;
    size_t offset;
    const char *name; /* NULL for types that Python code does not name */
} types[] = {
    {&line_spec, offsetof(State, line_type), "LineFields"},
    {&requests_spec, offsetof(State, requests_type), "Requests"},
    {&responses_spec, offsetof(State, responses_type), "Responses"},
    {&request_spec, offsetof(State, request_type), NULL},
    {&response_spec, offsetof(State, response_type), NULL},
    {&sending_spec, offsetof(State, sending_type), "Sending"},
    {&method_spec, offsetof(State, method_type), NULL},
};

#define N_TYPES (sizeof(types) / sizeof(types)[0])

static PyObject **
type_at(State *state, size_t i)
{
    return (PyObject **)(void *)((char *)state + types[i].offset);
}

static int
module_exec(PyObject *module)
{
    State *state = PyModule_GetState(module);
    for (size_t i = 0; i < N_TEXTS; i++) {
        if ((state->texts[i] = PyUnicode_InternFromString(texts[i])) == NULL) {
            return -1;
        }
    }
    for (size_t i = 0; i < N_TYPES; i++) {
        PyObject *type = PyType_FromModuleAndSpec(module, types[i].spec, NULL);
        if (type == NULL) {
            return -1;
        }
        *type_at(state, i) = type;
        if (types[i].name != NULL && PyModule_AddObjectRef(module, types[i].name, type) < 0) {
            return -1;
        }
    }
    return 0;
}

static int
module_traverse(PyObject *module, visitproc visit, void *arg)
{
    State *state = PyModule_GetState(module);
    for (size_t i = 0; i < N_TYPES; i++) {
        Py_VISIT(*type_at(state, i));
    }
    return 0;
}

static void
free_spares(Spares *spares)
{
    while (spares->n > 0) {
        PyObject *op = spares->kept[--spares->n];
        Py_SET_TYPE(op, &PyList_Type); /* by which it is told how it was allocated: as a list; its own type may be gone */
        PyObject_GC_Del(op);
    }
}

static int
module_clear(PyObject *module)
{
    State *state = PyModule_GetState(module);
    for (size_t i = 0; i < N_TYPES; i++) {
        Py_CLEAR(*type_at(state, i));
    }
    free_spares(&state->requests);
    free_spares(&state->responses);
    free_spares(&state->sendings);
    free_spares(&state->methods);
    return 0;
}

static void
module_free(void *module)
{
    State *state = PyModule_GetState(module);
    module_clear(module);
    for (size_t i = 0; i < N_TEXTS; i++) {
        Py_CLEAR(state->texts[i]);
    }
}

static PyModuleDef_Slot slots[] = {
    {Py_mod_exec, module_exec},
#if PY_VERSION_HEX >= 0x030C0000
    {Py_mod_multiple_interpreters, Py_MOD_PER_INTERPRETER_GIL_SUPPORTED},
#endif
    {0, NULL},
};

static PyModuleDef definition = {
    PyModuleDef_HEAD_INIT,
    .m_name = "tallymark.integrations._exchanges",
    .m_doc = "Requests under way, in C.",
    .m_size = sizeof(State),
    .m_slots = slots,
    .m_traverse = module_traverse,
    .m_clear = module_clear,
    .m_free = module_free,
};

PyMODINIT_FUNC
PyInit__exchanges(void)
{
    return PyModuleDef_Init(&definition);
}
