/* What a run did: as aligned text for people, as one JSON object for programs, and as
 * metrics. */
#ifndef COLLECTOR_RUN_SUMMARY_H
#define COLLECTOR_RUN_SUMMARY_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "collector/door/listener.h"
#include "collector/import/import.h"
#include "collector/process/process.h"
#include "collector/tables/tables.h"
#include "common/base/metrics.h"
#include "common/tls/tls_expiry.h"

struct summary_udp { /* a listener for datagrams */
	char uri[320];
	struct udp_listener_counts counts;
};

struct summary {
	bool is_live;
	unsigned files, files_already, files_continued, files_failed; /* imports */
	uint64_t bytes;                                               /* of messages */
	uint64_t skipped[IMPORT_SKIPS];
	struct listener_counts listener; /* live */
	struct summary_udp *udp;         /* owned by the run */
	unsigned udp_count;
	struct process_counts process;
	struct tables_counts tables;
	uint64_t journal_bytes;                 /* live: its end */
	struct tls_expiry expiry;               /* live */
	uint64_t cpu_ns, wall_ns, memory_bytes; /* memory: peak */
};

void summary_add_import(struct summary *s, const struct import_counts *c);
void summary_print_text(const struct summary *s, FILE *out);
void summary_print_json(const struct summary *s, FILE *out);
/* 0, or negative with the sentence. */
int summary_write_metrics(const struct summary *s, const char *path, struct err *e);

/* The counters: of live runs, and of all. */
extern const struct metrics_row summary_live_rows[], summary_rows[];
extern const unsigned summary_live_row_count, summary_row_count;

#endif
