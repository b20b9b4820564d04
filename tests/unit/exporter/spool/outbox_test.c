#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/cursor.h"
#include "exporter/spool/outbox.h"

#define MESSAGE 20000u /* bytes: four make a gather */
#define RECORDS 7u

static uint8_t preamble_bytes[40] = {0, 10, 0, 40}; /* a message */
static struct export_preamble preamble = {
    .bytes = preamble_bytes, .length = sizeof preamble_bytes, .records = 3};

static struct outbox *
filled(unsigned messages)
{
	const struct spool_settings settings = {.preamble = &preamble};
	static uint8_t message[MESSAGE] = {0, 10, MESSAGE >> 8, MESSAGE & 0xff};
	struct outbox *o = NULL;
	struct err e = {0};

	assert_int_equal(outbox_new(&settings, 4 << 20, &o, &e), 0);
	for (unsigned i = 0; i < messages; i++) {
		assert_true(queue_push(
		    outbox_queue(o), message, sizeof message, RECORDS, RECORDS));
	}
	outbox_stow(o, 0);
	return o;
}

static void
begin(struct outbox *o, uint16_t streams)
{
	uint64_t first = spool_first(outbox_spool(o));

	outbox_begin(o, first, spool_preamble(outbox_spool(o), first), 3, streams);
}

/* Takes the next gather whole: its stream, and the sequence number of its first
 * message.  False: nothing is left. */
static bool
next(struct outbox *o, uint16_t *ret_stream, uint32_t *ret_sequence)
{
	struct outbox_taken taken = {0};
	const uint8_t *bytes;
	size_t n;

	assert_int_equal(outbox_gather(o, &bytes, &n), 0);
	if (n == 0) {
		return false;
	}
	*ret_stream = outbox_stream(o);
	*ret_sequence = load_u32(bytes + 8);
	outbox_take(o, n, &taken);
	return true;
}

static void
one_stream_counts_on_from_the_preamble(void **state)
{
	struct outbox *o = filled(12);
	uint32_t sequence, expected = 3;
	uint16_t stream;

	(void)state;
	begin(o, 1);
	while (next(o, &stream, &sequence)) {
		assert_int_equal(stream, 0);
		assert_int_equal(sequence, expected);
		expected += 4 * RECORDS;
	}
	assert_int_equal(expected, 3 + 12 * RECORDS);
	outbox_free(o, true);
}

static void
several_streams_take_turns_and_each_counts_from_zero(void **state)
{
	const struct {
		uint16_t stream;
		uint32_t sequence;
	} expected[] = {{1, 0}, {2, 0}, {1, 4 * RECORDS}, {2, 4 * RECORDS}};
	struct outbox *o = filled(16);
	uint32_t sequence;
	uint16_t stream;

	(void)state;
	begin(o, 3);
	for (unsigned i = 0; i < 4; i++) {
		assert_true(next(o, &stream, &sequence));
		assert_int_equal(stream, expected[i].stream);
		assert_int_equal(sequence, expected[i].sequence);
	}
	assert_false(next(o, &stream, &sequence));
	outbox_free(o, true);
}

static void
a_gather_keeps_its_stream_while_it_is_taken_message_by_message(void **state)
{
	struct outbox *o = filled(8);
	struct outbox_taken taken = {0};
	const uint8_t *bytes;
	size_t n;

	(void)state;
	begin(o, 3);
	for (unsigned i = 0; i < 8; i++) {
		assert_int_equal(outbox_gather(o, &bytes, &n), 0);
		assert_int_equal(outbox_stream(o), i < 4 ? 1 : 2);
		assert_int_equal(load_u32(bytes + 8), i % 4 * RECORDS);
		outbox_take(o, MESSAGE, &taken);
	}
	assert_int_equal(taken.messages, 8);
	outbox_free(o, true);
}

static void
short_messages_on_disk_make_room_for_more_than_the_queue_counts(void **state)
{
	char directory[] = "/tmp/flowpair-outbox-XXXXXX", command[64];
	const struct spool_settings settings = {
	    .preamble = &preamble, .directory = directory, .max_bytes = 16 << 20};
	static const uint8_t message[20] = {0, 10, 0, 20};
	struct outbox *o = NULL;
	struct err e = {0};
	uint64_t most;

	(void)state;
	assert_non_null(mkdtemp(directory));
	assert_int_equal(outbox_new(&settings, 1 << 18, &o, &e), 0);
	most = queue_most_messages(outbox_queue(o));
	assert_true(2 * most * sizeof message < queue_capacity(outbox_queue(o)));
	for (uint64_t i = 0; i < 3 * most; i++) {
		assert_true(queue_push(outbox_queue(o), message, sizeof message, 1, 1));
		if (i % 100 == 0) {
			outbox_stow(o, 0);
		}
	}
	outbox_stow(o, 0);
	assert_int_equal(
	    spool_next(outbox_spool(o)) - spool_first(outbox_spool(o)), 3 * most);
	outbox_free(o, true);
	snprintf(command, sizeof command, "rm -r %s", directory);
	assert_int_equal(system(command), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(one_stream_counts_on_from_the_preamble),
	    cmocka_unit_test(several_streams_take_turns_and_each_counts_from_zero),
	    cmocka_unit_test(
		a_gather_keeps_its_stream_while_it_is_taken_message_by_message),
	    cmocka_unit_test(
		short_messages_on_disk_make_room_for_more_than_the_queue_counts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
