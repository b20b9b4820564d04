/* A clock on the wall that is set while DTLS waits; OpenSSL asks gettimeofday(). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "common/tls/tls.h"
#include "common/transport/transport.h"
#include "tests/unit/common/transport/support_dtls_pair.h"

static time_t ahead; /* seconds */

/* Ours for the library, too. */
__attribute__((visibility("default"))) int
gettimeofday(struct timeval *restrict tv, void *restrict zone)
{
	struct timespec now;

	(void)zone;
	clock_gettime(CLOCK_REALTIME, &now);
	*tv = (struct timeval){
	    .tv_sec = now.tv_sec + ahead, .tv_usec = now.tv_nsec / 1000};
	return 0;
}

/* Somebody who does not answer. */
static int
deaf(uint16_t *ret_port)
{
	struct sockaddr_in at = {
	    .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_DGRAM, 0);
	socklen_t n = sizeof at;

	assert_int_equal(bind(fd, (struct sockaddr *)&at, n), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &n), 0);
	*ret_port = ntohs(at.sin_port);
	return fd;
}

static unsigned
hellos(int fd)
{
	uint8_t bytes[2000];
	unsigned n = 0;

	while (recv(fd, bytes, sizeof bytes, MSG_DONTWAIT) > 0) {
		n++;
	}
	return n;
}

/* What proceed() says after the first wait, during which the clock is set. */
static int
wait_while_set(time_t seconds, unsigned *ret_hellos, struct err *e)
{
	struct tls_context *c = context_of("exporter", false);
	struct transport t;
	uint16_t port;
	int fd = deaf(&port), rc;

	ahead = 0;
	dial(&t, "127.0.0.1", port, c);
	assert_int_equal(t.ops->proceed(&t, e), -EAGAIN);
	assert_int_equal(hellos(fd), 1);
	assert_in_range(transport_timeout(&t), 900000000, 1100000000);
	ahead = seconds;
	assert_in_range(transport_timeout(&t), 0, 1100000000);
	while (transport_timeout(&t) > 0) {
		wait_for(t.fd, 10);
	}
	rc = t.ops->proceed(&t, e);
	*ret_hellos = hellos(fd);
	t.ops->close(&t);
	tls_context_free(c);
	close(fd);
	return rc;
}

static void
what_may_be_lost_goes_out_again_after_a_second(void **state)
{
	struct err e = {0};
	unsigned n;

	(void)state;
	assert_int_equal(wait_while_set(0, &n, &e), -EAGAIN);
	assert_int_equal(n, 1);
}

static void
a_clock_that_is_set_forward_makes_it_go_out_at_once(void **state)
{
	struct err e = {0};
	unsigned n;

	(void)state;
	assert_int_equal(wait_while_set(3600, &n, &e), -EAGAIN);
	assert_int_equal(n, 1);
}

static void
a_clock_that_is_set_back_ends_the_attempt_in_time(void **state)
{
	struct err e = {0};
	unsigned n;

	(void)state;
	assert_int_equal(wait_while_set(-3600, &n, &e), -ETIMEDOUT);
	expect_sentence(&e, "the clock was set back during the handshake");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(what_may_be_lost_goes_out_again_after_a_second),
	    cmocka_unit_test(a_clock_that_is_set_forward_makes_it_go_out_at_once),
	    cmocka_unit_test(a_clock_that_is_set_back_ends_the_attempt_in_time),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
