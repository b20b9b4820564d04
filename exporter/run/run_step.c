/* What the input loops do between two chunks. */
#include "common/base/clock.h"
#include "exporter/run/run.h"
#include "exporter/run/run_private.h"
#include "exporter/run/signals.h"

int
run_open_file(struct run *r, unsigned i, struct err *e)
{
	struct capture_settings s = {.filter = r->o->filter};
	int rc = capture_open_file(r->o->files.items[i], &s, &r->open[0], e);

	if (rc == 0) {
		pipeline_set_capture(r->pipelines[0], r->open[0]);
	}
	return rc;
}

void
run_close_file(struct run *r, unsigned i)
{
	if (r->open[0] != NULL) {
		capture_counts(r->open[0], &r->captures[i].counts);
		capture_close(r->open[0]);
		r->open[0] = NULL;
	}
}

uint64_t
run_packets_read(const struct run *r)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < r->pipeline_count; i++) {
		struct pipeline_counts c;
		pipeline_counts(r->pipelines[i], &c);
		sum += c.read;
	}
	return sum;
}

bool
run_is_stopped(const struct run *r)
{
	return signals_stop_asked() || run_is_over(r);
}

void
run_send_statistics(struct run *r)
{
	struct summary s;
	struct export_statistics x = {.first_ns = r->begin_wall_ns};

	run_summary(r, &s);
	x.packets = s.packets_read;
	x.octets = s.conversations.octets;
	for (unsigned i = 0; i < s.delivery_count; i++) {
		x.not_sent_records += s.deliveries[i].counts.dropped_records;
	}
	x.dropped_packets = s.dropped[PACKET_TABLE_FULL];
	for (unsigned i = 0; i < s.capture_count; i++) {
		x.dropped_packets += s.captures[i].counts.kernel_dropped +
				     s.captures[i].counts.interface_dropped;
	}
	for (unsigned i = PACKET_KEPT + 1; i < PACKET_DROPS; i++) {
		x.ignored_packets += i == PACKET_TABLE_FULL ? 0 : s.dropped[i];
	}
	export_statistics(r->export, &x, r->now_ns);
}

void
run_statistics(struct run *r, uint64_t input_ns)
{
	if (r->o->statistics_ns == 0 || input_ns < r->statistics_ns) {
		return;
	}
	if (r->statistics_ns != 0) {
		run_send_statistics(r);
	}
	r->statistics_ns = input_ns + r->o->statistics_ns;
}

void
run_each_second(struct run *r, uint64_t now_ns, uint64_t input_ns)
{
	if (now_ns - r->second_ns < NS_PER_SECOND) {
		return;
	}
	r->second_ns = now_ns;
	run_statistics(r, input_ns);
	run_metrics(r);
	export_flush(r->export, r->now_ns);
}
