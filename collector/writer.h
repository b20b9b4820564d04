/* Entries of a table as rows of SQLite: numbers, canonical texts, states.
 * Threads: the processing thread. */
#ifndef COLLECTOR_WRITER_H
#define COLLECTOR_WRITER_H

#include "collector/table.h"
#include "common/database.h"

struct writer;

/* The entries order[0..count); everything is borrowed.  NULL: no memory. */
struct writer *writer_new(const struct table *table, const struct intern *intern,
    const uint32_t *order, size_t count);
void writer_free(struct writer *w);
/* Writes them into the table that d has for them, in their order. */
int writer_write(struct writer *w, struct database *d, struct err *e);

#endif
