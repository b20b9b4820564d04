/* cmocka.h needs these before it. */
#include <stdarg.h>
#include <stddef.h>

#include <setjmp.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "collector/journal/journal.h"
#include "collector/journal/segment.h"
#include "common/base/cursor.h"
#include "common/base/hash.h"

static char directory[64];

static int
remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

static int
set_up(void **state)
{
	(void)state;
	strcpy(directory, "/tmp/journal_test_XXXXXX");
	return mkdtemp(directory) == NULL;
}

static int
tear_down(void **state)
{
	(void)state;
	return nftw(directory, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static struct journal *
open_with(bool skip_damage, struct err *e)
{
	struct journal_settings s = {.directory = directory,
	    .segment_bytes = 4 << 20,
	    .max_bytes = 16 << 20,
	    .skip_damage = skip_damage};
	struct journal *j = NULL;

	(void)journal_open(&s, &j, e);
	return j;
}

static struct journal *
open_journal(void)
{
	struct err e = {""};
	struct journal *j = open_with(false, &e);

	if (j == NULL) {
		print_error("%s\n", e.text);
	}
	assert_non_null(j);
	return j;
}

/* One frame that carries n bytes of value. */
static void
add(struct journal *j, uint32_t session, size_t n, int value)
{
	size_t room;
	uint8_t *p = journal_reserve(j, &room);

	assert_non_null(p);
	assert_true(room >= n);
	memset(p, value, n);
	assert_int_equal(
	    journal_commit(j, FRAME_MESSAGES, session, 0, 1000 + session, n, NULL), 0);
}

static void
write_out(struct journal *j)
{
	struct journal_buffer *b;
	struct err e = {""};

	if (journal_write(j, &b, &e) < 0) {
		fail_msg("%s", e.text);
	}
	journal_buffer_return(j, b);
}

struct seen {
	unsigned frames;
	uint64_t first, last_end;
	uint64_t bytes;
	uint32_t last_session;
	bool is_wrong;
};

static int
see(const struct frame *f, void *data)
{
	struct seen *s = data;

	if (s->frames == 0) {
		s->first = f->position;
	}
	if (f->position < s->last_end || f->kind == FRAME_PAD) {
		s->is_wrong = true;
	}
	for (size_t i = 1; i < f->length; i++) {
		s->is_wrong = s->is_wrong || f->payload[i] != f->payload[0];
	}
	s->frames++;
	s->bytes += f->length;
	s->last_end = f->end;
	s->last_session = f->session;
	return 0;
}

static struct seen
replay(struct journal *j, uint64_t from)
{
	struct seen s = {0};
	struct err e = {""};

	if (journal_replay(j, from, see, &s, &e) < 0) {
		fail_msg("%s", e.text);
	}
	assert_false(s.is_wrong);
	return s;
}

static void
segment_path(uint64_t start, char out[static 128])
{
	snprintf(out, 128, "%s/%016" PRIx64 ".journal", directory, start);
}

static void
change_byte(uint64_t start, off_t at)
{
	char path[128];
	uint8_t b;
	int fd;

	segment_path(start, path);
	fd = open(path, O_RDWR);
	assert_true(fd >= 0);
	assert_int_equal(pread(fd, &b, 1, at), 1);
	b ^= 0x55;
	assert_int_equal(pwrite(fd, &b, 1, at), 1);
	close(fd);
}

static void
test_frames_come_back_after_a_restart(void **state)
{
	struct journal *j = open_journal();
	struct source_id id = *journal_id(j);
	struct seen s;

	(void)state;
	add(j, 7, 100, 'a');
	add(j, 8, 3, 'b');
	write_out(j);
	add(j, 9, 65536, 'c');
	write_out(j);
	journal_close(j);
	j = open_journal();
	assert_string_equal(journal_id(j)->text, id.text);
	s = replay(j, 0);
	assert_int_equal(s.frames, 3);
	assert_int_equal(s.bytes, 100 + 3 + 65536);
	assert_int_equal(s.first, SEGMENT_FRAME_HEADER);
	assert_true(journal_end(j) >= s.last_end);
	assert_int_equal(journal_new_session(j), 10);
	journal_close(j);
}

static void
test_a_buffer_hands_out_the_frames_that_were_committed(void **state)
{
	struct journal *j = open_journal();
	struct journal_buffer *b;
	struct frame f;
	size_t at = 0;

	(void)state;
	add(j, 1, 5, 'x');
	add(j, 2, 0, 'y');
	assert_int_equal(journal_write(j, &b, NULL), 0);
	assert_int_equal(journal_buffer_next(b, &at, &f), 1);
	assert_int_equal(f.position, SEGMENT_FRAME_HEADER);
	assert_memory_equal(f.payload, "xxxxx", 5);
	assert_int_equal(journal_buffer_next(b, &at, &f), 1);
	assert_int_equal(f.length, 0);
	assert_int_equal(f.arrival_ns, 1002);
	assert_int_equal(journal_buffer_next(b, &at, &f), 0);
	journal_buffer_return(j, b);
	journal_close(j);
}

struct streams {
	unsigned count;
	uint16_t numbers[4];
};

static int
see_stream(const struct frame *f, void *data)
{
	struct streams *s = data;

	assert_true(s->count < 4);
	s->numbers[s->count++] = f->stream;
	return 0;
}

static void
test_a_frame_keeps_its_stream(void **state)
{
	struct journal *j = open_journal();
	struct streams seen = {0};
	size_t room;

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		assert_non_null(journal_reserve(j, &room));
		assert_int_equal(journal_commit(j, FRAME_MESSAGES, 1,
				     i == 0 ? 0 : 65535, 1, 0, NULL),
		    0);
	}
	write_out(j);
	journal_close(j);
	j = open_journal();
	assert_int_equal(journal_replay(j, 0, see_stream, &seen, NULL), 0);
	assert_int_equal(seen.count, 2);
	assert_int_equal(seen.numbers[0], 0);
	assert_int_equal(seen.numbers[1], 65535);
	journal_close(j);
}

/* What version 1 wrote differs in the header's version alone. */
static void
test_a_segment_of_another_format_is_told_and_kept(void **state)
{
	struct journal *j = open_journal();
	struct err e = {""};
	uint8_t block[SEGMENT_BLOCK];
	char path[128];
	int fd;

	(void)state;
	journal_close(j);
	segment_path(0, path);
	fd = open(path, O_RDWR);
	assert_int_equal(pread(fd, block, sizeof block, 0), sizeof block);
	store_u32(block + 8, 1);
	store_u64(block + 40, hash_bytes(block, 40, 0));
	assert_int_equal(pwrite(fd, block, sizeof block, 0), sizeof block);
	close(fd);
	assert_null(open_with(false, &e));
	assert_non_null(strstr(e.text, "the format of another version"));
	assert_int_equal(access(path, F_OK), 0);
}

static void
test_nothing_committed_writes_nothing(void **state)
{
	struct journal *j = open_journal();
	struct journal_buffer *b = (struct journal_buffer *)j;
	size_t n;

	(void)state;
	assert_int_equal(journal_write(j, &b, NULL), 0);
	assert_null(b);
	assert_non_null(journal_reserve(j, &n));
	assert_int_equal(journal_write(j, &b, NULL), 0);
	assert_null(b);
	assert_int_equal(journal_end(j), 0);
	journal_close(j);
}

static void
test_reserve_stops_when_every_buffer_is_out(void **state)
{
	struct journal *j = open_journal();
	struct journal_buffer *b[128];
	unsigned n = 0;
	size_t room;

	(void)state;
	while (journal_reserve(j, &room) != NULL) {
		add(j, 1, 10, 'z');
		assert_int_equal(journal_write(j, &b[n++], NULL), 0);
		assert_true(n < 128);
	}
	assert_int_equal(n, 64);
	journal_buffer_return(j, b[3]);
	assert_non_null(journal_reserve(j, &room));
	journal_close(j);
}

static void
test_a_torn_tail_is_cut_at_the_last_whole_frame(void **state)
{
	struct journal *j = open_journal();
	struct seen s;
	uint64_t second;
	char path[128];

	(void)state;
	add(j, 1, 5000, 'a');
	write_out(j);
	second = journal_end(j);
	add(j, 2, 5000, 'b');
	add(j, 3, 5000, 'c');
	write_out(j);
	journal_close(j);
	segment_path(0, path);
	assert_int_equal(truncate(path, (off_t)(4096 + second + 5040 + 100)), 0);
	j = open_journal();
	s = replay(j, 0);
	assert_int_equal(s.frames, 2);
	assert_int_equal(journal_end(j), second + 5040);
	add(j, 4, 10, 'd');
	write_out(j);
	journal_close(j);
	j = open_journal();
	s = replay(j, 0);
	assert_int_equal(s.frames, 3);
	assert_int_equal(s.last_session, 4);
	journal_close(j);
}

static void
test_a_torn_write_with_a_later_block_on_disk_is_cut_too(void **state)
{
	struct journal *j = open_journal();
	struct seen s;

	(void)state;
	add(j, 1, 20000, 'a');
	write_out(j);
	add(j, 2, 20000, 'b');
	write_out(j);
	journal_close(j);
	change_byte(0, 4096 + 500);
	j = open_journal();
	s = replay(j, 0);
	assert_int_equal(s.frames, 0);
	assert_int_equal(journal_end(j), 0);
	journal_close(j);
}

static void
test_damage_before_what_was_durable_is_an_error_with_its_repair(void **state)
{
	struct journal *j = open_journal();
	struct err e = {""};
	struct seen s;

	(void)state;
	add(j, 1, 20000, 'a');
	write_out(j);
	assert_int_equal(journal_sync(j, journal_end(j), &e), 0);
	add(j, 2, 20000, 'b');
	write_out(j);
	journal_close(j);
	change_byte(0, 4096 + 500);
	assert_null(open_with(false, &e));
	assert_non_null(strstr(e.text, "is damaged at byte 4096"));
	assert_non_null(strstr(e.text, "--skip-damaged-journal"));
	j = open_with(true, &e);
	assert_non_null(j);
	s = replay(j, 0);
	assert_int_equal(s.frames, 1);
	assert_int_equal(s.last_session, 2);
	assert_true(journal_skipped(j) >= 20000);
	journal_close(j);
	/* Granted once, it need not be granted again. */
	j = open_journal();
	assert_int_equal(replay(j, 0).frames, 1);
	journal_close(j);
}

static void
fill(struct journal *j, unsigned frames, bool save_states)
{
	for (unsigned i = 0; i < frames; i++) {
		uint64_t start;
		char path[128];
		add(j, 1, 900000, 'a' + (int)(i % 20));
		write_out(j);
		start = journal_segment_start(j, journal_end(j));
		journal_state_path(j, start, path, sizeof path);
		if (save_states) {
			close(open(path, O_CREAT | O_WRONLY, 0600));
		}
	}
}

static void
test_segments_roll_and_replay_begins_in_the_right_one(void **state)
{
	struct journal *j = open_journal();
	uint64_t middle;

	(void)state;
	fill(j, 14, false);
	journal_close(j);
	j = open_journal();
	assert_int_equal(replay(j, 0).frames, 14);
	middle = journal_segment_start(j, journal_end(j) / 2);
	assert_int_not_equal(middle, 0);
	assert_true(replay(j, middle).frames < 14);
	assert_true(replay(j, middle + 5).first == middle + SEGMENT_FRAME_HEADER);
	journal_close(j);
}

static void
test_damage_in_an_older_segment_is_an_error(void **state)
{
	struct journal *j = open_journal();
	struct seen s = {0};
	struct err e = {""};

	(void)state;
	fill(j, 14, false);
	journal_close(j);
	change_byte(0, 4096 + 1000000);
	j = open_journal();
	assert_int_equal(journal_replay(j, 0, see, &s, &e), -EBADMSG);
	assert_int_equal(s.frames, 1);
	assert_non_null(strstr(e.text, "0000000000000000.journal is damaged"));
	journal_close(j);
}

static void
test_a_full_journal_says_no_space_until_it_is_trimmed(void **state)
{
	struct journal *j = open_journal();
	struct journal_buffer *b = NULL;
	struct err e = {""};
	size_t n;

	(void)state;
	fill(j, 18, true);
	add(j, 1, 900000, 'q');
	assert_int_equal(journal_write(j, &b, &e), -ENOSPC);
	assert_null(journal_reserve(j, &n));
	assert_int_equal(journal_trim(j, journal_end(j), &e), 0);
	assert_int_equal(journal_write(j, &b, &e), 0);
	assert_non_null(b);
	journal_buffer_return(j, b);
	journal_close(j);
	j = open_journal();
	assert_int_equal(replay(j, 0).frames, 3);
	journal_close(j);
}

static void
test_a_segment_that_cannot_be_written_any_more_is_left(void **state)
{
	struct journal *j = open_journal();
	struct journal_buffer *b = NULL;
	struct rlimit before, least = {1 << 20, 1 << 20};
	struct err e = {""};
	size_t n;

	(void)state;
	signal(SIGXFSZ, SIG_IGN);
	getrlimit(RLIMIT_FSIZE, &before);
	least.rlim_max = before.rlim_max;
	add(j, 1, 600000, 'a');
	write_out(j);
	setrlimit(RLIMIT_FSIZE, &least);
	add(j, 2, 600000, 'b');
	assert_true(journal_write(j, &b, &e) < 0);
	assert_non_null(strstr(e.text, "cannot write the journal"));
	assert_null(journal_reserve(j, &n));
	write_out(j);
	setrlimit(RLIMIT_FSIZE, &before);
	assert_int_not_equal(journal_segment_start(j, journal_end(j)), 0);
	assert_int_equal(journal_sync(j, journal_end(j), &e), 0);
	journal_close(j);
	j = open_journal();
	assert_int_equal(replay(j, 0).frames, 2);
	journal_close(j);
}

static struct journal *trimmed;

static int
see_and_trim(const struct frame *f, void *data)
{
	assert_int_equal(journal_trim(trimmed, f->position, NULL), 0);
	return see(f, data);
}

static void
test_a_trim_during_replay_takes_nothing_from_it(void **state)
{
	struct seen s = {0};

	(void)state;
	trimmed = open_journal();
	fill(trimmed, 14, true);
	journal_close(trimmed);
	trimmed = open_journal();
	assert_int_equal(journal_replay(trimmed, 0, see_and_trim, &s, NULL), 0);
	assert_int_equal(s.frames, 14);
	assert_int_equal(replay(trimmed, 0).frames, 2);
	journal_close(trimmed);
}

static void
test_trim_keeps_segments_whose_follower_has_no_state(void **state)
{
	struct journal *j = open_journal();

	(void)state;
	fill(j, 14, false);
	assert_int_equal(journal_trim(j, journal_end(j), NULL), 0);
	assert_int_equal(replay(j, 0).frames, 14);
	journal_close(j);
}

static void
test_synced_follows_journal_sync(void **state)
{
	struct journal *j = open_journal();
	uint64_t first;

	(void)state;
	add(j, 1, 10, 'a');
	write_out(j);
	first = journal_end(j);
	assert_int_equal(journal_synced(j), 0);
	assert_int_equal(journal_sync(j, first, NULL), 0);
	assert_int_equal(journal_synced(j), first);
	fill(j, 9, false);
	assert_int_equal(journal_sync(j, journal_end(j), NULL), 0);
	assert_int_equal(journal_synced(j), journal_end(j));
	journal_close(j);
}

static void
test_a_second_collector_is_refused(void **state)
{
	struct journal *j = open_journal();
	struct err e = {""};

	(void)state;
	assert_null(open_with(false, &e));
	assert_non_null(strstr(e.text, "in use by another collector"));
	journal_close(j);
}

static void
test_files_are_private_and_links_are_not_followed(void **state)
{
	struct journal *j = open_journal();
	char path[128], to[128];
	struct err e = {""};
	struct stat st;

	(void)state;
	segment_path(0, path);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	journal_close(j);
	snprintf(to, sizeof to, "%s/elsewhere", directory);
	assert_int_equal(rename(path, to), 0);
	assert_int_equal(symlink(to, path), 0);
	assert_null(open_with(false, &e));
}

static void
test_a_segment_of_another_journal_is_refused(void **state)
{
	struct journal *j = open_journal();
	struct err e = {""};
	char from[128], to[128];

	(void)state;
	add(j, 1, 10, 'a');
	write_out(j);
	journal_close(j);
	segment_path(0, from);
	segment_path(0x10000, to);
	assert_int_equal(rename(from, to), 0);
	j = open_with(false, &e);
	assert_null(j);
	assert_non_null(strstr(e.text, "belongs to another place or journal"));
}

static void
test_a_segment_without_header_at_the_end_was_never_born(void **state)
{
	struct journal *j = open_journal();
	char path[128];
	int fd;

	(void)state;
	add(j, 1, 10, 'a');
	write_out(j);
	segment_path(journal_end(j), path);
	journal_close(j);
	fd = open(path, O_CREAT | O_WRONLY, 0600);
	assert_int_equal(ftruncate(fd, 4096), 0);
	close(fd);
	j = open_journal();
	assert_int_equal(replay(j, 0).frames, 1);
	journal_close(j);
}

static void
test_a_torn_range_is_settled_and_positions_go_on_after_it(void **state)
{
	struct journal *j = open_journal();
	char path[128], text[64];
	FILE *f;
	uint64_t end;

	(void)state;
	add(j, 1, 100, 'a');
	write_out(j);
	end = journal_end(j);
	journal_close(j);
	/* As after a failed fdatasync: the bytes are gone, a store may hold them. */
	snprintf(path, sizeof path, "%s/%016x.torn", directory, 0);
	f = fopen(path, "w");
	snprintf(text, sizeof text, "%016x %016" PRIx64 "\n", 0, end);
	fputs(text, f);
	fclose(f);
	segment_path(0, path);
	assert_int_equal(truncate(path, 4096), 0);
	j = open_journal();
	assert_int_equal(journal_end(j), end);
	assert_int_equal(replay(j, 0).frames, 0);
	assert_int_equal(journal_skipped(j), end);
	add(j, 2, 100, 'b');
	write_out(j);
	journal_close(j);
	j = open_journal();
	assert_int_equal(replay(j, 0).frames, 1);
	assert_int_equal(replay(j, end).first, end + SEGMENT_FRAME_HEADER);
	journal_close(j);
}

static void
test_settings_that_cannot_work_are_refused(void **state)
{
	struct journal_settings s = {
	    .directory = directory, .segment_bytes = 4 << 20, .max_bytes = 8 << 20};
	struct journal *j = NULL;
	struct err e = {""};

	(void)state;
	assert_int_equal(journal_open(&s, &j, &e), -EINVAL);
	assert_non_null(strstr(e.text, "at least four"));
	s.segment_bytes = 4096;
	assert_int_equal(journal_open(&s, &j, &e), -EINVAL);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    CASE(test_frames_come_back_after_a_restart),
	    CASE(test_a_buffer_hands_out_the_frames_that_were_committed),
	    CASE(test_a_frame_keeps_its_stream),
	    CASE(test_a_segment_of_another_format_is_told_and_kept),
	    CASE(test_nothing_committed_writes_nothing),
	    CASE(test_reserve_stops_when_every_buffer_is_out),
	    CASE(test_a_torn_tail_is_cut_at_the_last_whole_frame),
	    CASE(test_a_torn_write_with_a_later_block_on_disk_is_cut_too),
	    CASE(test_damage_before_what_was_durable_is_an_error_with_its_repair),
	    CASE(test_segments_roll_and_replay_begins_in_the_right_one),
	    CASE(test_damage_in_an_older_segment_is_an_error),
	    CASE(test_a_full_journal_says_no_space_until_it_is_trimmed),
	    CASE(test_a_segment_that_cannot_be_written_any_more_is_left),
	    CASE(test_a_trim_during_replay_takes_nothing_from_it),
	    CASE(test_trim_keeps_segments_whose_follower_has_no_state),
	    CASE(test_synced_follows_journal_sync),
	    CASE(test_a_second_collector_is_refused),
	    CASE(test_files_are_private_and_links_are_not_followed),
	    CASE(test_a_segment_of_another_journal_is_refused),
	    CASE(test_a_segment_without_header_at_the_end_was_never_born),
	    CASE(test_a_torn_range_is_settled_and_positions_go_on_after_it),
	    CASE(test_settings_that_cannot_work_are_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
