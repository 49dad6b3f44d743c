#include "slot.h"

#define ENTRY_MARK 0x52544e45u
#define MOST_TEXT (1u << 20)
#define MOST_WORDS 4096u
#define MOST_EXTRA (1u << 16)
#define MOST_LINKS 65536 /* of a chain: four if there are 4,096 metrics. A damaged one may lead in circles */

static const Entry none;

Entry
entry_at(Shared *shared, uint64_t offset)
{
    EntryRecord *record = shared_at(shared, offset, sizeof *record);
    if (record == NULL || record->mark != ENTRY_MARK) {
        return none;
    }
    Entry entry = {shared, record, offset, record->words, record->extra, record->aggregate, record->length};
    int fits = entry.words > 0 && entry.words <= MOST_WORDS && entry.extra <= MOST_EXTRA && entry.extra % 8 == 0
               && entry.aggregate <= MIN_OF && entry.length <= MOST_TEXT;
    return fits && shared_at(shared, offset, sizeof *record + entry.length) != NULL ? entry : none;
}

Entry
entry_first(Shared *shared)
{
    return entry_at(shared, atomic_load(&shared->header->first_entry));
}

Entry
entry_next(const Entry *entry)
{
    const EntryRecord *record = (EntryRecord *)(entry->shared->base + entry->offset); /* a fork may have moved it */
    return entry_at(entry->shared, further(entry->offset, atomic_load(&record->next)));
}

PyObject *
entry_text(const Entry *entry)
{
    PyObject *text = PyBytes_FromStringAndSize(entry->record->text, entry->length);
    if (text != NULL && text_hash(PyBytes_AS_STRING(text), entry->length) != entry->record->hash) {
        Py_SETREF(text, Py_NewRef(Py_None));
    }
    return text;
}

/* Names */

static uint32_t
name_length(const char *text, uint32_t length)
{
    const char *end = memchr(text, '\n', length);
    return end == NULL ? length : (uint32_t)(end - text);
}

static _Atomic uint64_t *
chain_of(Shared *shared, const char *text, uint32_t length)
{
    return entry_chain(shared, text_hash(text, name_length(text, length)));
}

static int
has_text(const Entry *entry, const char *text, uint32_t length)
{
    return entry->length == length && memcmp(entry->record->text, text, length) == 0;
}

static int
has_name_of(const Entry *entry, const char *text, uint32_t length)
{
    uint32_t name = name_length(text, length);
    return name <= entry->length && memcmp(entry->record->text, text, name) == 0
           && (name == entry->length || entry->record->text[name] == '\n');
}

/* Return the registered entry of the same name; else the one with the same text; else none. */
static Entry
find(Shared *shared, const char *text, uint32_t length)
{
    Entry same = none, entry = entry_at(shared, atomic_load(chain_of(shared, text, length)));
    for (int i = 0; entry.record != NULL && i < MOST_LINKS; i++) {
        if (has_name_of(&entry, text, length)) {
            if (atomic_load(&entry.record->registered)) {
                return entry;
            }
            same = has_text(&entry, text, length) ? entry : same;
        }
        entry = entry_at(shared, atomic_load(&entry.record->chain));
    }
    return same;
}

int
entry_register(const Entry *entry)
{
    if (!atomic_load(&entry->record->registered)) {
        const Entry other = find(entry->shared, entry->record->text, entry->length);
        if (other.record != NULL && other.record != entry->record && atomic_load(&other.record->registered)) {
            return 0;
        }
        atomic_store(&entry->record->registered, 1);
    }
    return 1;
}

void
entry_unregister(const Entry *entry)
{
    for (Slot slot = slot_first(entry); slot.record != NULL; slot = slot_next(entry, &slot)) {
        slot_end(entry, &slot);
    }
    step(entry->shared);
    atomic_store(&entry->record->registered, 0);
}

/* Making */

/* Return the last entry, as far as the list is sound. */
static Entry
entry_last(Shared *shared)
{
    Entry last = entry_at(shared, atomic_load(&shared->header->last_entry)); /* a killed process may not have updated it */
    Entry after = last.record == NULL ? entry_first(shared) : entry_next(&last);
    for (; after.record != NULL; after = entry_next(&last)) {
        last = after;
    }
    return last;
}

static int
is_in_chain(const Entry *entry)
{
    Entry one = entry_at(entry->shared, atomic_load(chain_of(entry->shared, entry->record->text, entry->length)));
    for (int i = 0; one.record != NULL && one.record != entry->record && i < MOST_LINKS; i++) {
        one = entry_at(entry->shared, atomic_load(&one.record->chain));
    }
    return one.record == entry->record;
}

static void
add_to_chain(const Entry *entry)
{
    _Atomic uint64_t *chain = chain_of(entry->shared, entry->record->text, entry->length);
    atomic_store(&entry->record->chain, atomic_load(chain));
    step(entry->shared);
    atomic_store(chain, entry->offset);
    step(entry->shared);
}

static Entry
make(Shared *shared, const char *text, uint32_t length, EntryShape shape)
{
    Entry last = entry_last(shared);
    _Atomic uint64_t *link = last.record == NULL ? &shared->header->first_entry : &last.record->next;
    if (atomic_load(link) != 0) { /* to a damaged record: keep what follows */
        shared->lack = "its list of metrics is damaged: end its processes, and start again with fresh=True";
        return none;
    }
    if (shape.words == 0 || shape.words > MOST_WORDS || shape.extra > MOST_EXTRA || shape.extra % 8 != 0 || length > MOST_TEXT) {
        shared->lack = "a metric has too many buckets, or too long a text: 4,092 and a megabyte are possible";
        return none;
    }
    uint64_t offset = shared_take(shared, sizeof(EntryRecord) + length);
    if (offset == 0) {
        return none;
    }
    EntryRecord *record = (EntryRecord *)(shared->base + offset);
    Entry made = {shared, record, offset, shape.words, shape.extra, shape.aggregate, length};
    record->mark = ENTRY_MARK;
    record->words = shape.words;
    record->extra = shape.extra;
    record->aggregate = shape.aggregate;
    record->length = length;
    record->hash = text_hash(text, length);
    memcpy(record->text, text, length);
    step(shared);
    atomic_store(link, offset);
    step(shared);
    add_to_chain(&made);
    atomic_store(&record->registered, 1); /* last: all that are registered are found by their names */
    step(shared);
    atomic_store(&shared->header->last_entry, offset);
    return made;
}

Entry
entry_find_or_make(Shared *shared, const char *text, uint32_t length, EntryShape shape)
{
    Entry entry = find(shared, text, length), last = entry.record == NULL ? entry_last(shared) : none;
    if (last.record != NULL && !is_in_chain(&last)) { /* who made it was killed: it is in the list, but not found by its name */
        add_to_chain(&last);
        entry = find(shared, text, length);
    }
    if (entry.record == NULL) {
        return make(shared, text, length, shape);
    }
    atomic_store(&entry.record->registered, 1);
    return entry;
}
