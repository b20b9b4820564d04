/* A file in memory for readers that want a path. */
#ifndef TESTS_FUZZ_SUPPORT_MEMORY_FILE_H
#define TESTS_FUZZ_SUPPORT_MEMORY_FILE_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

/* Makes the file hold these bytes; its path.  One per process. */
static inline const char *
memory_file(const uint8_t *bytes, size_t length)
{
	static char path[32];
	static int fd = -1;

	if (fd < 0) {
		fd = memfd_create("input", MFD_CLOEXEC);
		snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	}
	if (ftruncate(fd, 0) != 0 || pwrite(fd, bytes, length, 0) != (ssize_t)length) {
		abort();
	}
	return path;
}

#endif
