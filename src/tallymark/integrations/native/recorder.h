/* What begins the requests of one middleware, by its protocol. */
#ifndef TALLYMARK_RECORDER_H
#define TALLYMARK_RECORDER_H

#include "exchange.h"

/* Called with metrics, scope, receive, send; and with metrics, environ, start_response: return the request under way. */
PyObject *requests_call(PyObject *op, PyObject *const *args, size_t nargsf, PyObject *kwnames);
PyObject *responses_call(PyObject *op, PyObject *const *args, size_t nargsf, PyObject *kwnames);

#endif
