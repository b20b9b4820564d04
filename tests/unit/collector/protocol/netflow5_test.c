/* cmocka.h needs these before it. */
#include <stdarg.h>
#include <stddef.h>

#include <setjmp.h>
#include <stdint.h>

#include <cmocka.h>

#include "collector/protocol/protocol.h"
#include "common/ipfix/template.h"

#define HEADER 24u
#define RECORD 48u

/* A header that counts so many records, and room for three. */
static const uint8_t *
message(uint16_t count)
{
	static uint8_t bytes[HEADER + 3 * RECORD + 7];

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
#define ROOM (HEADER + 3 * RECORD)

static void
the_header_has_engine_clocks_and_sampling(void **state)
{
	struct protocol_header h;

	(void)state;
	assert_int_equal(protocol_netflow5.read_header(message(3), ROOM, &h), 0);
	assert_int_equal(h.domain, 1 << 8 | 3);
	assert_int_equal(h.sequence, 4711);
	assert_int_equal(h.clock.export_ns, 1500000000123456789ULL);
	assert_int_equal(h.clock.uptime_ms, 60000);
	assert_int_equal(h.sampling, 100);
	assert_int_equal(cursor_left(&h.body), 3 * RECORD);
}

static void
a_count_that_lies_takes_no_more_than_there_is(void **state)
{
	struct protocol_header h;

	(void)state;
	assert_int_equal(
	    protocol_netflow5.read_header(message(55582), ROOM + 7, &h), 0);
	assert_int_equal(cursor_left(&h.body), 3 * RECORD);
	assert_int_equal(protocol_netflow5.read_header(message(2), ROOM, &h), 0);
	assert_int_equal(cursor_left(&h.body), 2 * RECORD);
	assert_int_equal(protocol_netflow5.read_header(message(2), HEADER, &h), 0);
	assert_int_equal(cursor_left(&h.body), 0);
}

static void
a_header_cut_short_is_no_message(void **state)
{
	struct protocol_header h;

	(void)state;
	for (size_t n = 0; n < HEADER; n++) {
		assert_true(protocol_netflow5.read_header(message(1), n, &h) < 0);
	}
}

static void
its_length_is_what_it_counts(void **state)
{
	(void)state;
	assert_int_equal(protocol_length(message(2), ROOM), 24 + 2 * 48);
	assert_int_equal(protocol_length(message(55582), ROOM + 7), ROOM);
	assert_int_equal(protocol_length(message(2), 3), 0);
	assert_true(protocol_length(message(0), ROOM) < 0);
}

static void
the_built_in_template_is_as_long_as_a_record(void **state)
{
	struct elements *elements = elements_new(ELEMENT_PEN_OWN);
	struct templates *set = templates_new(4, 64);
	struct template_counts counts = {0};
	const struct template *t;

	(void)state;
	templates_read_set(set, elements, TEMPLATE_SET_ID, protocol_netflow5.built_in(),
	    false, &counts);
	assert_int_equal(counts.added, 1);
	t = templates_find(set, protocol_netflow5.record_template);
	assert_int_equal(t->record_length, RECORD);
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
