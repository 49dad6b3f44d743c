#include "shape.h"

#define MUCH 1024 /* slots: a table of fewer never shrinks */

static uint64_t
shape_hash_of(const void *entry)
{
    return ((const Shape *)entry)->hash;
}

static uint64_t
plan_hash_of(const void *entry)
{
    return ((const Plan *)entry)->hash;
}

/* Have this many slots, a power of two. */
static int
pointers_resize(Pointers *table, size_t size, uint64_t (*hash_of)(const void *))
{
    void **slots = PyMem_Calloc(size, sizeof *slots);
    if (slots == NULL) {
        return -1;
    }
    for (size_t i = 0; table->slots != NULL && i <= table->mask; i++) {
        void *entry = table->slots[i];
        if (entry != NULL) {
            size_t at = hash_of(entry) & (size - 1);
            while (slots[at] != NULL) {
                at = (at + 1) & (size - 1);
            }
            slots[at] = entry;
        }
    }
    PyMem_Free(table->slots);
    table->slots = slots;
    table->mask = size - 1;
    return 0;
}

int
pointers_add(Pointers *table, void *entry, uint64_t (*hash_of)(const void *))
{
    size_t size = table->slots == NULL ? 0 : table->mask + 1;
    if (table->used * 2 >= size && pointers_resize(table, size == 0 ? 16 : 2 * size, hash_of) < 0) {
        return -1;
    }
    size_t at = hash_of(entry) & table->mask;
    while (table->slots[at] != NULL) {
        at = (at + 1) & table->mask;
    }
    table->slots[at] = entry;
    table->used++;
    return 0;
}

/* Removal closes the gap (Knuth, TAOCP 6.4, algorithm R), so that no tombstones pile up as sets come and go. */
void
pointers_remove(Pointers *table, const void *entry, uint64_t (*hash_of)(const void *))
{
    if (table->slots == NULL) {
        return;
    }
    size_t gap = hash_of(entry) & table->mask;
    while (table->slots[gap] != entry) {
        if (table->slots[gap] == NULL) {
            return;
        }
        gap = (gap + 1) & table->mask;
    }
    for (size_t at = (gap + 1) & table->mask; table->slots[at] != NULL; at = (at + 1) & table->mask) {
        size_t home = hash_of(table->slots[at]) & table->mask;
        if (((at - home) & table->mask) >= ((at - gap) & table->mask)) {
            table->slots[gap] = table->slots[at];
            gap = at;
        }
    }
    table->slots[gap] = NULL;
    table->used--;
    if (table->mask >= MUCH && table->used < table->mask / 16) { /* many went: give memory back, if there is some to do that */
        pointers_resize(table, (table->mask + 1) / 4, hash_of);
    }
}

/* Keys are told apart by their text. Interning does not make them one object: CPython 3.12 may hold two interned str of one text,
 * and keeps every interned one for ever. */
static int
keys_equal(const Shape *shape, PyObject *const *keys)
{
    for (uint32_t i = 0; i < shape->size; i++) {
        if (!str_equal(shape->keys[i], keys[i])) {
            return 0;
        }
    }
    return 1;
}

static uint64_t
hash_of_keys(PyObject *const *keys, uint32_t size)
{
    uint64_t hash = size;
    for (uint32_t i = 0; i < size; i++) {
        hash = mixed(hash + str_hash(keys[i]));
    }
    return hash;
}

Shape *
shape_find(const Shapes *shapes, PyObject *const *keys, uint32_t size)
{
    uint64_t hash = hash_of_keys(keys, size);
    const Pointers *table = &shapes->shapes;
    for (size_t at = hash & table->mask; table->slots != NULL && table->slots[at] != NULL; at = (at + 1) & table->mask) {
        Shape *shape = table->slots[at];
        if (shape->hash == hash && shape->size == size && keys_equal(shape, keys)) {
            return shape;
        }
    }
    return NULL;
}

Shape *
shape_get(Shapes *shapes, PyObject *const *keys, uint32_t size)
{
    uint64_t hash = hash_of_keys(keys, size);
    Pointers *table = &shapes->shapes;
    Shape *known = shape_find(shapes, keys, size);
    if (known != NULL) {
        return shape_retain(known);
    }
    Shape *shape = PyMem_Malloc(sizeof *shape + size * sizeof *keys);
    if (shape == NULL) {
        goto error;
    }
    *shape = (Shape){.references = 1, .size = size, .hash = hash};
    if (pointers_add(table, shape, shape_hash_of) < 0) {
        goto error;
    }
    for (uint32_t i = 0; i < size; i++) {
        shape->keys[i] = Py_NewRef(keys[i]);
    }
    return shape;
error:
    PyMem_Free(shape);
    PyErr_NoMemory();
    return NULL;
}

void
shape_release(Shapes *shapes, Shape *shape)
{
    if (shape == NULL || --shape->references > 0) {
        return;
    }
    pointers_remove(&shapes->shapes, shape, shape_hash_of);
    for (uint32_t i = 0; i < shape->size; i++) {
        Py_DECREF(shape->keys[i]);
    }
    PyMem_Free(shape);
}

static inline uint64_t
plan_hash(const Shape *base, PyObject *const *keys, Py_ssize_t size)
{
    uint64_t hash = base->hash;
    for (Py_ssize_t i = 0; i < size; i++) {
        hash = hash * 31 + str_hash(keys[i]);
    }
    return mixed(hash);
}

/* Keys of the same text may be other objects: those of the call at hand are the likelier ones next time. */
static void
plan_remember_keys(Plan *plan, PyObject *const *keys)
{
    for (uint32_t i = 0; i < plan->size; i++) {
        if (plan->given[i].key != keys[i] && PyUnicode_CHECK_INTERNED(keys[i])) {
            Py_SETREF(plan->given[i].key, Py_NewRef(keys[i]));
        }
    }
}

Plan *
plan_search(Shapes *shapes, const Shape *base, PyObject *const *keys, Py_ssize_t size)
{
    const Pointers *table = &shapes->plans;
    if (table->slots == NULL) {
        return NULL;
    }
    for (Py_ssize_t i = 0; i < size; i++) {
        if (!PyUnicode_CheckExact(keys[i])) {
            return NULL;
        }
    }
    uint64_t hash = plan_hash(base, keys, size);
    for (size_t at = hash & table->mask; table->slots[at] != NULL; at = (at + 1) & table->mask) {
        Plan *plan = table->slots[at];
        if (plan->hash == hash && plan->base == base && plan->size == (uint32_t)size) {
            Py_ssize_t i = 0;
            while (i < size && str_equal(plan->given[i].key, keys[i])) {
                i++;
            }
            if (i == size) {
                plan_remember_keys(plan, keys);
                return *plan_recent(shapes, base, keys, size) = plan;
            }
        }
    }
    return NULL;
}

static uint8_t
index_of(const Shape *shape, PyObject *key)
{
    for (uint32_t i = 0; i < shape->size; i++) {
        if (str_equal(shape->keys[i], key)) {
            return (uint8_t)i;
        }
    }
    return GIVEN;
}

static void
plan_free(Shapes *shapes, Plan *plan)
{
    for (uint32_t i = 0; i < plan->size; i++) {
        Py_DECREF(plan->given[i].key);
    }
    shape_release(shapes, plan->base);
    shape_release(shapes, plan->result);
    PyMem_Free(plan);
}

static void
plans_forget(Shapes *shapes)
{
    Pointers old = shapes->plans;
    shapes->plans = (Pointers){NULL, 0, 0};
    memset(shapes->recent, 0, sizeof shapes->recent);
    for (size_t i = 0; old.slots != NULL && i <= old.mask; i++) {
        if (old.slots[i] != NULL) {
            plan_free(shapes, old.slots[i]);
        }
    }
    PyMem_Free(old.slots);
}

int
has_no_tag(PyObject *const *keys, Py_ssize_t size)
{
    for (Py_ssize_t i = 0; i < size; i++) {
        if (PyUnicode_CompareWithASCIIString(keys[i], "amount") == 0 || PyUnicode_CompareWithASCIIString(keys[i], "value") == 0
            || PyUnicode_CompareWithASCIIString(keys[i], "exemplar") == 0) {
            return 1;
        }
    }
    return 0;
}

static int
may_be_planned(const Shape *base, PyObject *const *keys, Py_ssize_t size, const Shape *result)
{
    int is_small = size >= 1 && size <= MAX_TAGS && base->size <= MAX_TAGS && result->size <= MAX_TAGS;
    return is_small && !has_no_tag(keys, size);
}

void
plan_add(Shapes *shapes, Shape *base, PyObject *const *keys, Py_ssize_t size, Shape *result)
{
    if (!may_be_planned(base, keys, size, result) || plan_search(shapes, base, keys, size) != NULL) {
        return;
    }
    if (shapes->plans.used >= MAX_PLANS) {
        plans_forget(shapes);
    }
    Plan *plan = PyMem_Calloc(1, sizeof *plan + (size_t)size * sizeof plan->given[0]);
    if (plan == NULL) {
        return;
    }
    plan->hash = plan_hash(base, keys, size);
    for (uint32_t i = 0; i < base->size; i++) {
        plan->kept[i] = index_of(result, base->keys[i]);
    }
    for (Py_ssize_t j = 0; j < size; j++) {
        uint8_t index = index_of(result, keys[j]);
        if (index == GIVEN) { /* the rules changed the key: keep no plan */
            goto forget;
        }
        plan->to[j] = index;
        uint8_t in_base = index_of(base, keys[j]);
        if (in_base != GIVEN) {
            plan->kept[in_base] = GIVEN;
            plan->overrides = 1;
        }
    }
    for (Py_ssize_t j = 0; j < size; j++) {
        plan->given[j].key = Py_NewRef(result->keys[plan->to[j]]);
        plan->given[j].hash = key_hash(plan->given[j].key);
    }
    plan->size = (uint32_t)size;
    plan->base = shape_retain(base);
    plan->result = shape_retain(result);
    if (pointers_add(&shapes->plans, plan, plan_hash_of) < 0) {
        plan_free(shapes, plan);
    }
    return;
forget:
    PyMem_Free(plan);
}

void
shapes_clear(Shapes *shapes)
{
    plans_forget(shapes);
    PyMem_Free(shapes->shapes.slots);
    shapes->shapes = (Pointers){NULL, 0, 0};
}
