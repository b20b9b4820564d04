/* What waits for its other direction, in the main file of the store: table
 * flowpair_waiting.  Written in the transaction that ends a flush, so that it is what
 * waited at the very position of the catalog; read when a source goes on from there.
 * Threads: the processing thread. */
#ifndef COLLECTOR_STORE_STORE_WAITING_H
#define COLLECTOR_STORE_STORE_WAITING_H

#include "collector/store/store_private.h"

/* Makes the table where it is missing. */
int store_waiting_prepare(struct database *d, struct err *e);
/* Inside the transaction of the main file.  forget: the source has ended. */
int store_waiting_write(struct store *s, const struct source_id *source, struct err *e);
int store_waiting_forget(
    struct store *s, const struct source_id *source, struct err *e);

#endif
