/* Datagrams of exporters (IPFIX, NetFlow v9 and v5, sFlow), each with two bytes of
 * length before it, through sessions and into tables: templates before and after their
 * data, sampling, uptimes, a lifetime of templates.  The first byte says how many
 * minutes lie between two of them. */
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "collector/session/session.h"
#include "collector/tables/tables.h"
#include "common/base/clock.h"
#include "common/base/cursor.h"
#include "tests/unit/collector/session/support_message.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length);

#define RUNS_PER_TABLES 500 /* tables cannot be emptied without a store */
#define MINUTE          NS_PER_MINUTE

static struct elements *elements;
static struct tables *tables;
static unsigned runs;
static uint64_t records;

static void
make_tables(void)
{
	const struct tables_settings settings = {
	    .schema_directory = "schemas", .max_keys = 10000};
	struct err e = {""};

	tables_free(tables);
	elements_free(elements);
	tables = NULL;
	elements = elements_new(ELEMENT_PEN_OWN);
	if (elements == NULL ||
	    elements_read_xml(elements, "schemas/elements.xml", &e) < 0 ||
	    tables_new(&settings, elements, &tables, &e) < 0) {
		fprintf(stderr, "%s\n", e.text);
		abort();
	}
}

static int
take_set(const struct template *t, const uint8_t *bytes, size_t length,
    const struct origin *o, void *data)
{
	int n = tables_add_set(t, bytes, length, o, data);

	records += n > 0 ? (uint64_t)n : 0;
	return n;
}

static void
take_counts(const struct session_counts *c, void *data)
{
	uint64_t *messages = data;

	*messages += c->messages;
	tables_add_exporter(tables, c);
}

static struct sessions *
make_sessions(void)
{
	static const char udp[] = "transport=udp\npeer=192.0.2.1:2055\nidentity=\n";
	const struct sessions_settings settings = {.max_sessions = 4,
	    .max_domains = 16,
	    .max_templates = 16,
	    .max_fields = 256,
	    .template_lifetime_ns = 100 * MINUTE,
	    .is_live = true};
	struct sessions *s = sessions_new(&settings, elements, take_set, tables);

	sessions_open(s, 1, (const uint8_t *)udp, sizeof udp - 1, 1);
	return s;
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
	struct cursor c = cursor_of(bytes, length);
	uint64_t step = cursor_u8(&c) * MINUTE, now = MINUTE, sent = 0, counted = 0;
	struct sessions *s;

	if (runs++ % RUNS_PER_TABLES == 0) {
		make_tables();
	}
	s = make_sessions();
	while (cursor_left(&c) > 2) {
		size_t n = cursor_u16(&c), most;
		uint8_t *exact;
		n = n < cursor_left(&c) ? n : cursor_left(&c);
		/* A copy of its own, so that a read beyond it shows. */
		exact = malloc(n + 1);
		memcpy(exact, cursor_take(&c, n), n);
		most = support_most_records(s, 1, exact, n);
		records = 0;
		support_message(s, MESSAGE(1, 0, exact, n, now, 1000 + sent));
		if (records > most) {
			abort(); /* tables would run over */
		}
		free(exact);
		now += step;
		sent++;
	}
	sessions_close(s, 1, now);
	sessions_take_counts(s, take_counts, &counted);
	if (counted != sent) {
		abort();
	}
	sessions_free(s);
	return 0;
}
