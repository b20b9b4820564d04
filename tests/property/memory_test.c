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

#include "common/base/loop.h"
#include "common/base/ring.h"
#include "common/capture/compressed.h"
#include "common/config/option.h"
#include "common/config/yaml.h"
#include "common/ipfix/template.h"
#include "exporter/export/export.h"

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
	check(counts.bad == 0 && counts.refused == has_failed);
	check(counts.added == 40u - has_failed && templates_count(s) == counts.added);
	templates_free(s);
}

static void
export_and_templates_survive(void **state)
{
	struct err e;

	(void)state;
	registry = elements_new(ELEMENT_PEN_OWN);
	assert_non_null(registry);
	assert_int_equal(elements_read_xml(registry, "schemas/elements.xml", &e), 0);
	with_every_allocation_failing(begin_export);
	with_every_allocation_failing(read_templates);
	elements_free(registry);
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
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
