/* Where records came from: sessions know it, rows are made with it.
 * Threads: the processing thread. */
#ifndef COLLECTOR_PROTOCOL_ORIGIN_H
#define COLLECTOR_PROTOCOL_ORIGIN_H

#include <stdbool.h>
#include <stdint.h>

#include "collector/protocol/protocol.h"

struct sampling;
struct templates;

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
	/* What lists in records refer to: templates of the domain that came since this
	 * time; earlier ones have expired.  NULL: none. */
	const struct templates *templates;
	uint64_t templates_since_ns;
	/* DROPS counters for what is wrong with the records; NULL: none. */
	uint64_t *dropped;
	bool is_live; /* records far from their arrival are filed under it */
	/* By its certificate: it may send records of any age, as an exporter does that
	 * reads old captures. */
	bool is_proved;
};

#endif
