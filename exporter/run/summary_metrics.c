#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "common/base/metrics.h"
#include "exporter/run/summary.h"

#define P        "flowpair_exporter_"
#define AT(what) .offset = offsetof(struct summary, what)
#define TO(what) .offset = offsetof(struct summary_delivery, counts.what)

static const char *
drop_name(unsigned i)
{
	return i == PACKET_KEPT ? NULL : packet_drop_name(i);
}

static const struct metrics_row packet_rows[] = {
    {NULL, P "packets_total", "Packets read.", METRICS_COUNTER, AT(packets_read)},
    {NULL, P "dropped_packets_total", "Packets not counted, by reason.",
	METRICS_COUNTER, AT(dropped), PACKET_DROPS, "reason", drop_name},
    {NULL, P "octets_total", "Octets of IP packets counted.", METRICS_COUNTER,
	AT(conversations.octets)},
    {NULL, P "conversations_total", "Conversations started.", METRICS_COUNTER,
	AT(conversations.created)},
};

static const struct metrics_row rows[] = {
    {NULL, P "records_total", "Records handed to delivery.", METRICS_COUNTER,
	AT(records)},
    {NULL, P "memory_bytes", "Peak memory of the process.", METRICS_GAUGE,
	AT(memory_bytes)},
};

/* Each told apart by where it goes. */
static const struct metrics_row delivery_rows[] = {
    {NULL, P "delivered_messages_total",
	"Messages acknowledged, or sent over a transport without acknowledgements.",
	METRICS_COUNTER, TO(messages)},
    {NULL, P "delivered_records_total", "Records in delivered messages.",
	METRICS_COUNTER, TO(records)},
    {NULL, P "unconfirmed_records_total",
	"Delivered records that were sent but not acknowledged.", METRICS_COUNTER,
	TO(unconfirmed_records)},
    {NULL, P "sent_messages_total", "Messages sent, including repeats.",
	METRICS_COUNTER, TO(sent_messages)},
    {NULL, P "sent_bytes_total", "Bytes sent, including repeats.", METRICS_COUNTER,
	TO(bytes)},
    {NULL, P "queued_bytes", "Bytes waiting to be sent.", METRICS_GAUGE,
	TO(queued_bytes)},
    {NULL, P "held_messages", "Messages not delivered yet.", METRICS_GAUGE,
	TO(held_messages)},
    {NULL, P "held_records", "Records not delivered yet.", METRICS_GAUGE,
	TO(held_records)},
    {NULL, P "queue_full_records_total", "Records dropped because the queue was full.",
	METRICS_COUNTER, TO(queue_full_records)},
    {NULL, P "spool_full_records_total", "Records dropped because the spool was full.",
	METRICS_COUNTER, TO(spool_full_records)},
    {NULL, P "too_long_records_total",
	"Records dropped because their message was too long for the transport.",
	METRICS_COUNTER, TO(too_long_records)},
    {NULL, P "given_up_records_total",
	"Records still undelivered when the exporter "
	"ended, and not kept in a spool.",
	METRICS_COUNTER, TO(given_up_records)},
    {NULL, P "connects_total", "Connections established.", METRICS_COUNTER,
	TO(connects)},
    {NULL, P "failures_total", "Connections that could not be established or broke.",
	METRICS_COUNTER, TO(failures)},
    {NULL, P "failovers_total", "Switches to another collector.", METRICS_COUNTER,
	TO(failovers)},
};

static void
add_deliveries(struct metrics *m, const struct summary *s)
{
	for (unsigned i = 0; i < sizeof delivery_rows / sizeof *delivery_rows; i++) {
		const struct metrics_row *row = &delivery_rows[i];
		metrics_family(m, row->name, row->kind, row->help);
		for (unsigned k = 0; k < s->delivery_count; k++) {
			const struct summary_delivery *d = &s->deliveries[k];
			uint64_t n;
			memcpy(&n, (const char *)d + row->offset, sizeof n);
			metrics_add(m, "to", d->to, n);
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
	if (!s->is_trace && !s->is_delivery) {
		metrics_add_rows(
		    m, packet_rows, sizeof packet_rows / sizeof *packet_rows, s);
	}
	metrics_add_rows(m, rows, sizeof rows / sizeof *rows, s);
	add_deliveries(m, s);
	metrics_family(
	    m, P "cpu_seconds_total", METRICS_COUNTER, "CPU time of the process.");
	metrics_add_seconds(m, s->cpu_ns);
	tls_expiry_add(&s->expiry, m);
	return metrics_close(m, e);
}
