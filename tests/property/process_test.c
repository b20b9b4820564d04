/* Random loads, flushes and crashes: the tables hold every journalled record exactly
 * once, whatever stopped when.  A crash here is a process thrown away with what it held
 * in memory; the journal's tail may lose what was not synced. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "collector/journal/journal.h"
#include "collector/process/process.h"
#include "common/base/cursor.h"
#include "tests/unit/collector/protocol/support_set.h"

#define SEEDS  12
#define STEPS  40
#define WIDE   86400 /* seconds: there are always partners */
#define SECOND 1000000000ULL
#define NOW    (1500000000 * SECOND)
#define RECORD 21u /* bytes: two addresses, port, protocol, packets, start */

static uint64_t random_state;

static unsigned
random_below(unsigned n)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return (unsigned)(random_state % n);
}

struct world {
	const char *directory;
	char store_path[128], journal_path[128];
	struct tables *tables;
	struct store *store;
	struct journal *journal;
	struct process *process;
	uint64_t now_ns;
	uint32_t session, sequence; /* of the sender; session 0: not connected */
	uint64_t packets, records;  /* that are in the journal for good */
	uint64_t lost;
	bool is_stitching; /* pairs and services do */
	unsigned window_s;
	unsigned max_keys;
	char schema_path[128];
};

static void
die(const char *what, const struct err *e)
{
	fail_msg("%s: %s", what, e->text);
}

static void
open_world(struct world *w)
{
	const struct tables_settings tables = {.schema_directory = w->schema_path,
	    .names = (const char *const[]){"pairs", "services", "exporters"},
	    .name_count = 3,
	    .max_keys = w->max_keys};
	const struct journal_settings journal = {.directory = w->journal_path,
	    .segment_bytes = 4 << 20,
	    .max_bytes = 64 << 20};
	struct process_settings process = {.sessions = {.max_sessions = 8,
					       .max_domains = 16,
					       .max_templates = 16,
					       .max_fields = 64,
					       .exporter = "x"},
	    .flush_interval_ns = (1 + random_below(20)) * SECOND};
	struct err e = {""};

	if (tables_new(&tables, support_elements(), &w->tables, &e) < 0 ||
	    store_open(w->store_path, w->tables, &w->store, &e) < 0 ||
	    journal_open(&journal, &w->journal, &e) < 0) {
		die("start", &e);
	}
	process.elements = support_elements();
	process.store = w->store;
	process.journal = w->journal;
	if (process_new(&process, journal_id(w->journal), &w->process, &e) < 0 ||
	    process_replay(w->process, &e) < 0) {
		die("start", &e);
	}
	w->session = 0; /* connections do not outlive the collector */
}

static void
reopen_world(struct world *w)
{
	w->max_keys = 20 + random_below(400);
	open_world(w);
}

static void
close_world(struct world *w)
{
	process_free(w->process);
	journal_close(w->journal);
	tables_free(w->tables);
	store_close(w->store);
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

static size_t
put_template(uint8_t *m, uint32_t sequence)
{
	static const uint16_t words[] = {
	    2, 32, 256, 6, 8, 4, 12, 4, 11, 2, 4, 1, 2, 2, 152, 8};

	for (unsigned i = 0; i < 16; i++) {
		store_u16(m + 16 + 2 * i, words[i]);
	}
	return put_header(m, 16 + 32, sequence);
}

static size_t
put_data(struct world *w, uint8_t *m, unsigned n)
{
	uint8_t *at = m + 20;

	for (unsigned i = 0; i < n; i++) {
		unsigned packets = 1 + random_below(1000);
		unsigned ends[] = {
		    0x0a000000u + random_below(50), 0x0b000000u + random_below(5)};
		unsigned is_back = w->is_stitching && random_below(2);
		store_u32(at, ends[is_back]);
		store_u32(at + 4, ends[!is_back]);
		store_u16(at + 8, w->is_stitching ? 0 : random_below(2) ? 443 : 8080);
		at[10] = 6;
		store_u16(at + 11, (uint16_t)packets);
		store_u64(at + 13, (1500000000ULL + random_below(200000)) * 1000);
		w->packets += packets;
		at += RECORD;
	}
	w->records += n;
	store_u16(m + 16, 256);
	store_u16(m + 18, (uint16_t)(4 + n * RECORD));
	return put_header(m, 20 + n * RECORD, w->sequence);
}

static void
commit(struct world *w, enum frame_kind kind, size_t n)
{
	const struct frame f = {
	    .kind = kind, .session = w->session, .arrival_ns = w->now_ns, .length = n};
	struct err e = {""};

	if (journal_commit(w->journal, &f, &e) < 0) {
		die("commit", &e);
	}
}

static uint8_t *
reserve(struct world *w)
{
	size_t n;
	uint8_t *room = journal_reserve(w->journal, &n);

	assert_non_null(room);
	return room;
}

/* A few frames: a session may begin or end, messages may be missing before they come.
 */
static void
receive(struct world *w)
{
	static const char identity[] = "transport=tcp\npeer=192.0.2.1:1\nidentity=\n";
	uint8_t *room;
	size_t n = 0;

	w->now_ns += random_below(5) * SECOND;
	if (random_below(4) == 0) {
		w->now_ns += random_below(60) * SECOND;
		(void)reserve(w);
		commit(w, FRAME_TICK, 0);
	}
	if (w->session != 0 && random_below(6) == 0) {
		(void)reserve(w);
		commit(w, FRAME_CLOSE, 0);
		w->session = 0;
	}
	if (w->session == 0) {
		room = reserve(w);
		memcpy(room, identity, sizeof identity - 1);
		w->session = journal_new_session(w->journal);
		w->sequence = 0;
		commit(w, FRAME_OPEN, sizeof identity - 1);
		room = reserve(w);
		commit(w, FRAME_MESSAGES, put_template(room, 0));
	}
	room = reserve(w);
	for (unsigned i = 1 + random_below(8); i > 0; i--) {
		unsigned records = 1 + random_below(60);
		if (w->sequence > 0 && random_below(10) == 0) {
			unsigned gap = 1 + random_below(5);
			w->sequence += gap;
			w->lost += gap;
		}
		n += put_data(w, room + n, records);
		w->sequence += records;
	}
	commit(w, FRAME_MESSAGES, n);
}

/* Processes what is written, perhaps not all of it. */
static void
process_written(struct world *w, bool only_part)
{
	struct journal_buffer *b;
	struct frame f;
	struct err e = {""};
	size_t at = 0;

	if (journal_write(w->journal, &b, &e) < 0) {
		die("write", &e);
	}
	while (b != NULL && journal_buffer_next(b, &at, &f) > 0) {
		if (only_part && random_below(2) == 0) {
			break;
		}
		if (process_frame(w->process, &f, &e) < 0) {
			die("process", &e);
		}
	}
	journal_buffer_return(w->journal, b);
}

static void
copy(const char *options, const char *from, const char *to)
{
	char command[512];

	snprintf(command, sizeof command, "cp %s %s %s", options, from, to);
	assert_int_equal(system(command), 0);
}

/* The days have it, the main file is that of before, and the journal is all there. */
static void
crash_in_mid_flush(struct world *w)
{
	char main_file[160], kept_file[160], kept_journal[160], all[192];
	struct err e = {""};

	snprintf(main_file, sizeof main_file, "%s/flowpair.sqlite", w->store_path);
	snprintf(kept_file, sizeof kept_file, "%s/kept", w->directory);
	snprintf(kept_journal, sizeof kept_journal, "%s/kept_journal", w->directory);
	snprintf(all, sizeof all, "%s/*", kept_journal);
	process_written(w, false);
	copy("", main_file, kept_file);
	copy("-r", w->journal_path, kept_journal);
	if (process_flush(w->process, false, &e) < 0) {
		die("flush", &e);
	}
	close_world(w);
	copy("", kept_file, main_file);
	copy("-rn", all, w->journal_path);
	snprintf(all, sizeof all, "rm -r %s", kept_journal);
	assert_int_equal(system(all), 0);
	open_world(w);
}

static void
step(struct world *w)
{
	struct err e = {""};

	receive(w);
	switch (random_below(8)) {
	case 0: /* a crash between journal and tables */
		process_written(w, true);
		close_world(w);
		reopen_world(w);
		break;
	case 1:
		process_written(w, false);
		if (process_flush(w->process, false, &e) < 0) {
			die("flush", &e);
		}
		break;
	case 2: /* a crash right after a flush, or before one */
		process_written(w, false);
		close_world(w);
		reopen_world(w);
		break;
	case 3: /* more comes before it is written */
		break;
	case 4:
		crash_in_mid_flush(w);
		break;
	default:
		process_written(w, false);
	}
}

static void
check(struct world *w)
{
	char wanted[128];

	snprintf(wanted, sizeof wanted, "%llu|%llu", (unsigned long long)w->records,
	    (unsigned long long)w->lost);
	assert_string_equal(support_query(w->store_path, "flowpair.sqlite",
				"SELECT sum(records), sum(lost) FROM exporters"),
	    wanted);
}

static uint64_t
sum_days(const struct world *w, const char *column)
{
	uint64_t sum = 0;
	char file[64], sql[64];

	snprintf(sql, sizeof sql, "SELECT sum(%s) FROM pairs", column);
	for (unsigned day = 14; day <= 16; day++) {
		char path[256];
		snprintf(file, sizeof file, "pairs-2017-07-%u.sqlite", day);
		snprintf(path, sizeof path, "%s/%s", w->store_path, file);
		if (access(path, F_OK) == 0) {
			sum +=
			    strtoull(support_query(w->store_path, file, sql), NULL, 10);
		}
	}
	return sum;
}

static void
make_schemas(struct world *w)
{
	/* Starts are that far apart, or arrivals are, or neither. */
	static const unsigned windows[] = {WIDE, 3600, 20};
	char command[512];

	w->window_s = windows[random_below(3)];
	snprintf(w->schema_path, sizeof w->schema_path, "%s/schemas", w->directory);
	snprintf(command, sizeof command,
	    "cp -r schemas '%s'; for t in pairs services; do test %d = 0 || "
	    "printf 'stitch: { window: %us, max_waiting: %u }\\n' "
	    ">>'%s'/tables/$t.yaml; "
	    "done",
	    w->schema_path, w->is_stitching, w->window_s, 1 + random_below(60),
	    w->schema_path);
	assert_int_equal(system(command), 0);
}

static void
run_seed(uint64_t seed)
{
	struct world w = {.now_ns = NOW};
	struct err e = {""};

	random_state = seed * 0x9e3779b97f4a7c15ULL + 1;
	w.directory = support_directory();
	snprintf(w.store_path, sizeof w.store_path, "%s/store", w.directory);
	snprintf(w.journal_path, sizeof w.journal_path, "%s/journal", w.directory);
	w.is_stitching = seed % 2 == 0;
	make_schemas(&w);
	reopen_world(&w);
	for (unsigned i = 0; i < STEPS; i++) {
		step(&w);
	}
	memcpy(reserve(&w), "stop", 4);
	commit(&w, FRAME_TICK, 4);
	process_written(&w, false);
	if (process_flush(w.process, false, &e) < 0) {
		die("flush", &e);
	}
	check(&w);
	assert_int_equal(sum_days(&w, "fwd_packets + bwd_packets"), w.packets);
	if (w.is_stitching) {
		assert_in_range(sum_days(&w, "flows"), (w.records + 1) / 2,
		    w.records - (w.window_s == WIDE));
	} else {
		assert_int_equal(sum_days(&w, "flows"), w.records);
	}
	close_world(&w);
	support_directory_remove();
}

static void
test_every_journalled_record_is_counted_once(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= SEEDS; seed++) {
		print_message("seed %u\n", (unsigned)seed);
		run_seed(seed);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_every_journalled_record_is_counted_once),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
