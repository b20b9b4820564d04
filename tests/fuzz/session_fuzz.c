/* Messages of three sessions, one with a spool, through templates, sequence numbers and
 * into tables; a snapshot of what they left behind reads back.  A first byte from 128
 * on: the rest is a snapshot itself, made to pass its checksum. */
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "collector/session/session.h"
#include "collector/tables/tables.h"
#include "common/base/cursor.h"
#include "common/base/hash.h"
#include "common/ipfix/message.h"
#include "tests/unit/collector/session/support_message.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length);

#define RUNS_PER_TABLES 500 /* tables cannot be emptied without a store */
#define POSITION        1000

static struct elements *elements;
static struct tables *tables;
static unsigned runs;
static uint64_t records;
static char path[64];

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
	if (path[0] == '\0') {
		snprintf(
		    path, sizeof path, "/dev/shm/session_fuzz.%ld", (long)getpid());
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

static struct sessions *
make_sessions(void)
{
	const struct sessions_settings settings = {.max_sessions = 4,
	    .max_domains = 16,
	    .max_templates = 64,
	    .max_fields = 256,
	    .max_spools = 2,
	    .is_live = true};

	return sessions_new(&settings, elements, take_set, tables);
}

static void
open_sessions(struct sessions *s)
{
	static const char tcp[] = "transport=tcp\npeer=192.0.2.1:1\nidentity=a\n";
	static const char tls[] =
	    "transport=tls\npeer=192.0.2.1:2\nidentity=a\n"
	    "spool=0123456789abcdef0123456789abcdef\nfirst=1\nstart=3\n"
	    "preamble=1\nlost_messages=2\nlost_records=9\n";
	static const char udp[] = "transport=udp\npeer=[2001:db8::1]:2\nidentity=\n";

	sessions_open(s, 0, (const uint8_t *)tcp, sizeof tcp - 1, 1);
	sessions_open(s, 1, (const uint8_t *)udp, sizeof udp - 1, 1);
	sessions_open(s, 2, (const uint8_t *)tls, sizeof tls - 1, 1);
}

static void
take_counts(const struct session_counts *c, void *data)
{
	uint64_t *messages = data;

	*messages += c->messages;
	tables_add_exporter(tables, c);
}

static void
send_messages(struct sessions *s, const uint8_t *bytes, size_t length)
{
	uint64_t sent = 0, counted = 0, position = POSITION;
	uint32_t session = 0;
	uint16_t stream = 0;

	while (length > 0) {
		int n = message_length(bytes, length);
		size_t take = n <= 0 || (size_t)n > length ? length : (size_t)n;
		size_t most = support_most_records(s, session, bytes, take);
		records = 0;
		support_message(
		    s, MESSAGE(session, stream, bytes, take, position, position));
		if (records > most) {
			abort(); /* tables would run over */
		}
		position += take;
		bytes += take;
		length -= take;
		session = (session + (take & 1)) % 4;
		stream = (uint16_t)(take >> 1 & 3);
		sent++;
	}
	sessions_take_counts(s, take_counts, &counted);
	if (counted != sent) {
		abort();
	}
}

static void
load_bytes(const uint8_t *bytes, size_t length)
{
	static const uint64_t magic = 0x6670737461746533ULL;
	uint8_t *copy = malloc(length + 16);
	struct sessions *s = make_sessions();
	struct err e = {""};
	FILE *f = fopen(path, "w");

	store_u64(copy, magic);
	memcpy(copy + 8, bytes, length);
	store_u64(copy + 8 + length, hash_bytes(copy, 8 + length, 0));
	fwrite(copy, 1, length + 16, f);
	fclose(f);
	if (sessions_load(s, path, &e) < 0 && e.text[0] == '\0') {
		abort();
	}
	send_messages(s, bytes, length);
	sessions_free(s);
	free(copy);
	unlink(path);
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
	struct sessions *s, *again;
	struct err e;

	if (runs++ % RUNS_PER_TABLES == 0) {
		make_tables();
	}
	if (length == 0) {
		return 0;
	}
	if (bytes[0] >= 128) {
		load_bytes(bytes + 1, length - 1);
		return 0;
	}
	s = make_sessions();
	again = make_sessions();
	open_sessions(s);
	send_messages(s, bytes + 1, length - 1);
	if (sessions_save(s, path, &e) < 0 || sessions_load(again, path, &e) < 0) {
		fprintf(stderr, "%s\n", e.text);
		abort();
	}
	sessions_close(s, 0, 5);
	sessions_close(s, 1, 5);
	sessions_free(s);
	sessions_free(again);
	unlink(path);
	return 0;
}
