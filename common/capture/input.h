/* The bytes of an input file in one buffer: packets and lines are parsed in place, and
 * the first bytes decide which reader (ours, libpcap) gets the file.  Plain files are
 * read with read(2), others through compressed.h.
 * Threads: one at a time. */
#ifndef COMMON_CAPTURE_INPUT_H
#define COMMON_CAPTURE_INPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "common/base/err.h"
#include "common/capture/compressed.h"

#define SOURCE_MOST (256 * 1024 + 64) /* bytes one fill can be asked for */

struct input {
	const uint8_t *at, *end; /* unread bytes */
	uint64_t consumed;       /* before `at`, of the uncompressed file; see fill */
	struct compressed file;
	uint8_t *buffer;
	bool is_regular, has_ended;
};

int input_open(const char *path, struct input *ret, struct err *e);
void input_close(struct input *s);
/* Makes at least `need` unread bytes contiguous (they may move).  How many there are:
 * fewer than `need` only at the end of the file; negative with the sentence in e. */
ssize_t input_fill(struct input *s, size_t need, struct err *e);
/* Where `at` is in the uncompressed file. */
uint64_t input_offset(const struct input *s);
/* A stream over the unread bytes and all that follows, for libpcap; close it before the
 * source, which it borrows.  NULL: no memory. */
FILE *input_stream(struct input *s);

#endif
