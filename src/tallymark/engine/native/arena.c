#include <Python.h>

#include "arena.h"

#include <sys/mman.h>

#define SMALL 64u
#define LARGE 2048u    /* also what numbers of records leave to each segment */
#define MANY_SMALL 16u /* as many segments are small */

#ifndef MAP_ANONYMOUS
#define MAP_ANONYMOUS MAP_ANON
#endif

/* A record that was given back must not be touched: AddressSanitizer checks that. */
#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(start, size) ((void)(start), (void)(size))
#define ASAN_UNPOISON_MEMORY_REGION(start, size) ((void)(start), (void)(size))
#endif

/* Segments */

static size_t
segment_bytes(const Arena *arena, uint32_t capacity)
{
    return sizeof(Segment) + capacity * arena->width;
}

static char *
record_at(const Arena *arena, Segment *segment, uint32_t i)
{
    return segment->records + i * arena->width;
}

static Segment *
segment_new(const Arena *arena, uint32_t capacity)
{
    size_t size = segment_bytes(arena, capacity);
    Segment *segment;
    if (capacity == LARGE) {
        segment = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (segment == MAP_FAILED) {
            return NULL;
        }
        PyTraceMalloc_Track(0, (uintptr_t)segment, size); /* that it fails for want of memory costs nothing but a line there */
    }
    else if ((segment = PyMem_RawMalloc(size)) == NULL) {
        return NULL;
    }
    *segment = (Segment){.capacity = capacity, .given = NOTHING};
    ASAN_POISON_MEMORY_REGION(segment->records, capacity * arena->width);
    return segment;
}

static void
segment_free(const Arena *arena, Segment *segment)
{
    size_t size = segment_bytes(arena, segment->capacity);
    ASAN_UNPOISON_MEMORY_REGION(segment, size);
    if (segment->capacity == LARGE) {
        PyTraceMalloc_Untrack(0, (uintptr_t)segment);
        munmap(segment, size);
    }
    else {
        PyMem_RawFree(segment);
    }
}

/* The list of segments that have a free record */

static void
list_add(Arena *arena, uint32_t at)
{
    Segment *segment = arena->segments[at];
    segment->previous = NOTHING;
    segment->next = arena->open;
    if (arena->open != NOTHING) {
        arena->segments[arena->open]->previous = at;
    }
    arena->open = at;
}

static void
list_remove(Arena *arena, const Segment *segment)
{
    if (segment->next != NOTHING) {
        arena->segments[segment->next]->previous = segment->previous;
    }
    if (segment->previous != NOTHING) {
        arena->segments[segment->previous]->next = segment->next;
    }
    else {
        arena->open = segment->next;
    }
}

/* The arena */

void
arena_init(Arena *arena, size_t width)
{
    memset(arena, 0, sizeof *arena);
    arena->width = width;
    arena->open = NOTHING;
}

void
arena_clear(Arena *arena)
{
    for (uint32_t i = 0; i < arena->size; i++) {
        if (arena->segments[i] != NULL) {
            segment_free(arena, arena->segments[i]);
        }
    }
    PyMem_RawFree(arena->segments);
    arena_init(arena, arena->width);
}

static int
arena_grow(Arena *arena)
{
    uint32_t size = arena->size + arena->size / 2 + 2;
    Segment **segments = size > INT32_MAX / LARGE ? NULL : PyMem_RawRealloc(arena->segments, size * sizeof *segments);
    if (segments == NULL) {
        return -1;
    }
    memset(segments + arena->size, 0, (size - arena->size) * sizeof *segments);
    arena->segments = segments;
    arena->size = size;
    return 0;
}

/* Make a segment, in a place that is free: 0, or -1 if there is no memory. */
static int
add_segment(Arena *arena)
{
    uint32_t at = 0;
    while (at < arena->size && arena->segments[at] != NULL) {
        at++;
    }
    if (at == arena->size && arena_grow(arena) < 0) {
        return -1;
    }
    arena->segments[at] = segment_new(arena, at < MANY_SMALL ? SMALL : LARGE);
    if (arena->segments[at] == NULL) {
        return -1;
    }
    list_add(arena, at);
    return 0;
}

void *
arena_take(Arena *arena, uint32_t *number)
{
    if (arena->open == NOTHING && add_segment(arena) < 0) {
        return NULL;
    }
    Segment *segment = arena->segments[arena->open];
    uint32_t i = segment->given != NOTHING ? segment->given : segment->used++;
    char *record = record_at(arena, segment, i);
    ASAN_UNPOISON_MEMORY_REGION(record, arena->width);
    if (segment->given != NOTHING) {
        memcpy(&segment->given, record, sizeof segment->given);
    }
    *number = arena->open * LARGE + i;
    if (++segment->taken == segment->capacity) {
        list_remove(arena, segment);
    }
    return memset(record, 0, arena->width);
}

void
arena_give(Arena *arena, uint32_t number)
{
    uint32_t at = number / LARGE, i = number % LARGE;
    Segment *segment = arena->segments[at];
    memcpy(record_at(arena, segment, i), &segment->given, sizeof segment->given);
    ASAN_POISON_MEMORY_REGION(record_at(arena, segment, i), arena->width);
    segment->given = i;
    if (segment->taken-- == segment->capacity) {
        list_add(arena, at);
    }
    /* The last one with a free record stays, since one record may come and go again and again. */
    if (segment->taken == 0 && (arena->open != at || segment->next != NOTHING)) {
        list_remove(arena, segment);
        segment_free(arena, segment);
        arena->segments[at] = NULL;
    }
}
