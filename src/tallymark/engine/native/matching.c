#include "matching.h"

#include "hold.h"

int
have_same_blocks(const Rows *a, const Rows *b)
{
    int are_same = a->n_portions == b->n_portions;
    for (uint32_t i = 0; are_same && i < a->n_portions; i++) {
        are_same = a->portions[i]->block == b->portions[i]->block;
    }
    return are_same;
}

/* Rows whose block is not among the later ones, by their tags: at most half full, so that a search ends. */
typedef struct {
    uint32_t portion, row; /* `portion` is NO_ROW where the place is free */
} Place;

typedef struct {
    const Rows *rows;
    char *is_known; /* owned: of each portion, 1 if its block is among the later ones */
    Place *places;  /* owned; NULL where there is nothing to be found */
    size_t mask;
} Index;

/* Return the earlier portion of a block, NULL if there is none: most often the one after that which was found last. */
static const Portion *
find_block(const Rows *rows, const Block *block, uint32_t *next)
{
    for (uint32_t i = 0; i < rows->n_portions; i++) {
        uint32_t at = (uint32_t)(((uint64_t)*next + i) % rows->n_portions);
        if (rows->portions[at]->block == block) {
            *next = at + 1;
            return rows->portions[at];
        }
    }
    return NULL;
}

/* Match the portions that share their block with an earlier one. Return how many other rows there are among the later ones. */
static size_t
match_blocks(Index *index, const Rows *later, uint32_t *matches, Hold *hold)
{
    size_t n = 0;
    uint32_t next = 0;
    for (uint32_t i = 0; i < later->n_portions; i++) {
        const Portion *portion = later->portions[i], *found = find_block(index->rows, portion->block, &next);
        if (found != NULL) {
            index->is_known[next - 1] = 1;
        }
        else {
            n += portion->block->n;
        }
        for (uint32_t row = 0; row < portion->block->n; row++) {
            matches[portion->start + row] = found == NULL ? NO_ROW : found->start + row;
        }
        hold_pause(hold);
    }
    return n;
}

/* Return the place of a series, or the free one where it would be. */
static Place *
find_place(const Index *index, const Block *block, uint32_t row)
{
    const TagSet *tags = block->tags[row];
    for (size_t at = tags->hash & index->mask;; at = (at + 1) & index->mask) {
        Place *place = &index->places[at];
        if (place->portion == NO_ROW) {
            return place;
        }
        const Block *other = index->rows->portions[place->portion]->block;
        if (other->tags[place->row] == tags && other->created[place->row] == block->created[row]) {
            return place;
        }
    }
}

/* Add the earlier rows whose block is not known: 0, or -1 with an exception. */
static int
index_fill(Index *index, Hold *hold)
{
    size_t n = 0, capacity = 4;
    for (uint32_t i = 0; i < index->rows->n_portions; i++) {
        n += index->is_known[i] ? 0 : index->rows->portions[i]->block->n;
    }
    while (n > 0 && capacity < 2 * n) {
        capacity *= 2;
    }
    if (n == 0) {
        return 0;
    }
    if ((index->places = PyMem_Malloc(capacity * sizeof *index->places)) == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    memset(index->places, 0xff, capacity * sizeof *index->places);
    index->mask = capacity - 1;
    for (uint32_t i = 0; i < index->rows->n_portions; i++) {
        const Block *block = index->rows->portions[i]->block;
        for (uint32_t row = 0; !index->is_known[i] && row < block->n; row++) {
            *find_place(index, block, row) = (Place){i, row};
        }
        hold_pause(hold);
    }
    return 0;
}

/* Match the later rows whose block is not known. */
static void
match_rows(const Index *index, const Rows *later, uint32_t *matches, Hold *hold)
{
    for (uint32_t i = 0; i < later->n_portions; i++) {
        const Portion *portion = later->portions[i];
        int is_known = matches[portion->start] != NO_ROW;
        for (uint32_t row = 0; !is_known && row < portion->block->n; row++) {
            const Place *place = find_place(index, portion->block, row);
            if (place->portion != NO_ROW) {
                matches[portion->start + row] = index->rows->portions[place->portion]->start + place->row;
            }
        }
        hold_pause(hold);
    }
}

int
rows_match(const Rows *earlier, const Rows *later, uint32_t **matches)
{
    *matches = NULL;
    if (have_same_blocks(earlier, later)) {
        return 0;
    }
    Hold hold;
    hold_begin(&hold);
    Index index = {.rows = earlier, .is_known = PyMem_Calloc(earlier->n_portions + (size_t)1, 1)};
    uint32_t *found = PyMem_Malloc((later->n + (size_t)1) * sizeof *found);
    int result = -1;
    if (index.is_known == NULL || found == NULL) {
        PyErr_NoMemory();
        goto error;
    }
    if (match_blocks(&index, later, found, &hold) > 0) {
        if (index_fill(&index, &hold) < 0) {
            goto error;
        }
        if (index.places != NULL) {
            match_rows(&index, later, found, &hold);
        }
    }
    *matches = found;
    found = NULL;
    result = 0;
error:
    PyMem_Free(index.is_known);
    PyMem_Free(index.places);
    PyMem_Free(found);
    return result;
}
