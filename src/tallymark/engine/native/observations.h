/* Distributions as observations with sample rates. As `tallymark.export.statsd_distributions`, which tells the rules. */
#ifndef TALLYMARK_OBSERVATIONS_H
#define TALLYMARK_OBSERVATIONS_H

#include "difference.h"

#define MOST_OBSERVATIONS 512u /* buckets that are not empty; of exponential ones, no row has so many */

/* The buckets of a row that are not empty, ascending. */
typedef struct {
    uint32_t n;
    uint64_t counts[MOST_OBSERVATIONS];
    double low[MOST_OBSERVATIONS], high[MOST_OBSERVATIONS]; /* edges */
} Observations;

/* Find what stands for the observations of a row: then `low` has the values. 1; 0 if only Python can tell. */
int observations_of(const Rows *rows, const Difference *difference, const double *bounds, const Portion *portion, uint32_t row,
                    Observations *found);

#endif
