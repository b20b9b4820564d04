#include "tests/unit/collector/tables/support_stitch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"

#define ENDS                                                                           \
	"sourceIPv4Address destinationIPv4Address sourceTransportPort "                \
	"destinationTransportPort protocolIdentifier flowStartMilliseconds "           \
	"flowEndMilliseconds packetDeltaCount octetDeltaCount "

const struct flow flow_there = {
    "10.0.0.9", 40000, "10.0.0.1", 443, 6, 1000, 5000, 10, 1000};
const struct flow flow_back = {
    "10.0.0.1", 443, "10.0.0.9", 40000, 6, 1005, 6000, 7, 9000};

static const struct source_id source = {"test"};
static const char table_format[] =
    "table: flows\nfrom: conversation\npartition: day\nstorage: runs\n%s\n"
    "key: { exporter: exporter, src_ip: sourceAddress, src_port: sourceTransportPort, "
    "dst_ip: destinationAddress, dst_port: destinationTransportPort }\n"
    "values:\n"
    "  flows: { sum: flows }\n"
    "  start_ns: { minimize: flowStart }\n"
    "  end_ns: { maximize: flowEnd }\n"
    "  millis: { sum: duration_ms }\n"
    "  fwd_packets: { sum: forward.packets }\n"
    "  bwd_packets: { sum: reverse.packets }\n"
    "  fwd_octets: { sum: forward.octets, scaled: true }\n"
    "  bwd_octets: { sum: reverse.octets, scaled: true }\n"
    "  tos: { maximize: ipClassOfService }\n"
    "  reverse_tos: { maximize: reverseIpClassOfService }\n"
    "  name: { lastWriteWins: interfaceName }\n"
    "  list: { lastWriteWins: basicList }\n";

static int
start(struct world *w, const char *words, struct err *e)
{
	char text[2048];
	struct tables_settings s = {.schema_directory = w->directory, .max_keys = 1000};

	snprintf(text, sizeof text, table_format, words);
	support_write("tables/flows.yaml", text);
	if (tables_new(&s, support_elements(), &w->tables, e) < 0 ||
	    store_open(w->directory, w->tables, &w->store, e) < 0 ||
	    store_progress(w->store, &source, &w->complete, &w->pending, e) < 0) {
		fail_msg("%s", e->text);
	}
	return store_resume(w->store, &source, w->pending > w->complete, e);
}

void
world_open(struct world *w, const char *words)
{
	struct err e = {""};

	*w = (struct world){.directory = support_schemas()};
	assert_int_equal(start(w, words, &e), 0);
}

static void
stop(struct world *w)
{
	tables_free(w->tables);
	store_close(w->store);
}

int
world_restart(struct world *w, const char *words, struct err *e)
{
	stop(w);
	return start(w, words, e);
}

void
world_close(struct world *w)
{
	stop(w);
	support_directory_remove();
}

static void
put_flow(struct support_set *s, const struct flow *f)
{
	support_put_address(s, f->src);
	support_put_address(s, f->dst);
	support_put(s, f->sport, 2);
	support_put(s, f->dport, 2);
	support_put(s, f->protocol, 1);
	support_put(s, (uint64_t)WORLD_START * 1000 + f->start_ms, 8);
	support_put(s, (uint64_t)WORLD_START * 1000 + f->end_ms, 8);
	support_put(s, f->packets, 8);
	support_put(s, f->octets, 8);
}

void
world_add(struct world *w, const char *exporter, uint32_t domain, const struct flow *f,
    const char *fields, const struct support_set *more)
{
	struct origin o = {.exporter = exporter,
	    .domain = domain,
	    .arrival_ns = WORLD_START * NS_PER_SECOND,
	    .position = w->position += 100};
	char names[512];
	struct support_set s = {.length = 0};

	snprintf(names, sizeof names, ENDS "%s", fields);
	put_flow(&s, f);
	if (more != NULL) {
		support_put_bytes(&s, more->bytes, more->length);
	}
	assert_int_equal(tables_add_set(support_template(256, names), s.bytes, s.length,
			     &o, w->tables),
	    1);
	support_templates_free();
}

void
world_add_flow(struct world *w, const struct flow *f)
{
	world_add(w, "r", 0, f, "", NULL);
}

void
world_pass(struct world *w, unsigned seconds)
{
	tables_pass_time(w->tables, (WORLD_START + (uint64_t)seconds) * NS_PER_SECOND);
}

void
world_flush(struct world *w)
{
	struct err e = {""};

	if (store_flush(w->store, &source, w->position += 100, false, &e) < 0) {
		fail_msg("%s", e.text);
	}
}

void
world_end(struct world *w)
{
	tables_release(w->tables);
	world_flush(w);
	assert_true(tables_are_empty(w->tables));
}

const char *
world_ask(const struct world *w, const char *sql)
{
	return support_query(w->directory, WORLD_FILE, sql);
}

const char *
world_ask_main(const struct world *w, const char *sql)
{
	return support_query(w->directory, "flowpair.sqlite", sql);
}

void
world_expect(struct world *w, const char *sql, const char *rows)
{
	world_end(w);
	assert_string_equal(world_ask(w, sql), rows);
	world_close(w);
}
