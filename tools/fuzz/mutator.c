/* Makes an input from another: whole changes of it, so that most make sense. */
#include "fuzz.h"

static uint64_t state = 1;

uint64_t
any(uint64_t n) /* xorshift64*, of Vigna, "An experimental exploration of Marsaglia's xorshift generators, scrambled", 2016 */
{
    state ^= state >> 12;
    state ^= state << 25;
    state ^= state >> 27;
    return (state * UINT64_C(0x2545f4914f6cdd1d) >> 32) % n;
}

void
any_from(uint64_t seed)
{
    state = seed + UINT64_C(0x9e3779b97f4a7c15);
    any(2);
}

size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t most);

static uint16_t
any_field(void)
{
    return (uint16_t)any(original->n_fields + (any(8) == 0 ? 256 : 0));
}

static Change
any_change(void)
{
    Change change = {any_field(), 0, (uint8_t)any(any(16) == 0 ? N_KINDS : RESIZE), 0, 0, any(UINT32_MAX)};
    change.trigger = any(4) > 0 ? change.field : any_field();
    change.distance = (int8_t)(any(2) ? 0 : (int64_t)any(any(4) ? 5 : 256) - 2);
    change.reads = (uint16_t)(any(2) ? 0 : 1 + any(any(4) ? 4 : 1000));
    if (n_read_fields > 0 && any(4) > 0) {
        change.field = change.trigger = read_fields[any(n_read_fields)];
        change.reads = (uint16_t)(1 + any(n_reads[change.field]));
    }
    return change;
}

static void
alter(Change *change)
{
    Change other = any_change();
    switch (any(6)) {
    case 0:
        change->reads = other.reads;
        break;
    case 1:
        change->trigger = other.trigger;
        break;
    case 2:
        change->distance = other.distance;
        break;
    case 3:
        change->value = any(2) ? other.value : change->value ^ (UINT64_C(1) << any(64));
        break;
    case 4:
        change->field = change->trigger = (uint16_t)(change->field + any(5) - 2);
        break;
    default:
        change->kind = other.kind;
    }
}

size_t
LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t most, unsigned seed)
{
    Scenario plan = {0, 0, {0}};
    Change list[MOST_CHANGES + 1];
    size_t n = size < sizeof plan ? 0 : (size - sizeof plan) / sizeof *list;
    any_from(seed);
    n = n < MOST_CHANGES ? n : MOST_CHANGES;
    memcpy(&plan, data, size < sizeof plan ? size : sizeof plan);
    memcpy(list, data + (n > 0 ? sizeof plan : 0), n * sizeof *list);
    original = &originals[plan.file % n_originals];
    uint64_t what = any(10);
    if (what == 0) {
        LLVMFuzzerMutate((uint8_t *)&plan, sizeof plan, sizeof plan);
    }
    else if (what == 1) {
        plan.steps[any(sizeof plan.steps)] = (uint8_t)any(any(2) ? 16 : 256);
    }
    else if (what < 5 || n == 0) {
        for (uint64_t more = 1 + any(3); more > 0; more--) {
            list[n < MOST_CHANGES ? n++ : any(n)] = any_change();
        }
    }
    else if (what == 5) {
        list[any(n)] = list[n - 1];
        n--;
    }
    else if (what == 6) {
        LLVMFuzzerMutate((uint8_t *)list, n * sizeof *list, n * sizeof *list);
    }
    else {
        alter(&list[any(n)]);
    }
    n = sizeof plan + n * sizeof *list <= most ? n : (most - sizeof plan) / sizeof *list;
    memcpy(data, &plan, sizeof plan);
    memcpy(data + sizeof plan, list, n * sizeof *list);
    return sizeof plan + n * sizeof *list;
}
