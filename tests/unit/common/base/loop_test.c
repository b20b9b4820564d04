#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/loop.h"

/* What the callbacks saw, in order. */
static char seen[64];
static struct loop *loop;
static int sockets[2][2];
static char letter_a[] = "a", letter_b[] = "b", letter_k[] = "k", letter_z[] = "z";

static void
see(char what)
{
	size_t n = strlen(seen);

	assert_true(n + 1 < sizeof seen);
	seen[n] = what;
	seen[n + 1] = '\0';
}

static int
begin(void **state)
{
	(void)state;
	seen[0] = '\0';
	loop = loop_new();
	for (int i = 0; i < 2; i++) {
		if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, sockets[i]) <
		    0) {
			return -1;
		}
	}
	return loop == NULL ? -1 : 0;
}

static int
end(void **state)
{
	(void)state;
	loop_free(loop);
	for (int i = 0; i < 2; i++) {
		close(sockets[i][0]);
		close(sockets[i][1]);
	}
	return 0;
}

static void
read_and_stop(struct loop_watch *w, uint32_t events)
{
	char byte;

	assert_true(events & EPOLLIN);
	assert_int_equal(read(w->fd, &byte, 1), 1);
	see(byte);
	loop_stop(loop);
}

static void
readable_descriptor_calls_its_watch(void **state)
{
	struct loop_watch w = {
	    .fd = sockets[0][0], .events = EPOLLIN, .ready = read_and_stop};

	(void)state;
	assert_int_equal(loop_add(loop, &w), 0);
	assert_int_equal(write(sockets[0][1], "a", 1), 1);
	assert_int_equal(loop_run(loop), 0);
	assert_string_equal(seen, "a");
}

static void
loop_runs_again_after_a_stop(void **state)
{
	struct loop_watch w = {
	    .fd = sockets[0][0], .events = EPOLLIN, .ready = read_and_stop};

	(void)state;
	loop_add(loop, &w);
	assert_int_equal(write(sockets[0][1], "ab", 2), 2);
	loop_run(loop);
	loop_run(loop);
	assert_string_equal(seen, "ab");
}

static void
stop_before_run_is_not_forgotten(void **state)
{
	(void)state;
	loop_stop(loop);
	assert_int_equal(loop_run(loop), 0);
}

static void
write_and_stop(struct loop_watch *w, uint32_t events)
{
	(void)w;
	assert_true(events & EPOLLOUT);
	see('w');
	loop_stop(loop);
}

static void
changed_watch_waits_for_the_new_events(void **state)
{
	struct loop_watch w = {
	    .fd = sockets[0][0], .events = EPOLLIN, .ready = write_and_stop};

	(void)state;
	loop_add(loop, &w);
	assert_int_equal(loop_change(loop, &w, EPOLLOUT), 0);
	loop_run(loop);
	assert_string_equal(seen, "w");
}

static void
adding_a_bad_descriptor_says_why(void **state)
{
	struct loop_watch w = {.fd = -1, .events = EPOLLIN, .ready = read_and_stop};

	(void)state;
	assert_int_equal(loop_add(loop, &w), -EBADF);
}

/* Both watches are ready in one round; the first one called removes the other. */
static void
remove_other(struct loop_watch *w, uint32_t events)
{
	(void)events;
	see('r');
	loop_remove(loop, w->data);
	loop_stop(loop);
}

static void
removed_watch_is_not_called_in_the_same_round(void **state)
{
	struct loop_watch a = {
	    .fd = sockets[0][0], .events = EPOLLIN, .ready = remove_other};
	struct loop_watch b = {
	    .fd = sockets[1][0], .events = EPOLLIN, .ready = remove_other};

	(void)state;
	a.data = &b;
	b.data = &a;
	loop_add(loop, &a);
	loop_add(loop, &b);
	assert_int_equal(write(sockets[0][1], "x", 1), 1);
	assert_int_equal(write(sockets[1][1], "x", 1), 1);
	loop_run(loop);
	assert_string_equal(seen, "r");
}

static void
timer_sees(struct loop_timer *t, uint64_t now_ns)
{
	(void)now_ns;
	see(*(char *)t->data);
	if (*(char *)t->data == 'z') {
		loop_stop(loop);
	}
}

static void
timers_expire_in_order_of_their_time(void **state)
{
	struct loop_timer z = {.expired = timer_sees, .data = letter_z};
	struct loop_timer a = {.expired = timer_sees, .data = letter_a};
	struct loop_timer b = {.expired = timer_sees, .data = letter_b};
	uint64_t now = clock_monotonic_ns();

	(void)state;
	loop_timer_set(loop, &z, now + 3 * NS_PER_MS);
	loop_timer_set(loop, &a, now + NS_PER_MS);
	loop_timer_set(loop, &b, now + 2 * NS_PER_MS);
	loop_run(loop);
	assert_string_equal(seen, "abz");
}

static void
timer_never_expires_early(void **state)
{
	struct loop_timer z = {.expired = timer_sees, .data = letter_z};
	uint64_t due = clock_monotonic_ns() + 5 * NS_PER_MS;

	(void)state;
	loop_timer_set(loop, &z, due);
	loop_run(loop);
	assert_true(clock_monotonic_ns() >= due);
}

static void
expired_timer_is_idle(void **state)
{
	struct loop_timer z = {.expired = timer_sees, .data = letter_z};

	(void)state;
	loop_timer_set(loop, &z, 1);
	loop_run(loop);
	assert_int_equal(z.due_ns, 0);
}

static void
cleared_timer_does_not_expire(void **state)
{
	struct loop_timer a = {.expired = timer_sees, .data = letter_a};
	struct loop_timer z = {.expired = timer_sees, .data = letter_z};

	(void)state;
	loop_timer_set(loop, &a, 1);
	loop_timer_set(loop, &z, 2);
	loop_timer_clear(loop, &a);
	loop_timer_clear(loop, &a);
	loop_run(loop);
	assert_string_equal(seen, "z");
}

static void
timer_set_again_moves(void **state)
{
	struct loop_timer a = {.expired = timer_sees, .data = letter_a};
	struct loop_timer z = {.expired = timer_sees, .data = letter_z};

	(void)state;
	loop_timer_set(loop, &a, 1);
	loop_timer_set(loop, &z, 2);
	loop_timer_set(loop, &a, UINT64_MAX);
	loop_run(loop);
	assert_string_equal(seen, "z");
	loop_timer_clear(loop, &a);
}

static void
always_due(struct loop_timer *t, uint64_t now_ns)
{
	(void)now_ns;
	loop_timer_set(loop, t, 1);
}

static void
timer_that_is_always_due_leaves_watches_their_turn(void **state)
{
	struct loop_timer busy = {.expired = always_due};
	struct loop_watch w = {
	    .fd = sockets[0][0], .events = EPOLLIN, .ready = read_and_stop};

	(void)state;
	loop_timer_set(loop, &busy, 1);
	loop_add(loop, &w);
	assert_int_equal(write(sockets[0][1], "a", 1), 1);
	loop_run(loop);
	assert_string_equal(seen, "a");
}

static void
see_signal(int number, void *data)
{
	assert_ptr_equal(data, seen);
	see(number == SIGUSR1 ? '1' : '?');
	loop_stop(loop);
}

static void
signal_arrives_in_the_loop(void **state)
{
	static const int signals[] = {SIGUSR1, 0};

	(void)state;
	assert_int_equal(loop_signals(loop, signals, see_signal, seen), 0);
	kill(getpid(), SIGUSR1);
	loop_run(loop);
	assert_string_equal(seen, "1");
}

static void
see_wake(void *data)
{
	see(*(char *)data);
	loop_stop(loop);
}

static void *
wake(void *l)
{
	loop_wake(l);
	return NULL;
}

static void
wake_from_another_thread_calls_in_the_loop(void **state)
{
	pthread_t thread;

	(void)state;
	loop_on_wake(loop, see_wake, letter_k);
	assert_int_equal(pthread_create(&thread, NULL, wake, loop), 0);
	loop_run(loop);
	pthread_join(thread, NULL);
	assert_string_equal(seen, "k");
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
	const struct CMUnitTest tests[] = {
	    TEST(readable_descriptor_calls_its_watch),
	    TEST(loop_runs_again_after_a_stop),
	    TEST(stop_before_run_is_not_forgotten),
	    TEST(changed_watch_waits_for_the_new_events),
	    TEST(adding_a_bad_descriptor_says_why),
	    TEST(removed_watch_is_not_called_in_the_same_round),
	    TEST(timers_expire_in_order_of_their_time),
	    TEST(timer_never_expires_early),
	    TEST(expired_timer_is_idle),
	    TEST(cleared_timer_does_not_expire),
	    TEST(timer_set_again_moves),
	    TEST(timer_that_is_always_due_leaves_watches_their_turn),
	    TEST(signal_arrives_in_the_loop),
	    TEST(wake_from_another_thread_calls_in_the_loop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
