/* The template of a request's route: most are found without a call of Python code. starlette_routes.py, werkzeug_routes.py and
 * flask.py are the specification. */
#include "exchange.h"

/* Return the template of the endpoint in a scope; NULL where it must be asked for, without an exception. */
static PyObject *
template_of_endpoint(const Recorder *self, PyObject *scope)
{
    PyObject *endpoint = PyDict_GetItemWithError(scope, self->state->texts[ENDPOINT]);
    if (endpoint == NULL || !PyFunction_Check(endpoint)) {
        return NULL;
    }
    /* Held: a function is compared by its identity, but what it is compared with may be code that replaces them. */
    PyObject *templates = Py_NewRef(self->templates), *held = Py_NewRef(endpoint);
    PyObject *found = Py_XNewRef(PyDict_GetItemWithError(templates, held));
    Py_DECREF(held);
    Py_DECREF(templates);
    return found;
}

/* Return the attribute of an object; NULL without an exception if that is None, or cannot be read. Steals; NULL passes on. */
static PyObject *
attribute_of(PyObject *object_steal, PyObject *name)
{
    if (object_steal == NULL) {
        return NULL;
    }
    PyObject *found = PyObject_GetAttr(object_steal, name);
    Py_DECREF(object_steal);
    if (found == NULL && PyErr_ExceptionMatches(PyExc_Exception)) { /* who is asked next, meets it too */
        PyErr_Clear();
    }
    if (found == Py_None) {
        Py_CLEAR(found);
    }
    return found;
}

/* Return the rule of Werkzeug's request in an environ; NULL where it must be asked for, or with an exception. */
static PyObject *
rule_of(const Recorder *self, PyObject *environ)
{
    PyObject **texts = self->state->texts;
    PyObject *request = Py_XNewRef(PyDict_GetItemWithError(environ, texts[WERKZEUG_REQUEST]));
    PyObject *rule = attribute_of(attribute_of(request, texts[URL_RULE]), texts[RULE]);
    if (rule != NULL && !PyUnicode_CheckExact(rule)) {
        Py_CLEAR(rule);
    }
    return rule;
}

PyObject *
recorder_route(const Recorder *self, PyObject *request)
{
    PyObject *found = NULL;
    if (self->templates != NULL) {
        found = template_of_endpoint(self, request);
    }
    else if (self->is_rule) {
        found = rule_of(self, request);
    }
    if (found != NULL || PyErr_Occurred()) {
        return found;
    }
    PyObject *route = Py_NewRef(self->route); /* what is called may replace it */
    found = PyObject_CallOneArg(route, request);
    Py_DECREF(route);
    return found;
}

void
recorder_set_route(Recorder *self, PyObject *route)
{
    PyObject *templates = PyObject_GetAttrString(route, "templates"), *is_rule = NULL;
    if (templates == NULL || !PyDict_CheckExact(templates)) {
        PyErr_Clear();
        Py_CLEAR(templates);
    }
    is_rule = PyObject_GetAttrString(route, "is_rule");
    if (is_rule == NULL) {
        PyErr_Clear();
    }
    self->is_rule = is_rule == Py_True;
    Py_XDECREF(is_rule);
    Py_XSETREF(self->templates, templates);
    Py_XSETREF(self->route, Py_NewRef(route));
}
