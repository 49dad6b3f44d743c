/* Distributions as lines for StatsD servers. */
#ifndef TALLYMARK_OBSERVATION_LINES_H
#define TALLYMARK_OBSERVATION_LINES_H

#include "observations.h"

/* What `tallymark.engine.reference.observation_lines` describes. */
PyObject *observation_lines(PyObject *module, PyObject *args);

#endif
