/* The module tallymark.bench._allocs: what CPython's allocators are asked for, counted exactly and by thread; on 3.13 and later
 * what types objects are made of; and where both, and the time, come from.
 *
 * Allocators belong to the process, and so does all state here that is not a thread's. The GIL guards it, and no interpreter
 * with a GIL of its own can import this module. */
#include "counts.h"
#include "hooks.h"
#include "marks.h"
#include "objects.h"
#include "samples.h"
#include "stacks.h"

static PyMethodDef methods[] = {
    {"install", install, METH_NOARGS, "Count allocations from now on, those of each thread apart. May be nested."},
    {"uninstall", uninstall, METH_NOARGS, "Undo one install; the last removes every hook."},
    {"is_installed", is_installed, METH_NOARGS, "Return True if any hook is set."},
    {"mark", mark, METH_O, "Keep, in a slot of this thread from 0 to 63, what was requested so far. Allocates nothing."},
    {"between", (PyCFunction)(void (*)(void))between, METH_FASTCALL,
     "Return this thread's (allocs, bytes, reallocs, frees, raw, mem, obj, arenas, allocs of others) between two marks."},
#if CAN_TRACE_OBJECTS
    {"start_objects", start_objects, METH_NOARGS, "Count the objects that this thread creates from now on."},
    {"stop_objects", stop_objects, METH_NOARGS, "Stop; return the number of objects created, by the name of their type."},
#endif
#if CAN_READ_STACKS
    {"start_stacks", start_stacks, METH_O,
     "Be ready to charge this thread's requests to its stacks of calls, in a tree of so many nodes at most."},
    {"charge_stacks", charge_stacks, METH_O, "Charge to phase 0 or 1 from now on, or to none with -1. Allocates nothing."},
    {"read_stacks", read_stacks, METH_NOARGS,
     "Return (parent, file or type, function, its first line, line, and allocs, reallocs, bytes, objects of both phases) of\n"
     "each node, and begin again from 0. The first three have no line: no Python call, too many nodes, outer end cut off."},
    {"stop_stacks", stop_stacks, METH_NOARGS, "Forget the tree."},
    {"start_samples", start_samples, METH_O, "Sample this thread every so many seconds from now on."},
    {"stop_samples", stop_samples, METH_NOARGS,
     "Stop; return (samples, number that were lost). A sample has (id of the code, index of its code unit) of each call, the\n"
     "innermost first."},
#endif
    {NULL, NULL, 0, NULL},
};

static int
fill(PyObject *module)
{
    if (prepare_hooks() < 0 || PyModule_AddObjectRef(module, "CAN_READ_STACKS", CAN_READ_STACKS ? Py_True : Py_False) < 0) {
        return -1;
    }
    return PyModule_AddObjectRef(module, "CAN_TRACE_OBJECTS", CAN_TRACE_OBJECTS ? Py_True : Py_False);
}

static PyModuleDef_Slot slots[] = {
    {Py_mod_exec, fill},
    {0, NULL},
};

static PyModuleDef definition = {
    PyModuleDef_HEAD_INIT,
    .m_name = "tallymark.bench._allocs",
    .m_doc = "Counts what CPython's allocators are asked for, exactly and by thread.",
    .m_size = 0,
    .m_methods = methods,
    .m_slots = slots,
};

PyMODINIT_FUNC
PyInit__allocs(void)
{
    return PyModuleDef_Init(&definition);
}
