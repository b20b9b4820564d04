#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "collector/journal/segment.h"
#include "common/base/cursor.h"
#include "common/base/hash.h"

#define START 0x1000u

static const struct segment_header header = {
    .uuid = {1, 2, 3, [15] = 16}, .start = START, .next_session = 7};
static uint64_t seed;
static uint8_t bytes[4 * SEGMENT_BLOCK];

static int
set_up(void **state)
{
	(void)state;
	seed = segment_seed(header.uuid);
	memset(bytes, 0xee, sizeof bytes);
	return 0;
}

/* A frame of n bytes of value at this offset behind the header; where the next goes. */
static size_t
put_frame(size_t at, size_t n, int value)
{
	const struct frame f = {.kind = FRAME_MESSAGES,
	    .session = 3,
	    .stream = 2,
	    .arrival_ns = 5,
	    .length = n};
	uint8_t *out = bytes + SEGMENT_BLOCK + at;

	memset(out + SEGMENT_FRAME_HEADER, value, n);
	return at + segment_frame_write(out, seed, START + at, &f);
}

static size_t
put_pad(size_t at, size_t n, uint64_t synced)
{
	segment_pad_write(bytes + SEGMENT_BLOCK + at, n, seed, START + at, synced);
	return at + n;
}

/* Reads a file of the header and n bytes. */
static struct segment_reader *
read_back(size_t n)
{
	FILE *file = tmpfile();
	struct segment_reader *r = NULL;
	struct err e = {""};

	segment_header_write(&header, bytes);
	assert_non_null(file);
	assert_int_equal(fwrite(bytes, 1, SEGMENT_BLOCK + n, file), SEGMENT_BLOCK + n);
	assert_int_equal(fflush(file), 0);
	if (segment_reader_new(dup(fileno(file)), UINT64_MAX, &r, &e) < 0) {
		fail_msg("%s", e.text);
	}
	fclose(file);
	return r;
}

static void
a_header_is_what_journals_on_disk_have(void **state)
{
	static const uint8_t expected[] = {'f', 'p', 'j', 'o', 'u', 'r', 'n', 'l', 0, 0,
	    0, 2, 0, 0, 0, 7, 1, 2, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 16, 0, 0, 0,
	    0, 0, 0, 0x10, 0};

	(void)state;
	segment_header_write(&header, bytes);
	assert_memory_equal(bytes, expected, sizeof expected);
	assert_int_equal(load_u64(bytes + 40), hash_bytes(expected, 40, 0));
	assert_true(cursor_is_zero(cursor_of(bytes + 48, SEGMENT_BLOCK - 48)));
	assert_int_equal(bytes[SEGMENT_BLOCK], 0xee);
}

static void
a_header_is_read_as_it_was_written(void **state)
{
	struct segment_header h;

	(void)state;
	segment_header_write(&header, bytes);
	assert_int_equal(segment_header_read(bytes, &h), 0);
	assert_memory_equal(h.uuid, header.uuid, sizeof h.uuid);
	assert_int_equal(h.start, START);
	assert_int_equal(h.next_session, 7);
	bytes[33] ^= 1;
	assert_int_equal(segment_header_read(bytes, &h), -EPROTO);
}

static void
a_frame_is_what_journals_on_disk_have(void **state)
{
	static const uint8_t expected[] = {'f', 'p', 'F', 'r', 0, 2, 0, 2, 0, 0, 0, 3,
	    0, 0, 0, 5, 0, 0, 0, 0, 0, 0, 0, 5, 0, 0, 0, 0, 0, 0, 0x10, 0};
	const uint8_t *frame = bytes + SEGMENT_BLOCK;

	(void)state;
	assert_int_equal(put_frame(0, 5, 'x'), 48);
	assert_memory_equal(frame, expected, sizeof expected);
	assert_int_equal(load_u64(frame + 32),
	    hash_bytes("xxxxx", 5, hash_bytes(expected, sizeof expected, seed)));
	assert_memory_equal(frame + SEGMENT_FRAME_HEADER, "xxxxx\0\0\0", 8);
	assert_int_equal(frame[48], 0xee);
}

static void
a_frame_elsewhere_or_of_another_journal_is_none(void **state)
{
	const uint8_t *frame = bytes + SEGMENT_BLOCK;
	struct frame f;

	(void)state;
	put_frame(0, 5, 'x');
	assert_int_equal(segment_frame_read(frame, 48, seed, START, &f), 0);
	assert_int_equal(f.stream, 2);
	assert_int_equal(f.end, START + 48);
	assert_int_equal(segment_frame_read(frame, 48, seed, START + 8, &f), -EBADMSG);
	assert_int_equal(segment_frame_read(frame, 48, seed + 1, START, &f), -EBADMSG);
	assert_int_equal(segment_frame_read(frame, 47, seed, START, &f), -EBADMSG);
	assert_int_equal(segment_frame_view(frame, 48, START, &f), 0);
}

static void
a_reader_stops_at_damage_and_resumes_at_the_next_whole_frame(void **state)
{
	size_t second = put_frame(0, 100, 'a'), third = put_frame(second, 100, 'b');
	size_t end = put_frame(third, 100, 'c');
	struct segment_reader *r;
	struct frame f;

	(void)state;
	bytes[SEGMENT_BLOCK + second + 60] ^= 1;
	r = read_back(end);
	assert_int_equal(segment_reader_next(r, &f, NULL), 1);
	assert_int_equal(segment_reader_next(r, &f, NULL), -EBADMSG);
	assert_int_equal(segment_reader_position(r), START + second);
	assert_int_equal(segment_reader_resume(r, NULL), 1);
	assert_int_equal(segment_reader_next(r, &f, NULL), 1);
	assert_int_equal(f.payload[0], 'c');
	assert_int_equal(segment_reader_next(r, &f, NULL), 0);
	segment_reader_free(r);
}

/* Damage at the first frame, and a pad after it that names how far all was durable. */
static int
is_damaged(uint64_t synced)
{
	size_t end = put_pad(put_frame(0, 100, 'a'), 64, synced);
	struct segment_reader *r;
	struct frame f;
	int rc;

	bytes[SEGMENT_BLOCK + 60] ^= 1;
	r = read_back(end);
	assert_int_equal(segment_reader_next(r, &f, NULL), -EBADMSG);
	rc = segment_reader_is_damaged(r, NULL);
	segment_reader_free(r);
	return rc;
}

static void
a_pad_tells_damage_from_a_write_that_was_cut_short(void **state)
{
	(void)state;
	assert_int_equal(is_damaged(START), 0);
	set_up(NULL);
	assert_int_equal(is_damaged(START + 8), 1);
}

#define CASE(f) cmocka_unit_test_setup(f, set_up)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    CASE(a_header_is_what_journals_on_disk_have),
	    CASE(a_header_is_read_as_it_was_written),
	    CASE(a_frame_is_what_journals_on_disk_have),
	    CASE(a_frame_elsewhere_or_of_another_journal_is_none),
	    CASE(a_reader_stops_at_damage_and_resumes_at_the_next_whole_frame),
	    CASE(a_pad_tells_damage_from_a_write_that_was_cut_short),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
