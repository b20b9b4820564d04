/* What is counted, as rows: the JSON summary and the metrics come from them. */
#include <errno.h>
#include <stddef.h>

#include "collector/run/summary.h"
#include "common/base/clock.h"

#define P        "flowpair_collector_"
#define AT(what) .offset = offsetof(struct summary, what)

static const char *
refusal_name(unsigned i)
{
	return i == TLS_REFUSED_NONE ? NULL : tls_refusal_name(i);
}

static const char *
end_name(unsigned i)
{
	return peers_end_name(i);
}

static const char *
drop_name(unsigned i)
{
	return session_drop_name(i);
}

const struct metrics_row summary_live_rows[] = {
    {"connections", P "connections_total", "Connections that were accepted.",
	METRICS_COUNTER, AT(listener.accepted)},
    {NULL, P "peers", "Connections that are there now.", METRICS_GAUGE,
	AT(listener.peers)},
    {"refused", P "refused_total", "Peers that were refused, or sent away, by reason.",
	METRICS_COUNTER, AT(listener.refused), TLS_REFUSALS, "reason", refusal_name},
    {"refused", P "refused_total", NULL, METRICS_COUNTER, AT(listener.ended),
	PEERS_ENDS, "reason", end_name},
    {NULL, P "received_messages_total", "Messages that were received.", METRICS_COUNTER,
	AT(listener.messages)},
    {NULL, P "received_bytes_total", "Bytes that were received.", METRICS_COUNTER,
	AT(listener.bytes)},
    {"journal_end", P "journal_position_bytes_total",
	"Bytes that were ever written to the journal.", METRICS_COUNTER,
	AT(journal_bytes)},
    {"replayed", P "replayed_messages_total",
	"Messages that came out of the journal at the start.", METRICS_COUNTER,
	AT(process.replayed)},
    {"quarantined", P "quarantined_messages_total",
	"Messages that crashed the collector twice.", METRICS_COUNTER,
	AT(process.quarantined)},
};
const unsigned summary_live_row_count =
    sizeof summary_live_rows / sizeof *summary_live_rows;

const struct metrics_row summary_rows[] = {
    {"sessions", P "sessions_total", "Sessions that began.", METRICS_COUNTER,
	AT(process.sessions)},
    {"messages", P "messages_total", "Messages that were processed.", METRICS_COUNTER,
	AT(process.messages)},
    {"octets", P "octets_total", "Octets of these messages.", METRICS_COUNTER,
	AT(process.octets)},
    {"templates", P "templates_total", "Template records.", METRICS_COUNTER,
	AT(process.templates)},
    {"records", P "records_total", "Data records.", METRICS_COUNTER,
	AT(process.records)},
    {"option_records", P "option_records_total", "Options data records.",
	METRICS_COUNTER, AT(process.options)},
    {"counter_samples", P "counter_samples_total",
	"Samples of counters that sFlow agents sent, which are not read.",
	METRICS_COUNTER, AT(process.counter_samples)},
    {"lost", P "lost_total", "What sequence numbers say is missing.", METRICS_COUNTER,
	AT(process.lost)},
    {"reordered", P "reordered_messages_total", "Messages that came late.",
	METRICS_COUNTER, AT(process.reordered)},
    {"dropped", P "dropped_total",
	"Messages, sets, templates, samples or lists that were not stored, by reason.",
	METRICS_COUNTER, AT(process.dropped), SESSION_DROPS, "reason", drop_name},
    {"held", P "held_sets", "Data sets that wait for their template.", METRICS_GAUGE,
	AT(process.held)},
    {"rows", P "rows_total", "Rows that records made in tables.", METRICS_COUNTER,
	AT(tables.rows)},
    {"unused", P "unused_records_total",
	"Records whose templates have nothing that tables are made of.",
	METRICS_COUNTER, AT(tables.unused)},
    {"filtered", P "filtered_records_total", "Records that a table left out.",
	METRICS_COUNTER, AT(tables.filtered)},
    {"late", P "late_records_total", "Records filed under their arrival: too old.",
	METRICS_COUNTER, AT(tables.late)},
    {"early", P "early_records_total",
	"Records filed under their arrival: of the future.", METRICS_COUNTER,
	AT(tables.early)},
    {"undated", P "undated_records_total",
	"Records filed under their arrival: without a time.", METRICS_COUNTER,
	AT(tables.undated)},
    {"stitched", P "stitched_flows_total", "Biflows made of two one-way flows.",
	METRICS_COUNTER, AT(tables.stitched.pairs)},
    {"unstitched_alone", P "unstitched_alone_total",
	"One-way flows that had no partner within their window.", METRICS_COUNTER,
	AT(tables.stitched.alone)},
    {"unstitched_full", P "unstitched_full_total",
	"One-way flows stored at once because too many waited.", METRICS_COUNTER,
	AT(tables.stitched.evicted)},
    {"unstitched_waiting", P "unstitched_waiting",
	"One-way flows that wait for their other direction.", METRICS_GAUGE,
	AT(tables.stitched.waiting)},
    {"saturated", P "saturated_sums_total", "Sums that reached their limit.",
	METRICS_COUNTER, AT(tables.saturated)},
    {"flushes", P "flushes_total", "Times that tables were stored.", METRICS_COUNTER,
	AT(tables.flushes)},
    {"rows_stored", P "stored_rows_total", "Rows that were stored.", METRICS_COUNTER,
	AT(tables.rows_written)},
    {NULL, P "memory_bytes", "Memory of the process, at its highest.", METRICS_GAUGE,
	AT(memory_bytes)},
};
const unsigned summary_row_count = sizeof summary_rows / sizeof *summary_rows;

static const struct metrics_row udp_rows[] = {
#define U(what) .offset = offsetof(struct udp_listener_counts, what)
    {NULL, P "udp_datagrams_total", "Datagrams that were received.", METRICS_COUNTER,
	U(datagrams)},
    {NULL, P "udp_kernel_drops_total",
	"Datagrams that the kernel's buffer had no room for.", METRICS_COUNTER,
	U(kernel_drops)},
    {NULL, P "udp_not_ipfix_total", "Datagrams that are no flow records.",
	METRICS_COUNTER, U(not_ipfix)},
    {NULL, P "udp_not_permitted_total",
	"Datagrams of addresses that are not permitted.", METRICS_COUNTER,
	U(not_permitted)},
    {NULL, P "udp_sources_total", "Sessions of datagrams.", METRICS_COUNTER,
	U(sources)},
#undef U
};

static void
add_udp(struct metrics *m, const struct summary *s)
{
	for (unsigned i = 0; i < sizeof udp_rows / sizeof *udp_rows; i++) {
		const struct metrics_row *row = &udp_rows[i];
		if (s->udp_count > 0) {
			metrics_family(m, row->name, row->kind, row->help);
		}
		for (unsigned k = 0; k < s->udp_count; k++) {
			const char *counts = (const char *)&s->udp[k].counts;
			metrics_add(m, "listener", s->udp[k].uri,
			    *(const uint64_t *)(const void *)(counts + row->offset));
		}
	}
}

int
summary_write_metrics(const struct summary *s, const char *path, struct err *e)
{
	struct metrics *m = NULL;
	int rc = metrics_open(path, &m, e);

	if (rc < 0) {
		return rc;
	}
	if (s->is_live) {
		metrics_add_rows(m, summary_live_rows, summary_live_row_count, s);
		add_udp(m, s);
	}
	metrics_add_rows(m, summary_rows, summary_row_count, s);
	metrics_family(m, P "cpu_seconds_total", METRICS_COUNTER,
	    "Processor time of the process.");
	metrics_add_seconds(m, s->cpu_ns);
	tls_expiry_add(&s->expiry, m);
	return metrics_close(m, e);
}
