/* Files as sources: files of messages (IPFIX, RFC 5655; also NetFlow v9 and v5
 * datagrams back to back) and captures of exports (pcap, pcapng: IPFIX, NetFlow v9 and
 * v5, sFlow v5 over UDP; each sender its own session).
 *
 * The SHA-256 of its unpacked content identifies a file, so a second import of the same
 * content adds nothing, and an interrupted one continues where the store stands.  A file
 * that begins with content imported before has grown: only what follows is imported.
 * Positions: bytes of a file of messages; bytes of UDP payload taken from a capture.
 * Threads: main. */
#ifndef COLLECTOR_IMPORT_IMPORT_H
#define COLLECTOR_IMPORT_IMPORT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "collector/process/process.h"
#include "common/base/err.h"

enum import_skip {         /* what is not a message, by reason */
	IMPORT_LEADING,    /* bytes before the first message */
	IMPORT_TRAILING,   /* bytes after the last: zeros, or a message cut short */
	IMPORT_NOT_UDP,    /* packets of a capture */
	IMPORT_NOT_EXPORT, /* UDP datagrams of something else */
	IMPORT_CUT,        /* packets of which the capture kept only the beginning */
	IMPORT_MALFORMED,  /* packets */
	IMPORT_PIECES,     /* datagrams whose other fragments are missing */
	IMPORT_SKIPS,
};
const char *import_skip_name(enum import_skip s); /* "not-udp" */
const char *import_skip_unit(enum import_skip s); /* "packets" */

struct import_counts {
	uint64_t bytes; /* of messages */
	uint64_t skipped[IMPORT_SKIPS];
	bool is_already;  /* the store had all of it; nothing else is counted */
	uint64_t known;   /* bytes at its beginning that were imported before */
	uint64_t changed; /* bytes imported under its name before that it does not
			     begin with; 0: none */
	struct process_counts process;
};

struct import_settings {
	struct process_settings process;
	const atomic_bool *is_stopped; /* ends the import between messages */
	bool is_by_address;  /* of a capture: all ports of an address are one sender */
	bool shows_progress; /* on standard error */
};

/* 0; -EINTR: stopped; else negative: what came before is counted and committed all the
 * same, unless the store failed. */
int import_file(const char *path, const struct import_settings *s,
    struct import_counts *ret, struct err *e);

#endif
