/* The names of labels, for the keys of a shape under a scheme. */
#ifndef TALLYMARK_LABEL_NAMES_H
#define TALLYMARK_LABEL_NAMES_H

#include "labels.h"

/* Text that grows; memory that needs no GIL. */
typedef struct {
    char *text;
    size_t size, capacity;
} Growing;

/* Have space for more: 1; 0 without memory. */
static inline int
reserve(Growing *growing, size_t more)
{
    if (growing->capacity - growing->size < more) {
        size_t capacity = growing->size + growing->size / 2 + more + 256;
        char *text = PyMem_RawRealloc(growing->text, capacity);
        if (text == NULL) {
            return 0;
        }
        growing->text = text;
        growing->capacity = capacity;
    }
    return 1;
}

static inline char *
write_escaped(char *at, Py_UCS4 c)
{
    if (c == '\\' || c == '"' || c == '\n') {
        *at++ = '\\';
        c = c == '\n' ? 'n' : c;
    }
    *at = (char)c;
    return at + 1;
}

/* Write a character as UTF-8: where it ends, or NULL for a surrogate, which has none. */
static inline char *
write_character(char *at, Py_UCS4 c)
{
    if (c < 0x80) {
        return write_escaped(at, c);
    }
    if (c >= 0xd800 && c < 0xe000) {
        return NULL;
    }
    uint32_t more = c < 0x800 ? 1 : c < 0x10000 ? 2 : 3;
    static const unsigned char first[] = {0, 0xc0, 0xe0, 0xf0};
    *at++ = (char)(first[more] | (c >> (6 * more)));
    while (more-- > 0) {
        *at++ = (char)(0x80 | ((c >> (6 * more)) & 0x3f));
    }
    return at;
}

/* The names of one shape. All zero but for the scheme, before they are found. */
typedef struct {
    const Shape *shape;
    Scheme scheme;
    uint32_t starts[MAX_TAGS + 1]; /* of `name="` in `names`, in the order of the labels */
    uint8_t order[MAX_TAGS];       /* which value belongs to it */
    Growing names;
    char is_known, has_changed, has_le; /* as those of Labels */
} Names;

/* Find the names of another shape. What has none is not known, nor is what has the same one twice. */
void names_find(Names *names, const Shape *shape);

/* Return 1 if no two different keys of these shapes have the same name, for certain. */
int shapes_are_distinct(const Shape *const *shapes, uint32_t n, Scheme scheme);

#endif
