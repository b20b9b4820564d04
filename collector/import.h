/* Files as sources: IPFIX files (RFC 5655) and captures of exports (pcap, pcapng: IPFIX
 * over UDP; each sender its own session).  A file is identified by the SHA-256 of its
 * content, so a second import of the same content adds nothing, and an interrupted one
 * goes on where the store stands. */
#ifndef COLLECTOR_IMPORT_H
#define COLLECTOR_IMPORT_H

#include <stdint.h>

#include "collector/process.h"
#include "common/err.h"

struct import_counts {
	uint64_t bytes, messages, skipped_bytes; /* skipped: no IPFIX message there */
	int already;                             /* the store had all of it */
};

int import_file(const char *path, const struct process_settings *s,
    struct elements *elements, struct tables *tables, struct store *store,
    struct import_counts *ret, struct err *e);

#endif
