/* Files that may be compressed: gzip and zstd are recognised by their first bytes,
 * everything else is read unchanged.  "-" is standard input.  Damaged or truncated data
 * gives the bytes before, then a read error with errno EBADMSG; compressed_error() has
 * the sentence.
 * Threads: one at a time.  Memory: compressed_close(). */
#ifndef COMMON_CAPTURE_COMPRESSED_H
#define COMMON_CAPTURE_COMPRESSED_H

#include <stdint.h>
#include <stdio.h>

#include "common/base/err.h"

struct compressed_state;

/* Waits for bytes of a pipe, a terminal or a socket: 0 when fd may be read (which may
 * block), or the negative errno that reading is to fail with. */
typedef int compressed_wait(int fd, void *data);

struct compressed {
	/* Read only.  compressed_close() closes it; a caller that takes it over sets it
	 * to NULL and closes it first. */
	FILE *stream;
	int fd; /* of the raw file, for fstat and lseek(SEEK_CUR) */
	/* Neither compressed nor a pipe: fd may be read instead of the stream, until the
	 * stream is first read. */
	int is_plain;
	uint64_t size; /* raw size in bytes; 0: unknown (a pipe) */
	struct compressed_state *state;
};

int compressed_open(const char *path, struct compressed *ret, struct err *e);
/* wait is called before each read of a pipe, terminal or socket, so that the caller can
 * work meanwhile.  NULL: no wait. */
void compressed_set_wait(struct compressed *c, compressed_wait *wait, void *data);
/* Raw bytes consumed so far. */
uint64_t compressed_position(const struct compressed *c);
/* Why reading the stream failed: "compressed data is damaged ..."; NULL: it did not. */
const char *compressed_error(const struct compressed *c);
void compressed_close(struct compressed *c);

#endif
