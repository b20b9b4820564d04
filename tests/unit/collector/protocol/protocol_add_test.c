/* A protocol that is one file and one row, from the wire to the stored rows. */
/* cmocka.h needs these before it. */
#include <stdarg.h>
#include <stddef.h>

#include <setjmp.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "collector/process/process.h"
#include "collector/protocol/protocol_private.h"
#include "common/base/clock.h"
#include "tests/unit/collector/protocol/support_set.h"
#include "tests/unit/collector/protocol/support_toy.h"
#include "tests/unit/collector/session/support_message.h"

static const char table_hosts[] = "table: hosts\n"
				  "from: conversation\n"
				  "partition: none\n"
				  "storage: upsert\n"
				  "key: { src: sourceAddress }\n"
				  "values:\n"
				  "  packets: { sum: forward.packets }\n";

static const char identity[] = "transport=udp\npeer=192.0.2.1:2055\nidentity=\n";

static void
put_message(struct support_set *s, uint32_t number, unsigned records)
{
	support_put(s, 'T' << 8 | 'Y', 2);
	support_put(s, 14 + 12 * records, 2);
	support_put(s, 7, 2);
	support_put(s, 1500000000, 4);
	support_put(s, number, 4);
	for (unsigned i = 0; i < records; i++) {
		support_put(s, 0x0a000001 + i, 4);
		support_put(s, 0x0a090909, 4);
		support_put(s, 5, 4);
	}
}

static int
set_up(void **state)
{
	const char *dir = support_directory();
	char command[512];

	snprintf(command, sizeof command,
	    "cp -r schemas/records %s/ && mkdir %s/tables && "
	    "cp schemas/tables/exporters.yaml %s/tables/",
	    dir, dir, dir);
	if (system(command) != 0) {
		return -1;
	}
	support_write("tables/hosts.yaml", table_hosts);
	*state = (void *)(uintptr_t)dir;
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	support_directory_remove();
	return 0;
}

static void
its_messages_are_told_apart(void **state)
{
	struct support_set s = {.length = 0};

	(void)state;
	put_message(&s, 1, 2);
	put_message(&s, 2, 1);
	assert_ptr_equal(protocol_find(s.bytes, s.length), &support_toy);
	assert_int_equal(protocol_next(s.bytes, s.length), 14 + 24);
	assert_true(protocol_is_exact(s.bytes, 14 + 24));
	assert_int_equal(support_toy.in_datagram(s.bytes, s.length), 0);
	assert_int_equal(protocol_length(s.bytes + 38, s.length - 38), 14 + 12);
}

/* One frame of three messages, of which the second is missing. */
static void
its_records_become_rows_and_its_loss_is_counted(void **state)
{
	const char *dir = *state;
	const struct tables_settings settings = {
	    .schema_directory = dir, .max_keys = 1000};
	struct process_settings process = {.elements = support_elements(),
	    .sessions = {.max_sessions = 4,
		.max_domains = 4,
		.max_templates = 8,
		.max_fields = 32,
		.max_spools = 4}};
	const struct source_id source = {"toy"};
	struct frame open = {.kind = FRAME_OPEN,
	    .session = 1,
	    .payload = (const uint8_t *)identity,
	    .length = sizeof identity - 1};
	struct support_set s = {.length = 0};
	struct tables *tables = NULL;
	struct store *store = NULL;
	struct process *p = NULL;
	struct err e = {""};
	char data[256];

	snprintf(data, sizeof data, "%s/data", dir);
	assert_int_equal(tables_new(&settings, support_elements(), &tables, &e), 0);
	assert_int_equal(store_open(data, tables, &store, &e), 0);
	process.store = store;
	assert_int_equal(process_new(&process, &source, &p, &e), 0);
	assert_int_equal(process_resume(p, &e), 0);
	put_message(&s, 1, 2);
	put_message(&s, 3, 1);
	assert_int_equal(process_frame(p, &open, &e), 0);
	assert_int_equal(process_frame(p,
			     &(struct frame){.kind = FRAME_MESSAGES,
				 .session = 1,
				 .arrival_ns = 1500000000 * NS_PER_SECOND,
				 .payload = s.bytes,
				 .length = s.length,
				 .end = s.length},
			     &e),
	    0);
	assert_int_equal(process_frame(p,
			     &(struct frame){.kind = FRAME_CLOSE,
				 .session = 1,
				 .position = s.length,
				 .end = s.length + 1},
			     &e),
	    0);
	assert_int_equal(process_flush(p, true, &e), 0);
	assert_string_equal(
	    support_query(dir, "data/flowpair.sqlite",
		"SELECT protocol, domain, messages, records, lost FROM exporters"),
	    "Toy|7|2|3|1");
	assert_string_equal(support_query(dir, "data/flowpair.sqlite",
				"SELECT src, packets FROM hosts ORDER BY src"),
	    "10.0.0.1|10;10.0.0.2|5");
	process_free(p);
	store_close(store);
	tables_free(tables);
}

static int
ignore_set(const struct template *t, const uint8_t *bytes, size_t length,
    const struct origin *o, void *data)
{
	(void)bytes;
	(void)o;
	(void)data;
	return (int)(length / t->record_length);
}

static void
take_counts(const struct session_counts *c, void *data)
{
	*(struct session_counts *)data = *c;
}

static void
a_snapshot_has_its_domains(void **state)
{
	const struct sessions_settings settings = {.max_sessions = 4,
	    .max_domains = 4,
	    .max_templates = 8,
	    .max_fields = 32,
	    .max_spools = 4,
	    .is_live = true};
	struct sessions *before =
	    sessions_new(&settings, support_elements(), ignore_set, NULL);
	struct sessions *after =
	    sessions_new(&settings, support_elements(), ignore_set, NULL);
	struct session_counts counts = {.lost = 99};
	struct support_set s = {.length = 0};
	struct err e = {""};
	char path[256];

	snprintf(path, sizeof path, "%s/state", (const char *)*state);
	sessions_open(before, 1, (const uint8_t *)identity, sizeof identity - 1, 1);
	put_message(&s, 1, 2);
	support_message(before, MESSAGE(1, 0, s.bytes, s.length, 1, 0));
	assert_int_equal(sessions_save(before, path, &e), 0);
	assert_int_equal(sessions_load(after, path, &e), 0);
	s.length = 0;
	put_message(&s, 4, 1);
	support_message(after, MESSAGE(1, 0, s.bytes, s.length, 2, 100));
	sessions_close(after, 1, 3);
	sessions_take_counts(after, take_counts, &counts);
	assert_ptr_equal(counts.protocol, &support_toy);
	assert_int_equal(counts.records, 1);
	assert_int_equal(counts.lost, 2);
	sessions_free(before);
	sessions_free(after);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
	    TEST(its_messages_are_told_apart),
	    TEST(its_records_become_rows_and_its_loss_is_counted),
	    TEST(a_snapshot_has_its_domains),
	};
	protocol_add(&support_toy);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
