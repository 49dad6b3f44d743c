#include "rows.h"

#include "exponential_rows.h"
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
    for (int i = 0; i < N_SCHEMES; i++) {
        atomic_init(&block->labels[i], NULL);
    }
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
    for (int i = 0; i < N_SCHEMES; i++) {
        PyMem_RawFree(atomic_load(&block->labels[i]));
    }
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
    rows->is_exponential = family->is_exponential;
    rows->n_bounds = family->is_exponential ? HEAD_BOUNDS : family->n_bounds;
    rows->width = family->is_exponential ? HEAD_WORDS : family->has_buckets ? family->words : 1;
    return rows;
}

static void
portion_free(Portion *portion)
{
    PyMem_Free(portion->counts);
    PyMem_Free(portion);
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
        portion_free(rows->portions[i]);
        hold_pause(&hold);
    }
    PyMem_Free(rows->portions);
    PyMem_Free(rows);
    tagsets_settle(state);
}

static Portion *
portion_new(const Rows *rows, uint32_t n)
{
    Portion *portion = PyMem_Malloc(sizeof *portion + (size_t)n * rows->width * sizeof *portion->words);
    if (portion == NULL) {
        PyErr_NoMemory();
        return NULL;
    }
    portion->n_counts = portion->capacity = 0;
    portion->counts = NULL;
    return portion;
}

/* Give back what was reserved for counts that did not come. */
static void
trim_counts(Portion *portion)
{
    uint8_t *trimmed = portion->counts == NULL ? NULL : PyMem_Realloc(portion->counts, portion->n_counts);
    if (trimmed != NULL) {
        portion->counts = trimmed;
        portion->capacity = portion->n_counts;
    }
}

/* Append a portion to the rows of a block: 0, or -1 with an exception. */
static int
append(Rows *rows, Portion *portion_steal, Block *block_steal)
{
    trim_counts(portion_steal);
    if (rows->n_portions == rows->capacity) {
        uint32_t capacity = rows->capacity * 2 + 1;
        Portion **grown = PyMem_Realloc(rows->portions, capacity * sizeof *grown);
        if (grown == NULL) {
            portion_free(portion_steal);
            block_release(block_steal);
            PyErr_NoMemory();
            return -1;
        }
        rows->portions = grown;
        rows->capacity = capacity;
    }
    portion_steal->block = block_steal;
    portion_steal->start = rows->n;
    rows->portions[rows->n_portions++] = portion_steal;
    rows->n += block_steal->n;
    return 0;
}

Portion *
rows_add(Rows *rows, Block *block_steal)
{
    Portion *portion = portion_new(rows, block_steal->n);
    if (portion == NULL) {
        block_release(block_steal);
        return NULL;
    }
    return append(rows, portion, block_steal) < 0 ? NULL : portion;
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

/* Copy a row whole, before the next, as other processes go on to record: 0, or -1 with an exception. */
static inline int
copy_row(const Family *family, const Rows *rows, const Series *series, Portion *portion, uint32_t row)
{
    uint64_t *words = portion->words + (size_t)row * rows->width;
    if (rows->is_exponential) {
        return exponential_copy(family, series, portion, words);
    }
    if (rows->has_buckets) {
        copy_buckets(rows, series, words);
    }
    else {
        words[0] = cell_count(&series->cells[0]);
    }
    return 0;
}

/* Copy the live series from a row of the table on, if they are those of a block: 1; 0 if they are not; -1 with an exception. */
static int
copy_known(const Family *family, const Rows *rows, uint32_t from, uint32_t to, const Block *block, Portion *portion)
{
    const Table *table = &family->table;
    uint32_t n = 0;
    for (uint32_t i = from; i < to; i++) {
        const Series *series = table->rows[i];
        if (i + AHEAD < to) {
            __builtin_prefetch(table->rows[i + AHEAD]);
        }
        if (series == NULL || !is_live(series)) {
            continue;
        }
        if (n == block->n || block->tags[n] != series->tags || block->created[n] != series->created) {
            return 0;
        }
        if (copy_row(family, rows, series, portion, n++) < 0) {
            return -1;
        }
    }
    return n == block->n;
}

/* Read series whose block is not known: a new reference to it, or NULL with an exception. */
static Block *
read_unknown(const Family *family, Rows *rows, Series *const *live, uint32_t n)
{
    Block *block = block_of(live, n);
    Portion *portion = block == NULL ? NULL : portion_new(rows, n);
    if (portion == NULL) {
        goto error;
    }
    for (uint32_t i = 0; i < n; i++) {
        if (copy_row(family, rows, live[i], portion, i) < 0) {
            portion_free(portion);
            goto error;
        }
    }
    block->references++;
    if (append(rows, portion, block) == 0) {
        return block;
    }
error:
    if (block != NULL) {
        block_release(block);
    }
    return NULL;
}

static uint32_t
live_among(const Table *table, uint32_t from, uint32_t to, Series **live)
{
    uint32_t n = 0;
    for (uint32_t i = from; i < to; i++) {
        if (table->rows[i] != NULL && is_live(table->rows[i])) {
            live[n++] = table->rows[i];
        }
    }
    return n;
}

/* Read on, to the end of a block: 0, or -1 with an exception. */
static int
read_block(Family *family, Rows *rows)
{
    Series *live[BLOCK_ROWS];
    uint32_t from = rows->at, index = from / BLOCK_ROWS;
    uint32_t to = rows->end < (index + 1) * BLOCK_ROWS ? rows->end : (index + 1) * BLOCK_ROWS;
    Block *block = from % BLOCK_ROWS == 0 ? table_block(&family->table, index) : NULL;
    rows->at = to;
    if (block != NULL) {
        Portion *portion = portion_new(rows, block->n);
        if (portion == NULL) {
            return -1;
        }
        int result = copy_known(family, rows, from, to, block, portion);
        if (result > 0) {
            block->references++;
            return append(rows, portion, block);
        }
        portion_free(portion);
        if (result < 0) {
            return -1;
        }
    }
    uint32_t n = live_among(&family->table, from, to, live);
    if (n == 0) {
        return 0;
    }
    if ((block = read_unknown(family, rows, live, n)) == NULL) {
        return -1;
    }
    if (from % BLOCK_ROWS == 0) {
        table_keep_block(&family->table, index, block);
    }
    block_release(block);
    return 0;
}

/* Return 1 if there ever was a live series, in any process. */
static int
has_lived(const Family *family)
{
    return family->has_lived || (family->entry.record != NULL && atomic_load(&family->entry.record->born) != 0);
}

static int
read_root(const Family *family, Rows *rows)
{
    Block *block = read_unknown(family, rows, &family->root, 1);
    if (block != NULL) {
        block_release(block);
    }
    return block == NULL ? -1 : 0;
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
