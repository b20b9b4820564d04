#include "common/base/clock.h"
#include "common/base/log.h"
#include "exporter/run/run_private.h"
#include "exporter/run/signals.h"

static void
look_up(struct run *r)
{
	uint64_t now_ns = clock_monotonic_ns();
	struct trace_counts c;

	r->now_ns = clock_realtime_ns();
	run_metrics(r);
	if (progress_is_due(&r->progress, now_ns)) {
		trace_counts(r->trace, &c);
		progress_draw(&r->progress,
		    &(struct progress_point){c.position, c.size, c.rows, "rows"},
		    now_ns);
	}
}

int
run_trace(struct run *r)
{
	struct flow_record record;
	struct err e;
	uint64_t rows = 0;
	int rc = 0;

	if (r->o->shared.progress != PROGRESS_NEVER) {
		progress_begin(&r->progress, r->o->shared.progress == PROGRESS_ALWAYS,
		    clock_monotonic_ns());
	}
	trace_set_wait(r->trace, run_await, r);
	while ((r->o->count == 0 || rows < r->o->count) &&
	       (rc = trace_next(r->trace, &record, &e)) > 0) {
		export_record(r->export, &record, r->now_ns);
		if (++rows % RUN_CHUNK == 0) {
			look_up(r);
			if (run_is_stopped(r)) {
				break;
			}
		}
	}
	progress_end(&r->progress);
	if (rc < 0 && !signals_stop_asked()) {
		log_error("%s", e.text);
		return rc;
	}
	return 0;
}
