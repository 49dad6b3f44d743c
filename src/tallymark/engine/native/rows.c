#include "rows.h"

#include "hold.h"
#include "instrument.h"

/* Blocks */

Block *
block_new(uint32_t n)
{
    Block *block = PyMem_Malloc(sizeof *block + n * (sizeof *block->tags + sizeof *block->created));
    if (block == NULL) {
        PyErr_NoMemory();
        return NULL;
    }
    block->references = 1;
    block->n = n;
    atomic_init(&block->labels, NULL);
    block->created = (double *)(block->tags + n);
    return block;
}

void
block_release(Block *block)
{
    if (--block->references > 0) {
        return;
    }
    for (uint32_t i = 0; i < block->n; i++) {
        tagset_release(block->tags[i]);
    }
    PyMem_RawFree(atomic_load(&block->labels));
    PyMem_Free(block);
}

static Block *
block_of(Series *const *live, uint32_t n)
{
    Block *block = block_new(n);
    for (uint32_t i = 0; block != NULL && i < n; i++) {
        block->tags[i] = (TagSet *)Py_NewRef((PyObject *)live[i]->tags);
        block->created[i] = live[i]->created;
    }
    return block;
}

/* Return 1 if a block is that of these series. */
static int
is_block_of(const Block *block, Series *const *live, uint32_t n)
{
    int is_same = block->n == n;
    for (uint32_t i = 0; is_same && i < n; i++) {
        is_same = block->tags[i] == live[i]->tags && block->created[i] == live[i]->created;
    }
    return is_same;
}

/* Rows */

Rows *
rows_new(const Family *family)
{
    Rows *rows = PyMem_Calloc(1, sizeof *rows);
    if (rows == NULL) {
        PyErr_NoMemory();
        return NULL;
    }
    rows->references = 1;
    rows->has_buckets = family->has_buckets;
    rows->n_bounds = family->n_bounds;
    rows->width = family->has_buckets ? family->words : 1;
    return rows;
}

void
rows_release(Rows *rows, State *state)
{
    Hold hold;
    if (--rows->references > 0) {
        return;
    }
    hold_begin(&hold);
    for (uint32_t i = 0; i < rows->n_portions; i++) {
        block_release(rows->portions[i]->block);
        PyMem_Free(rows->portions[i]);
        hold_pause(&hold);
    }
    PyMem_Free(rows->portions);
    PyMem_Free(rows);
    tagsets_settle(state);
}

Portion *
rows_add(Rows *rows, Block *block_steal)
{
    size_t bytes = sizeof(Portion) + (size_t)block_steal->n * rows->width * sizeof(uint64_t);
    Portion *portion = PyMem_Malloc(bytes);
    if (portion == NULL) {
        goto error;
    }
    if (rows->n_portions == rows->capacity) {
        uint32_t capacity = rows->capacity * 2 + 1;
        Portion **grown = PyMem_Realloc(rows->portions, capacity * sizeof *grown);
        if (grown == NULL) {
            goto error;
        }
        rows->portions = grown;
        rows->capacity = capacity;
    }
    portion->block = block_steal;
    portion->start = rows->n;
    rows->portions[rows->n_portions++] = portion;
    rows->n += block_steal->n;
    return portion;
error:
    PyMem_Free(portion);
    block_release(block_steal);
    PyErr_NoMemory();
    return NULL;
}

const Portion *
rows_find(const Rows *rows, uint32_t i, uint32_t *row)
{
    uint32_t first = 0, n = rows->n_portions;
    while (n > 1) { /* the last that does not start after the row */
        uint32_t half = n / 2;
        int is_after = rows->portions[first + half]->start > i;
        first += is_after ? 0 : half;
        n = is_after ? half : n - half;
    }
    *row = i - rows->portions[first]->start;
    return rows->portions[first];
}

/* Reading */

#define AHEAD 8 /* series that are fetched into the cache before they are needed */

/* Write the live series of some rows of a table to `live`: how many. */
static uint32_t
live_among(const Table *table, uint32_t from, uint32_t to, Series **live)
{
    uint32_t n = 0;
    for (uint32_t i = from; i < to; i++) {
        Series *series = table->rows[i];
        if (i + AHEAD < to) {
            __builtin_prefetch(table->rows[i + AHEAD]);
        }
        if (series != NULL && is_live(series)) {
            live[n++] = series;
        }
    }
    return n;
}

/* Copy the cells of a histogram. Who observes counts first, and adds to the sum then: so what it counted is read last, and no
 * sum that was read has more in it than the counts. */
static void
copy_buckets(const Rows *rows, const Series *series, uint64_t *words)
{
    for (uint32_t i = rows->n_bounds + 1; i < rows->width; i++) {
        words[i] = cell_count(&series->cells[i]);
    }
    atomic_thread_fence(memory_order_acquire);
    for (uint32_t i = 0; i <= rows->n_bounds; i++) {
        words[i] = cell_count(&series->cells[i]);
    }
}

/* Add rows, each copied whole before the next, as other processes go on to record: 0, or -1 with an exception. */
static int
copy_rows(Rows *rows, Series *const *live, uint32_t n, Block *block_steal)
{
    Portion *portion = rows_add(rows, block_steal);
    for (uint32_t i = 0; portion != NULL && i < n; i++) {
        if (rows->has_buckets) {
            copy_buckets(rows, live[i], portion->words + (size_t)i * rows->width);
        }
        else {
            portion->words[i] = cell_count(&live[i]->cells[0]);
        }
    }
    return portion == NULL ? -1 : 0;
}

/* Read on, to the end of a block: 0, or -1 with an exception. */
static int
read_block(Family *family, Rows *rows)
{
    Series *live[BLOCK_ROWS];
    uint32_t from = rows->at, index = from / BLOCK_ROWS;
    uint32_t to = rows->end < (index + 1) * BLOCK_ROWS ? rows->end : (index + 1) * BLOCK_ROWS;
    uint32_t n = live_among(&family->table, from, to, live);
    rows->at = to;
    if (n == 0) {
        return 0;
    }
    Block *block = from % BLOCK_ROWS == 0 ? table_block(&family->table, index) : NULL;
    if (block != NULL && is_block_of(block, live, n)) {
        block->references++;
    }
    else if ((block = block_of(live, n)) == NULL) {
        return -1;
    }
    else if (from % BLOCK_ROWS == 0) {
        table_keep_block(&family->table, index, block);
    }
    return copy_rows(rows, live, n, block);
}

static int
has_lived(const Family *family)
{
    return family->has_lived || (family->entry.record != NULL && atomic_load(&family->entry.record->born) != 0);
}

static int
read_root(const Family *family, Rows *rows)
{
    Block *block = block_of(&family->root, 1);
    return block == NULL ? -1 : copy_rows(rows, &family->root, 1, block);
}

static int
read_all(Family *family, Rows *rows)
{
    Hold hold;
    hold_begin(&hold);
    while (rows->at < rows->end) {
        if (read_block(family, rows) < 0) {
            return -1;
        }
        hold_pause(&hold);
    }
    return rows->n == 0 && !has_lived(family) ? read_root(family, rows) : 0;
}

/* While it is read, the table knows of it: so it goes on at the same series if rows move meanwhile. (In a child that another
 * thread forks, nobody goes on: there it stays as it is, and known.) */
Rows *
rows_of_table(Family *family)
{
    Rows *rows = rows_new(family);
    if (rows == NULL) {
        return NULL;
    }
    rows->end = family->table.n_rows;
    rows->next = family->table.readings;
    family->table.readings = rows;
    int result = read_all(family, rows);
    Rows **link = &family->table.readings;
    while (*link != rows) {
        link = &(*link)->next;
    }
    *link = rows->next;
    if (result < 0) {
        rows_release(rows, family->state);
        return NULL;
    }
    return rows;
}
