/* Hooks in the allocators, which count. */
#ifndef TALLYMARK_BENCH_HOOKS_H
#define TALLYMARK_BENCH_HOOKS_H

#include "counts.h"

PyObject *install(PyObject *, PyObject *);
PyObject *uninstall(PyObject *, PyObject *);
PyObject *is_installed(PyObject *, PyObject *);
int prepare_hooks(void);

#endif
