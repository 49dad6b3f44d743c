/* Families and slots in shared memory: finding, making, giving back. */
#include "shared.h"

#define FAMILY_MARK 0x494d4146u
#define SLOT_MARK 0x544f4c53u
#define TEXT_STEP 32u /* the room for a slot's text is a multiple of this, so that another's may fit in later */
#define MOST_TEXT (1u << 20)
#define MOST_WORDS 4096u

SharedFamily *
family_at(Shared *shared, uint64_t offset)
{
    SharedFamily *family = shared_at(shared, offset, sizeof *family);
    if (family == NULL || family->mark != FAMILY_MARK || family->words == 0 || family->words > MOST_WORDS
        || family->length > MOST_TEXT || shared_at(shared, offset, sizeof *family + family->length) == NULL
        || family->hash != text_hash(family->text, family->length)) {
        return NULL;
    }
    return family;
}

static uint64_t
slot_size(const SharedFamily *family, uint32_t room)
{
    return sizeof(Slot) + family->words * sizeof(Cell) + room;
}

Slot *
slot_at(Shared *shared, const SharedFamily *family, uint64_t offset)
{
    Slot *slot = shared_at(shared, offset, sizeof *slot);
    if (slot == NULL || slot->mark != SLOT_MARK || slot->room > MOST_TEXT || slot->length > slot->room
        || slot->family != offset_in(shared, family) || shared_at(shared, offset, slot_size(family, slot->room)) == NULL) {
        return NULL;
    }
    return slot;
}

/* Slots of a family that follow one another: never more than fit, so that a damaged file does not lead in circles. */
static uint64_t
most_slots(const Shared *shared)
{
    return shared->limit / sizeof(Slot);
}

static uint64_t
slot_hash(const Shared *shared, const SharedFamily *family, uint32_t owner, const char *text, uint32_t length)
{
    return text_hash(text, length) ^ (offset_in(shared, family) * UINT64_C(0x9e3779b97f4a7c15)) ^ owner;
}

static int
is_slot(const SharedFamily *family, const Slot *slot, uint32_t owner, const char *text, uint32_t length)
{
    return atomic_load(&slot->owner) == owner && slot->length == length && memcmp(slot_text(family, slot), text, length) == 0;
}

Slot *
slot_find(Shared *shared, SharedFamily *family, uint32_t owner, const char *text, uint32_t length)
{
    uint64_t hash = slot_hash(shared, family, owner, text, length), left = most_slots(shared);
    for (uint64_t at = atomic_load(chain_of(shared, hash)); at != 0 && left-- > 0;) {
        Slot *any = shared_at(shared, at, sizeof *any); /* of any family: the chains are everybody's */
        if (any == NULL || any->mark != SLOT_MARK) {
            return NULL;
        }
        if (any->hash == hash && any->family == offset_in(shared, family)) {
            Slot *slot = slot_at(shared, family, at);
            if (slot != NULL && is_slot(family, slot, owner, text, length)) {
                return slot;
            }
        }
        at = atomic_load(&any->chain);
    }
    return NULL;
}

static void
chain_remove(Shared *shared, Slot *slot)
{
    _Atomic uint64_t *link = chain_of(shared, slot->hash);
    uint64_t wanted = offset_in(shared, slot);
    for (uint64_t at, left = most_slots(shared); (at = atomic_load(link)) != 0 && left-- > 0;) {
        if (at == wanted) {
            atomic_store(link, atomic_load(&slot->chain));
            return;
        }
        Slot *next = shared_at(shared, at, sizeof *next);
        if (next == NULL) {
            return;
        }
        link = &next->chain;
    }
}

/* Give a dead slot that nobody holds, or a new one, its tags. It stays dead. */
static void
slot_write(Shared *shared, SharedFamily *family, Slot *slot, uint32_t owner, const char *text, uint32_t length)
{
    memmove((char *)slot_text(family, slot), text, length);
    step(shared);
    slot->length = length;
    slot->hash = slot_hash(shared, family, owner, text, length);
    atomic_store(&slot->owner, owner);
}

/* Let a slot be found by its tags: last of all, as who finds it may make it live. */
static void
chain_add(Shared *shared, Slot *slot)
{
    _Atomic uint64_t *head = chain_of(shared, slot->hash);
    atomic_store(&slot->chain, atomic_load(head));
    step(shared);
    atomic_store(head, offset_in(shared, slot));
    step(shared);
}

static int
is_free(const Slot *slot, uint32_t length)
{
    if (atomic_load(&slot->state) != DEAD || slot->kept || slot->room < length) {
        return 0;
    }
    for (uint32_t i = 0; i < MAX_PROCESSES / 64; i++) {
        if (atomic_load(&slot->holders[i]) != 0) {
            return 0;
        }
    }
    return 1;
}

/* A dead slot that nobody holds, with room for a text; NULL where `most` slots, from where the last search ended and once round
 * at most, are none. */
static Slot *
slot_reuse(Shared *shared, SharedFamily *family, uint32_t length, uint64_t most)
{
    uint64_t at = atomic_load(&family->cursor);
    int rounds = 0;
    while (most-- > 0) {
        Slot *slot = at == 0 ? NULL : slot_at(shared, family, at);
        if (slot == NULL) { /* at the end: from the beginning again */
            if (rounds++ > 1) {
                return NULL;
            }
            at = atomic_load(&family->first);
            slot = slot_at(shared, family, at);
            if (slot == NULL) {
                return NULL;
            }
        }
        at = next_slot(shared, slot);
        atomic_store(&family->cursor, at);
        if (is_free(slot, length)) {
            return slot;
        }
    }
    return NULL;
}

static Slot *
slot_append(Shared *shared, SharedFamily *family, uint32_t owner, const char *text, uint32_t length)
{
    uint32_t room = (length + TEXT_STEP) / TEXT_STEP * TEXT_STEP;
    Slot *last = NULL;
    uint64_t at = atomic_load(&family->last); /* near the last: a process may have been killed before it moved it on */
    for (at = at == 0 ? atomic_load(&family->first) : at; at != 0; at = next_slot(shared, last)) {
        Slot *slot = slot_at(shared, family, at);
        if (slot == NULL) {
            return NULL;
        }
        last = slot;
    }
    uint64_t offset = length > MOST_TEXT - TEXT_STEP ? 0 : shared_take(shared, slot_size(family, room));
    if (offset == 0) {
        return NULL;
    }
    Slot *slot = (Slot *)(shared->base + offset);
    slot->mark = SLOT_MARK;
    slot->room = room;
    slot->family = offset_in(shared, family);
    step(shared);
    slot_write(shared, family, slot, owner, text, length);
    step(shared);
    atomic_store(last == NULL ? &family->first : &last->next, offset);
    step(shared);
    atomic_store(&family->last, offset);
    step(shared);
    chain_add(shared, slot);
    return slot;
}

Slot *
slot_make(Shared *shared, SharedFamily *family, uint32_t owner, const char *text, uint32_t length)
{
    int any_died = atomic_load(&family->version) != 0;
    Slot *slot = any_died ? slot_reuse(shared, family, length, 64) : NULL; /* so few, that making a series stays cheap */
    if (slot == NULL) {
        slot = slot_append(shared, family, owner, text, length);
        if (slot != NULL) {
            return slot;
        }
        uint64_t version = atomic_load(&family->version);
        if (version == atomic_load(&family->searched)) { /* no slot died since we looked in vain */
            return NULL;
        }
        places_bury(shared); /* full: now it is worth looking everywhere */
        slot = slot_reuse(shared, family, length, most_slots(shared));
        if (slot == NULL) {
            atomic_store(&family->searched, atomic_load(&family->version));
        }
    }
    if (slot != NULL) {
        chain_remove(shared, slot);
        step(shared);
        slot_write(shared, family, slot, owner, text, length);
        step(shared);
        chain_add(shared, slot);
    }
    return slot;
}

static uint32_t
name_length(const char *text, uint32_t length)
{
    const char *end = memchr(text, '\n', length);
    return end == NULL ? length : (uint32_t)(end - text);
}

/* The family of the same name that is registered; else the one with the same text; else NULL. */
SharedFamily *
family_named_like(Shared *shared, const char *text, uint32_t length)
{
    SharedFamily *same = NULL;
    uint32_t name = name_length(text, length);
    uint64_t left = most_slots(shared);
    for (uint64_t at = atomic_load(&shared->header->families); at != 0 && left-- > 0;) {
        SharedFamily *family = family_at(shared, at);
        if (family == NULL) {
            return same;
        }
        if (name_length(family->text, family->length) == name && memcmp(family->text, text, name) == 0) {
            if (atomic_load(&family->registered)) {
                return family;
            }
            if (family->length == length && memcmp(family->text, text, length) == 0) {
                same = family;
            }
        }
        at = next_family(shared, family);
    }
    return same;
}

SharedFamily *
family_make(Shared *shared, const char *text, uint32_t length, uint32_t words, uint32_t aggregate)
{
    _Atomic uint64_t *link = &shared->header->families;
    for (SharedFamily *family; atomic_load(link) != 0; link = &family->next) {
        family = family_at(shared, atomic_load(link));
        if (family == NULL || (atomic_load(&family->next) != 0 && next_family(shared, family) == 0)) {
            return NULL;
        }
    }
    uint64_t offset = words == 0 || words > MOST_WORDS || length > MOST_TEXT ? 0 : shared_take(shared, sizeof(SharedFamily) + length);
    if (offset == 0) {
        return NULL;
    }
    SharedFamily *family = (SharedFamily *)(shared->base + offset);
    family->mark = FAMILY_MARK;
    family->words = words;
    family->aggregate = aggregate;
    family->length = length;
    family->hash = text_hash(text, length);
    memcpy(family->text, text, length);
    atomic_store(&family->registered, 1);
    step(shared);
    atomic_store(link, offset);
    return family;
}

/* What a dead process told of a maximum or minimum goes on to count: into the one slot that keeps such. */
static void
slot_retire(Shared *shared, SharedFamily *family, Slot *slot)
{
    double value = cell_get(&slot->cells[0]);
    Slot *kept = slot_find(shared, family, RETIRED, slot_text(family, slot), slot->length);
    if (kept == NULL) {
        kept = slot_make(shared, family, RETIRED, slot_text(family, slot), slot->length);
    }
    if (kept != NULL) {
        if (atomic_load(&kept->state) == DEAD) {
            cell_set(&kept->cells[0], value);
            kept->created = slot->created;
            atomic_store(&kept->state, LIVE);
        }
        else if (family->aggregate == MAX_OF) {
            cell_raise(&kept->cells[0], value);
        }
        else {
            cell_lower(&kept->cells[0], value);
        }
    }
}

void
place_clear(Shared *shared, uint32_t index)
{
    uint64_t families = most_slots(shared);
    for (uint64_t at = atomic_load(&shared->header->families); at != 0 && families-- > 0;) {
        SharedFamily *family = family_at(shared, at);
        if (family == NULL) {
            return;
        }
        uint64_t left = most_slots(shared), next = atomic_load(&family->first);
        for (Slot *slot; next != 0 && left-- > 0 && (slot = slot_at(shared, family, next)) != NULL; next = next_slot(shared, slot)) {
            if (atomic_load(&slot->owner) == index && atomic_load(&slot->state) == LIVE) {
                if (family->aggregate == MAX_OF || family->aggregate == MIN_OF) {
                    slot_retire(shared, family, slot);
                }
                step(shared);
                atomic_store(&slot->state, DEAD);
                atomic_fetch_add(&family->version, 1);
            }
            slot_let_go(slot, index);
        }
        at = next_family(shared, family);
    }
}

void
place_copy(Shared *shared, uint32_t from, uint32_t to)
{
    SharedFamily *family;
    for (uint64_t at = atomic_load(&shared->header->families); at != 0 && (family = family_at(shared, at)) != NULL;
         at = next_family(shared, family)) {
        uint64_t next = atomic_load(&family->first);
        for (Slot *slot; next != 0 && (slot = slot_at(shared, family, next)) != NULL; next = next_slot(shared, slot)) {
            if (slot_is_held(slot, from)) {
                slot_hold(slot, to);
            }
        }
    }
}
