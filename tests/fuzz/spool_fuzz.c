/* The bytes of a spool's ledger and of its last segments through opening and reading
 * back, as they are or (an odd first byte) with numbers and checksums made right, so
 * that more than the first entry passes.  By further bits of the first byte: no ledger;
 * two segments, the length of the first before them; something else (a link, a pipe, a
 * directory) under the name of a segment.  Whatever there is: the account adds up, what
 * is held reads back, or is given up and counted, a second opening finds what the first
 * one left, and a message finds its place on disk. */
#include <dirent.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/cursor.h"
#include "common/base/log.h"
#include "exporter/spool/spool.h"
#include "exporter/spool/spool_format.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length);

#define LEDGER_SHARE 128u /* bytes of the input that go into the ledger */

static char directory[64];
static uint8_t file[1 << 17], batch_bytes[SPOOL_BATCH_BYTES];

static void
empty_directory(void)
{
	DIR *d = opendir(directory);

	for (struct dirent *x; d != NULL && (x = readdir(d)) != NULL;) {
		if (x->d_name[0] != '.' && unlinkat(dirfd(d), x->d_name, 0) < 0) {
			(void)unlinkat(dirfd(d), x->d_name, AT_REMOVEDIR);
		}
	}
	closedir(d);
}

static void
write_file(const char *name, const uint8_t *bytes, size_t length)
{
	char path[128];
	int fd;

	(void)snprintf(path, sizeof path, "%s/%s", directory, name);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	if (fd < 0 || write(fd, bytes, length) != (ssize_t)length) {
		abort();
	}
	close(fd);
}

/* A header, and entries wherever there is room for them. */
static void
repair(uint8_t *to, size_t length)
{
	struct spool_header h = {
	    .first = load_u64(to + 24) % 100, .total = load_u64(to + 32) % 100};
	struct spool_entry x;
	size_t at = SPOOL_HEADER;

	x.number = h.first;
	x.total = h.total;
	spool_write_header(&h, to + SPOOL_HEADER, to);
	while (at + SPOOL_ENTRY + 16 <= length) {
		uint8_t *message = to + at + SPOOL_ENTRY;
		size_t room = length - at - SPOOL_ENTRY;
		x.records = to[at + 27];
		x.total += x.records / 2;
		x.length = 16 + to[at + 7];
		x.length = x.length < room ? x.length : (uint32_t)room;
		store_u16(message, 10);
		store_u16(message + 2, (uint16_t)x.length);
		if (to[at] % 16 != 15) { /* some stay damaged */
			spool_write_entry(&x, message, to + at);
		}
		x.number++;
		at += SPOOL_ENTRY + x.length;
	}
}

static void
repair_ledger(uint8_t *to)
{
	struct spool_ledger l = {.first = to[39],
	    .next = to[47],
	    .total = to[55],
	    .delivered_messages = to[63],
	    .delivered_records = to[71],
	    .sent = to[79],
	    .has_sent = to[87] % 2 == 1,
	    .is_running = to[88] % 2 == 1};
	uint8_t slot[SPOOL_SLOT];

	(void)spool_write_ledger(&l, slot);
	memcpy(to, slot, LEDGER_SHARE);
}

static struct spool *
open_spool(struct spool_counts *ret)
{
	static const uint8_t preamble_bytes[20] = {0, 10, 0, 20};
	const struct export_preamble preamble = {
	    .bytes = preamble_bytes, .length = sizeof preamble_bytes, .records = 1};
	const struct spool_settings settings = {.directory = directory,
	    .max_bytes = SPOOL_LEAST,
	    .may_wait = true,
	    .preamble = &preamble};
	struct spool *s = NULL;

	if (spool_open(&settings, &s, NULL) < 0) {
		abort();
	}
	spool_counts(s, ret);
	if (ret->messages !=
		ret->delivered_messages + ret->held_messages + ret->lost_messages ||
	    ret->held_messages > ret->next - ret->first ||
	    ret->lost_messages > ret->messages || ret->lost_records > ret->records) {
		abort();
	}
	return s;
}

static void
read_all(struct spool *s)
{
	struct spool_batch batch = {.bytes = batch_bytes};
	uint64_t number = spool_first(s), total;

	while (number < spool_next(s)) {
		if (spool_reach(s, number) == number ||
		    spool_read(s, number, &batch) < 0) {
			uint64_t first = spool_first(s);
			number = first > number ? first : number + 1;
			if (number + 1000 < spool_next(s)) {
				number = spool_next(s) - 1000; /* a hole may be huge */
			}
			continue;
		}
		number += batch.count;
		if (spool_total(s, number, &total) == 0) {
			spool_release(s, number, total, true);
		}
	}
}

static void
name_segment(uint64_t first, char out[static 32])
{
	(void)snprintf(out, 32, "%016llx.spool", (unsigned long long)first);
}

static void
write_segment(uint8_t *bytes, size_t length, bool is_right)
{
	char name[32];

	if (length < SPOOL_HEADER) {
		return;
	}
	if (is_right) {
		repair(bytes, length);
	}
	name_segment(load_u64(bytes + 24), name);
	write_file(name, bytes, length);
}

/* Something other than a file. */
static void
put_obstacle(uint64_t number, unsigned kind)
{
	char name[32], path[128];

	name_segment(number, name);
	(void)snprintf(path, sizeof path, "%s/%s", directory, name);
	if (kind % 3 == 0) {
		(void)symlink("ledger", path);
	} else if (kind % 3 == 1) {
		(void)mkfifo(path, 0600);
	} else {
		(void)mkdir(path, 0700);
	}
}

/* An input that waits must never wait for ever. */
static void
append_one(struct spool *s)
{
	uint8_t bytes[40] = {0, 10, 0, sizeof bytes};
	const struct queue_message m = {
	    .bytes = bytes, .length = sizeof bytes, .records = 1, .data = 1};
	uint64_t number = spool_next(s);

	if (spool_append(s, &m, 1, 1) != 1 ||
	    spool_memory_only(s, number) != spool_next(s)) {
		abort();
	}
	spool_mark_sent(s, number);
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
	struct spool_counts before, after;
	bool is_right = length > 0 && bytes[0] % 2 == 1;
	size_t first;
	struct spool *s;

	if (directory[0] == '\0') {
		(void)snprintf(
		    directory, sizeof directory, "/dev/shm/flowpair-spool-fuzz.XXXXXX");
		if (mkdtemp(directory) == NULL) {
			abort();
		}
		log_set_level(LOG_ERROR);
	}
	if (length < LEDGER_SHARE + SPOOL_HEADER + 3 || length > sizeof file) {
		return -1;
	}
	empty_directory();
	memcpy(file, bytes + 1, LEDGER_SHARE);
	if (is_right) {
		repair_ledger(file);
	}
	if (bytes[0] % 4 != 0) {
		write_file("ledger", file, LEDGER_SHARE);
	}
	length -= LEDGER_SHARE + 1;
	memcpy(file, bytes + 1 + LEDGER_SHARE, length);
	if ((bytes[0] & 8) != 0) {
		first = load_u16(file) % (length - 2);
		length -= 2 + first;
		write_segment(file + 2, first, is_right);
		memmove(file, file + 2 + first, length);
	}
	write_segment(file, length, is_right);
	if ((bytes[0] & 16) != 0) {
		put_obstacle(bytes[LEDGER_SHARE] % 100, bytes[0] >> 5);
	}
	spool_close(open_spool(&before), false);
	s = open_spool(&after);
	if (after.held_messages != before.held_messages || after.next != before.next ||
	    after.held_records != before.held_records) {
		abort();
	}
	read_all(s);
	append_one(s);
	spool_close(s, true);
	return 0;
}
