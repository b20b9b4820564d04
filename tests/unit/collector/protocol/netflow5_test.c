/* cmocka.h needs these before it. */
#include <stdarg.h>
#include <stddef.h>

#include <setjmp.h>
#include <stdint.h>

#include <cmocka.h>

#include "collector/protocol/netflow5.h"
#include "common/ipfix/template.h"

/* A header that counts so many records, and room for three. */
static const uint8_t *
message(uint16_t count)
{
	static uint8_t bytes[NETFLOW5_HEADER + 3 * NETFLOW5_RECORD + 7];

	store_u16(bytes, 5);
	store_u16(bytes + 2, count);
	store_u32(bytes + 4, 60000);
	store_u32(bytes + 8, 1500000000);
	store_u32(bytes + 12, 123456789);
	store_u32(bytes + 16, 4711);
	bytes[20] = 1;
	bytes[21] = 3;
	store_u16(bytes + 22, 1 << 14 | 100);
	return bytes;
}
#define ROOM (NETFLOW5_HEADER + 3 * NETFLOW5_RECORD)

static void
the_header_has_engine_clocks_and_sampling(void **state)
{
	struct envelope e;

	(void)state;
	assert_int_equal(netflow5_read_header(message(3), ROOM, &e), 0);
	assert_int_equal(e.domain, 1 << 8 | 3);
	assert_int_equal(e.sequence, 4711);
	assert_int_equal(e.clock.export_ns, 1500000000123456789ULL);
	assert_int_equal(e.clock.uptime_ms, 60000);
	assert_int_equal(e.sampling, 1 << 14 | 100);
	assert_int_equal(cursor_left(&e.body), 3 * NETFLOW5_RECORD);
}

static void
a_count_that_lies_takes_no_more_than_there_is(void **state)
{
	struct envelope e;

	(void)state;
	assert_int_equal(netflow5_read_header(message(55582), ROOM + 7, &e), 0);
	assert_int_equal(cursor_left(&e.body), 3 * NETFLOW5_RECORD);
	assert_int_equal(netflow5_read_header(message(2), ROOM, &e), 0);
	assert_int_equal(cursor_left(&e.body), 2 * NETFLOW5_RECORD);
	assert_int_equal(netflow5_read_header(message(2), NETFLOW5_HEADER, &e), 0);
	assert_int_equal(cursor_left(&e.body), 0);
}

static void
a_header_cut_short_is_no_message(void **state)
{
	struct envelope e;

	(void)state;
	for (size_t n = 0; n < NETFLOW5_HEADER; n++) {
		assert_true(netflow5_read_header(message(1), n, &e) < 0);
	}
}

static void
its_length_is_what_it_counts(void **state)
{
	(void)state;
	assert_int_equal(netflow5_length(message(2), ROOM), 24 + 2 * 48);
	assert_int_equal(netflow5_length(message(55582), ROOM + 7), ROOM);
	assert_int_equal(netflow5_length(message(2), 3), 0);
	assert_true(netflow5_length(message(0), ROOM) < 0);
}

static void
the_built_in_template_is_as_long_as_a_record(void **state)
{
	struct elements *elements = elements_new(ELEMENT_PEN_OWN);
	struct templates *set = templates_new(4, 64);
	struct template_counts counts = {0};
	const struct template *t;

	(void)state;
	templates_read_set(
	    set, elements, TEMPLATE_SET_ID, netflow5_template_set(), false, &counts);
	assert_int_equal(counts.added, 1);
	t = templates_find(set, NETFLOW5_TEMPLATE);
	assert_int_equal(t->record_length, NETFLOW5_RECORD);
	assert_false(t->is_variable);
	for (unsigned i = 0; i < t->field_count; i++) {
		assert_non_null(t->fields[i].element);
	}
	templates_free(set);
	elements_free(elements);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(the_header_has_engine_clocks_and_sampling),
	    cmocka_unit_test(a_count_that_lies_takes_no_more_than_there_is),
	    cmocka_unit_test(a_header_cut_short_is_no_message),
	    cmocka_unit_test(its_length_is_what_it_counts),
	    cmocka_unit_test(the_built_in_template_is_as_long_as_a_record),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
