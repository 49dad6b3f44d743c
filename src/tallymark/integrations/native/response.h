/* A WSGI request under way: the object is itself the iterable and iterator that a server gets, and the `start_response` that an
 * application gets. integrations/wsgi_response.py is the specification. */
#ifndef TALLYMARK_RESPONSE_H
#define TALLYMARK_RESPONSE_H

#include "recorder.h"

typedef struct {
    Exchange exchange;
    PyObject *start_response, *write; /* the server's; `write` may be NULL */
    PyObject *body, *iterator;        /* the application's; NULL before */
    char is_read;                     /* 1 once the iterator had no more */
} Response;

/* Ask for the route: 0, or -1 with an exception. */
int response_note_route(Exchange *self);

/* The vectorcall of a response: `start_response`. */
PyObject *response_call(PyObject *op, PyObject *const *args, size_t nargsf, PyObject *kwnames);

#endif
