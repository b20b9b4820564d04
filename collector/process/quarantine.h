/* Messages that crash the collector twice are set aside, so that a journal cannot keep
 * it from starting.  While a message is being processed its position stands in a file
 * that outlives the process; a fatal signal in that thread writes it down as crashed.
 * Being killed from outside (SIGKILL, SIGTERM) does not count.
 * DIR/crash: the record; DIR/quarantine/<position, 16 hex digits>.ipfix: the messages.
 * Threads: one, which called quarantine_new(); one of them per process. */
#ifndef COLLECTOR_PROCESS_QUARANTINE_H
#define COLLECTOR_PROCESS_QUARANTINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/err.h"

struct quarantine;

/* Takes over SIGSEGV, SIGBUS, SIGFPE, SIGILL and SIGABRT; what was there before is
 * called afterwards. */
int quarantine_new(const char *directory, struct quarantine **ret, struct err *e);
void quarantine_free(struct quarantine *q);

/* Around the processing of a message.  begin() says whether to skip it: QUARANTINE_NEW
 * when it is set aside now, QUARANTINE_KNOWN when it was before, else 0.  Negative: the
 * copy could not be written. */
enum { QUARANTINE_KNOWN = 1, QUARANTINE_NEW };
int quarantine_begin(struct quarantine *q, uint64_t position, const uint8_t *message,
    size_t length, struct err *e);
void quarantine_end(struct quarantine *q);
/* The processing thread is another one from here on: the caller's. */
void quarantine_adopt(struct quarantine *q);

#endif
