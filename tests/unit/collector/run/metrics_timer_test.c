#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "collector/run/metrics_timer.h"
#include "common/base/clock.h"

static struct loop *loop;
static struct loop_timer stop;
static char folder[] = "/tmp/flowpair-metrics-XXXXXX", path[64], text[65536];
static unsigned sums;

static void
stop_now(struct loop_timer *t, uint64_t now_ns)
{
	(void)t;
	(void)now_ns;
	loop_stop(loop);
}

static int
begin(void **state)
{
	(void)state;
	strcpy(strrchr(folder, '-'), "-XXXXXX");
	if (mkdtemp(folder) == NULL) {
		return -1;
	}
	snprintf(path, sizeof path, "%s/m.prom", folder);
	loop = loop_new();
	stop = (struct loop_timer){.expired = stop_now};
	sums = 0;
	return loop == NULL ? -1 : 0;
}

static int
end(void **state)
{
	(void)state;
	loop_free(loop);
	unlink(path);
	return rmdir(folder);
}

static void
sum_up(struct summary *s, void *data)
{
	s->listener.accepted = *(const uint64_t *)data;
	sums++;
}

/* What is due now happens; then the loop stops. */
static void
run_due(void)
{
	loop_timer_set(loop, &stop, clock_monotonic_ns() + 1);
	assert_int_equal(loop_run(loop), 0);
}

static const char *
written(void)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? 0 : read(fd, text, sizeof text - 1);

	if (fd >= 0) {
		close(fd);
	}
	text[n < 0 ? 0 : n] = '\0';
	return text;
}

static struct metrics_timer *
timer(const char *file, uint64_t *accepted)
{
	const struct metrics_timer_settings s = {
	    .path = file, .sum_up = sum_up, .data = accepted};
	struct metrics_timer *t = NULL;
	struct err e = {""};

	assert_int_equal(metrics_timer_new(&s, loop, &t, &e), 0);
	return t;
}

static void
the_file_is_written_at_the_start(void **state)
{
	uint64_t accepted = 42;
	struct metrics_timer *t = timer(path, &accepted);

	(void)state;
	run_due();
	assert_non_null(strstr(written(), "flowpair_collector_connections_total 42\n"));
	metrics_timer_free(t);
}

static void
without_a_file_nothing_is_summed_up(void **state)
{
	uint64_t accepted = 42;
	struct metrics_timer *t = timer(NULL, &accepted);

	(void)state;
	run_due();
	assert_int_equal(sums, 0);
	metrics_timer_free(t);
}

static void
a_file_that_cannot_be_written_stops_nothing(void **state)
{
	uint64_t accepted = 1;
	struct metrics_timer *t = timer("/nowhere/at/all.prom", &accepted);

	(void)state;
	run_due();
	assert_int_equal(sums, 1);
	metrics_timer_free(t);
}

static void
certificates_that_are_not_there_have_no_expiry(void **state)
{
	uint64_t accepted = 0;
	struct metrics_timer *t = timer(NULL, &accepted);
	struct tls_expiry none = {0};

	(void)state;
	metrics_timer_reload(t);
	assert_memory_equal(metrics_timer_expiry(t), &none, sizeof none);
	metrics_timer_free(t);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
	const struct CMUnitTest tests[] = {
	    TEST(the_file_is_written_at_the_start),
	    TEST(without_a_file_nothing_is_summed_up),
	    TEST(a_file_that_cannot_be_written_stops_nothing),
	    TEST(certificates_that_are_not_there_have_no_expiry),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
