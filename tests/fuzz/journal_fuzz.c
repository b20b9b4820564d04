/* The bytes of a journal's last segment through recovery and replay, as they are or (an
 * odd first byte) with positions and checksums made right, so that more than the first
 * frame passes.  Whatever it holds: frames come in order, within the segment, and what
 * one recovery left the next one reads the same. */
#include <dirent.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "collector/journal/journal.h"
#include "collector/journal/segment.h"
#include "common/base/cursor.h"
#include "common/base/hash.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length);

static char directory[64], segment[96];

struct seen {
	unsigned frames;
	uint64_t end, sum;
};

static int
see(const struct frame *f, void *data)
{
	struct seen *s = data;

	if (f->position < s->end + SEGMENT_FRAME_HEADER ||
	    f->end < f->position + f->length || f->kind == FRAME_PAD) {
		abort();
	}
	s->end = f->end;
	s->frames++;
	s->sum += hash_bytes(f->payload, f->length, f->position);
	return 0;
}

/* Frames wherever the magic stands, as long as they fit. */
static void
repair_frames(uint8_t *file, size_t length, uint64_t seed)
{
	size_t at = SEGMENT_BLOCK;

	while (at + SEGMENT_FRAME_HEADER <= length) {
		size_t left = length - at - SEGMENT_FRAME_HEADER;
		uint32_t payload = load_u32(file + at + 12) % 4096;
		if (load_u32(file + at) != 0x66704672u || payload + 8 > left) {
			at += 8;
			continue;
		}
		segment_frame_write(file + at, seed, at - SEGMENT_BLOCK,
		    &(const struct frame){
			.kind = (enum frame_kind)(1 + load_u16(file + at + 6) % 6),
			.stream = load_u16(file + at + 4),
			.session = load_u32(file + at + 8),
			.arrival_ns = load_u64(file + at + 16),
			.length = payload,
		    });
		at += segment_frame_size(payload);
	}
}

static void
write_segment(const uint8_t *bytes, size_t length, bool is_repaired)
{
	const struct segment_header h = {.uuid = "fuzz", .next_session = 3};
	uint8_t *file = calloc(1, SEGMENT_BLOCK + length);
	int fd;

	segment_header_write(&h, file);
	memcpy(file + SEGMENT_BLOCK, bytes, length);
	if (is_repaired) {
		repair_frames(file, SEGMENT_BLOCK + length, segment_seed(h.uuid));
	}
	fd = open(segment, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	if (fd < 0 || write(fd, file, SEGMENT_BLOCK + length) < 0) {
		abort();
	}
	close(fd);
	free(file);
}

/* -1: refused. */
static int
recover(bool skip_damage, struct seen *ret)
{
	const struct journal_settings s = {.directory = directory,
	    .segment_bytes = 4 << 20,
	    .max_bytes = 16 << 20,
	    .skip_damage = skip_damage};
	struct journal *j;
	struct err e = {""};
	uint64_t end;

	if (journal_open(&s, &j, &e) < 0) {
		if (e.text[0] == '\0') {
			abort();
		}
		return -1;
	}
	end = journal_end(j);
	if (journal_replay(j, 0, &(struct frame_sink){see, ret}, &e) < 0 ||
	    ret->end > end) {
		fprintf(stderr, "%s\n", e.text);
		abort();
	}
	journal_close(j);
	return 0;
}

static void
remove_files(void)
{
	DIR *d = opendir(directory);
	const struct dirent *entry;

	while (d != NULL && (entry = readdir(d)) != NULL) {
		unlinkat(dirfd(d), entry->d_name, 0);
	}
	closedir(d);
}

static void
remove_directory(void)
{
	remove_files();
	rmdir(directory);
}

static void
make_directory(void)
{
	strcpy(directory, "/dev/shm/journal_fuzz_XXXXXX");
	if (mkdtemp(directory) == NULL) {
		abort();
	}
	snprintf(segment, sizeof segment, "%s/0000000000000000.journal", directory);
	atexit(remove_directory);
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
	struct seen first = {0}, second = {0};

	if (length == 0) {
		return 0;
	}
	if (directory[0] == '\0') {
		make_directory();
	}
	write_segment(bytes + 1, length - 1, bytes[0] & 1);
	if (recover(false, &first) < 0 && recover(true, &first) < 0) {
		abort(); /* with the operator's leave it must open */
	}
	if (recover(false, &second) < 0 || first.frames != second.frames ||
	    first.sum != second.sum) {
		abort();
	}
	remove_files();
	return 0;
}
