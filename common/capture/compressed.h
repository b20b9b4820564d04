/* Files that may be compressed: .gz and .zst by their first bytes, everything else as
 * it is.
 * "-" is standard input.  The stream reads only; size and position of the raw file
 * serve progress. Compressed data that is damaged or cut short gives what came before,
 * then a read error with errno EBADMSG; compressed_error() has the sentence.
 * Threads: one at a time. */
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
	FILE *stream;  /* closed by compressed_close(), unless somebody else took it
			  over and set it to NULL here (fclose() it before) */
	int fd;        /* of the raw file, for fstat and lseek(SEEK_CUR) */
	int is_plain;  /* not compressed and seekable: fd may be read directly instead
			  of stream, before the stream is first read */
	uint64_t size; /* raw size in bytes; 0: unknown (a pipe) */
	struct compressed_state *state;
};

int compressed_open(const char *path, struct compressed *ret, struct err *e);
/* Called before each read of what is no regular file; for who has something to do while
 * nothing comes.  NULL: nobody. */
void compressed_set_wait(struct compressed *c, compressed_wait *wait, void *data);
/* Raw bytes consumed so far. */
uint64_t compressed_position(const struct compressed *c);
/* Why reading the stream failed: "compressed data is damaged ..."; NULL: it did not. */
const char *compressed_error(const struct compressed *c);
void compressed_close(struct compressed *c);

#endif
