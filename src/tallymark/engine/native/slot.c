#include "slot.h"

#define SLOT_MARK 0x544f4c53u
#define TEXT_STEP 32u /* the space for a slot's text is a multiple of this, so that another's may fit later */
#define MOST_TEXT (1u << 20)
#define MOST_LINKS 4096 /* of a chain: about twenty if the memory is full. A damaged one may lead in circles */
#define SOME 64 /* how many slots to check for a free one before making a new one: few, so that making stays cheap */

/* Slots in their family's order */

static uint64_t
slot_size(const SharedFamily *family, uint32_t space)
{
    return sizeof(Slot) + family->words * sizeof(Cell) + space;
}

static Slot *
slot_at(Shared *shared, const SharedFamily *family, uint64_t offset)
{
    Slot *slot = shared_at(shared, offset, sizeof *slot);
    if (slot == NULL || slot->mark != SLOT_MARK || slot->space > MOST_TEXT || slot->length > slot->space
        || slot->family != offset_in(shared, family) || shared_at(shared, offset, slot_size(family, slot->space)) == NULL) {
        return NULL;
    }
    return slot;
}

Slot *
first_slot(Shared *shared, const SharedFamily *family)
{
    return slot_at(shared, family, atomic_load(&family->first));
}

Slot *
next_slot(Shared *shared, const SharedFamily *family, const Slot *slot)
{
    return slot_at(shared, family, further(shared, slot, atomic_load(&slot->next)));
}

/* Slots by their texts: each is in one chain, with others of any family */

static uint64_t
slot_hash(const Shared *shared, const SharedFamily *family, const char *text, uint32_t length)
{
    return text_hash(text, length) ^ (offset_in(shared, family) * UINT64_C(0x9e3779b97f4a7c15));
}

int64_t
slot_read_text(const Shared *shared, const SharedFamily *family, const Slot *slot, char *text, uint32_t space)
{
    uint32_t length = slot->length;
    if (length > space || length > slot->space) {
        return -1;
    }
    memcpy(text, slot_text(family, slot), length);
    return slot->hash == slot_hash(shared, family, text, length) ? (int64_t)length : -1;
}

PyObject *
slot_copy_text(Shared *shared, const SharedFamily *family, const Slot *slot)
{
    uint32_t length = slot->length;
    PyObject *text = length > slot->space ? Py_NewRef(Py_None) : PyBytes_FromStringAndSize(slot_text(family, slot), length);
    if (text != NULL && text != Py_None && slot->hash != slot_hash(shared, family, PyBytes_AS_STRING(text), length)) {
        Py_SETREF(text, Py_NewRef(Py_None));
    }
    return text;
}

static int
is_slot(const SharedFamily *family, const Slot *slot, uint32_t owner, const char *text, uint32_t length)
{
    int is_whose = owner == ANYONE ? slot_is_live(slot) : atomic_load(&slot->owner) == owner;
    return is_whose && slot->length == length && memcmp(slot_text(family, slot), text, length) == 0;
}

/* Return the slot, of any family, that a link of a chain leads to; NULL at the end, and at a damaged one. */
static Slot *
linked(Shared *shared, _Atomic uint64_t *link)
{
    uint64_t offset = atomic_load(link);
    Slot *slot = offset == 0 ? NULL : shared_at(shared, offset, sizeof *slot);
    return slot != NULL && slot->mark == SLOT_MARK ? slot : NULL;
}

/* Find the first slot with a text, from a link of its chain on. */
static Slot *
find_from(Shared *shared, SharedFamily *family, _Atomic uint64_t *link, uint32_t owner, const char *text, uint32_t length)
{
    uint64_t hash = slot_hash(shared, family, text, length);
    Slot *any = linked(shared, link);
    for (int i = 0; any != NULL && i < MOST_LINKS; any = linked(shared, &any->chain), i++) {
        if (any->hash == hash && any->family == offset_in(shared, family)) {
            Slot *slot = slot_at(shared, family, offset_in(shared, any));
            if (slot != NULL && is_slot(family, slot, owner, text, length)) {
                return slot;
            }
        }
    }
    return NULL;
}

Slot *
slot_find(Shared *shared, SharedFamily *family, uint32_t owner, const char *text, uint32_t length)
{
    return find_from(shared, family, chain_of(shared, slot_hash(shared, family, text, length)), owner, text, length);
}

/* Return 1 if a chain must not grow, so that every slot in it is found. Only tags chosen to collide can fill one. */
static int
chain_is_full(Shared *shared, uint64_t hash)
{
    int links = 0;
    Slot *any = linked(shared, chain_of(shared, hash));
    for (; any != NULL && links < MOST_LINKS; any = linked(shared, &any->chain)) {
        links++;
    }
    return links == MOST_LINKS;
}

static void
chain_remove(Shared *shared, Slot *slot)
{
    _Atomic uint64_t *link = chain_of(shared, slot->hash);
    Slot *any = linked(shared, link);
    for (int i = 0; any != NULL && i < MOST_LINKS; link = &any->chain, any = linked(shared, link), i++) {
        if (any == slot) {
            atomic_store(link, atomic_load(&slot->chain));
            return;
        }
    }
}

/* Let a slot be found by its tags. This comes last: a process that finds it may make it live. */
static void
chain_add(Shared *shared, Slot *slot)
{
    _Atomic uint64_t *head = chain_of(shared, slot->hash);
    atomic_store(&slot->chain, atomic_load(head));
    step(shared);
    atomic_store(head, offset_in(shared, slot));
    step(shared);
}

/* Making */

/* Write the tags of a new slot, or of a dead one that nobody holds. It stays dead. */
static void
slot_write(Shared *shared, SharedFamily *family, Slot *slot, uint32_t owner, const char *text, uint32_t length)
{
    memmove(slot_text(family, slot), text, length);
    step(shared);
    slot->length = length;
    slot->hash = slot_hash(shared, family, text, length);
    atomic_store(&slot->owner, owner);
    step(shared);
}

static int
is_free(const Slot *slot, uint32_t length)
{
    uint64_t held = 0;
    for (uint32_t i = 0; i < PLACE_WORDS; i++) {
        held |= atomic_load(&slot->holders[i]);
    }
    return held == 0 && atomic_load(&slot->state) == DEAD && slot->space >= length;
}

/* Find a free slot with space for a text, else NULL. Check up to `most` slots, each once, from where the last search ended. */
static Slot *
slot_reuse(Shared *shared, SharedFamily *family, uint32_t length, uint64_t most)
{
    Slot *slot = slot_at(shared, family, atomic_load(&family->cursor)), *found = NULL;
    for (int rounds = 0; found == NULL && most-- > 0;) {
        if (slot == NULL && (rounds++ > 0 || (slot = first_slot(shared, family)) == NULL)) {
            break;
        }
        found = is_free(slot, length) ? slot : NULL;
        slot = next_slot(shared, family, slot);
    }
    atomic_store(&family->cursor, slot == NULL ? 0 : offset_in(shared, slot));
    return found;
}

static Slot *
slot_append(Shared *shared, SharedFamily *family, uint32_t owner, const char *text, uint32_t length)
{
    uint32_t space = (length + TEXT_STEP) / TEXT_STEP * TEXT_STEP;
    Slot *last = slot_at(shared, family, atomic_load(&family->last)); /* a killed process may not have updated it */
    Slot *after = last == NULL ? first_slot(shared, family) : next_slot(shared, family, last);
    for (; after != NULL; after = next_slot(shared, family, last)) {
        last = after;
    }
    if (atomic_load(last == NULL ? &family->first : &last->next) != 0) { /* to a damaged slot: keep what follows */
        return NULL;
    }
    uint64_t offset = length > MOST_TEXT - TEXT_STEP ? 0 : shared_take(shared, slot_size(family, space));
    if (offset == 0) {
        return NULL;
    }
    Slot *slot = (Slot *)(shared->base + offset);
    slot->mark = SLOT_MARK;
    slot->space = space;
    slot->family = offset_in(shared, family);
    step(shared);
    slot_write(shared, family, slot, owner, text, length);
    atomic_store(last == NULL ? &family->first : &last->next, offset);
    step(shared);
    atomic_store(&family->last, offset);
    step(shared);
    chain_add(shared, slot);
    return slot;
}

/* If there is no space for a new slot, check all; but not again while none has become free since. */
static Slot *
slot_search(Shared *shared, SharedFamily *family, uint32_t length)
{
    if (atomic_load(&family->version) == atomic_load(&family->searched)) {
        return NULL;
    }
    places_bury(shared);
    Slot *slot = slot_reuse(shared, family, length, UINT64_MAX);
    if (slot == NULL) {
        atomic_store(&family->searched, atomic_load(&family->version));
    }
    return slot;
}

Slot *
slot_make(Shared *shared, SharedFamily *family, uint32_t owner, const char *text, uint32_t length)
{
    if (chain_is_full(shared, slot_hash(shared, family, text, length))) {
        return NULL;
    }
    int any_died = atomic_load(&family->version) != 0;
    Slot *slot = any_died ? slot_reuse(shared, family, length, SOME) : NULL;
    if (slot == NULL) {
        Slot *made = slot_append(shared, family, owner, text, length);
        if (made != NULL) {
            return made;
        }
        slot = slot_search(shared, family, length);
    }
    if (slot != NULL) {
        chain_remove(shared, slot);
        step(shared);
        slot_write(shared, family, slot, owner, text, length);
        chain_add(shared, slot);
    }
    return slot;
}

/* Living and dying */

static int
is_known(Shared *shared, SharedFamily *family, const Slot *slot)
{
    return slot_find(shared, family, ANYONE, slot_text(family, slot), slot->length) != NULL;
}

int
slot_counts(Shared *shared, SharedFamily *family, const Slot *slot)
{
    return slot_is_live(slot) && !slot->kept
           && (atomic_load(&slot->owner) == NOBODY
               || slot_find(shared, family, ANYONE, slot_text(family, slot), slot->length) == slot);
}

void
slot_enliven(Shared *shared, SharedFamily *family, Slot *slot, uint32_t kept, double created)
{
    slot->created = created;
    slot->kept = kept;
    step(shared);
    if (!kept && !is_known(shared, family, slot)) {
        atomic_fetch_add(&family->live, 1);
    }
    step(shared);
    slot_hold(slot, shared->index);
    step(shared);
    atomic_store(&slot->state, LIVE);
    step(shared);
}

void
slot_kill(Shared *shared, SharedFamily *family, Slot *slot)
{
    if (slot_is_live(slot)) {
        step(shared);
        atomic_store(&slot->state, DEAD);
        step(shared);
        slot_died(shared, family, slot);
    }
}

void
slot_died(Shared *shared, SharedFamily *family, Slot *slot)
{
    if (!slot->kept && !is_known(shared, family, slot) && atomic_load(&family->live) > 0) {
        atomic_fetch_sub(&family->live, 1);
    }
    step(shared);
    atomic_fetch_add(&family->version, 1);
}

uint32_t
slots_kill(Shared *shared, SharedFamily *family, const char *text, uint32_t length)
{
    uint32_t killed = 0;
    for (Slot *slot; (slot = slot_find(shared, family, ANYONE, text, length)) != NULL; killed++) {
        slot_kill(shared, family, slot);
    }
    return killed;
}

uint64_t
slots_mark(Shared *shared, SharedFamily *family, const char *text, uint32_t length)
{
    uint64_t mark = 0;
    Slot *slot = slot_find(shared, family, ANYONE, text, length);
    for (int i = 0; slot != NULL && i < MOST_LINKS; slot = find_from(shared, family, &slot->chain, ANYONE, text, length), i++) {
        mark += cell_count(&slot->cells[0]);
    }
    return mark;
}

/* Merge a dead process' value into the series' RETIRED slot; if it has none, retire this slot itself, which needs no space. */
static void
slot_retire(Shared *shared, SharedFamily *family, Slot *slot)
{
    double value = cell_get(&slot->cells[0]);
    Slot *kept = slot_find(shared, family, RETIRED, slot_text(family, slot), slot->length);
    if (kept == NULL) {
        atomic_store(&slot->owner, RETIRED);
        return;
    }
    if (!slot_is_live(kept)) {
        cell_set(&kept->cells[0], value);
        kept->created = slot->created;
        step(shared);
        atomic_store(&kept->state, LIVE);
    }
    else if (family->aggregate == MAX_OF) {
        cell_raise(&kept->cells[0], value);
    }
    else {
        cell_lower(&kept->cells[0], value);
    }
    slot_kill(shared, family, slot);
}

void
slot_end_share(Shared *shared, SharedFamily *family, Slot *slot)
{
    if (family->aggregate == MAX_OF || family->aggregate == MIN_OF) {
        slot_retire(shared, family, slot);
    }
    else {
        slot_kill(shared, family, slot);
    }
}
