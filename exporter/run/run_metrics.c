#include <sys/resource.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "exporter/run/run.h"
#include "exporter/run/run_private.h"

#define EVERY_NS (10 * NS_PER_SECOND)

static void
add_conversations(
    struct conversations_counts *sum, const struct conversations_counts *c)
{
	sum->packets += c->packets;
	sum->octets += c->octets;
	sum->created += c->created;
	sum->live += c->live;
	sum->peak += c->peak;
	sum->refused += c->refused;
	for (unsigned i = FLOW_END_IDLE; i <= FLOW_END_RESOURCES; i++) {
		sum->ended[i] += c->ended[i];
	}
}

void
run_summary(struct run *r, struct summary *ret)
{
	struct rusage usage;

	*ret = (struct summary){
	    .is_trace = r->trace != NULL,
	    .captures = r->captures,
	    .capture_count = r->capture_count,
	    .is_delivery = r->o->deliver_only,
	    .records = r->export == NULL ? 0 : export_records(r->export),
	    .deliveries = r->deliveries,
	    .delivery_count = r->sender_count,
	    .expiry = r->expiry,
	    .cpu_ns = clock_cpu_ns(),
	    .wall_ns = clock_monotonic_ns() - r->begin_ns,
	};
	for (unsigned i = 0; i < r->pipeline_count; i++) {
		struct pipeline_counts c;
		pipeline_counts(r->pipelines[i], &c);
		ret->packets_read += c.read;
		add_conversations(&ret->conversations, &c.conversations);
		for (unsigned j = 0; j < PACKET_DROPS; j++) {
			ret->dropped[j] += c.dropped[j];
		}
		if (options_is_live(r->o) && r->open[i] != NULL) {
			capture_counts(r->open[i], &r->captures[i].counts);
		}
	}
	if (r->trace != NULL) {
		trace_counts(r->trace, &ret->trace);
	}
	run_count_senders(r);
	if (getrusage(RUSAGE_SELF, &usage) == 0) {
		ret->memory_bytes = (uint64_t)usage.ru_maxrss * 1024;
	}
}

static void
look_at_certificates(struct run *r, uint64_t now_ns)
{
	const struct options *o = r->o;
	const struct tls_settings s = {.certificate = o->shared.certificate,
	    .key = o->shared.key,
	    .ca = o->shared.ca,
	    .crl = o->shared.crl};
	uint64_t now_s = clock_realtime_ns() / NS_PER_SECOND;
	bool may_warn = r->warned_ns == 0 || now_ns - r->warned_ns >= NS_PER_DAY;
	struct err e;

	tls_expiry_read(&s, &r->expiry);
	for (unsigned i = 0; may_warn && i < TLS_PAPERS; i++) {
		if (tls_expiry_warn(&s, &r->expiry, i, now_s, &e) < 0) {
			log_warning("%s", e.text);
		}
	}
	r->warned_ns = may_warn ? now_ns : r->warned_ns;
}

void
run_metrics(struct run *r)
{
	uint64_t now_ns = clock_monotonic_ns();
	struct summary s;
	struct err e;

	if (now_ns < r->metrics_ns) {
		return;
	}
	r->metrics_ns = now_ns + EVERY_NS;
	look_at_certificates(r, now_ns); /* the sender reads what is renewed */
	run_tell_twins(r);
	if (r->o->shared.metrics_file == NULL) {
		return;
	}
	run_summary(r, &s);
	if (summary_write_metrics(&s, r->o->shared.metrics_file, &e) == 0) {
		r->is_told_metrics = false;
	} else if (!r->is_told_metrics) {
		log_warning("%s; retrying", e.text);
		r->is_told_metrics = true;
	}
}
