/* Flow traces as CSV (the columns of the net-trace example, in any order, by header
 * name): Source.IP Source.Port Destination.IP Destination.Port Protocol Timestamp
 * Flow.Duration Total.Fwd.Packets Total.Backward.Packets Total.Length.of.Fwd.Packets
 *   Total.Length.of.Bwd.Packets
 * Timestamp: DD/MM/YYYYhh:mm:ss, blank between allowed, 24 hours, UTC.  Flow.Duration:
 * unit by setting (the example's table calls it millis).  Lengths are payload octets.
 * Bad rows are counted by reason, with the first line number of each. */
#ifndef EXPORTER_TRACE_TRACE_CSV_H
#define EXPORTER_TRACE_TRACE_CSV_H

#include <stdint.h>

#include "common/base/err.h"
#include "common/capture/compressed.h"
#include "exporter/conversation/flow_record.h"

enum trace_bad {
	TRACE_BAD_COLUMNS,
	TRACE_BAD_ADDRESS,
	TRACE_BAD_PORT,
	TRACE_BAD_PROTOCOL,
	TRACE_BAD_TIME,
	TRACE_BAD_NUMBER,
	TRACE_BAD_TOO_LONG,
	TRACE_BADS,
};
const char *trace_bad_name(enum trace_bad b);

struct trace_counts {
	uint64_t rows; /* good ones */
	uint64_t bad[TRACE_BADS];
	uint64_t bad_line[TRACE_BADS]; /* first line number, from 1 (the header) */
	uint64_t position, size;
};

struct trace;
/* duration_ns: the unit of Flow.Duration. */
int trace_open(
    const char *path, uint64_t duration_ns, struct trace **ret, struct err *e);
/* As compressed_set_wait(). */
void trace_set_wait(struct trace *t, compressed_wait *wait, void *data);
/* 1: *ret filled; 0: end; negative: the file cannot be read further. */
int trace_next(struct trace *t, struct flow_record *ret, struct err *e);
void trace_counts(const struct trace *t, struct trace_counts *ret);
void trace_close(struct trace *t);

#endif
