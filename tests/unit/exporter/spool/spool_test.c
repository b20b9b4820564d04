#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/cursor.h"
#include "common/base/log.h"
#include "exporter/spool/spool.h"
#include "exporter/spool/spool_format.h"
#include "tests/unit/exporter/spool/support_spool.h"

/* One message with so many data records, and one options record. */
static void
append(struct spool *s, uint32_t data)
{
	uint8_t bytes[1000] = {0, 10, sizeof bytes >> 8, sizeof bytes & 0xff};
	struct queue_message m = {
	    .bytes = bytes, .length = sizeof bytes, .records = data + 1, .data = data};

	store_u64(bytes + 20, spool_next(s));
	assert_int_equal(spool_append(s, &m, 1, 1), 1);
}

static void
release(struct spool *s, uint64_t number)
{
	uint64_t total;

	assert_int_equal(spool_total(s, number, &total), 0);
	spool_release(s, number, total, true);
}

static void
the_account_outlives_segments_and_runs(void **state)
{
	struct spool *s = spool_begin(spool_directory_of_test, false);
	struct spool_counts before, c;

	(void)state;
	spool_counts(s, &before);
	for (uint32_t i = 0; i < 300; i++) {
		append(s, i);
	}
	release(s, 250);
	spool_close(s, false); /* as after kill -9 */
	s = spool_begin(spool_directory_of_test, false);
	spool_counts(s, &c);
	assert_memory_equal(c.id, before.id, 16);
	assert_int_equal(c.first, 250);
	assert_int_equal(c.next, 300);
	assert_int_equal(c.records, 300 * 299 / 2);
	assert_int_equal(c.delivered_records, 250 * 249 / 2);
	assert_int_equal(c.held_messages, 50);
	release(s, 300);
	spool_close(s, true);
	s = spool_begin(spool_directory_of_test, false);
	spool_counts(s, &c);
	assert_int_equal(c.records, 300 * 299 / 2);
	assert_int_equal(c.delivered_records, 300 * 299 / 2);
	assert_int_equal(c.held_messages + c.lost_messages + c.bytes, 0);
	spool_close(s, true);
}

static void
status_reads_what_somebody_uses(void **state)
{
	struct spool *s = spool_begin(spool_directory_of_test, false);
	struct spool_counts mine, seen;
	struct err e = {0};

	(void)state;
	for (uint32_t i = 0; i < 100; i++) {
		append(s, 3);
	}
	release(s, 10);
	spool_counts(s, &mine);
	assert_int_equal(spool_status(spool_directory_of_test, &seen, &e), 0);
	assert_int_equal(seen.records, 300);
	assert_int_equal(seen.held_records, 270);
	assert_int_equal(seen.delivered_records, 30);
	assert_int_equal(seen.lost_records, 0);
	assert_int_equal(seen.bytes, mine.bytes);
	assert_true(seen.is_running);
	spool_close(s, true);
	assert_int_equal(spool_status(spool_directory_of_test, &seen, &e), 0);
	assert_false(seen.is_running);
	assert_int_equal(spool_status("/nowhere/spool", &seen, &e), -ENOENT);
}

static void
files_are_for_the_owner_alone_and_links_are_not_followed(void **state)
{
	const struct export_preamble preamble = {.bytes = spool_preamble_of_test};
	char inner[96], link_path[96], path[400];
	struct spool_settings settings = {
	    .directory = inner, .max_bytes = SPOOL_LEAST, .preamble = &preamble};
	struct spool *s;
	struct stat st;
	struct err e = {0};
	unsigned files = 0;
	DIR *d;

	(void)state;
	(void)snprintf(inner, sizeof inner, "%s/inner", spool_directory_of_test);
	(void)snprintf(link_path, sizeof link_path, "%s/link", spool_directory_of_test);
	s = spool_begin(inner, false);
	append(s, 1);
	assert_int_equal(stat(inner, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0700);
	d = opendir(inner);
	for (struct dirent *x; (x = readdir(d)) != NULL;) {
		if (x->d_name[0] != '.') {
			(void)snprintf(path, sizeof path, "%s/%s", inner, x->d_name);
			assert_int_equal(stat(path, &st), 0);
			assert_int_equal(st.st_mode & 0777, 0600);
			files++;
			(void)unlink(path);
		}
	}
	closedir(d);
	assert_int_equal(files, 2);
	spool_close(s, false);
	assert_int_equal(symlink(inner, link_path), 0);
	settings.directory = link_path;
	assert_true(spool_open(&settings, &s, &e) < 0);
	assert_non_null(strstr(e.text, "links are not followed"));
	(void)unlink(link_path);
	(void)rmdir(inner);
}

/* Whatever has the name of the next segment, an input that waits is not held up. */
static void
take_one_more(const char *what)
{
	struct spool *s = spool_begin(spool_directory_of_test, false);
	struct spool_counts before, after;

	spool_counts(s, &before);
	append(s, 1);
	spool_counts(s, &after);
	if (after.disk_failures != 0 || after.bytes == 0 ||
	    spool_memory_only(s, before.next) != after.next) {
		fail_msg("%s stands in the way", what);
	}
	spool_close(s, true);
}

static void
what_is_no_file_makes_way_for_a_segment(void **state)
{
	char path[96];
	struct spool *s = spool_begin(spool_directory_of_test, false);
	uint64_t next = spool_next(s);

	(void)state;
	spool_close(s, true);
	(void)snprintf(path, sizeof path, "%s/%016llx.spool", spool_directory_of_test,
	    (unsigned long long)next++);
	assert_int_equal(symlink("/nowhere", path), 0);
	take_one_more("a link");
	(void)snprintf(path, sizeof path, "%s/%016llx.spool", spool_directory_of_test,
	    (unsigned long long)next++);
	assert_int_equal(mkfifo(path, 0600), 0);
	take_one_more("a pipe");
	(void)snprintf(path, sizeof path, "%s/%016llx.spool", spool_directory_of_test,
	    (unsigned long long)next);
	assert_int_equal(mkdir(path, 0700), 0);
	take_one_more("a directory");
	(void)snprintf(path, sizeof path, "%s/%016llx.spool.damaged",
	    spool_directory_of_test, (unsigned long long)next);
	assert_int_equal(rmdir(path), 0);
}

/* Of a spool that was restored beside this one, say. */
static void
a_segment_that_continues_no_other_makes_way(void **state)
{
	struct spool_header h = {.total = 0};
	struct spool_entry x = {.total = 1, .records = 1, .length = 16};
	uint8_t bytes[SPOOL_HEADER + sizeof spool_preamble_of_test + SPOOL_ENTRY + 16] =
	    {0};
	uint8_t *preamble = bytes + SPOOL_HEADER;
	uint8_t *entry = preamble + sizeof spool_preamble_of_test;
	struct spool *s = spool_begin(spool_directory_of_test, false);
	char path[96];
	FILE *f;

	(void)state;
	append(s, 5);
	h.first = x.number = spool_next(s);
	spool_close(s, false);
	memcpy(preamble, spool_preamble_of_test, sizeof spool_preamble_of_test);
	h.preamble_length = sizeof spool_preamble_of_test;
	spool_write_header(&h, preamble, bytes);
	store_u16(entry + SPOOL_ENTRY, 10);
	store_u16(entry + SPOOL_ENTRY + 2, 16);
	spool_write_entry(&x, entry + SPOOL_ENTRY, entry);
	(void)snprintf(path, sizeof path, "%s/%016llx.spool", spool_directory_of_test,
	    (unsigned long long)h.first);
	f = fopen(path, "w");
	assert_non_null(f);
	assert_int_equal(fwrite(bytes, sizeof bytes, 1, f), 1);
	assert_int_equal(fclose(f), 0);
	take_one_more("a foreign segment");
}

/* The disk fails for a moment; what goes out begins on it and ends in memory. */
static void
what_was_sent_with_messages_in_memory_is_not_dropped_as_unsent(void **state)
{
	struct spool *s = spool_begin(spool_directory_of_test, false);
	uint64_t first = spool_next(s), total;
	char path[96];

	(void)state;
	append(s, 1);
	while (spool_memory_only(s, first) == spool_next(s)) {
		/* The next segment cannot be begun: its name is taken. */
		(void)snprintf(path, sizeof path, "%s/%016llx.spool",
		    spool_directory_of_test, (unsigned long long)spool_next(s));
		(void)mkdir(path, 0700);
		append(s, 1);
		(void)rmdir(path);
	}
	spool_mark_sent(s, spool_next(s) - 1);
	for (int i = 0; i < 3000; i++) { /* more than there is room for */
		uint8_t bytes[1000] = {0, 10, sizeof bytes >> 8, sizeof bytes & 0xff};
		struct queue_message m = {
		    .bytes = bytes, .length = sizeof bytes, .records = 1, .data = 1};
		(void)spool_append(s, &m, 1, 5000000000);
	}
	assert_int_equal(spool_first(s), first);
	assert_int_equal(spool_total(s, first, &total), 0);
	spool_close(s, false);
}

static void
a_lost_ledger_costs_no_message(void **state)
{
	struct spool *s = spool_begin(spool_directory_of_test, false);
	struct spool_counts before, c;
	char path[96];

	(void)state;
	for (uint32_t i = 0; i < 20; i++) {
		append(s, 1);
	}
	spool_counts(s, &before);
	spool_close(s, false);
	(void)snprintf(path, sizeof path, "%s/ledger", spool_directory_of_test);
	assert_int_equal(unlink(path), 0);
	s = spool_begin(spool_directory_of_test, false);
	spool_counts(s, &c);
	assert_memory_equal(c.id, before.id, 16);
	assert_int_equal(c.held_messages, 20);
	assert_int_equal(c.lost_messages, 0);
	spool_close(s, false);
}

static void
numbers_that_only_memory_had_are_not_given_twice(void **state)
{
	struct spool *s = spool_begin(NULL, false);
	struct spool_counts c;

	(void)state;
	append(s, 5);
	append(s, 6);
	assert_int_equal(spool_memory_only(s, 0), 0);
	assert_int_equal(spool_reach(s, 0), 2);
	spool_release(s, 1, 5, true);
	spool_counts(s, &c);
	assert_int_equal(c.delivered_records, 5);
	assert_int_equal(c.held_records, 6);
	spool_release(s, 2, 11, false);
	spool_counts(s, &c);
	assert_int_equal(c.lost_records, 6);
	spool_close(s, true);
}

static void
a_collector_that_knows_more_gives_the_spool_another_id(void **state)
{
	struct spool *s = spool_begin(spool_directory_of_test, false);
	struct spool_counts before, c;

	(void)state;
	append(s, 1);
	append(s, 1);
	spool_close(s, false);
	s = spool_begin(spool_directory_of_test, false);
	append(s, 1);
	spool_counts(s, &before);
	assert_true(spool_welcome(s, 2));
	assert_false(spool_welcome(s, 3)); /* the third was never sent */
	spool_counts(s, &c);
	assert_memory_not_equal(c.id, before.id, 16);
	assert_int_equal(c.first, 2);
	assert_int_equal(c.held_messages, 1);
	assert_int_equal(c.delivered_messages, 2);
	assert_true(spool_welcome(s, 0));
	spool_close(s, false);
	s = spool_begin(spool_directory_of_test, false);
	spool_counts(s, &before);
	assert_memory_equal(c.id, before.id, 16);
	spool_close(s, false);
}

static void
preambles_that_differ_in_times_alone_are_one(void **state)
{
	struct spool *s = spool_begin(spool_directory_of_test, false);

	(void)state;
	append(s, 1);
	spool_close(s, false);
	store_u32(spool_preamble_of_test + 4, 77); /* export time */
	s = spool_begin(spool_directory_of_test, false);
	append(s, 1);
	assert_int_equal(spool_reach(s, 0), 2);
	spool_close(s, false);
	spool_preamble_of_test[20] ^= 1;
	s = spool_begin(spool_directory_of_test, false);
	append(s, 1);
	assert_int_equal(spool_reach(s, 0), 2);
	assert_int_equal(spool_reach(s, 2), 3);
	assert_int_equal(spool_preamble(s, 0)->messages, 1);
	assert_ptr_not_equal(spool_preamble(s, 0), spool_preamble(s, 2));
	spool_close(s, false);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    SPOOL_TEST(the_account_outlives_segments_and_runs),
	    SPOOL_TEST(status_reads_what_somebody_uses),
	    SPOOL_TEST(files_are_for_the_owner_alone_and_links_are_not_followed),
	    SPOOL_TEST(what_is_no_file_makes_way_for_a_segment),
	    SPOOL_TEST(a_segment_that_continues_no_other_makes_way),
	    SPOOL_TEST(what_was_sent_with_messages_in_memory_is_not_dropped_as_unsent),
	    SPOOL_TEST(a_lost_ledger_costs_no_message),
	    SPOOL_TEST(numbers_that_only_memory_had_are_not_given_twice),
	    SPOOL_TEST(a_collector_that_knows_more_gives_the_spool_another_id),
	    SPOOL_TEST(preambles_that_differ_in_times_alone_are_one),
	};

	log_set_level(LOG_ERROR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
