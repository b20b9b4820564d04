#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "collector/door/udp_source.h"

static struct address
address(uint8_t last)
{
	struct address a;

	address_from_ipv4(&a, (const uint8_t[4]){192, 0, 2, last});
	return a;
}

static struct udp_source *
find(const struct udp_sources *s, const struct address *a, uint16_t port)
{
	return udp_sources_find(s, &(struct endpoint){*a, port});
}

static struct udp_source *
add(struct udp_sources *s, const struct address *a, uint16_t port, uint32_t session,
    uint64_t now_ns)
{
	return udp_sources_add(s, &(struct endpoint){*a, port}, session, now_ns);
}

static void
a_source_is_found_by_address_and_port(void **state)
{
	struct udp_sources *s = udp_sources_new(4);
	struct address a = address(1), b = address(2);
	struct udp_source *x = add(s, &a, 5000, 7, 1);

	(void)state;
	assert_non_null(x);
	assert_ptr_equal(find(s, &a, 5000), x);
	assert_int_equal(x->session, 7);
	assert_null(find(s, &a, 5001));
	assert_null(find(s, &b, 5000));
	udp_sources_free(s);
}

static void
there_are_no_more_than_were_made_room_for(void **state)
{
	struct udp_sources *s = udp_sources_new(2);
	struct address a = address(1);

	(void)state;
	assert_non_null(add(s, &a, 1, 1, 1));
	assert_non_null(add(s, &a, 2, 2, 1));
	assert_null(add(s, &a, 3, 3, 1));
	udp_sources_remove(s, find(s, &a, 1));
	assert_int_equal(udp_sources_count(s), 1);
	assert_non_null(add(s, &a, 3, 3, 1));
	udp_sources_free(s);
}

static void
the_oldest_is_the_one_not_heard_for_longest(void **state)
{
	struct udp_sources *s = udp_sources_new(3);
	struct address a = address(1);

	(void)state;
	assert_null(udp_sources_oldest(s));
	for (uint16_t port = 1; port <= 3; port++) {
		add(s, &a, port, port, port);
	}
	udp_sources_touch(s, find(s, &a, 1), 4);
	assert_int_equal(udp_sources_oldest(s)->from.port, 2);
	udp_sources_touch(s, find(s, &a, 3), 5);
	udp_sources_remove(s, find(s, &a, 2));
	assert_int_equal(udp_sources_oldest(s)->from.port, 1);
	assert_int_equal(udp_sources_oldest(s)->seen_ns, 4);
	udp_sources_remove(s, find(s, &a, 1));
	udp_sources_remove(s, find(s, &a, 3));
	assert_null(udp_sources_oldest(s));
	udp_sources_free(s);
}

static void
many_sources_come_and_go(void **state)
{
	const unsigned most = 1000;
	struct udp_sources *s = udp_sources_new(most);

	(void)state;
	for (unsigned i = 0; i < 10 * most; i++) {
		struct address a = address((uint8_t)i);
		uint16_t port = (uint16_t)(1 + i / 256);
		if (udp_sources_count(s) == most) {
			udp_sources_remove(s, udp_sources_oldest(s));
		}
		assert_null(find(s, &a, port));
		assert_non_null(add(s, &a, port, i, i));
		assert_int_equal(find(s, &a, port)->session, i);
	}
	assert_int_equal(udp_sources_oldest(s)->session, 9 * most);
	udp_sources_free(s);
}

/* However many ports it sends from. */
static void
a_host_beyond_its_share_makes_room_for_itself(void **state)
{
	struct udp_sources *s = udp_sources_new(16);
	struct address a = address(1), other = address(2);

	(void)state;
	add(s, &other, 1, 1, 1);
	add(s, &a, 1, 2, 2);
	add(s, &a, 2, 3, 3);
	assert_int_equal(udp_sources_spare(s, &a)->session, 1);
	add(s, &a, 3, 4, 4);
	assert_int_equal(udp_sources_spare(s, &a)->session, 2);
	assert_int_equal(udp_sources_spare(s, &other)->session, 1);
	udp_sources_touch(s, find(s, &a, 1), 5);
	assert_int_equal(udp_sources_spare(s, &a)->session, 3);
	udp_sources_remove(s, find(s, &a, 2));
	assert_int_equal(udp_sources_spare(s, &a)->session, 1);
	udp_sources_free(s);
}

static void
a_host_has_all_of_an_ipv6_64(void **state)
{
	struct udp_sources *s = udp_sources_new(8);
	struct address a = address(1), b[3];

	(void)state;
	add(s, &a, 1, 1, 1);
	for (uint8_t i = 0; i < 3; i++) {
		memset(&b[i], 0x20, sizeof b[i]);
		b[i].bytes[i == 2 ? 7 : 15] = i;
		add(s, &b[i], 1, 2u + i, 2);
	}
	assert_int_equal(udp_sources_spare(s, &b[0])->session, 2);
	assert_int_equal(udp_sources_spare(s, &b[2])->session, 1);
	udp_sources_free(s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_source_is_found_by_address_and_port),
	    cmocka_unit_test(there_are_no_more_than_were_made_room_for),
	    cmocka_unit_test(the_oldest_is_the_one_not_heard_for_longest),
	    cmocka_unit_test(many_sources_come_and_go),
	    cmocka_unit_test(a_host_beyond_its_share_makes_room_for_itself),
	    cmocka_unit_test(a_host_has_all_of_an_ipv6_64),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
