/* Files of state: written whole and durably or not at all, read whole.
 * Threads: any. */
#ifndef COMMON_BASE_STATE_FILE_H
#define COMMON_BASE_STATE_FILE_H

#include <stddef.h>
#include <stdint.h>

#define STATE_FILE_MAX (1u << 30)

/* 0 when it is on the disk under this name, else a negative errno and the file of
 * before, if any.  -EFBIG: more than STATE_FILE_MAX, which nobody would read. */
int state_file_write(const char *path, const uint8_t *bytes, size_t n);
/* The caller frees *ret.  -ENOENT; -EPROTO: no regular file, or too long. */
int state_file_read(const char *path, uint8_t **ret, size_t *ret_n);

#endif
