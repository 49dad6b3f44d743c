/* The arithmetic is that of the Python code, operation by operation, so that the values are the same doubles. */
#include "observations.h"

#include "exponential_index.h"

static void
add(Observations *found, uint64_t count, double low, double high)
{
    if (count > 0) {
        found->counts[found->n] = count;
        found->low[found->n] = low;
        found->high[found->n++] = high;
    }
}

/* Add the buckets of a row with explicit bounds: 1; 0 if there are too many. */
static int
add_bounded(const Rows *rows, const Bounded *row, const double *bounds, Observations *found)
{
    for (uint32_t i = 0; row->now != NULL && i <= rows->n_bounds; i++) {
        if (found->n == MOST_OBSERVATIONS) {
            return 0;
        }
        add(found, bounded_count(row, i), i == 0 ? -HUGE_VAL : bounds[i - 1], i == rows->n_bounds ? HUGE_VAL : bounds[i]);
    }
    return 1;
}

static void
add_spread(const Spread *row, Observations *found)
{
    double edge = exponential_bound(row->epoch, row->below.first + row->below.size - 1);
    for (uint32_t i = row->below.size; i-- > 0;) {
        double next = exponential_bound(row->epoch, row->below.first + i - 1);
        add(found, row->below.counts[i], -edge, -next);
        edge = next;
    }
    add(found, row->zeros, 0.0, 0.0);
    edge = exponential_bound(row->epoch, row->above.first - 1);
    for (uint32_t i = 0; i < row->above.size; i++) {
        double next = exponential_bound(row->epoch, row->above.first + i);
        add(found, row->above.counts[i], edge, next);
        edge = next;
    }
}

/* Narrow the edges of a bucket to what is known. Where nothing is, the first one starts at 0. */
static void
narrow(double *low, double *high, const Summed *summed)
{
    *low = summed->least > *low ? summed->least : *low;
    *high = summed->most < *high ? summed->most : *high;
    if (*low == -HUGE_VAL) {
        *low = *high < 0.0 ? *high : 0.0;
    }
    if (*high == HUGE_VAL) {
        *high = *low;
    }
    *high = *high > *low ? *high : *low;
}

/* The share of the way through the buckets at which values add up to the sum. */
static double
share_of(const Observations *found, double total)
{
    double lowest = 0.0, width = 0.0;
    for (uint32_t i = 0; i < found->n; i++) {
        double count = (double)found->counts[i], wide = found->high[i] - found->low[i];
        lowest += count * found->low[i];
        width += count * wide;
    }
    double share = width > 0.0 ? (total - lowest) / width : 0.5;
    if (share - share != 0.0) {
        return 0.5;
    }
    share = share < 0.0 ? 0.0 : share;
    return share > 1.0 ? 1.0 : share;
}

/* Have a value in place of each bucket: 1; 0 where the last one has no end, and so takes what is left of the sum. */
static int
place_values(Observations *found, const Summed *summed)
{
    if (found->n == 0) {
        return 1;
    }
    if (!(summed->most < HUGE_VAL) && found->high[found->n - 1] == HUGE_VAL) {
        return 0;
    }
    for (uint32_t i = 0; i < found->n; i++) {
        narrow(&found->low[i], &found->high[i], summed);
    }
    double share = share_of(found, summed->sum);
    for (uint32_t i = 0; i < found->n; i++) {
        double wide = found->high[i] - found->low[i];
        found->low[i] += share * wide;
    }
    return 1;
}

int
observations_of(const Rows *rows, const Difference *difference, const double *bounds, const Portion *portion, uint32_t row,
                Observations *found)
{
    found->n = 0;
    if (rows->is_exponential) {
        Spread spread;
        Space space;
        spread_read(rows, difference, portion, row, &space, &spread);
        add_spread(&spread, found);
        return place_values(found, &spread.summed);
    }
    Bounded bounded;
    bounded_read(rows, difference, portion, row, &bounded);
    return add_bounded(rows, &bounded, bounds, found) && place_values(found, &bounded.summed);
}
