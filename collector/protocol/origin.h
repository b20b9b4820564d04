/* Where records came from: sessions know it, rows are made with it.
 * Threads: the processing thread. */
#ifndef COLLECTOR_PROTOCOL_ORIGIN_H
#define COLLECTOR_PROTOCOL_ORIGIN_H

#include <stdbool.h>
#include <stdint.h>

#include "collector/protocol/protocol.h"

struct sampling;
struct templates;

/* What happened to structured data (RFC 6313) in records that are kept. */
struct structured_data_counts {
	uint64_t malformed;   /* lists */
	uint64_t no_template; /* lists, and parts of multi-lists */
	uint64_t cut;         /* texts that do not have all of their lists */
};

/* Strings are valid during the call. */
struct origin {
	/* Identity, else the peer's address without port (of sFlow "AGENT via ADDRESS"
	 * where they differ), else the file's name. */
	const char *exporter;
	uint32_t domain;
	uint64_t arrival_ns;
	uint64_t position; /* of the message */
	struct protocol_clock clock;
	const struct sampling *sampling; /* of the domain; NULL: nothing is known */
	/* What lists in records refer to: templates of the domain, those that came
	 * before have expired; and where such lists are counted.  NULL: neither. */
	const struct templates *templates;
	uint64_t templates_since_ns;
	struct structured_data_counts *lists;
	uint64_t *no_memory; /* where records are counted that memory is short for */
	bool is_live;        /* records far from their arrival are filed under it */
	/* By its certificate: it may send records of any age, as an exporter does that
	 * reads old captures. */
	bool is_proved;
};

#endif
