/* An arena: records of one size that never move, each with its number.
 *
 * Records live in segments, so that growing copies nothing and a pointer to a record stays valid until the record is given back.
 * A segment of which all records were given back is freed. Most families have few series, and need little memory: their segments
 * are small, and from the heap. The large ones of others are mapped, so that the system gets their memory back. */
#ifndef TALLYMARK_ARENA_H
#define TALLYMARK_ARENA_H

#include <stddef.h>
#include <stdint.h>

#define NOTHING UINT32_MAX

typedef struct {
    uint32_t capacity, taken, used; /* records that it can hold, that are taken, and that ever were */
    uint32_t given;                 /* the first of those that were given back, chained through their first word; or NOTHING */
    uint32_t previous, next;        /* of the segments that have a free record, in a list; NOTHING at its ends */
    char records[];
} Segment;

typedef struct {
    Segment **segments; /* NULL where one was freed */
    size_t width;       /* bytes of a record: a multiple of 8 */
    uint32_t size;      /* segments that `segments` can hold */
    uint32_t open;      /* the first that has a free record, or NOTHING */
} Arena;

void arena_init(Arena *arena, size_t width);
void arena_clear(Arena *arena);

/* Take a zeroed record, or NULL if there is no memory (no exception is set). */
void *arena_take(Arena *arena, uint32_t *number);
void arena_give(Arena *arena, uint32_t number);

#endif
