/* dtls+udp:// sessions whose ends are not in step. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "common/transport/transport_listener.h"
#include "tests/unit/common/transport/support_dtls_pair.h"

/* A collector that is slow hears the end of our handshake twice, and says its own
 * twice. */
static void
a_handshake_that_ends_twice_does_not_spoil_the_end_of_the_session(void **state)
{
	struct transport none;
	struct err e = {0};
	struct pair p;
	char byte[8];
	int rc = -EAGAIN;

	(void)state;
	memset(&p, 0, sizeof p);
	place_open(&p.place, "dtls+udp://*:0");
	p.context = context_of("exporter", false);
	dial(&p.client, "127.0.0.1", p.place.listener.port, p.context);
	for (int i = 0; i < 1000 && rc != 0; i++) {
		(void)p.client.ops->proceed(&p.client, &e);
		wait_for(p.place.listener.fd, 1);
		rc =
		    transport_accept(&p.place.listener, &p.server, p.place.context, &e);
	}
	assert_int_equal(rc, 0);
	assert_int_equal(p.server.ops->proceed(&p.server, &e), -EAGAIN);
	wait_for(p.client.fd, 1000);
	assert_int_equal(p.client.ops->proceed(&p.client, &e), -EAGAIN);
	while (transport_timeout(&p.client) > 0) {
		wait_for(-1, 10);
	}
	assert_int_equal(p.client.ops->proceed(&p.client, &e), -EAGAIN);
	for (int i = 0; i < 1000 && (rc = p.server.ops->proceed(&p.server, &e)) != 0;
	     i++) {
		wait_for(p.place.listener.fd, 1);
		(void)transport_accept(&p.place.listener, &none, p.place.context, NULL);
	}
	assert_int_equal(rc, 0);
	for (int i = 0; i < 10; i++) {
		wait_for(p.place.listener.fd, 1);
		(void)transport_accept(&p.place.listener, &none, p.place.context, NULL);
		assert_int_equal(
		    p.server.ops->read(&p.server, byte, sizeof byte, NULL), -EAGAIN);
	}
	assert_int_equal(p.client.ops->proceed(&p.client, &e), 0);
	assert_int_equal(p.client.ops->finish(&p.client, &e), 0);
	assert_int_equal(p.client.ops->read(&p.client, byte, sizeof byte, &e), 0);
	pair_close(&p);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(
		a_handshake_that_ends_twice_does_not_spoil_the_end_of_the_session),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
