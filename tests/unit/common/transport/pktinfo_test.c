#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#include "common/transport/pktinfo.h"

static struct sockaddr_storage
address(const char *text, uint16_t port)
{
	struct sockaddr_storage at = {0};
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&at;
	struct sockaddr_in *v4 = (struct sockaddr_in *)&at;

	if (inet_pton(AF_INET, text, &v4->sin_addr) == 1) {
		v4->sin_family = AF_INET;
		v4->sin_port = htons(port);
	} else {
		assert_int_equal(inet_pton(AF_INET6, text, &v6->sin6_addr), 1);
		v6->sin6_family = AF_INET6;
		v6->sin6_port = htons(port);
	}
	return at;
}

static bool
is_same(const struct sockaddr_storage *a, const struct sockaddr_storage *b)
{
	return memcmp(a, b,
		   a->ss_family == AF_INET6 ? sizeof(struct sockaddr_in6)
					    : sizeof(struct sockaddr_in)) == 0;
}

/* A socket that is bound to every address of this family, and its port. */
static int
open_everywhere(const char *any, uint16_t *ret_port)
{
	struct sockaddr_storage at = address(any, 0);
	socklen_t n = sizeof at;
	int fd = socket(at.ss_family, SOCK_DGRAM, 0);

	pktinfo_prepare(fd);
	assert_int_equal(bind(fd, (struct sockaddr *)&at, n), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &n), 0);
	*ret_port = ntohs(((struct sockaddr_in *)&at)->sin_port);
	return fd;
}

static void
receive(int fd, struct pktinfo *ret)
{
	_Alignas(struct cmsghdr) uint8_t control[ROUTE_CONTROL];
	struct sockaddr_storage from;
	uint8_t bytes[16];
	uint32_t overflows = 0;
	struct iovec part = {bytes, sizeof bytes};
	struct msghdr m = {
	    .msg_name = &from,
	    .msg_namelen = sizeof from,
	    .msg_iov = &part,
	    .msg_iovlen = 1,
	    .msg_control = control,
	    .msg_controllen = sizeof control,
	};

	assert_int_equal(recvmsg(fd, &m, 0), 5);
	pktinfo_read(ret, &m, &overflows);
	assert_int_equal(overflows, 0);
}

static void
an_answer_leaves_from_the_address_that_was_asked(void **state)
{
	static const char *const places[][3] = {
	    {"0.0.0.0", "127.0.0.7", "127.0.0.9"}, {"::", "::1", "::1"}};

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		uint16_t one_port, other_port;
		int one = open_everywhere(places[i][0], &one_port);
		int other = open_everywhere(places[i][0], &other_port);
		struct sockaddr_storage asked = address(places[i][1], one_port);
		struct sockaddr_storage asks = address(places[i][2], 0), seen;
		struct pktinfo there, back, again;
		pktinfo_make(&there, &asked, &asks);
		pktinfo_send(other, &there, "hello", 5);
		receive(one, &back);
		asks = address(places[i][2], other_port);
		assert_true(is_same(&back.peer, &asks));
		pktinfo_local(&back, &seen);
		asked = address(places[i][1], 0);
		assert_true(is_same(&seen, &asked));
		pktinfo_send(one, &back, "hello", 5);
		receive(other, &again);
		assert_memory_equal(again.id, there.id, sizeof there.id);
		close(one);
		close(other);
	}
}

static void
addresses_and_ports_make_the_identity(void **state)
{
	struct sockaddr_storage at[] = {address("192.0.2.1", 9),
	    address("192.0.2.2", 9), address("192.0.2.1", 10),
	    address("2001:db8::1", 9)};
	struct pktinfo r[4];

	(void)state;
	for (unsigned i = 0; i < 4; i++) {
		pktinfo_make(&r[i], &at[i], NULL);
		for (unsigned k = 0; k < i; k++) {
			assert_memory_not_equal(r[i].id, r[k].id, sizeof r[i].id);
		}
	}
}

static void
a_route_without_an_end_of_ours_says_so(void **state)
{
	struct sockaddr_storage peer = address("192.0.2.1", 9), local;
	struct pktinfo r;

	(void)state;
	pktinfo_make(&r, &peer, NULL);
	pktinfo_local(&r, &local);
	assert_int_equal(local.ss_family, AF_UNSPEC);
}

static void
the_room_of_a_route_is_what_one_datagram_carries(void **state)
{
	struct sockaddr_storage v4 = address("127.0.0.1", 9), v6 = address("::1", 9);
	struct pktinfo r;

	(void)state;
	pktinfo_make(&r, &v4, NULL);
	assert_in_range(pktinfo_room(&r), 500, 65507);
	pktinfo_make(&r, &v6, NULL);
	assert_in_range(pktinfo_room(&r), 1200, 65527);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(an_answer_leaves_from_the_address_that_was_asked),
	    cmocka_unit_test(addresses_and_ports_make_the_identity),
	    cmocka_unit_test(a_route_without_an_end_of_ours_says_so),
	    cmocka_unit_test(the_room_of_a_route_is_what_one_datagram_carries),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
