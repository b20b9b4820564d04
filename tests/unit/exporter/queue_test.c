#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "common/cursor.h"
#include "exporter/queue.h"

/* A message of this length whose body repeats `mark`. */
static bool
push(struct queue *q, size_t length, uint32_t records, uint8_t mark)
{
	uint8_t message[65535];

	memset(message, mark, length);
	store_u16(message, 10);
	store_u16(message + 2, (uint16_t)length);
	store_u32(message + 8, 0);
	return queue_push(q, message, length, records, NULL, NULL);
}

static void
messages_come_out_in_order_numbered_by_their_records(void **state)
{
	struct queue *q = queue_new(0);
	struct queue_taken taken = {0};
	const uint8_t *bytes;

	(void)state;
	queue_begin(q, 5);
	assert_true(push(q, 100, 3, 'a'));
	assert_true(push(q, 200, 0, 'b'));
	assert_true(push(q, 50, 7, 'c'));
	assert_int_equal(queue_gather(q, &bytes), 350);
	assert_int_equal(load_u32(bytes + 8), 5);
	assert_int_equal(load_u32(bytes + 108), 8);
	assert_int_equal(load_u32(bytes + 308), 8);
	assert_int_equal(bytes[99], 'a');
	assert_int_equal(bytes[349], 'c');
	queue_take(q, 350, &taken);
	assert_int_equal(taken.messages, 3);
	assert_int_equal(taken.bytes, 350);
	assert_int_equal(taken.records, 10);
	assert_int_equal(queue_bytes(q), 0);
	queue_free(q);
}

static void
a_message_leaves_when_all_of_it_was_taken(void **state)
{
	struct queue *q = queue_new(0);
	struct queue_taken taken = {0};
	const uint8_t *bytes;

	(void)state;
	queue_begin(q, 0);
	push(q, 100, 1, 'a');
	push(q, 100, 1, 'b');
	queue_gather(q, &bytes);
	queue_take(q, 150, &taken);
	assert_int_equal(taken.messages, 1);
	assert_int_equal(queue_bytes(q), 100);
	assert_true(queue_is_cut(q));
	assert_int_equal(queue_gather(q, &bytes), 50);
	queue_take(q, 50, &taken);
	assert_int_equal(taken.messages, 2);
	assert_false(queue_is_cut(q));
	queue_free(q);
}

static void
a_cut_message_is_whole_and_numbered_anew_after_put_back(void **state)
{
	struct queue *q = queue_new(0);
	struct queue_taken taken = {0};
	const uint8_t *bytes;

	(void)state;
	queue_begin(q, 0);
	push(q, 100, 4, 'a');
	push(q, 100, 5, 'b');
	push(q, 100, 6, 'c');
	queue_gather(q, &bytes);
	queue_take(q, 120, &taken);
	queue_put_back(q);
	queue_begin(q, 40);
	assert_int_equal(queue_gather(q, &bytes), 200);
	assert_int_equal(bytes[99], 'b');
	assert_int_equal(load_u32(bytes + 8), 40);
	assert_int_equal(load_u32(bytes + 108), 45);
	queue_take(q, 200, &taken);
	assert_int_equal(taken.records, 15);
	queue_free(q);
}

static void
a_full_queue_refuses_who_may_not_wait(void **state)
{
	struct queue *q = queue_new(0);
	struct queue_taken dropped = {0};
	unsigned n = 0;

	(void)state;
	while (push(q, 1000, 2, 'x')) {
		n++;
	}
	assert_int_equal(n, queue_capacity(q) / 1000);
	queue_drop(q, &dropped);
	assert_int_equal(dropped.messages, n);
	assert_int_equal(dropped.records, 2 * n);
	assert_true(push(q, 1000, 2, 'x'));
	queue_free(q);
}

static void
a_gather_is_about_64_kib(void **state)
{
	struct queue *q = queue_new(0);
	const uint8_t *bytes;
	size_t n;

	(void)state;
	queue_begin(q, 0);
	while (push(q, 1000, 1, 'x')) {
	}
	n = queue_gather(q, &bytes);
	assert_true(n >= QUEUE_GATHER && n < QUEUE_GATHER + 1000);
	queue_free(q);
}

static void
very_small_messages_are_gathered_within_bounds(void **state)
{
	struct queue *q = queue_new(0);
	struct queue_taken taken = {0};
	const uint8_t *bytes;
	uint64_t pushed = 0;
	size_t n;

	(void)state;
	queue_begin(q, 0);
	for (; pushed < 10000 && push(q, 16, 1, 'x'); pushed++) {
	}
	while ((n = queue_gather(q, &bytes)) > 0) {
		queue_take(q, n, &taken);
	}
	assert_int_equal(taken.messages, pushed);
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
		assert_true(queue_push(s->queue, message, length, i % 5, always, NULL));
	}
	return NULL;
}

static void
two_threads_hand_over_everything_with_waiting_on_both_sides(void **state)
{
	struct stream s = {queue_new(0), 20000};
	struct queue_taken taken = {0};
	uint32_t sequence = 0;
	pthread_t pusher;
	unsigned seen = 0;

	(void)state;
	queue_begin(s.queue, 0);
	pthread_create(&pusher, NULL, push_stream, &s);
	while (seen < s.messages) {
		const uint8_t *bytes;
		size_t n = queue_gather(s.queue, &bytes);
		if (n == 0) {
			struct pollfd p = {.fd = queue_fd(s.queue), .events = POLLIN};
			if (queue_doze(s.queue, 1)) {
				poll(&p, 1, 10000);
			}
			queue_rise(s.queue);
			continue;
		}
		for (size_t at = 0; at < n; seen++) {
			assert_int_equal(load_u16(bytes + at + 2), length_of(seen));
			assert_int_equal(load_u32(bytes + at + 8), sequence);
			assert_int_equal(bytes[at + length_of(seen) - 1], seen & 0xff);
			sequence += seen % 5;
			at += length_of(seen);
		}
		queue_take(s.queue, n, &taken);
	}
	pthread_join(pusher, NULL);
	assert_int_equal(taken.messages, s.messages);
	assert_int_equal(queue_bytes(s.queue), 0);
	queue_free(s.queue);
}

static void *
push_until_refused(void *data)
{
	uint8_t message[1000] = {0, 10, 1000 >> 8, 1000 & 0xff};

	while (queue_push(data, message, sizeof message, 1, always, NULL)) {
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
	    cmocka_unit_test(messages_come_out_in_order_numbered_by_their_records),
	    cmocka_unit_test(a_message_leaves_when_all_of_it_was_taken),
	    cmocka_unit_test(a_cut_message_is_whole_and_numbered_anew_after_put_back),
	    cmocka_unit_test(a_full_queue_refuses_who_may_not_wait),
	    cmocka_unit_test(a_gather_is_about_64_kib),
	    cmocka_unit_test(very_small_messages_are_gathered_within_bounds),
	    cmocka_unit_test(a_dozing_taker_is_woken_once_enough_is_inside),
	    cmocka_unit_test(
		two_threads_hand_over_everything_with_waiting_on_both_sides),
	    cmocka_unit_test(hurry_and_end_free_a_waiting_push),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
