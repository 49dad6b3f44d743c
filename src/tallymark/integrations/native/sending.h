/* A sending: what `await send(message)` awaits, where something follows the last byte, or the loss of the client. */
#ifndef TALLYMARK_SENDING_H
#define TALLYMARK_SENDING_H

#include "exchange.h"

typedef struct {
    Exchange exchange;
    PyObject *send, *receive; /* the server's */
} Request;

PyObject *sending_of(Request *request, PyObject *message, int is_last);

#endif
