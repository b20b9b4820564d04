#include "common/base/state_file.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static int
write_all(int fd, const uint8_t *bytes, size_t n)
{
	while (n > 0) {
		ssize_t w = write(fd, bytes, n);
		if (w < 0 && errno == EINTR) {
			continue;
		}
		if (w < 0) {
			return -errno;
		}
		bytes += w;
		n -= (size_t)w;
	}
	return 0;
}

/* The entry of a renamed file is durable when its directory is. */
static int
sync_directory(const char *path)
{
	char copy[PATH_MAX];
	int fd, rc;

	snprintf(copy, sizeof copy, "%s", path);
	fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0) {
		return -errno;
	}
	rc = fsync(fd) < 0 ? -errno : 0;
	close(fd);
	return rc;
}

int
state_file_write(const char *path, const uint8_t *bytes, size_t n)
{
	char temporary[PATH_MAX];
	int fd, rc;

	if (n > STATE_FILE_MAX) {
		return -EFBIG;
	}
	if ((size_t)snprintf(temporary, sizeof temporary, "%s.new", path) >=
	    sizeof temporary) {
		return -ENAMETOOLONG;
	}
	fd = open(
	    temporary, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0) {
		return -errno;
	}
	rc = write_all(fd, bytes, n);
	if (rc == 0 && fsync(fd) < 0) {
		rc = -errno;
	}
	close(fd);
	if (rc == 0 && rename(temporary, path) < 0) {
		rc = -errno;
	}
	if (rc < 0) {
		unlink(temporary);
		return rc;
	}
	return sync_directory(path);
}

int
state_file_read(const char *path, uint8_t **ret, size_t *ret_n)
{
	int fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC), rc = 0;
	uint8_t *bytes = NULL;
	struct stat st;
	size_t n = 0;

	if (fd < 0) {
		return -errno;
	}
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_size > STATE_FILE_MAX) {
		rc = -EPROTO;
		goto out;
	}
	bytes = malloc((size_t)st.st_size + 1);
	if (bytes == NULL) {
		rc = -ENOMEM;
		goto out;
	}
	while (n < (size_t)st.st_size) {
		ssize_t got = read(fd, bytes + n, (size_t)st.st_size - n);
		if (got < 0 && errno != EINTR) {
			rc = -errno;
			goto out;
		}
		if (got == 0) {
			break;
		}
		n += got > 0 ? (size_t)got : 0;
	}
	*ret = bytes;
	*ret_n = n;
	bytes = NULL;
out:
	free(bytes);
	close(fd);
	return rc;
}
