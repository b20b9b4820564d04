/* Delivery as a whole, seeded: an exporter that connects, sends, is cut, drops what its
 * spool cannot hold and waits for words, against a collector that is stopped and killed
 * (what it had not written is gone) and whose disk fails to sync now and then.  At the
 * end every number that was not dropped is in the tables exactly once, what was
 * acknowledged was never lost, and the loss shown is what was dropped. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/base/log.h"
#include "tests/unit/collector/door/support_delivery.h"

#define SEEDS 12
#define STEPS 120
#define MOST  4000 /* numbers */

/* The disk.  A sync that fails loses all that was written since the last one, or
 * nothing. */
enum failure { NO_FAILURE, FAILURE, FAILURE_WITH_LOSS };
static _Atomic unsigned failure; /* of the next sync */
static off_t synced[1024];       /* size of the file, by fd */

/* In front of the C library's. */
int
fdatasync(int fd)
{
	unsigned what = atomic_exchange(&failure, NO_FAILURE);
	struct stat st;

	assert_int_equal(fstat(fd, &st), 0);
	assert_true(fd < 1024);
	if (what == NO_FAILURE) {
		synced[fd] = st.st_size;
		return (int)syscall(SYS_fdatasync, fd);
	}
	if (what == FAILURE_WITH_LOSS) {
		assert_int_equal(ftruncate(fd, synced[fd]), 0);
	}
	errno = EIO;
	return -1;
}

struct world {
	struct station station;
	struct client client;
	bool is_connected;
	uint32_t random;
	uint64_t first, next; /* the spool holds [first, next) */
	uint64_t acknowledged;
	uint64_t lost;
	bool is_dropped[MOST + 1];
	unsigned kills, stops, cuts, failures;
};

static uint32_t
draw(struct world *w, uint32_t below)
{
	w->random = w->random * 1664525u + 1013904223u;
	return (uint32_t)(((uint64_t)w->random * below) >> 32);
}

static void
cut(struct world *w)
{
	client_close(&w->client);
	w->is_connected = false;
}

static void
hear(struct world *w)
{
	if (w->client.word.status == DELIVERY_ACKNOWLEDGED &&
	    w->client.word.number > w->acknowledged) {
		w->acknowledged = w->client.word.number;
		assert_true(w->acknowledged <= w->next);
		if (w->first < w->acknowledged) {
			w->first = w->acknowledged;
		}
	}
}

static void
try_to_connect(struct world *w)
{
	struct delivery_hello h = {.spool = {7},
	    .preamble = 1,
	    .first = w->first,
	    .next = w->next,
	    .lost_records = w->lost};

	if (!client_greet(&w->client, &w->station, &h)) {
		client_close(&w->client); /* the one before is not known to be gone */
		return;
	}
	assert_true(w->client.word.number <= w->next);
	assert_true(w->client.word.number >= w->acknowledged);
	w->is_connected = true;
	client_send_template(&w->client);
}

static void
await(struct world *w, uint64_t number)
{
	if (!client_await(&w->client, number)) {
		hear(w);
		cut(w);
		return;
	}
	hear(w);
}

/* The oldest messages that were not sent yet. */
static void
drop_some(struct world *w)
{
	uint64_t n = w->next - w->first;

	if (w->is_connected || n == 0) {
		return;
	}
	for (uint64_t i = 1 + draw(w, (uint32_t)n); i > 0; i--) {
		w->is_dropped[w->first++] = true;
		w->lost++;
	}
}

static void
restart(struct world *w, bool is_kill)
{
	if (is_kill) {
		w->kills++;
		station_kill(&w->station);
	} else {
		w->stops++;
		station_stop(&w->station);
	}
	if (w->is_connected) {
		while (client_read(&w->client) > 0) {
			hear(w);
		}
		hear(w);
		cut(w);
	}
	atomic_store(&failure, NO_FAILURE);
	station_start(&w->station);
}

static void
step(struct world *w)
{
	uint32_t n = draw(w, 100);

	if (n < 30 && w->next < MOST) {
		w->next += 1 + draw(w, 40);
		w->next = w->next < MOST ? w->next : MOST;
	} else if (n < 36) {
		restart(w, true);
	} else if (n < 38) {
		restart(w, false);
	} else if (n < 41) {
		drop_some(w);
	} else if (n < 45) {
		w->failures++;
		atomic_store(&failure, draw(w, 2) ? FAILURE : FAILURE_WITH_LOSS);
	} else if (!w->is_connected) {
		try_to_connect(w);
	} else if (n < 50) {
		w->cuts++;
		cut(w);
	} else if (n < 80 && w->client.number < w->next) {
		uint32_t left = (uint32_t)(w->next - w->client.number);
		if (!client_send(&w->client, 1 + draw(w, left))) {
			cut(w);
		}
	} else if (w->client.number > w->first) {
		await(w, w->client.number);
	}
}

/* Until everything is acknowledged. */
static void
deliver_the_rest(struct world *w)
{
	for (unsigned i = 0; w->first < w->next; i++) {
		assert_true(i < 1000);
		if (!w->is_connected) {
			try_to_connect(w);
			poll(NULL, 0, w->is_connected ? 0 : 5);
		} else if (!client_send(
			       &w->client, (unsigned)(w->next - w->client.number))) {
			cut(w);
		} else {
			await(w, w->next);
		}
	}
}

/* A dropped one may have come before it was dropped: then no word of it got through. */
static void
check(struct world *w)
{
	uint64_t missing = 0;

	station_start(&w->station);
	for (uint64_t i = 0; i < w->next; i++) {
		uint32_t seen = atomic_load(&w->station.seen[i]);
		missing += seen == 0;
		if (seen > 1 || (seen == 0 && !w->is_dropped[i])) {
			fail_msg("number %d was counted %u times", (int)i, seen);
		}
	}
	station_stop(&w->station);
	assert_true(missing <= w->lost);
	assert_int_equal(w->station.lost, w->lost);
}

static void
every_number_counts_once_whatever_happens(void **state)
{
	unsigned kills = 0, cuts = 0, failures = 0;

	(void)state;
	for (uint32_t seed = 1; seed <= SEEDS; seed++) {
		struct world *w = calloc(1, sizeof *w);
		w->random = seed * 2654435761u;
		print_message("seed %u\n", seed);
		station_init(&w->station);
		station_start(&w->station);
		for (unsigned i = 0; i < STEPS; i++) {
			step(w);
		}
		atomic_store(&failure, NO_FAILURE);
		deliver_the_rest(w);
		cut(w);
		/* So that what was dropped since the last hello is told. */
		while (!w->is_connected) {
			try_to_connect(w);
		}
		cut(w);
		station_stop(&w->station);
		check(w);
		kills += w->kills;
		cuts += w->cuts;
		failures += w->failures;
		station_done(&w->station);
		free(w);
	}
	print_message("%u kills, %u cuts, %u failed syncs\n", kills, cuts, failures);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(every_number_counts_once_whatever_happens),
	};

	log_set_level(LOG_ERROR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
