/* What a run did: for people as aligned text, for programs as one JSON object. */
#ifndef EXPORTER_RUN_SUMMARY_H
#define EXPORTER_RUN_SUMMARY_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "common/capture/capture.h"
#include "common/tls/tls_expiry.h"
#include "exporter/conversation/conversation.h"
#include "exporter/decode/packet.h"
#include "exporter/sender/sender.h"
#include "exporter/trace/trace_csv.h"

struct summary_capture {
	const char *name;
	struct capture_counts counts;
};

struct summary_delivery {
	const char *to;
	struct sender_counts counts;
};

struct summary {
	bool is_trace;    /* the input is a flow trace, not packets */
	bool is_delivery; /* --deliver-only: no input */
	uint64_t packets_read, dropped[PACKET_DROPS];
	struct conversations_counts conversations; /* of all tables together */
	struct trace_counts trace;
	struct summary_capture *captures;
	unsigned capture_count;
	uint64_t records;                    /* handed to the sender */
	struct summary_delivery *deliveries; /* to each collector that got everything */
	unsigned delivery_count;
	struct tls_expiry expiry;
	uint64_t cpu_ns, wall_ns, memory_bytes; /* memory: at its highest */
};

void summary_print_text(const struct summary *s, FILE *out);
void summary_print_json(const struct summary *s, FILE *out);
/* 0, or negative with the sentence. */
int summary_write_metrics(const struct summary *s, const char *path, struct err *e);

/* The counts of a spool; name: its directory. */
void summary_print_spool(
    const char *name, const struct spool_counts *c, bool is_json, FILE *out);

#endif
