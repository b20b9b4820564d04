/* The spool against a model: random pushes, sends, acknowledgements, crashes, orderly
 * restarts, full disks, full spools and damage.  After every step the account must be
 * the model's, and what is held must read back as it was pushed.
 * FLOWPAIR_SEED sets the seed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/cursor.h"
#include "common/base/log.h"
#include "exporter/spool/spool.h"

#define MESSAGES  200000u
#define LONGEST   5000u
#define SPOOLS    24
#define STEPS     400
#define MAX_BYTES SPOOL_LEAST

enum state { HELD, ACKNOWLEDGED, LOST };

struct model {
	struct spool *spool;
	char directory[64];
	uint64_t next;
	uint8_t state[MESSAGES];
	bool is_on_disk[MESSAGES], is_sent[MESSAGES];
	uint64_t sent_next;
	bool may_wait, is_disk_full;
	uint64_t now_ns;
	uint8_t preamble[40];
	unsigned runs;
};

static unsigned long random_state;

static uint32_t
choose(uint32_t n)
{
	random_state = random_state * 6364136223846793005UL + 1442695040888963407UL;
	return (uint32_t)(random_state >> 33) % n;
}

/* Everything about a message follows from its number. */
static uint64_t
mix(uint64_t n)
{
	n = (n + 0x9e3779b97f4a7c15U) * 0xbf58476d1ce4e5b9U;
	return n ^ n >> 29;
}

static uint32_t
data_of(uint64_t number)
{
	return (uint32_t)(mix(number) % 6);
}

static size_t
length_of(uint64_t number)
{
	return 24 + mix(number) / 7 % (LONGEST - 24);
}

static void
write_message(uint64_t number, uint8_t *out)
{
	memset(out, (int)mix(number), length_of(number));
	store_u16(out, 10);
	store_u16(out + 2, (uint16_t)length_of(number));
	store_u64(out + 16, number);
}

static uint64_t
total_before(const struct model *m, uint64_t number)
{
	uint64_t sum = 0;

	(void)m;
	for (uint64_t i = 0; i < number; i++) {
		sum += data_of(i);
	}
	return sum;
}

static void
open_spool(struct model *m)
{
	struct export_preamble preamble = {
	    .bytes = m->preamble, .length = sizeof m->preamble, .records = 1};
	struct spool_settings s = {.directory = m->directory,
	    .max_bytes = MAX_BYTES,
	    .may_wait = m->may_wait,
	    .preamble = &preamble};
	struct err e = {0};

	memset(m->preamble, 0, sizeof m->preamble);
	store_u16(m->preamble, 10);
	store_u16(m->preamble + 2, sizeof m->preamble);
	m->preamble[20] = (uint8_t)(m->runs++ / 2); /* changes with every other run */
	if (spool_open(&s, &m->spool, &e) < 0) {
		fail_msg("%s", e.text);
	}
}

/* What is not held any more and was not acknowledged is lost. */
static void
note_losses(struct model *m, bool may_be_sent)
{
	for (uint64_t i = 0; i < m->next; i++) {
		if (m->state[i] == HELD && spool_reach(m->spool, i) == i) {
			assert_true(may_be_sent || !m->is_sent[i]);
			m->state[i] = LOST;
		}
	}
}

static void
check_account(const struct model *m)
{
	struct spool_counts c;
	uint64_t messages[3] = {0}, records[3] = {0}, first = m->next;

	for (uint64_t i = 0; i < m->next; i++) {
		messages[m->state[i]]++;
		records[m->state[i]] += data_of(i);
		if (m->state[i] == HELD && first == m->next) {
			first = i;
		}
	}
	spool_counts(m->spool, &c);
	assert_int_equal(c.next, m->next);
	assert_int_equal(c.first, first);
	assert_int_equal(c.messages, m->next);
	assert_int_equal(c.records, total_before(m, m->next));
	assert_int_equal(c.held_messages, messages[HELD]);
	assert_int_equal(c.held_records, records[HELD]);
	assert_int_equal(c.delivered_messages, messages[ACKNOWLEDGED]);
	assert_int_equal(c.delivered_records, records[ACKNOWLEDGED]);
	assert_int_equal(c.lost_messages, messages[LOST]);
	assert_int_equal(c.lost_records, records[LOST]);
	assert_true(c.bytes <= MAX_BYTES);
}

static void
set_disk_full(struct model *m, bool is_full)
{
	struct rlimit limit;

	getrlimit(RLIMIT_FSIZE, &limit);
	limit.rlim_cur = is_full ? 2048 : limit.rlim_max; /* the ledger has room */
	setrlimit(RLIMIT_FSIZE, &limit);
	m->is_disk_full = is_full;
	m->now_ns += 2 * NS_PER_SECOND; /* so that it is tried again */
}

static void
push(struct model *m)
{
	static uint8_t bytes[20][LONGEST];
	struct queue_message batch[20];
	unsigned n = 1 + choose(20), taken;

	for (unsigned i = 0; i < n; i++) {
		write_message(m->next + i, bytes[i]);
		batch[i] = (struct queue_message){.bytes = bytes[i],
		    .length = length_of(m->next + i),
		    .records = data_of(m->next + i) + i % 2,
		    .data = data_of(m->next + i)};
	}
	taken = spool_append(m->spool, batch, n, m->now_ns);
	assert_true(taken == n || taken == 0);
	for (unsigned i = 0; i < taken; i++) {
		m->state[m->next] = HELD;
		m->is_sent[m->next] = false;
		m->is_on_disk[m->next] =
		    spool_memory_only(m->spool, m->next) != m->next;
		assert_true(m->is_on_disk[m->next] || m->is_disk_full);
		m->next++;
	}
	note_losses(m, false);
}

/* Reads a batch from somewhere, as a reconnect does. */
static void
read_back(struct model *m)
{
	static uint8_t bytes[SPOOL_BATCH_BYTES], expected[LONGEST];
	struct spool_batch batch = {.bytes = bytes};
	uint64_t first = spool_first(m->spool), number;
	size_t at = 0;

	if (first == m->next) {
		return;
	}
	number = first + choose((uint32_t)(m->next - first));
	if (m->state[number] != HELD || !m->is_on_disk[number]) {
		return;
	}
	assert_int_equal(spool_read(m->spool, number, &batch), 0);
	assert_true(batch.count > 0);
	for (unsigned i = 0; i < batch.count; i++) {
		write_message(number + i, expected);
		assert_int_equal(m->state[number + i], HELD);
		assert_memory_equal(bytes + at, expected, length_of(number + i));
		assert_true(batch.records[i] - data_of(number + i) <= 1);
		at += length_of(number + i);
	}
	assert_int_equal(at, batch.length);
}

/* The next ones go out. */
static void
send_some(struct model *m)
{
	uint64_t first = spool_first(m->spool), n = 1 + choose(60);

	if (m->sent_next < first) {
		m->sent_next = first;
	}
	for (; n > 0 && m->sent_next < m->next; n--, m->sent_next++) {
		if (m->state[m->sent_next] == HELD) {
			spool_mark_sent(m->spool, m->sent_next);
			m->is_sent[m->sent_next] = true;
		}
	}
}

static void
acknowledge(struct model *m)
{
	uint64_t first = spool_first(m->spool), number, total;

	if (m->sent_next <= first) {
		return;
	}
	number = first + 1 + choose((uint32_t)(m->sent_next - first));
	if (m->state[number - 1] == HELD && m->is_on_disk[number - 1]) {
		assert_int_equal(spool_total(m->spool, number, &total), 0);
		assert_int_equal(total, total_before(m, number));
	}
	spool_release(m->spool, number, total_before(m, number), true);
	for (uint64_t i = first; i < number; i++) {
		if (m->state[i] == HELD) {
			m->state[i] = ACKNOWLEDGED;
		}
	}
}

static void
reopen(struct model *m, bool in_order)
{
	if (in_order && m->is_disk_full) {
		set_disk_full(m, false);
	}
	spool_close(m->spool, in_order);
	open_spool(m);
	for (uint64_t i = 0; i < m->next; i++) {
		if (m->state[i] == HELD && !m->is_on_disk[i]) {
			assert_int_equal(spool_reach(m->spool, i), i);
			m->state[i] = LOST; /* it was in memory alone */
		}
	}
}

/* One of the segments, at random.  False: there is none. */
static bool
pick_segment(const struct model *m, char *out, size_t room)
{
	DIR *d = opendir(m->directory);
	unsigned seen = 0;

	assert_non_null(d);
	for (struct dirent *x; (x = readdir(d)) != NULL;) {
		size_t length = strlen(x->d_name);
		if (length == 22 && strcmp(x->d_name + 16, ".spool") == 0 &&
		    choose(++seen) == 0) {
			(void)snprintf(out, room, "%s/%s", m->directory, x->d_name);
		}
	}
	closedir(d);
	return seen > 0;
}

/* Damage costs what lies behind it in its segment, never more; what cannot be known is
 * how many messages were at the very end. */
static void
damage(struct model *m)
{
	char path[400];
	struct spool_counts c;
	struct stat st;
	uint8_t byte;
	uint64_t held = 0;
	off_t at;
	int fd;

	if (m->is_disk_full) {
		return;
	}
	spool_close(m->spool, false);
	if (pick_segment(m, path, sizeof path)) {
		fd = open(path, O_RDWR);
		assert_true(fd >= 0 && fstat(fd, &st) == 0);
		at = choose((uint32_t)st.st_size);
		if (choose(2) == 0) {
			assert_int_equal(ftruncate(fd, at), 0);
		} else {
			assert_int_equal(pread(fd, &byte, 1, at), 1);
			byte ^= (uint8_t)(1 << choose(8));
			assert_int_equal(pwrite(fd, &byte, 1, at), 1);
		}
		close(fd);
	}
	open_spool(m);
	spool_counts(m->spool, &c);
	assert_true(c.next <= m->next);
	m->next = c.next;
	if (m->sent_next > m->next) {
		m->sent_next = m->next;
	}
	for (uint64_t i = 0; i < m->next; i++) {
		held += m->state[i] == HELD;
	}
	note_losses(m, true);
	assert_true(held >= c.held_messages);
}

static void
take_step(struct model *m)
{
	m->now_ns += NS_PER_SECOND / 10;
	switch (choose(32)) {
	case 0:
		reopen(m, false);
		break;
	case 1:
		reopen(m, true);
		break;
	case 2:
		damage(m);
		break;
	case 3:
		set_disk_full(m, !m->is_disk_full && choose(3) == 0);
		break;
	case 4:
	case 5:
	case 6:
		acknowledge(m);
		break;
	case 7:
	case 8:
	case 9:
	case 10:
	case 11:
		send_some(m);
		break;
	case 12:
	case 13:
	case 14:
		read_back(m);
		break;
	default:
		push(m);
	}
}

static void
remove_all(const char *directory)
{
	char path[400];
	DIR *d = opendir(directory);

	for (struct dirent *x; d != NULL && (x = readdir(d)) != NULL;) {
		(void)snprintf(path, sizeof path, "%s/%s", directory, x->d_name);
		(void)unlink(path);
	}
	closedir(d);
	(void)rmdir(directory);
}

static void
the_account_is_exact_whatever_happens(void **state)
{
	const char *seed = getenv("FLOWPAIR_SEED");
	static struct model m;

	(void)state;
	random_state = seed != NULL ? strtoul(seed, NULL, 10) : 1;
	for (int i = 0; i < SPOOLS; i++) {
		memset(&m, 0, sizeof m);
		strcpy(m.directory, "/tmp/flowpair-spool-XXXXXX");
		assert_non_null(mkdtemp(m.directory));
		m.may_wait = choose(2) == 0;
		m.now_ns = NS_PER_SECOND;
		open_spool(&m);
		for (int step = 0; step < STEPS; step++) {
			take_step(&m);
			check_account(&m);
		}
		set_disk_full(&m, false);
		spool_close(m.spool, false);
		remove_all(m.directory);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(the_account_is_exact_whatever_happens),
	};

	log_set_level(LOG_ERROR);
	(void)signal(SIGXFSZ, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
