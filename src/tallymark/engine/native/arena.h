/* An arena: records of one size that never move, found by their number.
 *
 * Records live in segments of SEGMENT records each, so that growing copies nothing and a pointer to a record stays valid until
 * the record is given back. A number, unlike a pointer, means the same in every process that maps the segments. */
#ifndef TALLYMARK_ARENA_H
#define TALLYMARK_ARENA_H

#include <stddef.h>
#include <stdint.h>

#define SEGMENT 64u
#define NO_RECORD UINT32_MAX

typedef struct {
    char **segments;
    size_t width;      /* bytes of a record: a multiple of 8 */
    uint32_t capacity; /* segments that `segments` can hold */
    uint32_t used;     /* records that were ever taken */
    uint32_t freed;    /* the first of the records that were given back, chained through their first word */
} Arena;

void arena_init(Arena *arena, size_t width);
void arena_clear(Arena *arena);

/* Take a zeroed record: 0, or -1 if there is no memory (no exception is set). */
int arena_take(Arena *arena, uint32_t *number);
void arena_give(Arena *arena, uint32_t number);

static inline void *
arena_at(const Arena *arena, uint32_t number)
{
    return arena->segments[number / SEGMENT] + (size_t)(number % SEGMENT) * arena->width;
}

#endif
