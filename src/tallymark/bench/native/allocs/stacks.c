/* Charges requests and objects to stacks of Python calls, exactly: a hook that counts a request also reads the frames of its
 * thread, and adds the request to the node of that stack in a tree. The program runs as it does without: no trace function is
 * set, no frame object is made, and nothing here uses Python's allocators. So the nodes add up to what is counted.
 *
 * A node is a line of a function, by the names of both, below the node of its caller. It does not keep the code: code that is
 * made and dropped in each op would not be freed then, and the op would allocate more. The names are kept, as they do no harm.
 *
 * One thread is recorded. It alone changes the tree, and its frames do not change while it is in a hook, so that a request that
 * is made without the GIL can be charged too; but a new node cannot be made then, and such a request goes to the root. */
#include "stacks.h"

#if CAN_READ_STACKS

#include <stdlib.h>
#include <string.h>

enum { ROOT = 0, OTHER = 1, CUT = 2, FIRST_NODE = 3, N_PHASES = 2, OFF = -1, LARGEST = 1 << 24 };

typedef struct {
    uint64_t allocs, reallocs, bytes, objects;
} Cost;

typedef struct {
    uint32_t parent;
    int first, line;
    PyObject *owned_file;     /* or a type, below the stack that creates its objects: it has no function */
    PyObject *owned_function; /* its qualified name */
    Cost costs[N_PHASES];
} Node;

static struct {
    uint64_t number, last; /* the number of the recording that goes on, or 0; and of the last */
    PyThreadState *state;
    int phase;
    uint32_t n, most, mask;
    Node *nodes;
    uint32_t *index; /* open addressing; 0 is a free place, as the root is not found through it */
    Calls calls;
} recording;

static int
is_held(void)
{
#if PY_VERSION_HEX >= 0x030D0000
    return PyThreadState_GetUnchecked() == recording.state;
#else
    return _PyThreadState_UncheckedGet() == recording.state;
#endif
}

static int
same_text(PyObject *one, PyObject *other)
{
    return one == other || (one != NULL && other != NULL && PyUnicode_Compare(one, other) == 0);
}

static int
same_node(const Node *one, const Node *other)
{
    if (one->parent != other->parent || one->line != other->line || one->first != other->first) {
        return 0;
    }
    if (one->owned_function == NULL || other->owned_function == NULL) {
        return one->owned_function == other->owned_function && one->owned_file == other->owned_file;
    }
    return same_text(one->owned_function, other->owned_function) && same_text(one->owned_file, other->owned_file);
}

/* The hash of a str, not of a subclass of it, which may have one in Python. It is kept in the str, and allocates nothing. */
static uint64_t
hash_node(const Node *node)
{
    uint64_t hash = node->parent;
    hash = (hash ^ (uint64_t)node->line) * 0x9E3779B97F4A7C15u;
    if (node->owned_function == NULL) {
        hash ^= (uint64_t)(uintptr_t)node->owned_file >> 4;
    }
    else {
        uint64_t file = (uint64_t)PyUnicode_Type.tp_hash(node->owned_file);
        hash ^= file * 31 + (uint64_t)PyUnicode_Type.tp_hash(node->owned_function);
    }
    return (hash * 0x9E3779B97F4A7C15u) >> 32;
}

/* Find the node that is equal to one whose names are borrowed; make it if there is none. */
static uint32_t
find_node(const Node *wanted)
{
    uint32_t at = (uint32_t)hash_node(wanted) & recording.mask;
    while (recording.index[at] != 0) {
        if (same_node(&recording.nodes[recording.index[at]], wanted)) {
            return recording.index[at];
        }
        at = (at + 1) & recording.mask;
    }
    if (recording.n == recording.most) {
        return OTHER;
    }
    if (!is_held()) {
        return ROOT;
    }
    Node *made = &recording.nodes[recording.n];
    *made = *wanted;
    Py_INCREF(made->owned_file);
    Py_XINCREF(made->owned_function);
    recording.index[at] = recording.n;
    return recording.n++;
}

static uint32_t
node_of_call(uint32_t parent, const Call *call)
{
    PyCodeObject *code = call->code;
    int line = call->at < 0 ? -1 : PyCode_Addr2Line(code, call->at * (int)sizeof(_Py_CODEUNIT));
    if (line < 1) { /* what a call begins with, such as making its cells, has no line */
        line = code->co_firstlineno;
    }
    Node wanted = {parent, code->co_firstlineno, line, code->co_filename, code->co_qualname, {{0}}};
    return find_node(&wanted);
}

/* From 3.12 on the interpreter has code of its own, `__init__` in a file `__init__`, between an `__init__` and who makes the
 * object. It has no line. All functions have both flags, and what is not in a function has none. */
static int
is_of_interpreter(const PyCodeObject *code)
{
    return (code->co_flags & (CO_OPTIMIZED | CO_NEWLOCALS)) == CO_OPTIMIZED;
}

static uint32_t
node_of_stack(void)
{
    Calls *calls = &recording.calls;
    read_calls(recording.state, calls);
    uint32_t node = calls->cut ? CUT : ROOT;
    Call outer = {NULL, 0};
    for (int i = calls->n - 1; i >= 0; i--) {
        Call call = calls->calls[i];
        if (is_of_interpreter(call.code) || (call.code == outer.code && call.at == outer.at)) {
            continue;
        }
        uint32_t inner = node_of_call(node, &call);
        if (inner == OTHER || inner == ROOT) {
            return inner;
        }
        node = inner;
        outer = call;
    }
    return node;
}

void
charge_request(const Thread *t, int realloc, size_t size)
{
    if (t->charged != recording.number || recording.phase == OFF) {
        return;
    }
    Cost *cost = &recording.nodes[node_of_stack()].costs[recording.phase];
    cost->allocs += !realloc;
    cost->reallocs += (uint64_t)realloc;
    cost->bytes += size;
}

void
charge_object(const Thread *t, PyTypeObject *type)
{
    if (t->charged != recording.number || recording.phase == OFF) {
        return;
    }
    uint32_t node = node_of_stack();
    if (node != OTHER) {
        Node wanted = {node, 0, 0, (PyObject *)type, NULL, {{0}}};
        node = find_node(&wanted);
    }
    recording.nodes[node].costs[recording.phase].objects++;
}

static void
free_nodes(Node *nodes, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        Py_XDECREF(nodes[i].owned_file);
        Py_XDECREF(nodes[i].owned_function);
    }
    free(nodes);
}

static void
forget(void)
{
    Node *nodes = recording.nodes;
    free(recording.index);
    recording.number = 0;
    recording.nodes = NULL;
    recording.index = NULL;
    free_nodes(nodes, recording.n);
}

/* Return a copy of all nodes, or NULL without memory, and set their costs to 0. */
static Node *
take_nodes(void)
{
    Node *taken = malloc(recording.n * sizeof(Node));
    for (uint32_t i = 0; taken != NULL && i < recording.n; i++) {
        Node *node = &recording.nodes[i];
        taken[i] = *node;
        Py_XINCREF(node->owned_file);
        Py_XINCREF(node->owned_function);
        memset(node->costs, 0, sizeof(node->costs));
    }
    return taken;
}

static int
is_recorded(void)
{
    if (recording.number != 0 && thread.charged == recording.number) {
        return 1;
    }
    PyErr_SetString(PyExc_RuntimeError, "this thread does not record where its requests come from");
    return 0;
}

PyObject *
start_stacks(PyObject *Py_UNUSED(module), PyObject *number)
{
    long most = PyLong_AsLong(number);
    if (most == -1 && PyErr_Occurred()) {
        return NULL;
    }
    if (most < FIRST_NODE || most > LARGEST) {
        return PyErr_Format(PyExc_ValueError, "a recording holds from %d to %d nodes, not %ld", FIRST_NODE, LARGEST, most);
    }
    if (recording.number != 0) {
        PyErr_SetString(PyExc_RuntimeError, "where requests come from is being recorded already: there can be one recording");
        return NULL;
    }
    uint32_t places = 8;
    while (places < 2 * (uint32_t)most) {
        places *= 2;
    }
    recording.nodes = calloc((size_t)most, sizeof(Node));
    recording.index = calloc(places, sizeof(uint32_t));
    if (recording.nodes == NULL || recording.index == NULL) {
        recording.n = 0;
        forget();
        return PyErr_NoMemory();
    }
    recording.most = (uint32_t)most;
    recording.mask = places - 1;
    recording.n = FIRST_NODE;
    recording.phase = OFF;
    recording.state = PyThreadState_Get();
    recording.number = thread.charged = ++recording.last;
    Py_RETURN_NONE;
}

PyObject *
charge_stacks(PyObject *Py_UNUSED(module), PyObject *number)
{
    long phase = PyLong_AsLong(number);
    if ((phase == -1 && PyErr_Occurred()) || !is_recorded()) {
        return NULL;
    }
    if (phase < OFF || phase >= N_PHASES) {
        return PyErr_Format(PyExc_ValueError, "a phase is 0, 1, or -1 for none, not %ld", phase);
    }
    recording.phase = (int)phase;
    Py_RETURN_NONE;
}

static PyObject *
name_of(const Node *node)
{
#if CAN_TRACE_OBJECTS
    if (node->owned_function == NULL && node->owned_file != NULL) {
        return PyType_GetFullyQualifiedName((PyTypeObject *)node->owned_file);
    }
#endif
    return Py_NewRef(node->owned_file == NULL ? Py_None : node->owned_file);
}

static PyObject *
describe(const Node *node)
{
    PyObject *name = name_of(node);
    if (name == NULL) {
        return NULL;
    }
    const Cost *a = &node->costs[0], *b = &node->costs[1];
    PyObject *function = node->owned_function == NULL ? Py_None : node->owned_function;
    return Py_BuildValue("INOiiKKKKKKKK", node->parent, name, function, node->first, node->line, a->allocs, a->reallocs,
                         a->bytes, a->objects, b->allocs, b->reallocs, b->bytes, b->objects);
}

/* The nodes are copied first: making objects may collect garbage, and a finalizer end the recording. */
PyObject *
read_stacks(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(ignored))
{
    if (!is_recorded()) {
        return NULL;
    }
    recording.phase = OFF;
    uint32_t n = recording.n;
    Node *nodes = take_nodes();
    if (nodes == NULL) {
        return PyErr_NoMemory();
    }
    PyObject *read = PyList_New(0);
    for (uint32_t i = 0; read != NULL && i < n; i++) {
        PyObject *row = describe(&nodes[i]);
        if (row == NULL || PyList_Append(read, row) < 0) {
            Py_CLEAR(read);
        }
        Py_XDECREF(row);
    }
    free_nodes(nodes, n);
    return read;
}

PyObject *
stop_stacks(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(ignored))
{
    if (!is_recorded()) {
        return NULL;
    }
    thread.charged = 0;
    forget();
    Py_RETURN_NONE;
}

#endif
