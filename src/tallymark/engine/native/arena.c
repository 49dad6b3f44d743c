#include "arena.h"

#include <stdlib.h>
#include <string.h>

void
arena_init(Arena *arena, size_t width)
{
    memset(arena, 0, sizeof *arena);
    arena->width = width;
    arena->freed = NO_RECORD;
}

void
arena_clear(Arena *arena)
{
    for (uint32_t i = 0; i * SEGMENT < arena->used; i++) {
        free(arena->segments[i]);
    }
    free(arena->segments);
    arena_init(arena, arena->width);
}

/* A record that was given back must not be touched: AddressSanitizer checks that. */
#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(start, size) ((void)(start), (void)(size))
#define ASAN_UNPOISON_MEMORY_REGION(start, size) ((void)(start), (void)(size))
#endif

static int
arena_grow(Arena *arena, uint32_t segment)
{
    if (segment == arena->capacity) {
        uint32_t capacity = arena->capacity ? arena->capacity * 2 : 4;
        char **segments = realloc(arena->segments, capacity * sizeof *segments);
        if (segments == NULL) {
            return -1;
        }
        arena->segments = segments;
        arena->capacity = capacity;
    }
    arena->segments[segment] = malloc(SEGMENT * arena->width);
    return arena->segments[segment] == NULL ? -1 : 0;
}

int
arena_take(Arena *arena, uint32_t *number)
{
    if (arena->freed != NO_RECORD) {
        *number = arena->freed;
        ASAN_UNPOISON_MEMORY_REGION(arena_at(arena, *number), arena->width);
        memcpy(&arena->freed, arena_at(arena, *number), sizeof arena->freed);
    }
    else {
        if (arena->used == NO_RECORD - 1 || (arena->used % SEGMENT == 0 && arena_grow(arena, arena->used / SEGMENT) < 0)) {
            return -1;
        }
        *number = arena->used++;
    }
    memset(arena_at(arena, *number), 0, arena->width);
    return 0;
}

void
arena_give(Arena *arena, uint32_t number)
{
    memcpy(arena_at(arena, number), &arena->freed, sizeof arena->freed);
    arena->freed = number;
    ASAN_POISON_MEMORY_REGION(arena_at(arena, number), arena->width);
}
