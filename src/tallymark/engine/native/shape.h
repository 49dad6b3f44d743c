/* Shapes: the sorted keys of a tag set, without the values; and plans: how tags given in a call merge with those of a shape.
 *
 * A call site names the same keys each time. So it gets one plan, which holds the index of each value in the
 * resulting shape; from then on a lookup touches nothing but values. Both are kept for a whole interpreter. */
#ifndef TALLYMARK_SHAPE_H
#define TALLYMARK_SHAPE_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <stdint.h>

#define MAX_TAGS 32 /* more in one call, or in one set, take the slow path */

typedef struct Shape {
    uint32_t references;
    uint32_t size;
    uint64_t hash;
    PyObject *keys[]; /* exact str, ascending */
} Shape;

typedef struct Plan {
    Shape *base;
    Shape *result;
    uint64_t hash;
    uint32_t size;
    uint8_t overrides;            /* 1 if the call gives a key that the base has */
    uint8_t to[MAX_TAGS];         /* where value j of the call belongs in the result */
    uint8_t kept[MAX_TAGS];       /* where value i of the base belongs in the result; GIVEN if it is overridden */
    struct {
        PyObject *key;            /* the object that was last seen, as a call site gives the same one each time */
        uint64_t hash;            /* its part of a tag's hash */
    } given[];                    /* what the call names, in its order */
} Plan;

#define GIVEN UINT8_MAX
#define N_RECENT 256 /* call sites that find their plan at once, before they start to displace each other */

typedef struct {
    void **slots; /* open addressing; a slot is NULL or an entry; never more than half full */
    size_t mask;
    size_t used;
} Pointers;

typedef struct {
    Pointers shapes; /* borrowed: a shape takes itself out when its last reference goes */
    Pointers plans;  /* owned, and all dropped when there are MAX_PLANS */
    Plan *recent[N_RECENT]; /* some of the plans, by the addresses of their keys: borrowed */
} Shapes;

#define MAX_PLANS 4096

static inline uint64_t
mixed(uint64_t x)
{
    x *= 0x9E3779B97F4A7C15u;
    return x ^ (x >> 32);
}

/* The hash of an exact str; computing it cannot fail. */
static inline uint64_t
str_hash(PyObject *text)
{
    Py_hash_t hash = ((PyASCIIObject *)text)->hash;
    return (uint64_t)(hash != -1 ? hash : PyObject_Hash(text));
}

static inline int
str_equal(PyObject *a, PyObject *b)
{
    if (a == b) {
        return 1;
    }
    Py_ssize_t length = PyUnicode_GET_LENGTH(a);
    return length == PyUnicode_GET_LENGTH(b) && PyUnicode_KIND(a) == PyUnicode_KIND(b)
           && memcmp(PyUnicode_DATA(a), PyUnicode_DATA(b), (size_t)length * (size_t)PyUnicode_KIND(a)) == 0;
}

/* What one tag adds to the hash of its set. Sums of these do not depend on order, and can be updated tag by tag. */
static inline uint64_t
tag_hash(uint64_t key_hash, PyObject *value)
{
    return mixed(key_hash + str_hash(value));
}

static inline uint64_t
key_hash(PyObject *key)
{
    return str_hash(key) * 31;
}

/* Return the shape with these keys, if there is one: borrowed, or NULL. */
Shape *shape_find(const Shapes *shapes, PyObject *const *keys, uint32_t size);

/* Return the shape with these keys (exact str, ascending); a new reference, or NULL with an exception. */
Shape *shape_get(Shapes *shapes, PyObject *const *keys, uint32_t size);
void shape_release(Shapes *shapes, Shape *shape);

static inline Shape *
shape_retain(Shape *shape)
{
    shape->references++;
    return shape;
}

/* Return the plan for keys given to a set with this shape, or NULL if there is none yet. Borrowed. */
Plan *plan_search(Shapes *shapes, const Shape *base, PyObject *const *keys, Py_ssize_t size);

static inline Plan **
plan_recent(Shapes *shapes, const Shape *base, PyObject *const *keys, Py_ssize_t size)
{
    uintptr_t at = ((uintptr_t)base >> 4) + ((uintptr_t)keys[0] >> 4) + ((uintptr_t)keys[size - 1] >> 7) + (uintptr_t)size;
    return &shapes->recent[(at ^ (at >> 8)) % N_RECENT];
}

/* The same, for a few comparisons if the keys are the same objects as last time, as a call site's are. */
static inline Plan *
plan_find(Shapes *shapes, const Shape *base, PyObject *const *keys, Py_ssize_t size)
{
    Plan *plan = *plan_recent(shapes, base, keys, size);
    if (plan != NULL && plan->base == base && plan->size == (uint32_t)size) {
        Py_ssize_t i = 0;
        while (i < size && plan->given[i].key == keys[i]) {
            i++;
        }
        if (i == size) {
            return plan;
        }
    }
    return plan_search(shapes, base, keys, size);
}

/* Return 1 if one of the keywords of a record call is no tag: as NO_TAGS of `tallymark.engine.policy`. */
int has_no_tag(PyObject *const *keys, Py_ssize_t size);

/* Keep the plan that leads from `base` to `result`; a failure to keep it is no error. None is kept for keys that a record call
 * does not take as tags: so such a call always takes the slow path, which checks for them, and other calls need no check. */
void plan_add(Shapes *shapes, Shape *base, PyObject *const *keys, Py_ssize_t size, Shape *result);

void shapes_clear(Shapes *shapes);

/* Pointers in a hash table; `hash_of` returns the hash of what they point to. */
int pointers_add(Pointers *table, void *entry, uint64_t (*hash_of)(const void *));
void pointers_remove(Pointers *table, const void *entry, uint64_t (*hash_of)(const void *));

#endif
