#include "collector/run/summary.h"

#include <inttypes.h>

#include "common/base/clock.h"
#include "common/base/digits.h"
#include "common/tls/tls.h"

void
summary_add_import(struct summary *s, const struct import_counts *c)
{
	const struct process_counts *p = &c->process;
	struct process_counts *sum = &s->process;

	s->files_already += c->is_already;
	s->files_continued += c->known > 0;
	s->bytes += c->bytes;
	for (unsigned i = 0; i < IMPORT_SKIPS; i++) {
		s->skipped[i] += c->skipped[i];
	}
	sum->sessions += p->sessions;
	sum->messages += p->messages;
	sum->octets += p->octets;
	sum->templates += p->templates;
	sum->records += p->records;
	sum->options += p->options;
	sum->counter_samples += p->counter_samples;
	sum->lost += p->lost;
	sum->reordered += p->reordered;
	sum->flushes += p->flushes;
	for (unsigned i = 0; i < DROPS; i++) {
		sum->dropped[i] += p->dropped[i];
	}
}

static void
text_import(const struct summary *s, FILE *out)
{
	digits_line(out, "files", s->files, "");
	digits_line_if(out, "  already imported", s->files_already, "skipped");
	digits_line_if(
	    out, "  continued", s->files_continued, "only what is new was imported");
	digits_line_if(out, "  failed", s->files_failed, "");
	for (unsigned i = 0; i < IMPORT_SKIPS; i++) {
		char label[64];
		(void)snprintf(label, sizeof label, "  %s", import_skip_name(i));
		digits_line_if(out, label, s->skipped[i], import_skip_unit(i));
	}
}

static void
text_udp(const struct summary_udp *u, FILE *out)
{
	const struct udp_listener_counts *c = &u->counts;

	digits_line(out, "datagrams", c->datagrams, u->uri);
	digits_line(out, "  kernel drops", c->kernel_drops,
	    c->kernel_drops == 0 ? "" : "receive buffer full (see --udp-buffer)");
	digits_line_if(out, "  not flow data", c->not_ipfix,
	    "refused: not IPFIX, NetFlow v9 or v5, or sFlow v5");
	digits_line_if(
	    out, "  identity", c->not_permitted, "refused: address not permitted");
	digits_line(out, "  sources", c->sources, "");
	digits_line_if(out, "    idle", c->idle, "ended (see --udp-idle)");
	digits_line_if(
	    out, "    evicted", c->evicted, "longest idle (see --udp-sources)");
}

static void
text_live(const struct summary *s, FILE *out)
{
	const struct listener_counts *l = &s->listener;

	digits_line(out, "connections", l->accepted, "");
	for (unsigned i = TLS_REFUSED_NONE + 1; i < TLS_REFUSALS; i++) {
		char label[64];
		(void)snprintf(label, sizeof label, "  %s", tls_refusal_name(i));
		digits_line_if(out, label, l->refused[i], "refused");
	}
	for (unsigned i = 0; i < PEERS_ENDS; i++) {
		char label[64];
		(void)snprintf(label, sizeof label, "  %s", peers_end_name(i));
		digits_line_if(out, label, l->ended[i], "refused or ended");
	}
	for (unsigned i = 0; i < s->udp_count; i++) {
		text_udp(&s->udp[i], out);
	}
	digits_line_if(
	    out, "replayed", s->process.replayed, "messages from the journal");
	digits_line_if(out, "quarantined", s->process.quarantined, "messages");
}

void
summary_print_text(const struct summary *s, FILE *out)
{
	const struct process_counts *p = &s->process;

	if (s->is_live) {
		text_live(s, out);
	} else {
		text_import(s, out);
	}
	digits_line(out, "messages", p->messages, "");
	digits_line(out, "records", p->records, "");
	digits_line_if(out, "  options", p->options, "options records, in addition");
	digits_line_if(out, "  counter samples", p->counter_samples,
	    "from sFlow, counted but not read");
	digits_line_if(out, "  unused", s->tables.unused, "no table uses their fields");
	digits_line_if(out, "  lost", p->lost,
	    "according to sequence numbers, before they arrived");
	digits_line_if(out, "  reordered", p->reordered, "messages");
	for (unsigned i = 0; i < DROPS; i++) {
		char label[64];
		(void)snprintf(label, sizeof label, "  %s", drop_name(i));
		digits_line_if(out, label, p->dropped[i], drop_unit(i));
	}
	digits_line_if(out, "  held", p->held, "sets waiting for their template");
	digits_line_if(out, "  late", s->tables.late, "filed under their arrival time");
	digits_line_if(
	    out, "  early", s->tables.early, "filed under their arrival time");
	digits_line_if(
	    out, "  undated", s->tables.undated, "filed under their arrival time");
	digits_line_if(out, "  stitched", s->tables.stitched.pairs,
	    "biflows made from two one-way flows");
	digits_line_if(out, "  without partner", s->tables.stitched.alone,
	    "one-way flows, no partner within the window");
	digits_line_if(out, "  not stitched", s->tables.stitched.evicted,
	    "one-way flows over max_waiting");
	digits_line_if(out, "  waiting", s->tables.stitched.waiting,
	    "one-way flows, kept for the next start");
	digits_line(out, "rows", s->tables.rows, "made from records");
	digits_line_if(out, "  dropped", s->tables.dropped,
	    "their table was full, or memory short");
	digits_line_if(
	    out, "  saturated", s->tables.saturated, "sums that reached their limit");
	digits_line(out, "rows stored", s->tables.rows_written, "");
	fprintf(out, "%-*s %17.2f s  of CPU in %.2f s, %.1f MB of memory\n",
	    DIGITS_LABEL, "time", (double)s->cpu_ns / (double)NS_PER_SECOND,
	    (double)s->wall_ns / (double)NS_PER_SECOND, (double)s->memory_bytes / 1e6);
}

static void
member(FILE *out, const char *name, uint64_t n)
{
	fprintf(out, ", \"%s\": %" PRIu64, name, n);
}

static void
json_udp(const struct summary *s, FILE *out)
{
	fputs(", \"udp\": [", out);
	for (unsigned i = 0; i < s->udp_count; i++) {
		const struct udp_listener_counts *c = &s->udp[i].counts;
		fputs(i == 0 ? "{\"uri\": " : ", {\"uri\": ", out);
		metrics_print_json_text(out, s->udp[i].uri);
		member(out, "datagrams", c->datagrams);
		member(out, "octets", c->octets);
		member(out, "messages", c->messages);
		member(out, "kernel_drops", c->kernel_drops);
		fprintf(out,
		    ", \"refused\": {\"not-ipfix\": %" PRIu64 ", \"identity\": %" PRIu64
		    "}",
		    c->not_ipfix, c->not_permitted);
		member(out, "sources", c->sources);
		member(out, "idle", c->idle);
		member(out, "evicted", c->evicted);
		member(out, "buffer_bytes", c->buffer_bytes);
		fputs("}", out);
	}
	fputs("]", out);
}

static void
json_live(const struct summary *s, FILE *out)
{
	metrics_print_json(out, summary_live_rows, summary_live_row_count, s);
	json_udp(s, out);
}

static void
json_import(const struct summary *s, FILE *out)
{
	fprintf(out, "\"files\": %u", s->files);
	member(out, "files_already", s->files_already);
	member(out, "files_continued", s->files_continued);
	member(out, "files_failed", s->files_failed);
	fputs(", \"skipped\": {", out);
	for (unsigned i = 0; i < IMPORT_SKIPS; i++) {
		fprintf(out, "%s\"%s\": %" PRIu64, i == 0 ? "" : ", ",
		    import_skip_name(i), s->skipped[i]);
	}
	fputs("}", out);
}

void
summary_print_json(const struct summary *s, FILE *out)
{
	fputs("{", out);
	if (s->is_live) {
		json_live(s, out);
	} else {
		json_import(s, out);
	}
	fputs(", ", out);
	metrics_print_json(out, summary_rows, summary_row_count, s);
	fprintf(out, ", \"cpu_seconds\": %.6f, \"wall_seconds\": %.6f",
	    (double)s->cpu_ns / (double)NS_PER_SECOND,
	    (double)s->wall_ns / (double)NS_PER_SECOND);
	member(out, "memory_bytes", s->memory_bytes);
	fputs("}\n", out);
}
