#include "collector/journal/journal_private.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define UNSYNCED " unsynced" /* in a .torn file */
#define RESUME   ".resume"

void
journal_file_name(uint64_t start, const char *suffix, char out[static JOURNAL_NAME])
{
	snprintf(out, JOURNAL_NAME, "%016" PRIx64 "%s", start, suffix);
}

int
journal_sync_directory(struct journal *j, struct err *e)
{
	if (fsync(j->directory_fd) < 0) {
		return err_set(e, -errno, "cannot sync the journal's directory %s: %s",
		    j->directory, strerror(errno));
	}
	return 0;
}

int
journal_add_segment(struct journal *j, const struct journal_segment *s)
{
	if (j->count == j->capacity) {
		unsigned n = j->capacity == 0 ? 16 : 2 * j->capacity;
		struct journal_segment *more =
		    realloc(j->segments, n * sizeof *j->segments);
		if (more == NULL) {
			return -ENOMEM;
		}
		j->segments = more;
		j->capacity = n;
	}
	j->segments[j->count++] = *s;
	return 0;
}

/* O_DIRECT where the file system can (tmpfs cannot). */
static int
open_for_writing(struct journal *j, const char *name, int flags)
{
	int fd = -1;

	flags |= O_WRONLY | O_NOFOLLOW | O_CLOEXEC;
	if (j->is_direct) {
		fd = openat(j->directory_fd, name, flags | O_DIRECT, 0600);
		if (fd >= 0 || errno != EINVAL) {
			return fd;
		}
		j->is_direct = false;
		/* The file may have been made before the flag was refused. */
		if ((flags & O_EXCL) != 0) {
			unlinkat(j->directory_fd, name, 0);
		}
	}
	return openat(j->directory_fd, name, flags, 0600);
}

static int
write_header(struct journal *j, int fd, uint64_t start)
{
	struct segment_header h = {.start = start, .next_session = j->next_session};
	ssize_t n;

	memcpy(h.uuid, j->uuid, sizeof h.uuid);
	segment_header_write(&h, j->block);
	n = pwrite(fd, j->block, SEGMENT_BLOCK, 0);
	if (n < 0 && errno == EINVAL && j->is_direct) {
		j->is_direct = false;
		if (fcntl(fd, F_SETFL, 0) < 0) {
			return -errno;
		}
		n = pwrite(fd, j->block, SEGMENT_BLOCK, 0);
	}
	if (n < 0) {
		return -errno;
	}
	if (n != (ssize_t)SEGMENT_BLOCK) {
		return -ENOSPC;
	}
	return fdatasync(fd) < 0 ? -errno : 0;
}

int
journal_create_segment(struct journal *j, uint64_t start, struct err *e)
{
	struct journal_segment s = {
	    .start = start, .written = start, .synced = start, .torn_from = UINT64_MAX};
	char name[JOURNAL_NAME];
	int rc;

	journal_file_name(start, ".journal", name);
	s.fd = open_for_writing(j, name, O_CREAT | O_EXCL);
	if (s.fd < 0) {
		return err_set(e, -errno, "cannot create the journal segment %s/%s: %s",
		    j->directory, name, strerror(errno));
	}
	rc = write_header(j, s.fd, start);
	if (rc < 0) {
		err_set(e, rc, "cannot write the journal segment %s/%s: %s",
		    j->directory, name, strerror(-rc));
		goto out;
	}
	rc = journal_sync_directory(j, e);
	if (rc < 0) {
		goto out;
	}
	pthread_mutex_lock(&j->lock);
	rc = journal_add_segment(j, &s);
	pthread_mutex_unlock(&j->lock);
	if (rc < 0) {
		err_set(e, rc, "no memory for another journal segment");
		goto out;
	}
	return 0;
out:
	unlinkat(j->directory_fd, name, 0);
	close(s.fd);
	return rc;
}

int
journal_open_segment(struct journal *j, struct err *e)
{
	struct journal_segment *s = &j->segments[j->count - 1];
	char name[JOURNAL_NAME];

	journal_file_name(s->start, ".journal", name);
	s->fd = open_for_writing(j, name, 0);
	if (s->fd < 0) {
		return err_set(e, -errno, "cannot open the journal segment %s/%s: %s",
		    j->directory, name, strerror(errno));
	}
	return 0;
}

int
journal_write_torn(
    struct journal *j, const struct journal_segment *s, uint64_t to, struct err *e)
{
	char name[JOURNAL_NAME], text[64];
	int n, fd, rc = 0;

	journal_file_name(s->start, ".torn", name);
	n = snprintf(text, sizeof text, "%016" PRIx64 " %016" PRIx64 "%s\n",
	    s->torn_from, to, s->is_unsynced ? UNSYNCED : "");
	fd = openat(j->directory_fd, name,
	    O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0 || write(fd, text, (size_t)n) != n || fsync(fd) < 0) {
		rc = err_set(e, -EIO, "cannot write %s/%s: %s", j->directory, name,
		    strerror(errno));
	}
	if (fd >= 0) {
		close(fd);
	}
	return rc < 0 ? rc : journal_sync_directory(j, e);
}

int
journal_read_torn(
    struct journal *j, struct journal_segment *s, uint64_t *ret_to, struct err *e)
{
	char name[JOURNAL_NAME], text[64];
	uint64_t from, to;
	ssize_t n;
	int fd;

	journal_file_name(s->start, ".torn", name);
	fd = openat(j->directory_fd, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0) {
		return errno == ENOENT ? 0
				       : err_set(e, -errno, "cannot open %s/%s: %s",
					     j->directory, name, strerror(errno));
	}
	n = read(fd, text, sizeof text - 1);
	close(fd);
	text[n < 0 ? 0 : n] = '\0';
	/* Cut short by a crash: then no new segment followed it either. */
	if (n < 34 || sscanf(text, "%16" SCNx64 " %16" SCNx64, &from, &to) != 2) {
		return 0;
	}
	s->torn_from = from;
	s->is_unsynced = strstr(text, UNSYNCED) != NULL;
	*ret_to = to;
	return 1;
}

int
journal_open_reader(struct journal *j, uint64_t start, uint64_t limit,
    struct segment_reader **ret, struct err *e)
{
	char name[JOURNAL_NAME];
	int fd, rc;

	journal_file_name(start, ".journal", name);
	fd = openat(
	    j->directory_fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0) {
		return err_set(e, -errno, "cannot open the journal segment %s/%s: %s",
		    j->directory, name, strerror(errno));
	}
	rc = segment_reader_new(fd, limit, ret, e);
	return rc < 0 ? err_prefix(e, rc, "journal segment %s/%s", j->directory, name)
		      : 0;
}

static void
path_of(const struct journal *j, uint64_t position, const char *suffix, char *out,
    size_t capacity)
{
	char name[JOURNAL_NAME];

	journal_file_name(position, suffix, name);
	snprintf(out, capacity, "%s/%s", j->directory, name);
}

void
journal_state_path(const struct journal *j, uint64_t start, char *out, size_t capacity)
{
	path_of(j, start, ".state", out, capacity);
}

void
journal_resume_path(
    const struct journal *j, uint64_t position, char *out, size_t capacity)
{
	path_of(j, position, RESUME, out, capacity);
}

void
journal_forget_resumes(const struct journal *j, uint64_t position)
{
	int fd = openat(j->directory_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	const struct dirent *entry;
	char kept[JOURNAL_NAME];

	journal_file_name(position, RESUME, kept);
	while (d != NULL && (entry = readdir(d)) != NULL) {
		if (strlen(entry->d_name) == strlen(kept) &&
		    strcmp(entry->d_name + 16, RESUME) == 0 &&
		    strcmp(entry->d_name, kept) != 0) {
			unlinkat(j->directory_fd, entry->d_name, 0);
		}
	}
	if (d != NULL) {
		closedir(d);
	} else if (fd >= 0) {
		close(fd);
	}
}
