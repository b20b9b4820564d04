/* The counters as rows, from which the JSON summary and the metrics are made. */
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
drop_label(unsigned i)
{
	return drop_name(i);
}

const struct metrics_row summary_live_rows[] = {
    {"connections", P "connections_total", "Connections accepted.", METRICS_COUNTER,
	AT(listener.accepted)},
    {NULL, P "peers", "Connections open now.", METRICS_GAUGE, AT(listener.peers)},
    {"refused", P "refused_total", "Peers refused or disconnected, by reason.",
	METRICS_COUNTER, AT(listener.refused), TLS_REFUSALS, "reason", refusal_name},
    {"refused", P "refused_total", NULL, METRICS_COUNTER, AT(listener.ended),
	PEERS_ENDS, "reason", end_name},
    {NULL, P "received_messages_total", "Messages received.", METRICS_COUNTER,
	AT(listener.messages)},
    {NULL, P "received_bytes_total", "Bytes received.", METRICS_COUNTER,
	AT(listener.bytes)},
    {"journal_end", P "journal_position_bytes_total",
	"Bytes written to the journal since it was created.", METRICS_COUNTER,
	AT(journal_bytes)},
    {"replayed", P "replayed_messages_total",
	"Messages replayed from the journal at start.", METRICS_COUNTER,
	AT(process.replayed)},
    {"quarantined", P "quarantined_messages_total",
	"Messages set aside because they crashed the collector twice.", METRICS_COUNTER,
	AT(process.quarantined)},
};
const unsigned summary_live_row_count =
    sizeof summary_live_rows / sizeof *summary_live_rows;

const struct metrics_row summary_rows[] = {
    {"sessions", P "sessions_total", "Sessions started.", METRICS_COUNTER,
	AT(process.sessions)},
    {"messages", P "messages_total", "Messages processed.", METRICS_COUNTER,
	AT(process.messages)},
    {"octets", P "octets_total", "Octets of processed messages.", METRICS_COUNTER,
	AT(process.octets)},
    {"templates", P "templates_total", "Template records received.", METRICS_COUNTER,
	AT(process.templates)},
    {"records", P "records_total", "Data records processed.", METRICS_COUNTER,
	AT(process.records)},
    {"option_records", P "option_records_total", "Options records processed.",
	METRICS_COUNTER, AT(process.options)},
    {"counter_samples", P "counter_samples_total",
	"Counter samples from sFlow agents, which are not read.", METRICS_COUNTER,
	AT(process.counter_samples)},
    {"lost", P "lost_total",
	"Records (NetFlow v9 and sFlow: messages) missing according to sequence "
	"numbers.",
	METRICS_COUNTER, AT(process.lost)},
    {"reordered", P "reordered_messages_total", "Messages that arrived out of order.",
	METRICS_COUNTER, AT(process.reordered)},
    {"dropped", P "dropped_total",
	"Messages, sets, templates, samples and lists not stored, by reason.",
	METRICS_COUNTER, AT(process.dropped), DROPS, "reason", drop_label},
    {"held", P "held_sets", "Data sets waiting for their template.", METRICS_GAUGE,
	AT(process.held)},
    {"rows", P "rows_total", "Rows made from records.", METRICS_COUNTER,
	AT(tables.rows)},
    {"unused", P "unused_records_total", "Records with no field that a table uses.",
	METRICS_COUNTER, AT(tables.unused)},
    {"filtered", P "filtered_records_total",
	"Records that the conditions of a table excluded.", METRICS_COUNTER,
	AT(tables.filtered)},
    {"late", P "late_records_total",
	"Records filed under their arrival time because they are too old.",
	METRICS_COUNTER, AT(tables.late)},
    {"early", P "early_records_total",
	"Records filed under their arrival time because they are in the future.",
	METRICS_COUNTER, AT(tables.early)},
    {"undated", P "undated_records_total",
	"Records filed under their arrival time because they have no time.",
	METRICS_COUNTER, AT(tables.undated)},
    {"stitched", P "stitched_flows_total", "Biflows made from two one-way flows.",
	METRICS_COUNTER, AT(tables.stitched.pairs)},
    {"unstitched_alone", P "unstitched_alone_total",
	"One-way flows without the other direction within the window.", METRICS_COUNTER,
	AT(tables.stitched.alone)},
    {"unstitched_full", P "unstitched_full_total",
	"One-way flows stored at once because max_waiting was reached.",
	METRICS_COUNTER, AT(tables.stitched.evicted)},
    {"unstitched_waiting", P "unstitched_waiting",
	"One-way flows waiting for the other direction.", METRICS_GAUGE,
	AT(tables.stitched.waiting)},
    {"dropped_rows", P "dropped_rows_total",
	"Rows dropped because their table was full or memory was short.",
	METRICS_COUNTER, AT(tables.dropped)},
    {"saturated", P "saturated_sums_total", "Sums that reached their limit.",
	METRICS_COUNTER, AT(tables.saturated)},
    {"flushes", P "flushes_total", "Flushes of the tables to the store.",
	METRICS_COUNTER, AT(tables.flushes)},
    {"rows_stored", P "stored_rows_total", "Rows stored.", METRICS_COUNTER,
	AT(tables.rows_written)},
    {NULL, P "memory_bytes", "Peak memory of the process.", METRICS_GAUGE,
	AT(memory_bytes)},
};
const unsigned summary_row_count = sizeof summary_rows / sizeof *summary_rows;

static const struct metrics_row udp_rows[] = {
#define U(what) .offset = offsetof(struct udp_listener_counts, what)
    {NULL, P "udp_datagrams_total", "Datagrams received.", METRICS_COUNTER,
	U(datagrams)},
    {NULL, P "udp_kernel_drops_total",
	"Datagrams dropped because the kernel's receive buffer was full.",
	METRICS_COUNTER, U(kernel_drops)},
    {NULL, P "udp_not_ipfix_total", "Datagrams refused because they are not flow data.",
	METRICS_COUNTER, U(not_ipfix)},
    {NULL, P "udp_not_permitted_total",
	"Datagrams refused because their address is not permitted.", METRICS_COUNTER,
	U(not_permitted)},
    {NULL, P "udp_sources_total", "Sessions over UDP.", METRICS_COUNTER, U(sources)},
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
	metrics_family(
	    m, P "cpu_seconds_total", METRICS_COUNTER, "CPU time of the process.");
	metrics_add_seconds(m, s->cpu_ns);
	tls_expiry_add(&s->expiry, m);
	return metrics_close(m, e);
}
