/* What --explain prints of the loaded schemas: how elements become fields and columns,
 * and the SQL of each table.  Threads: main. */
#ifndef COLLECTOR_RUN_RUN_EXPLAIN_H
#define COLLECTOR_RUN_RUN_EXPLAIN_H

#include <stdio.h>

#include "collector/tables/tables.h"

/* Human-readable: row layout, keys, reductions and the SQL of each table. */
void run_explain_tables(const struct tables *t, FILE *out);

#endif
