/* What the module keeps for one interpreter: its types, the texts of the protocols, and objects for reuse. */
#ifndef TALLYMARK_HTTP_STATE_H
#define TALLYMARK_HTTP_STATE_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#ifndef MAX_SPARES
#define MAX_SPARES 64 /* 1 for sanitizers, which cannot see a use of an object that is kept for later */
#endif

/* The keys and values of the protocols, interned: those of an application are, too, so that a pointer tells most of them. */
enum {
    BODY, CLAIM, CLAIMS, CONTENT_LENGTH, EMPTY, END, ENDPOINT, ERROR, HTTP, METHOD, MORE_BODY, PATHSEND, REQUEST_METHOD,
    RULE, SCHEME, SERVER_PROTOCOL, START, STATUS, TRANSFER_ENCODING, TYPE, URL_RULE, URL_SCHEME, VERSION,
    WERKZEUG_REQUEST, ZEROCOPYSEND, N_TEXTS
};

/* Objects kept for the next one of their type, so that a request costs no allocation. */
typedef struct {
    PyObject *kept[MAX_SPARES];
    int n;
} Spares;

typedef struct State {
    PyTypeObject *line_type, *requests_type, *request_type, *sending_type, *responses_type, *response_type, *method_type;
    PyObject *texts[N_TEXTS];
    Spares requests, sendings, responses, methods;
} State;

/* Return a new object of a type, whose fields are not set, and that the garbage collector does not track yet; NULL with an
 * exception. */
static inline PyObject *
spare_or_new(Spares *spares, PyTypeObject *type)
{
    return spares->n > 0 ? PyObject_Init(spares->kept[--spares->n], type) : _PyObject_GC_New(type);
}

/* Free an object whose fields were cleared, or keep it among the spares at this offset of the state. */
static inline void
spare_or_free(PyObject *op, size_t offset)
{
    PyTypeObject *type = Py_TYPE(op);
    PyObject *module = ((PyHeapTypeObject *)type)->ht_module; /* NULL if the collector has cleared the type first */
    Spares *spares = module == NULL ? NULL : (Spares *)(void *)((char *)PyModule_GetState(module) + offset);
    if (spares != NULL && spares->n < MAX_SPARES && !PyObject_GC_IsFinalized(op)) {
        spares->kept[spares->n++] = op;
    }
    else {
        PyObject_GC_Del(op);
    }
    Py_DECREF(type);
}

#define FINAL_TYPE (Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_DISALLOW_INSTANTIATION)

extern PyType_Spec line_spec, requests_spec, request_spec, sending_spec, responses_spec, response_spec, method_spec;

#endif
