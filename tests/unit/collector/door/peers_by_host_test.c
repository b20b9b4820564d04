#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "collector/door/peers_by_host.h"

#define MEMBERS 8

static struct peers_by_host peers_by_host;
static struct peer_list inside;
static struct peer members[MEMBERS];
static unsigned joined;

static int
set_up(void **state)
{
	(void)state;
	peers_by_host_init(&peers_by_host);
	memset(members, 0, sizeof members);
	joined = 0;
	return 0;
}

/* Later ones began later; list NULL: in no list. */
static struct peer *
join(const char *from, struct peer_list *list)
{
	struct peer *p = &members[joined++];

	assert_int_equal(endpoint_parse(from, &p->transport.peer.at), 0);
	p->list = list;
	p->began_ns = 100 + joined;
	peers_by_host_add(&peers_by_host, p);
	return p;
}

static unsigned
count(const char *from, struct peer **ret_oldest)
{
	struct endpoint at;

	assert_int_equal(endpoint_parse(from, &at), 0);
	return peers_by_host_count(&peers_by_host, &at.address, &inside, ret_oldest);
}

static void
peers_of_an_address_are_counted_whatever_their_port(void **state)
{
	struct peer *oldest;

	(void)state;
	join("192.0.2.1:1000", NULL);
	join("192.0.2.1:1001", NULL);
	join("192.0.2.2:1000", NULL);
	assert_int_equal(count("192.0.2.1:7", &oldest), 2);
	assert_null(oldest);
	assert_int_equal(count("192.0.2.2:7", &oldest), 1);
	assert_int_equal(count("192.0.2.3:7", &oldest), 0);
}

static void
an_ipv6_host_is_a_64_and_an_ipv4_host_an_address(void **state)
{
	struct peer *oldest;

	(void)state;
	join("[2001:db8:0:1::1]:1000", NULL);
	join("[2001:db8:0:1:ffff::2]:1000", NULL);
	join("[2001:db8:0:2::1]:1000", NULL);
	join("[2001:db8::1]:1000", NULL);
	assert_int_equal(count("[2001:db8:0:1::3]:7", &oldest), 2);
	assert_int_equal(count("[2001:db8:0:2::3]:7", &oldest), 1);
	assert_int_equal(count("[2001:db8::9]:7", &oldest), 1);
	assert_int_equal(count("[::ffff:192.0.2.1]:7", &oldest), 0);
}

static void
the_oldest_of_a_list_is_told(void **state)
{
	struct peer *second, *oldest;

	(void)state;
	join("192.0.2.1:1", NULL);
	second = join("192.0.2.1:2", &inside);
	join("192.0.2.1:3", &inside);
	assert_int_equal(count("192.0.2.1:7", &oldest), 3);
	assert_ptr_equal(oldest, second);
}

static void
who_left_is_not_counted_and_may_leave_twice(void **state)
{
	struct peer *first, *oldest;

	(void)state;
	first = join("192.0.2.1:1", NULL);
	join("192.0.2.1:2", NULL);
	peers_by_host_remove(&peers_by_host, first);
	peers_by_host_remove(&peers_by_host, first);
	assert_int_equal(count("192.0.2.1:7", &oldest), 1);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup(name, set_up)
	const struct CMUnitTest tests[] = {
	    TEST(peers_of_an_address_are_counted_whatever_their_port),
	    TEST(an_ipv6_host_is_a_64_and_an_ipv4_host_an_address),
	    TEST(the_oldest_of_a_list_is_told),
	    TEST(who_left_is_not_counted_and_may_leave_twice),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
