#include "slot.h"

#define SLOT_MARK 0x544f4c53u
#define TEXT_STEP 32u /* the space for a slot's text is a multiple of this, so that another's may fit later */
#define MOST_TEXT (1u << 20)
#define MOST_LINKS 4096 /* of a chain: about twenty if the memory is full. A damaged one may lead in circles */
#define SOME 64 /* how many slots to check for a free one before making a new one: few, so that making stays cheap */

static const Slot none;

/* Slots in their entry's order */

static uint64_t
slot_size(const Entry *entry, uint32_t space)
{
    return sizeof(SlotRecord) + entry->words * sizeof(Cell) + entry->extra + space;
}

static Slot
slot_at(const Entry *entry, uint64_t offset)
{
    SlotRecord *record = shared_at(entry->shared, offset, sizeof *record);
    if (record == NULL || record->mark != SLOT_MARK || record->entry != entry->offset) {
        return none;
    }
    Slot slot = {record, offset, record->hash, record->length, record->space};
    int fits = slot.space <= MOST_TEXT && slot.length <= slot.space;
    return fits && shared_at(entry->shared, offset, slot_size(entry, slot.space)) != NULL ? slot : none;
}

Slot
slot_first(const Entry *entry)
{
    return slot_at(entry, atomic_load(&entry->record->first));
}

Slot
slot_next(const Entry *entry, const Slot *slot)
{
    const SlotRecord *record = (SlotRecord *)(entry->shared->base + slot->offset); /* a fork may have moved it */
    /* Further on than the end of this one: so what all hold together is no more than the file. */
    return slot_at(entry, further(slot->offset + slot_size(entry, slot->space) - 1, atomic_load(&record->next)));
}

Slot
slot_again(const Entry *entry, SlotRecord *record)
{
    return slot_at(entry, (uint64_t)((char *)record - entry->shared->base));
}

/* Slots by their texts: each is in one chain, with others of any entry */

static uint64_t
slot_hash(const Entry *entry, const char *text, uint32_t length)
{
    return text_hash(text, length) ^ (entry->offset * UINT64_C(0x9e3779b97f4a7c15));
}

int64_t
slot_read_text(const Entry *entry, const Slot *slot, char *text, uint32_t space)
{
    if (slot->length > space) {
        return -1;
    }
    memcpy(text, slot_text(entry, slot), slot->length);
    return slot->hash == slot_hash(entry, text, slot->length) ? (int64_t)slot->length : -1;
}

PyObject *
slot_copy_text(const Entry *entry, const Slot *slot)
{
    PyObject *text = PyBytes_FromStringAndSize(slot_text(entry, slot), slot->length);
    if (text != NULL && slot->hash != slot_hash(entry, PyBytes_AS_STRING(text), slot->length)) {
        Py_SETREF(text, Py_NewRef(Py_None));
    }
    return text;
}

static int
is_whose(const SlotRecord *slot, uint32_t owner)
{
    return owner == ANYONE ? atomic_load(&slot->state) == LIVE : atomic_load(&slot->owner) == owner;
}

/* Return the slot, of any entry, that a link of a chain leads to; NULL at the end, and at a damaged one. */
static SlotRecord *
linked(Shared *shared, _Atomic uint64_t *link)
{
    uint64_t offset = atomic_load(link);
    SlotRecord *slot = offset == 0 ? NULL : shared_at(shared, offset, sizeof *slot);
    return slot != NULL && slot->mark == SLOT_MARK ? slot : NULL;
}

/* Find the first slot with a text, from a link of its chain on. */
static Slot
find_from(const Entry *entry, _Atomic uint64_t *link, uint32_t owner, const char *text, uint32_t length)
{
    uint64_t hash = slot_hash(entry, text, length);
    SlotRecord *any = linked(entry->shared, link);
    for (int i = 0; any != NULL && i < MOST_LINKS; any = linked(entry->shared, &any->chain), i++) {
        if (any->hash == hash && any->entry == entry->offset && is_whose(any, owner)) {
            Slot slot = slot_again(entry, any);
            if (slot.record != NULL && slot.length == length && memcmp(slot_text(entry, &slot), text, length) == 0) {
                return slot;
            }
        }
    }
    return none;
}

Slot
slot_find(const Entry *entry, uint32_t owner, const char *text, uint32_t length)
{
    return find_from(entry, slot_chain(entry->shared, slot_hash(entry, text, length)), owner, text, length);
}

/* Return 1 if a chain must not grow, so that every slot in it is found. Only tags chosen to collide can fill one. */
static int
chain_is_full(Shared *shared, uint64_t hash)
{
    int links = 0;
    SlotRecord *any = linked(shared, slot_chain(shared, hash));
    for (; any != NULL && links < MOST_LINKS; any = linked(shared, &any->chain)) {
        links++;
    }
    return links == MOST_LINKS;
}

static void
chain_remove(Shared *shared, const Slot *slot)
{
    _Atomic uint64_t *link = slot_chain(shared, slot->record->hash);
    SlotRecord *any = linked(shared, link);
    for (int i = 0; any != NULL && i < MOST_LINKS; link = &any->chain, any = linked(shared, link), i++) {
        if (any == slot->record) {
            atomic_store(link, atomic_load(&any->chain));
            return;
        }
    }
}

/* Let a slot be found by its tags. This comes last: a process that finds it may make it live. */
static void
chain_add(Shared *shared, const Slot *slot)
{
    _Atomic uint64_t *head = slot_chain(shared, slot->record->hash);
    atomic_store(&slot->record->chain, atomic_load(head));
    step(shared);
    atomic_store(head, slot->offset);
    step(shared);
}

/* Making */

/* Write the tags of a new slot, or of a dead one that nobody holds. It stays dead. */
static Slot
slot_write(const Entry *entry, const Slot *slot, uint32_t owner, const char *text, uint32_t length)
{
    memmove(slot_text(entry, slot), text, length);
    step(entry->shared);
    slot->record->length = length;
    slot->record->hash = slot_hash(entry, text, length);
    atomic_store(&slot->record->owner, owner);
    step(entry->shared);
    return slot_again(entry, slot->record);
}

static int
is_free(const Slot *slot, uint32_t length)
{
    uint64_t held = 0;
    for (uint32_t i = 0; i < PLACE_WORDS; i++) {
        held |= atomic_load(&slot->record->holders[i]);
    }
    return held == 0 && !slot_is_live(slot) && slot->space >= length;
}

/* Find a free slot with space for a text. Check up to `most` slots, each once, from where the last search ended. */
static Slot
find_free(const Entry *entry, uint32_t length, uint64_t most)
{
    Slot slot = slot_at(entry, atomic_load(&entry->record->cursor)), found = none;
    for (int rounds = 0; found.record == NULL && most-- > 0;) {
        if (slot.record == NULL && (rounds++ > 0 || (slot = slot_first(entry)).record == NULL)) {
            break;
        }
        found = is_free(&slot, length) ? slot : none;
        slot = slot_next(entry, &slot);
    }
    atomic_store(&entry->record->cursor, slot.record == NULL ? 0 : slot.offset);
    return found;
}

static Slot
slot_reuse(const Entry *entry, const Slot *slot, uint32_t owner, const char *text, uint32_t length)
{
    if (slot->record == NULL) {
        return none;
    }
    chain_remove(entry->shared, slot);
    step(entry->shared);
    Slot written = slot_write(entry, slot, owner, text, length);
    if (written.record != NULL) {
        chain_add(entry->shared, &written);
    }
    return written;
}

static Slot
slot_append(const Entry *entry, uint32_t owner, const char *text, uint32_t length)
{
    Shared *shared = entry->shared;
    uint32_t space = (length + TEXT_STEP) / TEXT_STEP * TEXT_STEP;
    Slot last = slot_at(entry, atomic_load(&entry->record->last)); /* a killed process may not have updated it */
    Slot after = last.record == NULL ? slot_first(entry) : slot_next(entry, &last);
    for (; after.record != NULL; after = slot_next(entry, &last)) {
        last = after;
    }
    _Atomic uint64_t *link = last.record == NULL ? &entry->record->first : &last.record->next;
    if (atomic_load(link) != 0) { /* to a damaged slot: keep what follows */
        shared->lack = "a metric's list of series is damaged: end its processes, and start again with fresh=True";
        return none;
    }
    if (length > MOST_TEXT - TEXT_STEP) {
        shared->lack = "the tags of a series are longer than a megabyte: lower TagLimits.max_value_length";
        return none;
    }
    uint64_t offset = shared_take(shared, slot_size(entry, space));
    if (offset == 0) {
        return none;
    }
    SlotRecord *record = (SlotRecord *)(shared->base + offset);
    record->mark = SLOT_MARK;
    record->space = space;
    record->entry = entry->offset;
    step(shared);
    Slot made = slot_at(entry, offset);
    if (made.record != NULL) {
        made = slot_write(entry, &made, owner, text, length);
    }
    if (made.record == NULL) { /* others change what nobody may */
        shared->lack = "it is changed while it is in use: end its processes, and start again with fresh=True";
        return none;
    }
    atomic_store(link, offset);
    step(shared);
    atomic_store(&entry->record->last, offset);
    step(shared);
    chain_add(shared, &made);
    return made;
}

static int
may_make(const Entry *entry, const char *text, uint32_t length)
{
    if (chain_is_full(entry->shared, slot_hash(entry, text, length))) {
        entry->shared->lack = "too many series have tags that were chosen to collide: restrict who sets tags";
        return 0;
    }
    return 1;
}

Slot
slot_make(const Entry *entry, uint32_t owner, const char *text, uint32_t length)
{
    if (!may_make(entry, text, length)) {
        return none;
    }
    Slot free = entry_ended(entry) != 0 ? find_free(entry, length, SOME) : none;
    return free.record != NULL ? slot_reuse(entry, &free, owner, text, length) : slot_append(entry, owner, text, length);
}

int
slot_may_be_free(const Entry *entry)
{
    return entry_ended(entry) != atomic_load(&entry->record->searched);
}

Slot
slot_make_from_any(const Entry *entry, uint32_t owner, const char *text, uint32_t length)
{
    if (!may_make(entry, text, length)) {
        return none;
    }
    Slot free = find_free(entry, length, UINT64_MAX);
    if (free.record == NULL) {
        atomic_store(&entry->record->searched, entry_ended(entry));
    }
    return slot_reuse(entry, &free, owner, text, length);
}

/* Living and ending */

static int
is_known(const Entry *entry, const Slot *slot)
{
    return slot_find(entry, ANYONE, slot_text(entry, slot), slot->length).record != NULL;
}

int
slot_counts(const Entry *entry, const Slot *slot)
{
    return slot_is_live(slot) && !slot->record->kept
           && (atomic_load(&slot->record->owner) == NOBODY
               || slot_find(entry, ANYONE, slot_text(entry, slot), slot->length).record == slot->record);
}

/* The count first: a process that is killed between the two has others look for a new series, which is not there. */
void
slot_revive(const Entry *entry, const Slot *slot)
{
    atomic_fetch_add(&entry->record->born, 1);
    step(entry->shared);
    atomic_store(&slot->record->state, LIVE);
    step(entry->shared);
}

void
slot_enliven(const Entry *entry, const Slot *slot, uint32_t kept, double created)
{
    Shared *shared = entry->shared;
    slot->record->created = created;
    slot->record->kept = kept;
    step(shared);
    if (!kept && !is_known(entry, slot)) {
        atomic_fetch_add(&entry->record->live, 1);
    }
    step(shared);
    slot_hold(slot->record, shared->index);
    step(shared);
    slot_revive(entry, slot);
}

void
slot_end(const Entry *entry, const Slot *slot)
{
    if (slot_is_live(slot)) {
        step(entry->shared);
        atomic_store(&slot->record->state, DEAD);
        step(entry->shared);
        slot_ended(entry, slot);
    }
}

void
slot_ended(const Entry *entry, const Slot *slot)
{
    if (!slot->record->kept && !is_known(entry, slot) && atomic_load(&entry->record->live) > 0) {
        atomic_fetch_sub(&entry->record->live, 1);
    }
    step(entry->shared);
    atomic_fetch_add(&entry->record->ended, 1);
}

void
slots_end(const Entry *entry, const char *text, uint32_t length)
{
    for (Slot slot; (slot = slot_find(entry, ANYONE, text, length)).record != NULL;) {
        slot_end(entry, &slot);
    }
}

uint64_t
slots_mark(const Entry *entry, const char *text, uint32_t length)
{
    uint64_t mark = 0;
    Slot slot = slot_find(entry, ANYONE, text, length);
    for (int i = 0; slot.record != NULL && i < MOST_LINKS; i++) {
        mark += slot_mark(entry, slot.record, slot.offset);
        slot = find_from(entry, &slot.record->chain, ANYONE, text, length);
    }
    return mark;
}
