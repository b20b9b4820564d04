/* The bytes of a capture file behind one buffer, so that headers are parsed in place
 * and the first bytes can be looked at before somebody (a reader of ours, libpcap) is
 * chosen to read all of them.  Plain files are read with read(2), the others as
 * common/compressed.h gives them.  Threads: one at a time. */
#ifndef COMMON_CAPTURE_SOURCE_H
#define COMMON_CAPTURE_SOURCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "common/compressed.h"
#include "common/err.h"

#define CAPTURE_SOURCE_MOST (256 * 1024 + 64) /* bytes one fill can be asked for */

struct capture_source {
	const uint8_t *at, *end; /* unread bytes */
	uint64_t consumed;       /* before `at`, of the uncompressed file; see fill */
	struct compressed file;
	uint8_t *buffer;
	bool is_regular, has_ended;
};

int capture_source_open(const char *path, struct capture_source *ret, struct err *e);
void capture_source_close(struct capture_source *s);
/* Makes at least `need` unread bytes contiguous (they may move).  How many there are:
 * fewer than `need` only at the end of the file; negative with the sentence in e. */
ssize_t capture_source_fill(struct capture_source *s, size_t need, struct err *e);
/* Where `at` is in the uncompressed file. */
uint64_t capture_source_offset(const struct capture_source *s);
/* A stream over the unread bytes and all that follows, for libpcap; close it before the
 * source, which it borrows.  NULL: no memory. */
FILE *capture_source_stream(struct capture_source *s);

#endif
