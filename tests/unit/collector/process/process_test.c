/* The processing side with a real journal and store, on a disk whose sync fails when
 * told to. */
#include <stdarg.h>
#include <stddef.h>

#include <setjmp.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "collector/journal/journal.h"
#include "collector/process/process.h"
#include "common/base/clock.h"
#include "common/base/cursor.h"
#include "common/base/log.h"
#include "tests/unit/collector/protocol/support_set.h"

#define NOW    (1500000000 * NS_PER_SECOND)
#define RECORD 21u /* bytes: two addresses, port, protocol, packets, start */

static unsigned failing_syncs;
static bool is_disk_full; /* the journal's */

/* In front of the C library's. */
int
fdatasync(int fd)
{
	if (failing_syncs > 0) {
		failing_syncs--;
		errno = EIO;
		return -1;
	}
	return (int)syscall(SYS_fdatasync, fd);
}

ssize_t
pwrite(int fd, const void *bytes, size_t n, off_t at)
{
	if (is_disk_full) {
		errno = ENOSPC;
		return -1;
	}
	return syscall(SYS_pwrite64, fd, bytes, n, at);
}

struct world {
	char store_path[128], journal_path[128];
	struct tables *tables;
	struct store *store;
	struct journal *journal;
	struct process *process;
	uint64_t now_ns;
	uint32_t session, sequence;
	uint64_t max_keys; /* of a table */
};

static void
open_world(struct world *w)
{
	const struct tables_settings tables = {.schema_directory = "schemas",
	    .names = (const char *const[]){"pairs", "exporters"},
	    .name_count = 2,
	    .max_keys = w->max_keys};
	const struct journal_settings journal = {.directory = w->journal_path,
	    .segment_bytes = 4 << 20,
	    .max_bytes = 16 << 20};
	struct process_settings process = {.sessions = {.max_sessions = 8,
					       .max_domains = 16,
					       .max_templates = 16,
					       .max_fields = 64,
					       .max_spools = 8,
					       .is_live = true},
	    .flush_interval_ns = 10 * NS_PER_SECOND};
	struct err e = {""};

	if (tables_new(&tables, support_elements(), &w->tables, &e) < 0 ||
	    store_open(w->store_path, w->tables, &w->store, &e) < 0 ||
	    journal_open(&journal, &w->journal, &e) < 0) {
		fail_msg("%s", e.text);
	}
	process.elements = support_elements();
	process.store = w->store;
	process.journal = w->journal;
	if (process_new(&process, journal_id(w->journal), &w->process, &e) < 0 ||
	    process_replay(w->process, &e) < 0) {
		fail_msg("%s", e.text);
	}
}

static void
close_world(struct world *w)
{
	process_free(w->process);
	journal_close(w->journal);
	tables_free(w->tables);
	store_close(w->store);
}

static void
begin(struct world *w)
{
	const char *directory = support_directory();

	failing_syncs = 0;
	*w = (struct world){.now_ns = NOW, .max_keys = 1000};
	snprintf(w->store_path, sizeof w->store_path, "%s/store", directory);
	snprintf(w->journal_path, sizeof w->journal_path, "%s/journal", directory);
	open_world(w);
}

static void
end(struct world *w)
{
	close_world(w);
	support_directory_remove();
}

static void
commit(struct world *w, enum frame_kind kind, const void *bytes, size_t n)
{
	const struct frame f = {
	    .kind = kind, .session = w->session, .arrival_ns = w->now_ns, .length = n};
	struct err e = {""};
	size_t room_n;
	uint8_t *room = journal_reserve(w->journal, &room_n);

	assert_non_null(room);
	assert_true(room_n >= n);
	memcpy(room, bytes, n);
	if (journal_commit(w->journal, &f, &e) < 0) {
		fail_msg("%s", e.text);
	}
}

static size_t
put_header(uint8_t *m, size_t length, uint32_t sequence)
{
	store_u16(m, 10);
	store_u16(m + 2, (uint16_t)length);
	store_u32(m + 4, 1500000000);
	store_u32(m + 8, sequence);
	store_u32(m + 12, 1);
	return length;
}

/* A connection of the exporter, whose spool holds [first, ...) and which goes on with
 * number start; and its template. */
static void
connect_exporter(struct world *w, uint64_t first, uint64_t start)
{
	static const uint16_t words[] = {
	    2, 32, 256, 6, 8, 4, 12, 4, 11, 2, 4, 1, 2, 2, 152, 8};
	struct session_identity who = {.transport = "tls",
	    .peer = {{{[10] = 0xff, 0xff, 192, 0, 2, 1}}, 1},
	    .identity = "exporter",
	    .delivery = {.is_on = true,
		.spool = {7},
		.first = first,
		.start = start,
		.preamble = 1}};
	char text[SESSION_IDENTITY_TEXT];
	uint8_t m[64];

	w->session = journal_new_session(w->journal);
	w->sequence = 0;
	commit(w, FRAME_OPEN, text, session_identity_write(&who, text, sizeof text));
	for (unsigned i = 0; i < 16; i++) {
		store_u16(m + 16 + 2 * i, words[i]);
	}
	commit(w, FRAME_MESSAGES, m, put_header(m, 16 + 32, 0));
}

/* So many messages of one record each, with keys of their own. */
static void
send_messages(struct world *w, unsigned first, unsigned count)
{
	uint8_t bytes[4096], *m = bytes;

	for (unsigned i = first; i < first + count; i++) {
		store_u16(m + 16, 256);
		store_u16(m + 18, 4 + RECORD);
		store_u32(m + 20, 0x0a000000u + i);
		store_u32(m + 24, 0x0b000000u);
		store_u16(m + 28, 443);
		m[30] = 6;
		store_u16(m + 31, 1);
		store_u64(m + 33, 1500000000ULL * 1000);
		m += put_header(m, 20 + RECORD, w->sequence++);
	}
	commit(w, FRAME_MESSAGES, bytes, (size_t)(m - bytes));
}

static void
write_and_process(struct world *w)
{
	struct journal_buffer *b;
	struct frame f;
	struct err e = {""};
	size_t at = 0;

	if (journal_write(w->journal, &b, &e) < 0) {
		fail_msg("%s", e.text);
	}
	while (b != NULL && journal_buffer_next(b, &at, &f) > 0) {
		if (process_frame(w->process, &f, &e) < 0) {
			fail_msg("%s", e.text);
		}
	}
	journal_buffer_return(w->journal, b);
}

static void
tick(struct world *w)
{
	const struct frame f = {.kind = FRAME_TICK, .arrival_ns = w->now_ns};
	struct err e = {""};

	if (process_frame(w->process, &f, &e) < 0) {
		fail_msg("%s", e.text);
	}
}

static void
flush(struct world *w)
{
	struct err e = {""};

	if (process_flush(w->process, false, &e) < 0) {
		fail_msg("%s", e.text);
	}
}

static void
make_durable(struct world *w)
{
	struct err e = {""};

	if (journal_sync(w->journal, journal_end(w->journal), &e) < 0) {
		fail_msg("%s", e.text);
	}
}

/* The collector dies, and of the journal's first segment everything from `from` on
 * was only in the memory of the disk. */
static void
crash(struct world *w, uint64_t from)
{
	char path[256];

	close_world(w);
	snprintf(path, sizeof path, "%s/%016x.journal", w->journal_path, 0);
	assert_int_equal(truncate(path, (off_t)(4096 + from)), 0);
	open_world(w);
}

static const char *
counted(const struct world *w)
{
	return support_query(
	    w->store_path, "flowpair.sqlite", "SELECT sum(records) FROM exporters");
}

static unsigned
count_resumes(const struct world *w)
{
	DIR *d = opendir(w->journal_path);
	const struct dirent *entry;
	unsigned n = 0;

	while ((entry = readdir(d)) != NULL) {
		n += strstr(entry->d_name, ".resume") != NULL;
	}
	closedir(d);
	return n;
}

static void
test_what_a_store_has_and_the_disk_lost_counts_once_when_it_comes_again(void **state)
{
	struct world w;
	uint64_t durable;

	(void)state;
	begin(&w);
	connect_exporter(&w, 0, 0);
	send_messages(&w, 0, 1);
	write_and_process(&w);
	make_durable(&w);
	durable = journal_end(w.journal);
	send_messages(&w, 1, 3);
	send_messages(&w, 4, 3);
	write_and_process(&w);
	failing_syncs = 1;
	flush(&w); /* tries again until it works, and then it does */
	crash(&w, durable);
	assert_int_equal(journal_end(w.journal) > durable, 1);
	connect_exporter(&w, 1, 1);
	send_messages(&w, 1, 8);
	write_and_process(&w);
	w.now_ns += 11 * NS_PER_SECOND;
	tick(&w);
	assert_string_equal(counted(&w), "9");
	assert_int_equal(count_resumes(&w), 0);
	end(&w);
}

/* A flush in the middle of what is not durable: tables were full. */
static void
test_tables_that_fill_up_after_a_failed_sync_count_once_after_a_crash(void **state)
{
	struct world w;
	struct err e;
	uint64_t durable;

	(void)state;
	begin(&w);
	close_world(&w);
	w.max_keys = 40;
	open_world(&w);
	connect_exporter(&w, 0, 0);
	send_messages(&w, 0, 1);
	write_and_process(&w);
	make_durable(&w);
	durable = journal_end(w.journal);
	failing_syncs = 1;
	send_messages(&w, 1, 60); /* in one frame */
	write_and_process(&w);
	assert_true(process_complete(w.process) > durable);
	(void)journal_sync(w.journal, journal_end(w.journal), &e);
	crash(&w, durable);
	connect_exporter(&w, 1, 1);
	send_messages(&w, 1, 60);
	write_and_process(&w);
	flush(&w);
	assert_string_equal(counted(&w), "61");
	end(&w);
}

static void
test_nothing_that_the_disk_kept_is_lost_after_a_failed_sync(void **state)
{
	struct world w;

	(void)state;
	begin(&w);
	connect_exporter(&w, 0, 0);
	send_messages(&w, 0, 4);
	write_and_process(&w);
	failing_syncs = 1;
	flush(&w);
	send_messages(&w, 4, 3);
	write_and_process(&w);
	close_world(&w);
	open_world(&w);
	assert_string_equal(counted(&w), "7");
	connect_exporter(&w, 0, 0);
	send_messages(&w, 0, 9);
	write_and_process(&w);
	flush(&w);
	assert_string_equal(counted(&w), "9");
	end(&w);
}

static void
test_silence_after_a_failed_sync_does_not_keep_tables_from_the_store(void **state)
{
	struct world w;
	struct err e;

	(void)state;
	begin(&w);
	connect_exporter(&w, 0, 0);
	send_messages(&w, 0, 4);
	write_and_process(&w);
	failing_syncs = 1;
	assert_int_equal(journal_sync(w.journal, journal_end(w.journal), &e), -EIO);
	w.now_ns += 11 * NS_PER_SECOND;
	tick(&w);
	assert_string_equal(counted(&w), "4");
	end(&w);
}

static void
test_a_clock_that_is_set_back_does_not_keep_tables_from_the_store(void **state)
{
	struct world w;

	(void)state;
	begin(&w);
	connect_exporter(&w, 0, 0);
	send_messages(&w, 0, 4);
	write_and_process(&w);
	w.now_ns -= 86400 * NS_PER_SECOND;
	tick(&w);
	w.now_ns += 11 * NS_PER_SECOND;
	tick(&w);
	assert_string_equal(counted(&w), "4");
	end(&w);
}

/* Nothing but octets: no message. */
static void
fill_journal(struct world *w, unsigned megabytes)
{
	static uint8_t octets[65536];

	for (unsigned i = 0; i < 15 * megabytes; i++) {
		commit(w, FRAME_MESSAGES, octets, sizeof octets);
		if (i % 15 == 14) {
			write_and_process(w);
		}
	}
}

static void
test_a_journal_never_fills_up_while_the_store_keeps_pace(void **state)
{
	struct world w;

	(void)state;
	begin(&w);
	connect_exporter(&w, 0, 0);
	fill_journal(&w, 40);
	end(&w);
}

static void
test_a_disk_that_is_full_makes_tables_go_to_the_store(void **state)
{
	struct world w;
	struct journal_buffer *b;
	struct err e;

	(void)state;
	begin(&w);
	connect_exporter(&w, 0, 0);
	send_messages(&w, 0, 4);
	write_and_process(&w);
	is_disk_full = true;
	send_messages(&w, 4, 4);
	assert_int_equal(journal_write(w.journal, &b, &e), -ENOSPC);
	tick(&w);
	assert_string_equal(counted(&w), "4");
	is_disk_full = false;
	write_and_process(&w);
	flush(&w);
	assert_string_equal(counted(&w), "8");
	end(&w);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(
		test_what_a_store_has_and_the_disk_lost_counts_once_when_it_comes_again),
	    cmocka_unit_test(
		test_tables_that_fill_up_after_a_failed_sync_count_once_after_a_crash),
	    cmocka_unit_test(
		test_nothing_that_the_disk_kept_is_lost_after_a_failed_sync),
	    cmocka_unit_test(
		test_silence_after_a_failed_sync_does_not_keep_tables_from_the_store),
	    cmocka_unit_test(
		test_a_clock_that_is_set_back_does_not_keep_tables_from_the_store),
	    cmocka_unit_test(test_a_journal_never_fills_up_while_the_store_keeps_pace),
	    cmocka_unit_test(test_a_disk_that_is_full_makes_tables_go_to_the_store),
	};

	log_set_level(LOG_ERROR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
