/* An exchange: one request under way, and what is recorded when it ends. integrations/exchange.py is the specification. */
#ifndef TALLYMARK_EXCHANGE_H
#define TALLYMARK_EXCHANGE_H

#include "state.h"

/* Requests with one method, scheme and version: the base of http_metrics.Line. */
typedef struct {
    PyObject_HEAD
    PyObject *metrics, *begin, *end, *known;
    char is_stale;
} Line;

/* What begins the requests of one middleware. */
typedef struct {
    PyObject_HEAD
    vectorcallfunc vectorcall;
    State *state;              /* borrowed: the type keeps the module */
    PyObject *metrics, *lines; /* those that the last request was begun with, NULL before; and what it knows of them */
    int notes_more;
    PyObject *versions;  /* of HTTP, as `lines` has them, by their names in an environ; NULL: they are the same */
    PyObject *route;     /* returns the template of a request's route */
    PyObject *templates; /* of endpoints that are functions: its own attribute; NULL if it has none */
    int is_rule;         /* 1 if the rule of Werkzeug's request is the template: another attribute of it */
    PyObject *find_line; /* returns the line of a request whose values are not in `lines` */
    PyObject *otherwise; /* begins requests that are none of the plain ones */
    PyObject *clock;     /* returns seconds; NULL for that of time.perf_counter() */
    PyObject *helper;    /* ASGI: takes a message of the client; WSGI: notes own tags, and the context of an exemplar */
    PyObject *error_type, *handled_error; /* return the type of an exception; and of the one that is being handled */
} Recorder;

#define NOT_KNOWN (-1)

typedef struct {
    PyObject_HEAD
    vectorcallfunc vectorcall;
    Recorder *recorder; /* owned, as all others, each of which may be NULL but this and the next two */
    Line *line;
    PyObject *request; /* the scope or environ */
    PyObject *status, *error, *route, *context;
    PyObject *start, *own; /* the message, or the headers, that began the response; own tags that were asked for then */
    double started;
    Py_ssize_t received, sent; /* or NOT_KNOWN */
    char is_open;
} Exchange;

/* Read the clock: seconds; -1.0 with an exception. */
double recorder_now(const Recorder *self);

/* Return the line of a request that is a dict, known by what that has at these three texts. A new reference. */
Line *recorder_line(Recorder *self, PyObject *request, int version, int scheme, int method);

/* Return the template of a request's route, or None; a new reference. NULL with an exception. */
PyObject *recorder_route(const Recorder *self, PyObject *request);

/* Use another function that names routes. */
void recorder_set_route(Recorder *self, PyObject *route);

/* Use the lines of these metrics: 0, or -1 with an exception. */
int recorder_use(Recorder *self, PyObject *metrics);

/* Return 1 if a request is not claimed by other metrics, and claim it; 0; -1 with an exception. */
int recorder_claims(const Recorder *self, PyObject *request);

/* Fill in a new exchange, and count it as active: 0, or -1 with an exception. It is whole in either case. */
int exchange_begin(Exchange *self, Recorder *recorder, Line *line_steal, PyObject *request);

/* End a request, and record it: 0, or -1 with an exception. Only the first call counts. With `asks`, the recorder names its
 * route. */
int exchange_finish(Exchange *self, int asks);

/* Set `error` to the type of an exception; and if no response was begun, what the server answers now: 0, or -1. */
int exchange_note_error(Exchange *self, PyObject *error);
void exchange_note_500(Exchange *self);

/* Add the size of a body: 0, or -1 with an exception. */
int exchange_count(Exchange *self, PyObject *body);

int exchange_traverse(Exchange *self, visitproc visit, void *arg);
void exchange_clear(Exchange *self);

/* Members that all exchanges have. */
PyObject *exchange_get_size(PyObject *op, void *offset);
int exchange_set_size(PyObject *op, PyObject *value, void *offset);
PyObject *exchange_get_metrics(PyObject *op, void *closure);
PyObject *exchange_own_tags(PyObject *op, PyObject *ignored);

#define SIZE(name) {#name, exchange_get_size, exchange_set_size, NULL, (void *)offsetof(Exchange, name)}
#define OBJECT(name, field, flags) {name, T_OBJECT, offsetof(Exchange, field), flags, NULL}

/* A method of an exchange, bound to it, as an application gets: of a type of its own, so that it can be reused. */
typedef struct {
    PyObject_HEAD
    vectorcallfunc vectorcall;
    Exchange *owner;  /* owned */
    const char *name; /* static */
} Method;

PyObject *method_of(Exchange *owner, const char *name, vectorcallfunc call);

/* The getter of `__name__` and `__qualname__`, whose closure is the name: bound methods have both, and who wraps one asks. */
PyObject *get_fixed_name(PyObject *op, void *name);

#define NAME(attribute, name) {attribute, get_fixed_name, NULL, NULL, name}

/* Call, and drop what is returned: 0, or -1 with an exception. */
static inline int
call_for_effect(PyObject *function, PyObject *const *args, size_t n)
{
    if (function == NULL) { /* deleted from its owner */
        PyErr_SetString(PyExc_AttributeError, "a call that records is missing");
        return -1;
    }
    Py_INCREF(function); /* what is called may replace it */
    PyObject *returned = PyObject_Vectorcall(function, args, n, NULL);
    Py_DECREF(function);
    Py_XDECREF(returned);
    return returned == NULL ? -1 : 0;
}

static inline PyObject *
none_or_error(int result)
{
    return result < 0 ? NULL : Py_NewRef(Py_None);
}

/* Return 1 if an object is this text. */
static inline int
is_text(PyObject *object, PyObject *text)
{
    return object == text || (PyUnicode_Check(object) && PyUnicode_Compare(object, text) == 0);
}

#endif
