#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "common/ipfix/element.h"
#include "common/ipfix/template.h"

#define MAX_TEMPLATES 100
#define MAX_FIELDS    8

static struct elements *registry;
static struct templates *set;
static struct template_counts counts;

static int
open_registry(void **state)
{
	(void)state;
	registry = elements_new(ELEMENT_PEN_OWN);
	assert_non_null(registry);
	return 0;
}

static int
close_registry(void **state)
{
	(void)state;
	elements_free(registry);
	return 0;
}

static int
make_set(void **state)
{
	(void)state;
	set = templates_new(MAX_TEMPLATES, MAX_FIELDS);
	assert_non_null(set);
	memset(&counts, 0, sizeof counts);
	return 0;
}

static int
free_set(void **state)
{
	(void)state;
	templates_free(set);
	return 0;
}

static void
read_bytes(uint16_t set_id, const uint8_t *bytes, size_t n)
{
	templates_read_set(set, registry, set_id, cursor_of(bytes, n), true, &counts);
}
#define read_set(id, ...)                                                              \
	do {                                                                           \
		const uint8_t body[] = {__VA_ARGS__};                                  \
		read_bytes(id, body, sizeof body);                                     \
	} while (0)

/* 256: octetDeltaCount/8, sourceIPv4Address/4 */
#define TEMPLATE_256 1, 0, 0, 2, 0, 1, 0, 8, 0, 8, 0, 4
/* 257: octetDeltaCount/4 */
#define TEMPLATE_257 1, 1, 0, 1, 0, 1, 0, 4
/* 300: options, scope observationDomainId/4, exportedMessageTotalCount/8 */
#define OPTIONS_300 1, 44, 0, 2, 0, 1, 0, 149, 0, 4, 0, 41, 0, 8

static void
a_template_is_read_field_by_field(void **state)
{
	(void)state;
	read_set(2, TEMPLATE_256);
	assert_int_equal(counts.added, 1);
	const struct template *t = templates_find(set, 256);
	assert_non_null(t);
	assert_int_equal(t->field_count, 2);
	assert_int_equal(t->scope_count, 0);
	assert_int_equal(t->record_length, 12);
	assert_false(t->is_variable);
	assert_string_equal(t->fields[0].element->name, "octetDeltaCount");
	assert_int_equal(t->fields[1].id, 8);
	assert_int_equal(t->fields[1].length, 4);
	const uint8_t raw[] = {TEMPLATE_256};
	assert_int_equal(t->raw_length, sizeof raw);
	assert_memory_equal(t->raw, raw, sizeof raw);
}

static void
enterprise_fields_carry_their_number(void **state)
{
	(void)state;
	/* reverseOctetDeltaCount and something nobody knows */
	read_set(
	    2, 1, 0, 0, 2, 0x80, 1, 0, 8, 0, 0, 0x72, 0x79, 0x80, 5, 0, 2, 0, 1, 2, 3);
	const struct template *t = templates_find(set, 256);
	assert_string_equal(t->fields[0].element->name, "reverseOctetDeltaCount");
	assert_null(t->fields[1].element);
	assert_int_equal(t->fields[1].pen, 0x010203);
	assert_int_equal(t->fields[1].id, 5);
	assert_int_equal(t->record_length, 10);
}

static void
variable_fields_count_one_byte_at_least(void **state)
{
	(void)state;
	read_set(2, 1, 0, 0, 2, 0, 1, 0, 8, 0, 82, 0xff, 0xff);
	const struct template *t = templates_find(set, 256);
	assert_true(t->is_variable);
	assert_int_equal(t->record_length, 9);
}

static void
fields_of_one_element_are_numbered_where_there_are_several(void **state)
{
	(void)state;
	read_set(2, TEMPLATE_256);
	assert_null(templates_find(set, 256)->repeats);
	/* 4, 7, 4, and 7 of an enterprise, twice, around another 7 */
	read_set(2, 1, 1, 0, 6, 0, 4, 0, 1, 0, 7, 0, 2, 0, 4, 0, 1, 0x80, 7, 0, 1, 0, 0,
	    0, 9, 0, 7, 0, 2, 0x80, 7, 0, 1, 0, 0, 0, 9);
	const uint16_t expected[] = {0, 0, 1, 0, 1, 1};
	assert_memory_equal(
	    templates_find(set, 257)->repeats, expected, sizeof expected);
}

static void
an_options_template_knows_its_scope(void **state)
{
	(void)state;
	read_set(3, OPTIONS_300);
	const struct template *t = templates_find(set, 300);
	assert_int_equal(t->scope_count, 1);
	assert_int_equal(t->field_count, 2);
	assert_int_equal(t->record_length, 12);
}

static void
one_set_may_define_many(void **state)
{
	(void)state;
	read_set(2, TEMPLATE_256, TEMPLATE_257);
	assert_int_equal(counts.added, 2);
	assert_int_equal(templates_count(set), 2);
}

static void
padding_at_the_end_is_passed_over(void **state)
{
	(void)state;
	read_set(2, TEMPLATE_256, 0);
	read_set(2, TEMPLATE_257, 0, 0, 0);
	read_set(3, OPTIONS_300, 0, 0, 0, 0, 0, 0, 0);
	assert_int_equal(counts.added, 3);
	assert_int_equal(counts.bad, 0);
}

static void
an_equal_template_again_is_repeated_and_stays(void **state)
{
	(void)state;
	read_set(2, TEMPLATE_256);
	const struct template *t = templates_find(set, 256);
	read_set(2, TEMPLATE_256);
	assert_int_equal(counts.repeated, 1);
	assert_ptr_equal(templates_find(set, 256), t);
}

static void
a_different_template_replaces_the_old_one(void **state)
{
	(void)state;
	read_set(2, TEMPLATE_256);
	read_set(2, 1, 0, 0, 1, 0, 2, 0, 4);
	assert_int_equal(counts.redefined, 1);
	assert_int_equal(templates_count(set), 1);
	assert_int_equal(templates_find(set, 256)->record_length, 4);
}

static unsigned kept_freed;

static void
free_kept(void *kept)
{
	assert_ptr_equal(kept, &kept_freed);
	kept_freed++;
}

static void
what_its_reader_keeps_goes_with_a_template(void **state)
{
	(void)state;
	kept_freed = 0;
	for (unsigned i = 0; i < 3; i++) {
		read_set(2, TEMPLATE_256);
		templates_find(set, 256)->reader = &kept_freed;
		templates_find(set, 256)->reader_free = free_kept;
		assert_int_equal(kept_freed, i);
		if (i == 0) {
			read_set(2, 1, 0, 0, 1, 0, 2, 0, 4);
		} else if (i == 1) {
			read_set(2, 1, 0, 0, 0);
		}
	}
	templates_free(set);
	set = NULL;
	assert_int_equal(kept_freed, 3);
}

static void
a_repeated_template_takes_in_what_was_learned_meanwhile(void **state)
{
	(void)state;
	struct elements *s = elements_new(1);
	const uint8_t body[] = {1, 0, 0, 1, 0x80, 5, 0, 4, 0, 0, 0x27, 0x0f};
	struct cursor c = cursor_of(body, sizeof body);
	templates_read_set(set, s, 2, c, true, &counts);
	assert_null(templates_find(set, 256)->fields[0].element);
	struct element x = {
	    .name = "x", .pen = 9999, .id = 5, .length = 4, .type = ELEMENT_U32};
	assert_int_equal(elements_add(s, &x), 0);
	templates_read_set(set, s, 2, c, true, &counts);
	assert_int_equal(counts.repeated, 1);
	assert_string_equal(templates_find(set, 256)->fields[0].element->name, "x");
	elements_free(s);
}

static void
those_not_seen_for_long_can_be_forgotten(void **state)
{
	(void)state;
	templates_set_time(set, 10);
	read_set(2, TEMPLATE_256, TEMPLATE_257);
	templates_set_time(set, 20);
	read_set(2, TEMPLATE_257);
	assert_int_equal(templates_find(set, 257)->seen_ns, 20);
	templates_remove_older(set, 11);
	assert_null(templates_find(set, 256));
	assert_int_equal(templates_count(set), 1);
	templates_remove_older(set, 20);
	assert_int_equal(templates_count(set), 1);
}

static void
a_withdrawal_removes_one(void **state)
{
	(void)state;
	read_set(2, TEMPLATE_256, TEMPLATE_257);
	read_set(2, 1, 0, 0, 0);
	assert_int_equal(counts.withdrawn, 1);
	assert_null(templates_find(set, 256));
	assert_non_null(templates_find(set, 257));
}

static void
a_withdrawal_may_be_followed_by_a_definition(void **state)
{
	(void)state;
	read_set(2, TEMPLATE_256);
	read_set(2, 1, 0, 0, 0, TEMPLATE_257);
	assert_int_equal(counts.withdrawn, 1);
	assert_non_null(templates_find(set, 257));
	assert_int_equal(templates_count(set), 1);
}

static void
withdrawing_all_spares_the_other_kind(void **state)
{
	(void)state;
	read_set(2, TEMPLATE_256, TEMPLATE_257);
	read_set(3, OPTIONS_300);
	read_set(2, 0, 2, 0, 0);
	assert_int_equal(counts.withdrawn, 2);
	assert_int_equal(templates_count(set), 1);
	assert_non_null(templates_find(set, 300));
	read_set(3, 0, 3, 0, 0);
	assert_int_equal(templates_count(set), 0);
}

static void
a_withdrawal_of_nothing_or_of_the_other_kind_is_bad(void **state)
{
	(void)state;
	read_set(2, TEMPLATE_256);
	read_set(2, 1, 9, 0, 0);
	assert_int_equal(counts.bad, 1);
	read_set(3, 1, 0, 0, 0);
	assert_int_equal(counts.bad, 2);
	assert_non_null(templates_find(set, 256));
}

static void
a_withdrawal_where_none_may_be_is_ignored(void **state)
{
	(void)state;
	read_set(2, TEMPLATE_256);
	const uint8_t body[] = {1, 0, 0, 0};
	templates_read_set(
	    set, registry, 2, cursor_of(body, sizeof body), false, &counts);
	assert_int_equal(counts.ignored, 1);
	assert_int_equal(counts.bad, 0);
	assert_non_null(templates_find(set, 256));
}

static void
add_size(const struct template *t, void *data)
{
	*(size_t *)data +=
	    sizeof *t + t->field_count * sizeof t->fields[0] + t->raw_length;
}

static void
expect_bytes(void)
{
	size_t bytes = 0;
	templates_each(set, add_size, &bytes);
	assert_int_equal(templates_bytes(set), bytes);
}

static void
the_memory_of_all_is_known_whatever_comes_and_goes(void **state)
{
	(void)state;
	assert_int_equal(templates_bytes(set), 0);
	read_set(2, TEMPLATE_256, TEMPLATE_257);
	expect_bytes();
	read_set(2, TEMPLATE_256);
	expect_bytes();
	read_set(2, 1, 0, 0, 1, 0, 1, 0, 8); /* 256 with fewer fields */
	expect_bytes();
	read_set(3, OPTIONS_300);
	expect_bytes();
	read_set(2, 1, 0, 0, 0); /* withdrawn */
	expect_bytes();
	templates_set_time(set, 50);
	read_set(3, OPTIONS_300);
	templates_remove_older(set, 50);
	assert_int_equal(templates_count(set), 1);
	expect_bytes();
	read_set(3, 0, 3, 0, 0);
	assert_int_equal(templates_bytes(set), 0);
}

static void
what_is_learned_later_reaches_templates_and_ends_what_readers_kept(void **state)
{
	const struct element e = {
	    .name = "colour", .pen = 9998, .id = 5, .type = ELEMENT_U16, .length = 2};

	(void)state;
	kept_freed = 0;
	read_set(2, TEMPLATE_256, 1, 1, 0, 1, 0x80, 5, 0, 2, 0, 0, 0x27, 0x0e);
	for (unsigned i = 0; i < 2; i++) {
		struct template *t = templates_find(set, (uint16_t)(256 + i));
		t->reader = &kept_freed;
		t->reader_free = free_kept;
	}
	templates_learn(set, registry);
	assert_int_equal(kept_freed, 0);
	assert_int_equal(elements_add(registry, &e), 0);
	templates_learn(set, registry);
	assert_int_equal(kept_freed, 1);
	assert_non_null(templates_find(set, 256)->reader);
	assert_null(templates_find(set, 257)->reader);
	assert_string_equal(
	    templates_find(set, 257)->fields[0].element->name, "colour");
}

static void
fields_without_bytes_are_bounded(void **state)
{
	uint8_t body[4 + 4 * 64] = {1, 0};
	struct templates *many = templates_new(MAX_TEMPLATES, 64);

	(void)state;
	for (unsigned empty = TEMPLATE_MAX_EMPTY; empty <= TEMPLATE_MAX_EMPTY + 1;
	     empty++) {
		body[1] = (uint8_t)empty;
		store_u16(body + 2, (uint16_t)(empty + 1));
		for (unsigned i = 0; i <= empty; i++) {
			store_u16(body + 4 + 4 * i, 96);
			store_u16(body + 6 + 4 * i, i == 0);
		}
		templates_read_set(many, registry, 2,
		    cursor_of(body, 8 + 4 * (size_t)empty), false, &counts);
	}
	assert_int_equal(counts.added, 1);
	assert_int_equal(counts.refused, 1);
	assert_int_equal(counts.bad, 0);
	templates_free(many);
}

static void
a_malformed_record_costs_only_itself_where_it_is_certain_where_it_ends(void **state)
{
	(void)state;
	/* number below 256 */
	read_set(2, 0, 255, 0, 1, 0, 1, 0, 8, TEMPLATE_256);
	assert_int_equal(counts.bad, 1);
	assert_int_equal(counts.added, 1);
	/* an enterprise's field in one */
	read_set(2, 0, 9, 0, 1, 0x80, 1, 0, 8, 1, 1, 1, 1, TEMPLATE_256);
	assert_int_equal(counts.bad, 2);
	assert_int_equal(counts.repeated, 1);
	/* records of length 0 */
	read_set(2, 1, 9, 0, 1, 0, 1, 0, 0, TEMPLATE_256);
	assert_int_equal(counts.bad, 3);
	assert_int_equal(counts.repeated, 2);
	/* records longer than any message */
	read_set(2, 1, 9, 0, 2, 0, 1, 0xff, 0xf0, 0, 2, 0, 8, TEMPLATE_256);
	assert_int_equal(counts.bad, 4);
	assert_int_equal(counts.repeated, 3);
	/* the wrong kind of withdrawal, and one of a number that cannot be */
	read_set(2, 0, 3, 0, 0, 0, 7, 0, 0, TEMPLATE_256);
	assert_int_equal(counts.bad, 6);
	assert_int_equal(counts.repeated, 4);
	/* more scopes than fields */
	read_set(3, 1, 44, 0, 1, 0, 2, 0, 149, 0, 4, OPTIONS_300);
	assert_int_equal(counts.bad, 7);
	assert_int_equal(counts.added, 2);
	assert_int_equal(templates_count(set), 2);
	assert_int_equal(counts.refused, 0);
}

static void
a_record_whose_end_is_uncertain_ends_the_set(void **state)
{
	(void)state;
	/* cut short, in a specifier and in its enterprise number */
	read_set(2, 1, 0, 0, 4, 0, 1, 0, 8, 0, 2, 0, 8, 0, 1);
	assert_int_equal(counts.bad, 1);
	read_set(2, 1, 0, 0, 1, 0x80, 1, 0, 8);
	assert_int_equal(counts.bad, 2);
	/* in the count of scopes */
	read_set(3, 1, 44, 0, 1, 0);
	assert_int_equal(counts.bad, 3);
	/* zeros that something follows */
	read_set(2, 0, 0, 0, 0, TEMPLATE_256);
	assert_int_equal(counts.bad, 4);
	/* more fields than the template behind it has bytes */
	read_set(2, 1, 9, 0, 9, TEMPLATE_256);
	assert_int_equal(counts.bad, 5);
	assert_int_equal(templates_count(set), 0);
}

static void
an_options_template_without_scope_is_one_all_the_same(void **state)
{
	(void)state;
	read_set(3, 1, 44, 0, 1, 0, 0, 0, 149, 0, 4);
	assert_int_equal(counts.bad, 0);
	assert_int_equal(counts.options, 1);
	assert_true(templates_find(set, 300)->is_options);
	read_set(2, 1, 44, 0, 1, 0, 149, 0, 4);
	assert_int_equal(counts.redefined, 1);
	assert_false(templates_find(set, 300)->is_options);
}

static void
what_came_before_a_malformed_record_stays(void **state)
{
	(void)state;
	read_set(2, TEMPLATE_256, 0, 1, 0, 1, 0, 1, 0, 8);
	assert_int_equal(counts.added, 1);
	assert_int_equal(counts.bad, 1);
	assert_non_null(templates_find(set, 256));
}

static void
a_template_with_too_many_fields_is_refused_and_the_next_one_read(void **state)
{
	(void)state;
	read_set(2, 1, 9, 0, 9, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0,
	    1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1, TEMPLATE_256);
	assert_int_equal(counts.refused, 1);
	assert_int_equal(counts.added, 1);
	assert_null(templates_find(set, 265));
}

static void
define(uint16_t id)
{
	read_set(2, (uint8_t)(id >> 8), (uint8_t)id, 0, 1, 0, 1, 0, 4);
}

static void
templates_beyond_the_bound_are_refused(void **state)
{
	(void)state;
	for (unsigned i = 0; i < MAX_TEMPLATES + 5; i++) {
		define((uint16_t)(1000 + i));
	}
	assert_int_equal(counts.added, MAX_TEMPLATES);
	assert_int_equal(counts.refused, 5);
	assert_null(templates_find(set, 1000 + MAX_TEMPLATES));
	define(1000);
	assert_int_equal(counts.repeated, 1);
}

static void
any_order_of_definitions_and_withdrawals_finds_what_is_there(void **state)
{
	(void)state;
	bool defined[200] = {false};
	uint32_t random = 12345;
	for (unsigned step = 0; step < 20000; step++) {
		random = random * 1664525 + 1013904223;
		unsigned i = (random >> 16) % 200;
		uint16_t id = (uint16_t)(256 + i * 327);
		if (defined[i]) {
			read_set(2, (uint8_t)(id >> 8), (uint8_t)id, 0, 0);
			defined[i] = false;
		} else if (templates_count(set) < MAX_TEMPLATES) {
			define(id);
			defined[i] = true;
		}
		unsigned n = 0;
		for (unsigned k = 0; step % 64 == 0 && k < 200; k++) {
			const struct template *t =
			    templates_find(set, (uint16_t)(256 + k * 327));
			assert_true((t != NULL) == defined[k]);
			n += defined[k];
		}
		assert_true(step % 64 != 0 || n == templates_count(set));
	}
	read_set(2, 0, 2, 0, 0);
	assert_int_equal(templates_count(set), 0);
	assert_int_equal(counts.bad, 0);
}

static void
note_id(const struct template *t, void *data)
{
	uint32_t *last = data;
	assert_true(t->id > *last);
	*last = t->id;
}

static void
each_goes_through_them_in_ascending_order(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 50; i++) {
		define((uint16_t)(65535 - i * 1000));
	}
	uint32_t last = 0;
	templates_each(set, note_id, &last);
	assert_int_equal(last, 65535);
}

#define test(f) cmocka_unit_test_setup_teardown(f, make_set, free_set)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    test(a_template_is_read_field_by_field),
	    test(enterprise_fields_carry_their_number),
	    test(variable_fields_count_one_byte_at_least),
	    test(fields_of_one_element_are_numbered_where_there_are_several),
	    test(an_options_template_knows_its_scope),
	    test(one_set_may_define_many),
	    test(padding_at_the_end_is_passed_over),
	    test(an_equal_template_again_is_repeated_and_stays),
	    test(a_different_template_replaces_the_old_one),
	    test(what_its_reader_keeps_goes_with_a_template),
	    test(fields_without_bytes_are_bounded),
	    test(the_memory_of_all_is_known_whatever_comes_and_goes),
	    test(what_is_learned_later_reaches_templates_and_ends_what_readers_kept),
	    test(a_repeated_template_takes_in_what_was_learned_meanwhile),
	    test(those_not_seen_for_long_can_be_forgotten),
	    test(a_withdrawal_removes_one),
	    test(a_withdrawal_may_be_followed_by_a_definition),
	    test(withdrawing_all_spares_the_other_kind),
	    test(a_withdrawal_of_nothing_or_of_the_other_kind_is_bad),
	    test(a_withdrawal_where_none_may_be_is_ignored),
	    test(
		a_malformed_record_costs_only_itself_where_it_is_certain_where_it_ends),
	    test(a_record_whose_end_is_uncertain_ends_the_set),
	    test(an_options_template_without_scope_is_one_all_the_same),
	    test(what_came_before_a_malformed_record_stays),
	    test(a_template_with_too_many_fields_is_refused_and_the_next_one_read),
	    test(templates_beyond_the_bound_are_refused),
	    test(any_order_of_definitions_and_withdrawals_finds_what_is_there),
	    test(each_goes_through_them_in_ascending_order),
	};
	return cmocka_run_group_tests(tests, open_registry, close_registry);
}
