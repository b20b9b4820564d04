/* Files of state: written whole and durably or not at all, read whole.
 * Threads: any. */
#ifndef COMMON_BASE_STATE_FILE_H
#define COMMON_BASE_STATE_FILE_H

#include <stddef.h>
#include <stdint.h>

#define STATE_FILE_MAX (1u << 30)

/* 0 when it is on disk under this name; else a negative errno, and an earlier file is
 * unchanged.  -EFBIG: more than STATE_FILE_MAX, which state_file_read() refuses. */
int state_file_write(const char *path, const uint8_t *bytes, size_t n);
/* The caller frees *ret.  -ENOENT; -EPROTO: not a regular file, or too long. */
int state_file_read(const char *path, uint8_t **ret, size_t *ret_n);

#endif
