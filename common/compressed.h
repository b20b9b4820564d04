/* Files that may be compressed: .gz and .zst by their first bytes, everything else as
 * it is.
 * "-" is standard input.  The stream reads only; size and position of the raw file
 * serve progress. */
#ifndef COMMON_COMPRESSED_H
#define COMMON_COMPRESSED_H

#include <stdint.h>
#include <stdio.h>

#include "common/err.h"

struct compressed {
	FILE *stream;  /* give to fclose() through compressed_close() */
	int fd;        /* of the raw file, for fstat and lseek(SEEK_CUR) */
	int is_plain;  /* not compressed: fd may be read directly instead of stream,
			  before  the stream is first read */
	uint64_t size; /* raw size in bytes; 0: unknown (a pipe) */
};

int compressed_open(const char *path, struct compressed *ret, struct err *e);
/* Raw bytes consumed so far. */
uint64_t compressed_position(const struct compressed *c);
void compressed_close(struct compressed *c);

#endif
