#include "exporter/run/summary.h"

#include <inttypes.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/digits.h"
#include "common/base/metrics.h"

static const char *const end_names[] = {
    [FLOW_END_IDLE] = "idle",
    [FLOW_END_ACTIVE] = "active",
    [FLOW_END_DETECTED] = "closed",
    [FLOW_END_FORCED] = "forced",
    [FLOW_END_RESOURCES] = "resources",
};

/* "512 B", "12.3 kB" */
static const char *
bytes_text(char out[static 36], uint64_t n)
{
	char number[32];

	(void)snprintf(out, 36, "%s%sB", digits_short(number, n), n < 1000 ? " " : "");
	return out;
}

static uint64_t
dropped_in_all(const struct summary *s)
{
	uint64_t sum = 0;

	for (unsigned i = PACKET_KEPT + 1; i < PACKET_DROPS; i++) {
		sum += s->dropped[i];
	}
	return sum;
}

static void
text_packets(const struct summary *s, FILE *out)
{
	char octets[36], note[64], label[64];

	(void)snprintf(note, sizeof note, "%s of IP counted",
	    bytes_text(octets, s->conversations.octets));
	digits_line(out, "packets", s->packets_read, note);
	for (unsigned i = PACKET_KEPT + 1; i < PACKET_DROPS; i++) {
		if (s->dropped[i] > 0) {
			(void)snprintf(
			    label, sizeof label, "  %s", packet_drop_name(i));
			digits_line(out, label, s->dropped[i], "not counted");
		}
	}
	for (unsigned i = 0; i < s->capture_count; i++) {
		const struct summary_capture *c = &s->captures[i];
		uint64_t missed =
		    c->counts.kernel_dropped + c->counts.interface_dropped;
		if (missed > 0) {
			digits_line(out, "  missed", missed, c->name);
		}
		if (c->counts.cut_short) {
			digits_line(out, "  cut short", 1, c->name);
		}
	}
}

static void
text_conversations(const struct summary *s, FILE *out)
{
	const struct conversations_counts *c = &s->conversations;
	char note[64], peak[32], label[64];

	(void)snprintf(
	    note, sizeof note, "at most %s at once", digits_grouped(peak, c->peak));
	digits_line(out, "conversations", c->created, note);
	for (unsigned i = FLOW_END_IDLE; i <= FLOW_END_RESOURCES; i++) {
		if (c->ended[i] > 0) {
			(void)snprintf(label, sizeof label, "  %s", end_names[i]);
			digits_line(out, label, c->ended[i],
			    i == FLOW_END_ACTIVE ? "segments of longer ones" : "");
		}
	}
}

static void
text_trace(const struct summary *s, FILE *out)
{
	char label[64], note[64];

	digits_line(out, "rows", s->trace.rows, "");
	for (unsigned i = 0; i < TRACE_BADS; i++) {
		if (s->trace.bad[i] > 0) {
			(void)snprintf(label, sizeof label, "  %s", trace_bad_name(i));
			(void)snprintf(note, sizeof note,
			    "rows skipped, the first in line %" PRIu64,
			    s->trace.bad_line[i]);
			digits_line(out, label, s->trace.bad[i], note);
		}
	}
}

static void
text_delivery(const struct summary_delivery *d, FILE *out)
{
	const struct sender_counts *c = &d->counts;
	bool is_held = c->held_records > 0 || c->held_messages > 0;

	digits_line(out, "delivered", c->records, d->to);
	digits_line_if(
	    out, "  unconfirmed", c->unconfirmed_records, "sent, but not acknowledged");
	digits_line(out, "  messages", c->messages, "");
	digits_line(
	    out, "  octets", c->bytes, c->sent_messages > c->messages ? "sent" : "");
	if (is_held) {
		digits_line(out, "  kept", c->held_records,
		    c->is_kept ? "records, for the next run"
			       : "records, not delivered yet");
	}
	digits_line_if(out, "  not delivered", c->dropped_records, c->last_error);
	digits_line_if(out, "    queue full", c->queue_full_records, "");
	digits_line_if(out, "    spool full", c->spool_full_records, "or damaged");
	digits_line_if(out, "    too long", c->too_long_records, "");
	digits_line_if(out, "    given up", c->given_up_records, "");
	digits_line_if(
	    out, "  perhaps twice", c->duplicate_records, "sent to two collectors");
	digits_line_if(out, "  refused", c->refusals, "datagrams (at least), by ICMP");
	digits_line_if(out, "  in fragments", c->fragmented,
	    "datagrams larger than the path allows");
	digits_line_if(out, "  failovers", c->failovers, "");
	digits_line_if(out, "  failures", c->failures, c->last_error);
}

static void
format_id(const uint8_t id[static 16], char out[static 33])
{
	for (unsigned i = 0; i < 16; i++) {
		(void)snprintf(out + (size_t)2 * i, 3, "%02x", id[i]);
	}
}

static void
text_spool(const char *name, const struct spool_counts *c, FILE *out)
{
	char id[33], note[128];

	format_id(c->id, id);
	fprintf(out, "%-*s %s  %s\n", DIGITS_LABEL, "spool", id, name);
	(void)snprintf(
	    note, sizeof note, "records in %" PRIu64 " messages", c->messages);
	digits_line(out, "handed over", c->records, note);
	(void)snprintf(note, sizeof note,
	    "records in %" PRIu64 " messages, acknowledged or sent over a transport "
	    "without acknowledgements",
	    c->delivered_messages);
	digits_line(out, "delivered", c->delivered_records, note);
	(void)snprintf(
	    note, sizeof note, "records in %" PRIu64 " messages", c->held_messages);
	digits_line(out, "held", c->held_records, note);
	(void)snprintf(
	    note, sizeof note, "records in %" PRIu64 " messages", c->lost_messages);
	digits_line(out, "lost", c->lost_records, note);
	digits_line(out, "first", c->first, "number of the oldest message held");
	digits_line(out, "next", c->next, "number of the next message");
	digits_line(out, "octets", c->bytes, "on disk");
	if (c->is_running) {
		fputs("in use, or its last run did not shut down cleanly\n", out);
	}
}

void
summary_print_text(const struct summary *s, FILE *out)
{
	char memory[36];

	if (s->is_trace) {
		text_trace(s, out);
	} else if (!s->is_delivery) {
		text_packets(s, out);
		text_conversations(s, out);
	}
	if (!s->is_delivery) {
		digits_line(out, "records", s->records, "");
	}
	for (unsigned i = 0; i < s->delivery_count; i++) {
		text_delivery(&s->deliveries[i], out);
	}
	fprintf(out, "%-*s %19.3f  s of CPU; %.3f s in all; %s of memory\n",
	    DIGITS_LABEL, "time", (double)s->cpu_ns / NS_PER_SECOND,
	    (double)s->wall_ns / NS_PER_SECOND, bytes_text(memory, s->memory_bytes));
}

static void
json_number(FILE *out, const char *name, uint64_t n)
{
	fprintf(out, ",\"%s\":%" PRIu64, name, n);
}

static void
json_packets(const struct summary *s, FILE *out)
{
	const struct conversations_counts *c = &s->conversations;

	fprintf(out, "\"packets\":%" PRIu64, s->packets_read);
	json_number(out, "octets", c->octets);
	fprintf(out, ",\"conversations\":{\"created\":%" PRIu64, c->created);
	json_number(out, "peak", c->peak);
	for (unsigned i = FLOW_END_IDLE; i <= FLOW_END_RESOURCES; i++) {
		json_number(out, end_names[i], c->ended[i]);
	}
	fputs("},\"drops\":{", out);
	for (unsigned i = PACKET_KEPT + 1; i < PACKET_DROPS; i++) {
		fprintf(out, "%s\"%s\":%" PRIu64, i == PACKET_KEPT + 1 ? "" : ",",
		    packet_drop_name(i), s->dropped[i]);
	}
	fprintf(out, "},\"dropped\":%" PRIu64 ",\"captures\":[", dropped_in_all(s));
	for (unsigned i = 0; i < s->capture_count; i++) {
		const struct summary_capture *k = &s->captures[i];
		fputs(i == 0 ? "{\"name\":" : ",{\"name\":", out);
		metrics_print_json_text(out, k->name);
		json_number(out, "received", k->counts.received);
		json_number(out, "kernel_dropped", k->counts.kernel_dropped);
		json_number(out, "interface_dropped", k->counts.interface_dropped);
		fprintf(
		    out, ",\"cut_short\":%s}", k->counts.cut_short ? "true" : "false");
	}
	putc(']', out);
}

static void
json_trace(const struct summary *s, FILE *out)
{
	fprintf(out, "\"rows\":%" PRIu64 ",\"bad\":{", s->trace.rows);
	for (unsigned i = 0; i < TRACE_BADS; i++) {
		fprintf(out,
		    "%s\"%s\":{\"rows\":%" PRIu64 ",\"first_line\":%" PRIu64 "}",
		    i == 0 ? "" : ",", trace_bad_name(i), s->trace.bad[i],
		    s->trace.bad_line[i]);
	}
	putc('}', out);
}

/* Records are data records; drops by reason are parts of "dropped". */
static void
json_delivery(const struct summary_delivery *d, FILE *out)
{
	const struct sender_counts *c = &d->counts;
	char id[33];

	format_id(c->spool.id, id);
	fputs("{\"to\":", out);
	metrics_print_json_text(out, d->to);
	json_number(out, "messages", c->messages);
	json_number(out, "records", c->records);
	json_number(out, "unconfirmed_records", c->unconfirmed_records);
	json_number(out, "sent_messages", c->sent_messages);
	json_number(out, "bytes", c->bytes);
	json_number(out, "held_messages", c->held_messages);
	json_number(out, "held_records", c->held_records);
	fprintf(out, ",\"kept\":%s", c->is_kept ? "true" : "false");
	json_number(out, "dropped_messages", c->dropped_messages);
	json_number(out, "dropped_records", c->dropped_records);
	json_number(out, "queue_full_messages", c->queue_full_messages);
	json_number(out, "queue_full_records", c->queue_full_records);
	json_number(out, "spool_full_messages", c->spool_full_messages);
	json_number(out, "spool_full_records", c->spool_full_records);
	json_number(out, "too_long_messages", c->too_long_messages);
	json_number(out, "too_long_records", c->too_long_records);
	json_number(out, "given_up_messages", c->given_up_messages);
	json_number(out, "given_up_records", c->given_up_records);
	json_number(out, "duplicate_messages", c->duplicate_messages);
	json_number(out, "duplicate_records", c->duplicate_records);
	json_number(out, "connects", c->connects);
	json_number(out, "failures", c->failures);
	json_number(out, "failovers", c->failovers);
	json_number(out, "template_refreshes", c->refreshes);
	json_number(out, "refusals", c->refusals);
	json_number(out, "fragmented", c->fragmented);
	json_number(out, "disk_failures", c->spool.disk_failures);
	fprintf(out, ",\"spool\":\"%s\",\"last_error\":", id);
	metrics_print_json_text(out, c->last_error);
	putc('}', out);
}

static void
json_spool(const char *name, const struct spool_counts *c, FILE *out)
{
	char id[33];

	format_id(c->id, id);
	fputs("{\"directory\":", out);
	metrics_print_json_text(out, name);
	fprintf(out, ",\"id\":\"%s\"", id);
	json_number(out, "messages", c->messages);
	json_number(out, "records", c->records);
	json_number(out, "delivered_messages", c->delivered_messages);
	json_number(out, "delivered_records", c->delivered_records);
	json_number(out, "held_messages", c->held_messages);
	json_number(out, "held_records", c->held_records);
	json_number(out, "lost_messages", c->lost_messages);
	json_number(out, "lost_records", c->lost_records);
	json_number(out, "first", c->first);
	json_number(out, "next", c->next);
	json_number(out, "bytes", c->bytes);
	fprintf(out, ",\"running\":%s}\n", c->is_running ? "true" : "false");
}

void
summary_print_spool(
    const char *name, const struct spool_counts *c, bool is_json, FILE *out)
{
	if (is_json) {
		json_spool(name, c, out);
	} else {
		text_spool(name, c, out);
	}
}

void
summary_print_json(const struct summary *s, FILE *out)
{
	putc('{', out);
	if (s->is_trace) {
		json_trace(s, out);
	} else if (!s->is_delivery) {
		json_packets(s, out);
	}
	fprintf(out, "%s\"records\":%" PRIu64, s->is_delivery ? "" : ",", s->records);
	fputs(",\"sender\":", out);
	json_delivery(&s->deliveries[0], out);
	for (unsigned i = 0; i < s->delivery_count && s->delivery_count > 1; i++) {
		fputs(i == 0 ? ",\"senders\":[" : ",", out);
		json_delivery(&s->deliveries[i], out);
	}
	if (s->delivery_count > 1) {
		putc(']', out);
	}
	fprintf(out,
	    ",\"cpu_seconds\":%.3f,\"wall_seconds\":%.3f,\"memory_bytes\":%" PRIu64
	    "}\n",
	    (double)s->cpu_ns / NS_PER_SECOND, (double)s->wall_ns / NS_PER_SECOND,
	    s->memory_bytes);
}
