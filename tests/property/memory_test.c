/* When memory is short: whichever allocation fails, a negative code and a sentence come
 * back, nothing is lost and nothing crashes.  malloc and its kin are replaced here, so
 * the sanitizers, which do the same, are left out. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "collector/protocol/reader.h"
#include "collector/rows/normalise.h"
#include "collector/session/session.h"
#include "common/base/loop.h"
#include "common/base/ring.h"
#include "common/capture/compressed.h"
#include "common/config/option.h"
#include "common/config/yaml.h"
#include "common/ipfix/template.h"
#include "exporter/export/export.h"
#include "tests/unit/collector/protocol/support_set.h"
#include "tests/unit/collector/session/support_message.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define REPLACES_MALLOC 0
#else
#define REPLACES_MALLOC 1
#endif

#define LIVE_MAX 4096

/* Armed: the allocation number `failing` (from 1) gives NULL; what is allocated is
 * remembered until it is freed. */
static bool is_armed, has_failed;
static unsigned failing, calls;
static void *live[LIVE_MAX];
static unsigned live_count;

#if REPLACES_MALLOC
void *__libc_malloc(size_t n);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *p, size_t n);
void *__libc_memalign(size_t alignment, size_t n);
void __libc_free(void *p);

static bool
fails(void)
{
	if (is_armed && ++calls == failing) {
		has_failed = true;
		errno = ENOMEM;
		return true;
	}
	return false;
}

static void *
remember(void *p)
{
	if (is_armed && p != NULL && live_count < LIVE_MAX) {
		live[live_count++] = p;
	}
	return p;
}

static void
forget(const void *p)
{
	for (unsigned i = live_count; is_armed && p != NULL && i > 0; i--) {
		if (live[i - 1] == p) {
			live[i - 1] = live[--live_count];
			return;
		}
	}
}

void *
malloc(size_t n)
{
	return fails() ? NULL : remember(__libc_malloc(n));
}

void *
calloc(size_t n, size_t size)
{
	return fails() ? NULL : remember(__libc_calloc(n, size));
}

void *
realloc(void *p, size_t n)
{
	void *q;

	if (fails()) {
		return NULL;
	}
	q = __libc_realloc(p, n);
	if (q != NULL) {
		forget(p);
		remember(q);
	}
	return q;
}

void *
aligned_alloc(size_t alignment, size_t n)
{
	return fails() ? NULL : remember(__libc_memalign(alignment, n));
}

void
free(void *p)
{
	forget(p);
	__libc_free(p);
}
#endif

/* Runs job with its first, second, third ... allocation failing, until none does. */
static void
with_every_allocation_failing(void (*job)(void))
{
	if (!REPLACES_MALLOC) {
		skip();
	}
	job(); /* what the C library keeps for ever is allocated now */
	for (failing = 1;; failing++) {
		calls = live_count = 0;
		has_failed = false;
		is_armed = true;
		job();
		is_armed = false;
		if (live_count != 0) {
			fail_msg("allocation %u failing: %u pieces are lost", failing,
			    live_count);
		}
		if (!has_failed) {
			break;
		}
	}
	assert_true(failing > 1);
}

/* Assertions allocate: they wait until nothing is armed. */
static void
check(bool holds)
{
	if (!holds) {
		is_armed = false;
		fail_msg("allocation %u failing: the outcome is wrong", failing);
	}
}

static void
parse_yaml(void)
{
	static const char text[] = "a: &x [1, 2, {b: c}]\nd: *x\ne: {f: g, h: [i, j, "
				   "k, l, m, n, o, p, q, r]}\n";
	struct yaml *y = NULL;
	struct err e = {""};
	int rc = yaml_parse("t", text, sizeof text - 1, &y, &e);

	check(rc == 0 ? y != NULL && !has_failed
		      : rc == -ENOMEM && y == NULL && strstr(e.text, "memory") != NULL);
	yaml_unload(y);
}

static void
yaml_survives(void **state)
{
	(void)state;
	with_every_allocation_failing(parse_yaml);
}

struct configuration {
	const char *to;
	struct option_list read;
};

static char config_path[] = "/tmp/flowpair-memory-XXXXXX";

static void
parse_options(void)
{
	static const struct option rows[] = {
	    {.name = "to",
		.kind = OPTION_STRING,
		.offset = offsetof(struct configuration, to),
		.standard = "x",
		.help = "T."},
	    {.name = "read",
		.kind = OPTION_LIST,
		.offset = offsetof(struct configuration, read),
		.help = "R."},
	};
	static const struct option_program program = {.name = "test",
	    .summary = "test",
	    .operands = "Words.",
	    .options = rows,
	    .count = 2};
	const char *argv[] = {"test", "--config", config_path, "--to=a", "--read", "b",
	    "--read=c", "word", NULL};
	struct option_list words = {0};
	struct configuration c = {0};
	struct err e = {""};
	int rc = option_parse(&program, (char **)argv, &c, &words, &e);

	check(rc == 0
		  ? words.count == 1 && c.read.count == 2
		  : rc < 0 && c.to == NULL && words.count == 0 && e.text[0] != '\0');
	option_free(&program, &c, &words);
}

static void
option_survives(void **state)
{
	static const char text[] = "to: b\nread: [d, e]\n";
	int fd = mkstemp(config_path);

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, sizeof text - 1), sizeof text - 1);
	close(fd);
	with_every_allocation_failing(parse_options);
	unlink(config_path);
}

static void
read_compressed(void)
{
	/* printf hello | gzip -n */
	static const unsigned char hello[] = {0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3, 0xcb,
	    0x48, 0xcd, 0xc9, 0xc9, 7, 0, 0x86, 0xa6, 0x10, 0x36, 5, 0, 0, 0};
	char path[] = "/tmp/flowpair-memory-XXXXXX", text[8] = "";
	struct compressed c = {.fd = -1};
	struct err e = {""};
	int fd = mkstemp(path), rc;

	check(fd >= 0 && write(fd, hello, sizeof hello) == (ssize_t)sizeof hello);
	close(fd);
	rc = compressed_open(path, &c, &e);
	unlink(path);
	if (rc < 0) {
		check(rc == -ENOMEM && strstr(e.text, "memory") != NULL);
		return;
	}
	check((fread(text, 1, sizeof text, c.stream) == 5 &&
		  strcmp(text, "hello") == 0) ||
	      (has_failed && ferror(c.stream)));
	compressed_close(&c);
}

static void
compressed_survives(void **state)
{
	(void)state;
	with_every_allocation_failing(read_compressed);
}

static void
make_ring_and_loop(void)
{
	struct ring *r = ring_new(8);
	struct loop *l = loop_new();

	check(has_failed == (r == NULL || l == NULL));
	loop_free(l);
	ring_free(r);
}

static void
ring_and_loop_survive(void **state)
{
	(void)state;
	with_every_allocation_failing(make_ring_and_loop);
}

static struct elements
    *registry; /* GLib's part of it ends the program without memory */

static void
drop_message(const uint8_t *message, size_t length, uint32_t records, void *data)
{
	(void)message;
	(void)length;
	(void)records;
	(void)data;
}

static void
begin_export(void)
{
	static const struct export_interface interfaces[] = {{1, "eth0", "uplink"}};
	const struct export_settings s = {
	    .templates_file = "schemas/templates.yaml",
	    .message_size = 1400,
	    .send = drop_message,
	};
	struct export *x = NULL;
	struct err e = {""};
	int rc = export_new(&s, registry, &x, &e);

	check(rc == 0 ? x != NULL : rc < 0 && x == NULL && e.text[0] != '\0');
	if (rc == 0) {
		const struct export_preamble *p = NULL;
		rc = export_set_interfaces(x, interfaces, 1);
		check(rc == 0 || (has_failed && rc == -ENOMEM));
		p = rc == 0 ? export_preamble(x, 0) : NULL;
		check(p == NULL ? has_failed : p->length > 0);
	}
	export_free(x);
}

static void
read_templates(void)
{
	/* Template 300 + i: octetDeltaCount; enough of them for the table to grow. */
	uint8_t body[40 * 8];
	struct template_counts counts = {0};
	struct templates *s = templates_new(100, 10);

	if (s == NULL) {
		check(has_failed);
		return;
	}
	for (unsigned i = 0; i < 40; i++) {
		const uint8_t record[] = {1, (uint8_t)(44 + i), 0, 1, 0, 1, 0, 8};
		memcpy(body + (size_t)i * 8, record, 8);
	}
	templates_read_set(
	    s, registry, TEMPLATE_SET_ID, cursor_of(body, sizeof body), true, &counts);
	check(counts.bad == 0 && counts.refused == 0 && counts.no_memory == has_failed);
	check(counts.added == 40u - has_failed && templates_count(s) == counts.added);
	templates_free(s);
}

static unsigned stored;

/* Tables that need memory for each set. */
static int
take_set(const struct template *t, const uint8_t *bytes, size_t length,
    const struct origin *o, void *data)
{
	void *p = malloc(8);

	unsigned records = (unsigned)(length / t->record_length);

	(void)bytes;
	(void)data;
	if (p == NULL) {
		o->dropped[DROP_NO_MEMORY] += records;
	} else {
		stored += records;
	}
	free(p);
	return (int)records;
}

static bool
cut(uint32_t session, void *data)
{
	unsigned *cuts = data;

	(void)session;
	(*cuts)++;
	return true;
}

struct accounts {
	uint64_t messages, blamed, no_memory;
};

/* Without a template or a session, what came for it is dropped as such. */
static void
take_counts(const struct session_counts *c, void *data)
{
	struct accounts *a = data;

	a->messages += c->messages;
	for (unsigned i = 0; i < DROPS; i++) {
		if (i == DROP_NO_MEMORY) {
			a->no_memory += c->dropped[i];
		} else if (i != DROP_NO_TEMPLATE && i != DROP_UNKNOWN_SESSION) {
			a->blamed += c->dropped[i];
		}
	}
}

static void
open_session(struct sessions *s, uint32_t number, const char *text)
{
	sessions_open(s, number, (const uint8_t *)text, strlen(text), 1);
}

#define IPFIX(domain, length) 0, 10, 0, (length), [15] = (domain)

static void
send_messages(struct sessions *s)
{
	/* Data, then its template; an options template and a sampling rate. */
	const uint8_t data[] = {IPFIX(7, 24), 1, 0, 0, 8, 1, 2, 3, 4};
	const uint8_t early[] = {IPFIX(7, 28), 0, 2, 0, 12, 1, 0, 0, 1, 0, 1, 0, 4};
	const uint8_t options[] = {IPFIX(8, 38), 0, 3, 0, 14, 1, 1, 0, 1, 0, 0, 0, 34,
	    0, 4, 1, 1, 0, 8, 0, 0, 0, 100};
	const uint8_t netflow5[24 + 48] = {0, 5, 0, 1, [23] = 100};
	const uint8_t sflow[28] = {0, 0, 0, 5, 0, 0, 0, 1, 10, 0, 0, 1};

	support_message(s, MESSAGE(1, 0, data, sizeof data, 1, 0));
	support_message(s, MESSAGE(1, 0, early, sizeof early, 1, 100));
	support_message(s, MESSAGE(1, 0, options, sizeof options, 1, 200));
	support_message(s, MESSAGE(1, 0, netflow5, sizeof netflow5, 1, 300));
	support_message(s, MESSAGE(1, 0, sflow, sizeof sflow, 1, 400));
	support_message(s, MESSAGE(2, 3, early, sizeof early, 1, 500));
	support_message(s, MESSAGE(2, 3, data, sizeof data, 1, 600));
}
#define SENT    7
#define RECORDS 4u

static struct sessions *
make_sessions(unsigned *cuts)
{
	const struct sessions_settings settings = {.max_errors = 1,
	    .cut = cut,
	    .cut_data = cuts,
	    .max_sessions = 4,
	    .max_domains = 16,
	    .max_templates = 8,
	    .max_fields = 32,
	    .max_spools = 4};

	return sessions_new(&settings, registry, take_set, NULL);
}

/* Nobody is blamed, every message is counted, and what was lost has its reason. */
static void
pass_messages(void)
{
	struct accounts a = {0};
	unsigned cuts = 0;
	struct sessions *s = make_sessions(&cuts);

	stored = 0;
	if (s == NULL) {
		check(has_failed);
		return;
	}
	open_session(s, 1, "transport=udp\npeer=192.0.2.1:1\nidentity=\n");
	open_session(s, 2, "transport=sctp\npeer=192.0.2.2:1\nidentity=\n");
	send_messages(s);
	sessions_take_counts(s, take_counts, &a);
	check(cuts == 0 && a.blamed == 0 && a.messages == SENT);
	check(has_failed || a.no_memory == 0);
	check(stored == RECORDS || a.no_memory > 0);
	sessions_free(s);
}

static char snapshot_path[] = "/tmp/flowpair-memory-XXXXXX";

static void
load_snapshot(void)
{
	struct err e = {""};
	struct sessions *s = make_sessions(NULL);
	int rc = s == NULL ? -ENOMEM : sessions_load(s, snapshot_path, &e);

	check(rc == (has_failed ? -ENOMEM : 0));
	sessions_free(s);
}

static void
sessions_blame_nobody(void **state)
{
	struct sessions *s;
	struct err e;
	int fd = mkstemp(snapshot_path);

	(void)state;
	assert_true(fd >= 0);
	close(fd);
	if (!REPLACES_MALLOC) {
		skip();
	}
	registry = elements_new(ELEMENT_PEN_OWN);
	assert_non_null(registry);
	with_every_allocation_failing(pass_messages);
	s = make_sessions(NULL);
	open_session(s, 1, "transport=udp\npeer=192.0.2.1:1\nidentity=\n");
	open_session(s, 2, "transport=sctp\npeer=192.0.2.2:1\nidentity=\n");
	send_messages(s);
	assert_int_equal(sessions_save(s, snapshot_path, &e), 0);
	sessions_free(s);
	with_every_allocation_failing(load_snapshot);
	unlink(snapshot_path);
	elements_free(registry);
}

static void
export_and_templates_survive(void **state)
{
	struct err e;

	(void)state;
	if (!REPLACES_MALLOC) {
		skip();
	}
	registry = elements_new(ELEMENT_PEN_OWN);
	assert_non_null(registry);
	assert_int_equal(elements_read_xml(registry, "schemas/elements.xml", &e), 0);
	with_every_allocation_failing(begin_export);
	with_every_allocation_failing(read_templates);
	elements_free(registry);
}

#define TEXTS       200
#define TEXT_LENGTH 40

static struct schema_record *names_record;
static struct layout *names_layout;
static struct plan *names_plan;
static int names_field;
static struct support_set names_set;

/* Records of one text each, another in every record.  A text that memory is short for
 * costs its own row, which is counted, and no other. */
static void
decode_texts(void)
{
	struct intern *texts = intern_new();
	struct batch b = {0};
	unsigned record = 0, kept = 0;
	size_t at = 0;
	int n;

	if (texts == NULL || batch_init(&b, names_layout, texts) < 0) {
		check(has_failed);
		intern_free(texts);
		return;
	}
	while ((n = plan_decode(
		    names_plan, names_set.bytes, names_set.length, &at, &b)) > 0) {
		for (unsigned i = 0; i < b.row_count[0]; i++) {
			unsigned row = b.rows[0][i];
			const char *text = intern_text(
			    texts, (uint32_t)batch_values(&b, names_field)[row], NULL);
			check((unsigned)atoi(text) == record + row);
		}
		kept += b.row_count[0];
		record += (unsigned)n;
	}
	check(
	    record == TEXTS && b.no_memory == has_failed && kept + has_failed == TEXTS);
	batch_done(&b);
	intern_free(texts);
}

static void
rows_survive(void **state)
{
	static const char text[] =
	    "record: names\nfields: {name: {from: interfaceName}}\n"
	    "requires: [name]\n";
	char name[TEXT_LENGTH + 1];
	struct err e = {""};

	(void)state;
	assert_int_equal(
	    schema_record_parse("r", text, sizeof text - 1, &names_record, &e), 0);
	assert_int_equal(
	    layout_new(names_record, support_elements(), &names_layout, &e), 0);
	assert_int_equal(layout_finish(names_layout, &e), 0);
	names_field = names_layout->required[0];
	names_plan = plan_new(names_layout, support_template(256, "interfaceName:40"));
	assert_non_null(names_plan);
	for (unsigned i = 0; i < TEXTS; i++) {
		snprintf(name, sizeof name, "%0*u", TEXT_LENGTH, i);
		support_put_bytes(&names_set, name, TEXT_LENGTH);
	}
	with_every_allocation_failing(decode_texts);
	plan_free(names_plan);
	layout_free(names_layout);
	schema_record_free(names_record);
	support_templates_free();
}

static struct tables *all_tables;

/* Data whose template nothing was compiled for yet, and that no table wants. */
static void
add_set(void)
{
	static const uint8_t body[] = {1, 0, 0, 1, 0, 2, 0, 8}; /* packetDeltaCount */
	static const uint8_t records[3 * 8];
	struct template_counts counts = {0};
	struct templates *s = templates_new(10, 10);
	uint64_t dropped[DROPS] = {0};
	const struct origin o = {.exporter = "x", .dropped = dropped};

	if (s != NULL) {
		templates_read_set(s, support_elements(), TEMPLATE_SET_ID,
		    cursor_of(body, sizeof body), true, &counts);
	}
	if (s != NULL && templates_count(s) == 1) {
		struct template *t = templates_find(s, 256);
		const struct reader *r;
		check(tables_add_set(t, records, sizeof records, &o, all_tables) == 3);
		r = t->reader;
		check(
		    dropped[DROP_NO_MEMORY] == (r != NULL && r->plans != NULL ? 0 : 3));
	}
	templates_free(s);
}

static void
tables_survive(void **state)
{
	(void)state;
	all_tables = support_tables(NULL);
	with_every_allocation_failing(add_set);
	tables_free(all_tables);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(yaml_survives),
	    cmocka_unit_test(option_survives),
	    cmocka_unit_test(compressed_survives),
	    cmocka_unit_test(ring_and_loop_survive),
	    cmocka_unit_test(export_and_templates_survive),
	    cmocka_unit_test(rows_survive),
	    cmocka_unit_test(tables_survive),
	    cmocka_unit_test(sessions_blame_nobody),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
