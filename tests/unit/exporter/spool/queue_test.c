#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/cursor.h"
#include "exporter/spool/queue.h"

/* A message of this length whose body repeats `mark`; half of its records are data. */
static bool
push(struct queue *q, size_t length, uint32_t records, uint8_t mark)
{
	uint8_t message[65535];

	memset(message, mark, length);
	store_u16(message, 10);
	store_u16(message + 2, (uint16_t)length);
	return queue_push(q, message, length, records, records / 2);
}

static void
messages_are_found_by_their_index_with_what_is_known_of_them(void **state)
{
	struct queue *q = queue_new(0);
	struct queue_message m;

	(void)state;
	assert_true(push(q, 100, 4, 'a'));
	assert_true(push(q, 200, 0, 'b'));
	assert_true(push(q, 50, 6, 'c'));
	assert_int_equal(queue_first(q), 0);
	assert_int_equal(queue_end_index(q), 3);
	queue_look(q, 2, &m);
	assert_int_equal(m.length, 50);
	assert_int_equal(m.position, 300);
	assert_int_equal(m.records, 6);
	assert_int_equal(m.data, 3);
	assert_int_equal(m.total, 2);
	assert_int_equal(m.bytes[49], 'c');
	queue_free(q);
}

static void
messages_lie_side_by_side_also_where_the_ring_ends(void **state)
{
	struct queue *q = queue_new(0);
	struct queue_message a, b;

	(void)state;
	for (uint64_t i = 0; i < 2 * queue_capacity(q) / 999; i++) {
		assert_true(push(q, 999, 1, (uint8_t)i));
		if (i > 0) {
			queue_look(q, i - 1, &a);
			queue_look(q, i, &b);
			assert_int_equal(a.bytes[999 + 998], (uint8_t)i);
			assert_int_equal(b.position - a.position, 999);
			queue_release(q, i);
		}
	}
	queue_free(q);
}

static void
what_was_let_go_makes_room(void **state)
{
	struct queue *q = queue_new(0);
	unsigned n = 0;

	(void)state;
	while (push(q, 1000, 2, 'x')) {
		n++;
	}
	assert_int_equal(n, queue_capacity(q) / 1000);
	queue_release(q, 1);
	assert_int_equal(queue_bytes(q), (n - 1) * 1000);
	assert_true(push(q, 1000, 2, 'x'));
	queue_release(q, n + 1);
	assert_int_equal(queue_bytes(q), 0);
	queue_free(q);
}

static void
very_small_messages_are_bounded_in_number(void **state)
{
	struct queue *q = queue_new(0);
	uint64_t pushed = 0;

	(void)state;
	while (push(q, 16, 1, 'x')) {
		pushed++;
	}
	assert_true(pushed < queue_capacity(q) / 16);
	queue_release(q, pushed);
	assert_true(push(q, 16, 1, 'x'));
	queue_free(q);
}

static int
is_readable(struct queue *q)
{
	struct pollfd p = {.fd = queue_fd(q), .events = POLLIN};

	return poll(&p, 1, 0);
}

static void
a_dozing_taker_is_woken_once_enough_is_inside(void **state)
{
	struct queue *q = queue_new(0);

	(void)state;
	push(q, 100, 1, 'a');
	assert_int_equal(is_readable(q), 0);
	assert_true(queue_doze(q, 250));
	push(q, 100, 1, 'a');
	assert_int_equal(is_readable(q), 0);
	push(q, 100, 1, 'a');
	assert_int_equal(is_readable(q), 1);
	queue_rise(q);
	assert_int_equal(is_readable(q), 0);
	assert_false(queue_doze(q, 300));
	assert_int_equal(queue_pushed(q), 300);
	queue_rise(q);
	queue_free(q);
}

static bool
always(void *data)
{
	(void)data;
	return true;
}

struct stream {
	struct queue *queue;
	unsigned messages;
};

static size_t
length_of(unsigned i)
{
	return 16 + i * 7919 % 3000;
}

static void *
push_stream(void *data)
{
	struct stream *s = data;
	uint8_t message[4096] = {0, 10};

	for (unsigned i = 0; i < s->messages; i++) {
		size_t length = length_of(i);
		store_u16(message + 2, (uint16_t)length);
		memset(message + 12, (int)(i & 0xff), length - 12);
		assert_true(queue_push(s->queue, message, length, i % 5, 0));
	}
	return NULL;
}

static void
two_threads_hand_over_everything_with_waiting_on_both_sides(void **state)
{
	struct stream s = {queue_new(0), 20000};
	pthread_t pusher;
	uint64_t seen = 0;

	(void)state;
	queue_set_wait(s.queue, always, NULL);
	pthread_create(&pusher, NULL, push_stream, &s);
	while (seen < s.messages) {
		struct queue_message m;
		if (seen == queue_end_index(s.queue)) {
			struct pollfd p = {.fd = queue_fd(s.queue), .events = POLLIN};
			if (queue_doze(s.queue, queue_pushed(s.queue) + 1) &&
			    seen == queue_end_index(s.queue)) {
				poll(&p, 1, 10000);
			}
			queue_rise(s.queue);
			continue;
		}
		queue_look(s.queue, seen, &m);
		assert_int_equal(m.length, length_of((unsigned)seen));
		assert_int_equal(m.records, seen % 5);
		assert_int_equal(m.bytes[m.length - 1], seen & 0xff);
		queue_release(s.queue, ++seen);
	}
	pthread_join(pusher, NULL);
	assert_int_equal(queue_bytes(s.queue), 0);
	queue_free(s.queue);
}

static void *
push_until_refused(void *data)
{
	uint8_t message[1000] = {0, 10, 1000 >> 8, 1000 & 0xff};

	while (queue_push(data, message, sizeof message, 1, 1)) {
	}
	return NULL;
}

static void
hurry_and_end_free_a_waiting_push(void **state)
{
	void (*const ways[])(struct queue *) = {queue_hurry, queue_end};

	(void)state;
	for (int i = 0; i < 2; i++) {
		struct queue *q = queue_new(0);
		pthread_t pusher;
		queue_set_wait(q, always, NULL);
		pthread_create(&pusher, NULL, push_until_refused, q);
		while (queue_bytes(q) + 1000 <= queue_capacity(q)) {
			poll(NULL, 0, 1);
		}
		ways[i](q);
		pthread_join(pusher, NULL);
		queue_free(q);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(
		messages_are_found_by_their_index_with_what_is_known_of_them),
	    cmocka_unit_test(messages_lie_side_by_side_also_where_the_ring_ends),
	    cmocka_unit_test(what_was_let_go_makes_room),
	    cmocka_unit_test(very_small_messages_are_bounded_in_number),
	    cmocka_unit_test(a_dozing_taker_is_woken_once_enough_is_inside),
	    cmocka_unit_test(
		two_threads_hand_over_everything_with_waiting_on_both_sides),
	    cmocka_unit_test(hurry_and_end_free_a_waiting_push),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
