#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "exporter/spool/spool_format.h"

#define PREAMBLE 24u

/* One IPFIX message of 24 bytes. */
static const uint8_t message[PREAMBLE] = {
    0, 10, 0, PREAMBLE, 1, 2, 3, 4, 5, 6, 7, 8, 0, 0, 0, 1, 0, 2, 0, 8, 9, 9, 9, 9};

static void
a_header_is_read_as_it_was_written(void **state)
{
	const struct spool_header h = {.id = {1, 2, 3},
	    .first = 7,
	    .total = 70,
	    .preamble_length = PREAMBLE,
	    .preamble_records = 3};
	uint8_t bytes[SPOOL_HEADER + PREAMBLE];
	const uint8_t *preamble;
	struct spool_header r;

	(void)state;
	memcpy(bytes + SPOOL_HEADER, message, PREAMBLE);
	spool_write_header(&h, message, bytes);
	assert_memory_equal(bytes, "FPspg1\n", 7);
	assert_int_equal(spool_header_size(bytes), sizeof bytes);
	assert_int_equal(spool_read_header(bytes, sizeof bytes, &r, &preamble), 0);
	assert_memory_equal(&r, &h, sizeof h);
	assert_ptr_equal(preamble, bytes + SPOOL_HEADER);
	assert_int_equal(
	    spool_read_header(bytes, sizeof bytes - 1, &r, &preamble), -EBADMSG);
	for (unsigned i = 0; i < sizeof bytes; i++) {
		bytes[i] ^= 0x10;
		assert_int_equal(
		    spool_read_header(bytes, sizeof bytes, &r, &preamble), -EBADMSG);
		bytes[i] ^= 0x10;
	}
}

static void
an_entry_is_read_as_it_was_written(void **state)
{
	const struct spool_entry x = {
	    .number = 12, .total = 120, .records = 4, .length = PREAMBLE};
	uint8_t bytes[SPOOL_ENTRY + PREAMBLE];
	struct spool_entry r;

	(void)state;
	memcpy(bytes + SPOOL_ENTRY, message, PREAMBLE);
	spool_write_entry(&x, message, bytes);
	assert_int_equal(spool_read_entry(bytes, sizeof bytes, &r), sizeof bytes);
	assert_memory_equal(&r, &x, sizeof x);
	for (unsigned n = 0; n < sizeof bytes; n++) {
		assert_int_equal(spool_read_entry(bytes, n, &r), 0);
	}
}

static void
an_entry_is_valid_whatever_its_sequence_number(void **state)
{
	const struct spool_entry x = {.number = 1, .length = PREAMBLE};
	uint8_t bytes[SPOOL_ENTRY + PREAMBLE];
	struct spool_entry r;

	(void)state;
	memcpy(bytes + SPOOL_ENTRY, message, PREAMBLE);
	spool_write_entry(&x, message, bytes);
	for (unsigned i = 0; i < sizeof bytes; i++) {
		bool is_sequence = i >= SPOOL_ENTRY + 8 && i < SPOOL_ENTRY + 12;
		bytes[i] ^= 0x10;
		assert_int_equal(
		    spool_read_entry(bytes, sizeof bytes, &r) == sizeof bytes,
		    is_sequence);
		bytes[i] ^= 0x10;
	}
}

static void
the_newer_valid_slot_of_the_ledger_counts(void **state)
{
	struct spool_ledger l = {.id = {5},
	    .generation = 8,
	    .first = 1,
	    .next = 9,
	    .total = 90,
	    .delivered_messages = 2,
	    .delivered_records = 20,
	    .sent = 4,
	    .target = 77,
	    .has_sent = true};
	uint8_t bytes[SPOOL_LEDGER] = {0};
	struct spool_ledger r;

	(void)state;
	assert_int_equal(spool_read_ledger(bytes, &r), -EBADMSG);
	for (; l.generation < 10; l.generation++) {
		uint8_t slot[SPOOL_SLOT];
		size_t at = spool_write_ledger(&l, slot);
		assert_int_equal(at, l.generation % 2 * SPOOL_SLOT);
		memcpy(bytes + at, slot, sizeof slot);
	}
	assert_int_equal(spool_read_ledger(bytes, &r), 0);
	l.generation = 9;
	assert_memory_equal(r.id, l.id, sizeof l.id);
	assert_int_equal(r.generation, 9);
	assert_int_equal(r.first, l.first);
	assert_int_equal(r.next, l.next);
	assert_int_equal(r.total, l.total);
	assert_int_equal(r.delivered_messages, l.delivered_messages);
	assert_int_equal(r.delivered_records, l.delivered_records);
	assert_int_equal(r.sent, l.sent);
	assert_int_equal(r.target, l.target);
	assert_true(r.has_sent && !r.is_running);
	bytes[SPOOL_SLOT + 40] ^= 1;
	assert_int_equal(spool_read_ledger(bytes, &r), 0);
	assert_int_equal(r.generation, 8);
}

static void
preambles_that_differ_in_times_and_numbers_have_one_key(void **state)
{
	uint8_t other[PREAMBLE];
	uint64_t key = spool_preamble_key(message, PREAMBLE);

	(void)state;
	memcpy(other, message, PREAMBLE);
	other[4] ^= 1;
	other[11] ^= 1;
	assert_true(spool_preamble_key(other, PREAMBLE) == key);
	other[23] ^= 1;
	assert_true(spool_preamble_key(other, PREAMBLE) != key);
	assert_int_equal(spool_count_preamble(message, PREAMBLE), 1);
	assert_int_equal(spool_count_preamble(message, PREAMBLE - 1), -EBADMSG);
	assert_int_equal(spool_count_preamble(message, 0), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_header_is_read_as_it_was_written),
	    cmocka_unit_test(an_entry_is_read_as_it_was_written),
	    cmocka_unit_test(an_entry_is_valid_whatever_its_sequence_number),
	    cmocka_unit_test(the_newer_valid_slot_of_the_ledger_counts),
	    cmocka_unit_test(preambles_that_differ_in_times_and_numbers_have_one_key),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
