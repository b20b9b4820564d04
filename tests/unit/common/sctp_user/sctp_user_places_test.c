#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

#include "common/sctp_user/sctp_user_places.h"

/* From port 50000 to port 4739, an INIT whose initiate tag is c0ffee01. */
static const uint8_t init[] = {
    0xc3, 0x50, 0x12, 0x83, 0, 0, 0, 0, 0, 0, 0, 0, /* header */
    1, 0, 0, 20, 0xc0, 0xff, 0xee, 0x01,            /* chunk, tag */
    0, 1, 0, 0, 0, 1, 0, 1, 0, 0, 0, 1,             /* window, streams, TSN */
};

static struct sockaddr_storage
address(const char *text)
{
	struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};
	struct sockaddr_in v4 = {.sin_family = AF_INET};
	struct sockaddr_storage ret = {0};

	if (inet_pton(AF_INET, text, &v4.sin_addr) == 1) {
		memcpy(&ret, &v4, sizeof v4);
	} else {
		assert_int_equal(inet_pton(AF_INET6, text, &v6.sin6_addr), 1);
		memcpy(&ret, &v6, sizeof v6);
	}
	return ret;
}

static bool
is_refused_at(const char *local, const uint8_t *packet, size_t n)
{
	struct sockaddr_storage at = address(local);
	uint8_t refusal[SCTP_USER_PLACE_REFUSAL];

	return sctp_user_place_refuses(&at, packet, n, refusal);
}

static void
only_the_addresses_of_a_place_are_listened_at(void **state)
{
	struct sctp_user_place p = {.port = 4739, .hosts = 2};

	(void)state;
	p.host[0] = address("127.0.0.1");
	p.host[1] = address("2001:db8::1");
	sctp_user_place_open(&p);
	assert_false(is_refused_at("127.0.0.1", init, sizeof init));
	assert_false(is_refused_at("2001:db8::1", init, sizeof init));
	assert_true(is_refused_at("127.0.0.2", init, sizeof init));
	assert_true(is_refused_at("::1", init, sizeof init));
	sctp_user_place_close(&p);
}

static void
a_place_without_addresses_is_everywhere(void **state)
{
	struct sctp_user_place p = {.port = 4739};

	(void)state;
	sctp_user_place_open(&p);
	assert_false(is_refused_at("127.0.0.2", init, sizeof init));
	assert_false(is_refused_at("::1", init, sizeof init));
	sctp_user_place_close(&p);
}

static void
ports_that_nobody_listens_at_are_not_refused_here(void **state)
{
	struct sctp_user_place p = {.port = 4740, .hosts = 1};

	(void)state;
	p.host[0] = address("127.0.0.1");
	assert_false(is_refused_at("::1", init, sizeof init));
	sctp_user_place_open(&p);
	assert_false(is_refused_at("::1", init, sizeof init));
	sctp_user_place_close(&p);
}

static void
a_place_that_was_closed_refuses_nobody_and_others_stay(void **state)
{
	struct sctp_user_place one = {.port = 4739, .hosts = 1}, two = one;

	(void)state;
	one.host[0] = address("127.0.0.1");
	two.host[0] = address("127.0.0.2");
	sctp_user_place_open(&one);
	sctp_user_place_open(&two);
	assert_false(is_refused_at("127.0.0.1", init, sizeof init));
	assert_false(is_refused_at("127.0.0.2", init, sizeof init));
	sctp_user_place_close(&one);
	assert_true(is_refused_at("127.0.0.1", init, sizeof init));
	sctp_user_place_close(&one);
	sctp_user_place_close(&two);
	assert_false(is_refused_at("127.0.0.1", init, sizeof init));
}

static void
the_refusal_is_an_abort_with_the_tag_that_the_sender_chose(void **state)
{
	static const uint8_t expected[SCTP_USER_PLACE_REFUSAL] = {
	    0x12, 0x83, 0xc3, 0x50, 0xc0, 0xff, 0xee, 0x01, 0, 0, 0, 0, /* header */
	    6, 0, 0, 4,                                                 /* chunk */
	};
	struct sctp_user_place p = {.port = 4739, .hosts = 1};
	struct sockaddr_storage local = address("::1");
	uint8_t refusal[SCTP_USER_PLACE_REFUSAL];

	(void)state;
	p.host[0] = address("127.0.0.1");
	sctp_user_place_open(&p);
	assert_true(sctp_user_place_refuses(&local, init, sizeof init, refusal));
	assert_memory_equal(refusal, expected, sizeof expected);
	sctp_user_place_close(&p);
}

static void
what_begins_no_association_and_what_is_cut_off_is_not_refused(void **state)
{
	struct sctp_user_place p = {.port = 4739, .hosts = 1};
	uint8_t data[sizeof init];

	(void)state;
	p.host[0] = address("127.0.0.1");
	sctp_user_place_open(&p);
	for (size_t n = 0; n < 20; n++) {
		assert_false(is_refused_at("::1", init, n));
	}
	memcpy(data, init, sizeof data);
	data[12] = 0; /* DATA */
	assert_false(is_refused_at("::1", data, sizeof data));
	sctp_user_place_close(&p);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(only_the_addresses_of_a_place_are_listened_at),
	    cmocka_unit_test(a_place_without_addresses_is_everywhere),
	    cmocka_unit_test(ports_that_nobody_listens_at_are_not_refused_here),
	    cmocka_unit_test(a_place_that_was_closed_refuses_nobody_and_others_stay),
	    cmocka_unit_test(
		the_refusal_is_an_abort_with_the_tag_that_the_sender_chose),
	    cmocka_unit_test(
		what_begins_no_association_and_what_is_cut_off_is_not_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
