/* Whole flow traces. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "exporter/trace/trace_csv.h"
#include "tests/fuzz/support_memory_file.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length);

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
	struct flow_record r;
	struct trace_counts counts;
	struct trace *t;
	struct err e;
	uint64_t rows = 0;

	if (trace_open(memory_file(bytes, length), 1000000, &t, &e) < 0) {
		return 0;
	}
	while (trace_next(t, &r, &e) > 0) {
		if (r.end_ns < r.start_ns || !r.is_trace) {
			abort();
		}
		rows++;
	}
	trace_counts(t, &counts);
	if (counts.rows != rows) {
		abort();
	}
	trace_close(t);
	return 0;
}
