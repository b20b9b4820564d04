#include "collector/journal/journal.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "collector/journal/journal_private.h"
#include "common/base/pages.h"

/* What a reservation promises beside the frame's header. */
#define RESERVE_LEAST 65536u
/* A pad reaches the next block, and one further where its own header does not fit. */
#define PAD_MOST (2 * SEGMENT_BLOCK)

static int
open_directory(struct journal *j, struct err *e)
{
	if (mkdir(j->directory, 0700) < 0 && errno != EEXIST) {
		return err_set(e, -errno, "cannot create the journal directory %s: %s",
		    j->directory, strerror(errno));
	}
	j->directory_fd =
	    open(j->directory, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (j->directory_fd < 0) {
		return err_set(e, -errno, "cannot open the journal directory %s: %s",
		    j->directory,
		    errno == ENOTDIR || errno == ELOOP
			? "not a directory (links are not followed)"
			: strerror(errno));
	}
	if (flock(j->directory_fd, LOCK_EX | LOCK_NB) < 0) {
		return err_set(e, -EBUSY,
		    "the journal %s is in use by another collector; give this one "
		    "its own --journal",
		    j->directory);
	}
	return 0;
}

static int
check_settings(const struct journal_settings *s, struct err *e)
{
	if (s->segment_bytes < 4 * (uint64_t)JOURNAL_BUFFER) {
		return err_set(e, -EINVAL,
		    "journal segments of %" PRIu64
		    " bytes are too small (expected at least %u)",
		    s->segment_bytes, 4 * JOURNAL_BUFFER);
	}
	if (s->max_bytes / 4 < s->segment_bytes) {
		return err_set(e, -EINVAL,
		    "--journal-size %" PRIu64
		    " is too small for --segment-size %" PRIu64
		    ": a journal must hold at least four segments",
		    s->max_bytes, s->segment_bytes);
	}
	return 0;
}

static int
make_buffers(struct journal *j)
{
	unsigned count = j->settings.buffers;

	count = count == 0 || count > JOURNAL_BUFFERS ? JOURNAL_BUFFERS : count;
	if (posix_memalign((void **)&j->block, SEGMENT_BLOCK, SEGMENT_BLOCK) != 0) {
		return -ENOMEM;
	}
	j->bytes = pages_new((size_t)JOURNAL_BUFFERS * JOURNAL_BUFFER);
	if (j->bytes == NULL) {
		return -ENOMEM;
	}
	/* The free one that comes first lies first: memory is touched from its start.
	 */
	for (unsigned i = count; i-- > 0;) {
		struct journal_buffer *b = &j->buffers[i];
		b->bytes = j->bytes + (size_t)i * JOURNAL_BUFFER;
		b->seed = j->seed;
		b->next = j->free;
		j->free = b;
	}
	return 0;
}

static void
name_source(struct journal *j)
{
	j->seed = segment_seed(j->uuid);
	for (unsigned i = 0; i < sizeof j->uuid; i++) {
		snprintf(j->id.text + 2 * i, 3, "%02x", j->uuid[i]);
	}
}

/* The UUID is the first segment's; a new journal gets one with its first segment. */
static int
start_writing(struct journal *j, struct err *e)
{
	const struct journal_segment *last;

	if (j->count == 0) {
		if (getrandom(j->uuid, sizeof j->uuid, 0) != sizeof j->uuid) {
			return err_set(
			    e, -errno, "cannot get random bytes: %s", strerror(errno));
		}
		return journal_create_segment(j, j->end, e);
	}
	last = &j->segments[j->count - 1];
	if (last->written == last->start && last->torn_from == UINT64_MAX) {
		return journal_open_segment(j, e);
	}
	return journal_create_segment(j, j->end, e);
}

int
journal_open(const struct journal_settings *s, struct journal **ret, struct err *e)
{
	struct journal *j;
	int rc;

	rc = check_settings(s, e);
	if (rc < 0) {
		return rc;
	}
	j = calloc(1, sizeof *j);
	if (j == NULL || (j->directory = strdup(s->directory)) == NULL) {
		free(j);
		return err_set(e, -ENOMEM, "no memory for the journal");
	}
	j->settings = *s;
	j->settings.directory = j->directory;
	j->directory_fd = j->mark_fd = -1;
	j->next_session = 1;
	j->is_direct = true;
	pthread_mutex_init(&j->sync_lock, NULL);
	pthread_mutex_init(&j->write_lock, NULL);
	pthread_mutex_init(&j->lock, NULL);
	rc = open_directory(j, e);
	if (rc < 0) {
		goto out;
	}
	rc = make_buffers(j);
	if (rc < 0) {
		err_set(e, rc, "no memory for the journal's buffers");
		goto out;
	}
	rc = journal_open_mark(j, e);
	if (rc == 0) {
		rc = journal_recover(j, e);
	}
	if (rc == 0) {
		rc = journal_check_mark(j, e);
	}
	if (rc < 0) {
		goto out;
	}
	rc = start_writing(j, e);
	if (rc < 0) {
		goto out;
	}
	name_source(j);
	journal_write_mark(j, j->end);
	for (unsigned i = 0; i < JOURNAL_BUFFERS; i++) {
		j->buffers[i].seed = j->seed;
	}
	*ret = j;
	j = NULL;
out:
	journal_close(j);
	return rc;
}

void
journal_close(struct journal *j)
{
	if (j == NULL) {
		return;
	}
	for (unsigned i = 0; i < j->count; i++) {
		if (j->segments[i].fd >= 0) {
			close(j->segments[i].fd);
		}
	}
	pages_free(j->bytes, (size_t)JOURNAL_BUFFERS * JOURNAL_BUFFER);
	if (j->mark_fd >= 0) {
		close(j->mark_fd);
	}
	if (j->directory_fd >= 0) {
		close(j->directory_fd);
	}
	pthread_mutex_destroy(&j->sync_lock);
	pthread_mutex_destroy(&j->write_lock);
	pthread_mutex_destroy(&j->lock);
	free(j->block);
	free(j->segments);
	free(j->directory);
	free(j);
}

const struct source_id *
journal_id(const struct journal *j)
{
	return &j->id;
}

uint64_t
journal_end(const struct journal *j)
{
	return j->end;
}

uint64_t
journal_capacity(const struct journal *j)
{
	return j->settings.max_bytes;
}

bool
journal_is_full(const struct journal *j)
{
	return atomic_load(&j->is_full);
}

uint32_t
journal_new_session(struct journal *j)
{
	return atomic_fetch_add(&j->next_session, 1);
}

uint64_t
journal_skipped(const struct journal *j)
{
	return j->skipped;
}

static struct journal_buffer *
take_buffer(struct journal *j)
{
	struct journal_buffer *b;

	pthread_mutex_lock(&j->lock);
	b = j->free;
	if (b != NULL) {
		j->free = b->next;
	}
	pthread_mutex_unlock(&j->lock);
	if (b != NULL) {
		b->next = NULL;
		b->start = j->end;
		b->used = b->done = 0;
		b->is_padded = false;
	}
	return b;
}

void
journal_buffer_return(struct journal *j, struct journal_buffer *b)
{
	if (b == NULL) {
		return;
	}
	pthread_mutex_lock(&j->lock);
	b->next = j->free;
	j->free = b;
	pthread_mutex_unlock(&j->lock);
}

uint8_t *
journal_reserve(struct journal *j, size_t *ret_n)
{
	struct journal_buffer *b;

	if (j->filling == NULL) {
		j->filling = take_buffer(j);
	}
	b = j->filling;
	if (b == NULL || b->is_padded ||
	    JOURNAL_BUFFER - b->used <
		SEGMENT_FRAME_HEADER + RESERVE_LEAST + PAD_MOST) {
		return NULL;
	}
	/* A payload of this many bytes makes a frame that leaves room for the pad. */
	*ret_n =
	    (JOURNAL_BUFFER - b->used - PAD_MOST - SEGMENT_FRAME_HEADER) & ~(size_t)7;
	return b->bytes + b->used + SEGMENT_FRAME_HEADER;
}

int
journal_commit(struct journal *j, const struct frame *f, struct err *e)
{
	struct journal_buffer *b = j->filling;

	if (b == NULL || b->is_padded ||
	    SEGMENT_FRAME_HEADER + f->length + PAD_MOST > JOURNAL_BUFFER - b->used) {
		return err_set(e, -EINVAL, "%zu bytes were not reserved in the journal",
		    f->length);
	}
	b->used += segment_frame_write(b->bytes + b->used, j->seed, j->end, f);
	j->end = b->start + b->used;
	return 0;
}

/* Ends the buffer at a block boundary: O_DIRECT writes whole blocks. */
static void
pad_buffer(struct journal *j, struct journal_buffer *b)
{
	size_t n = (SEGMENT_BLOCK - b->used % SEGMENT_BLOCK) % SEGMENT_BLOCK;

	if (n < SEGMENT_FRAME_HEADER + 8) {
		n += SEGMENT_BLOCK;
	}
	segment_pad_write(b->bytes + b->used, n, j->seed, j->end, journal_synced(j));
	b->used += n;
	j->end = b->start + b->used;
	b->is_padded = true;
}

/* Segments without their headers' and states' few kilobytes. */
static uint64_t
bytes_held(struct journal *j)
{
	uint64_t sum = 0;

	pthread_mutex_lock(&j->lock);
	for (unsigned i = 0; i < j->count; i++) {
		sum += j->segments[i].written - j->segments[i].start;
	}
	pthread_mutex_unlock(&j->lock);
	return sum;
}

static int
write_buffer(struct journal *j, int fd, uint64_t at, struct journal_buffer *b)
{
	while (b->done < b->used) {
		ssize_t n = pwrite(
		    fd, b->bytes + b->done, b->used - b->done, (off_t)(at + b->done));
		if (n < 0 && errno == EINTR) {
			continue;
		}
		if (n < 0 && errno == EINVAL && j->is_direct) {
			j->is_direct = false;
			if (fcntl(fd, F_SETFL, 0) == 0) {
				continue;
			}
		}
		if (n < 0) {
			return -errno;
		}
		if (n == 0) {
			return -ENOSPC;
		}
		/* A disk that fills up may take an odd number of bytes. */
		b->done += (size_t)n & ~(size_t)(SEGMENT_BLOCK - 1);
		if ((size_t)n < SEGMENT_BLOCK) {
			return -ENOSPC;
		}
	}
	return 0;
}

/* Under write_lock.  1: not written, for it may not go to the last segment. */
static int
write_locked(struct journal *j, struct journal_buffer *b, struct err *e)
{
	struct journal_segment s = journal_last(j);
	int rc;

	if (journal_must_roll(j, &s, b->used)) {
		return 1;
	}

	/* A sync that failed since the last try may have begun another segment. */
	if (b->done_in != s.start) {
		b->done_in = s.start;
		b->done = 0;
	}
	rc = write_buffer(j, s.fd, SEGMENT_BLOCK + (b->start - s.start), b);
	if (rc < 0) {
		err_set(e, rc, "cannot write the journal in %s: %s", j->directory,
		    strerror(-rc));
	}
	pthread_mutex_lock(&j->lock);
	if (rc == 0) {
		j->segments[j->count - 1].written += b->used;
	} else if (rc != -ENOSPC && rc != -EDQUOT && s.written > s.start) {
		j->segments[j->count - 1].has_failed = true;
	}
	pthread_mutex_unlock(&j->lock);
	return rc;
}

static int
write_filling(struct journal *j, struct err *e)
{
	struct journal_buffer *b = j->filling;
	int rc;

	if (!b->is_padded) {
		pad_buffer(j, b);
	}
	if (bytes_held(j) + b->used > j->settings.max_bytes) {
		return err_set(e, -ENOSPC,
		    "the journal in %s is full (%" PRIu64
		    " bytes) and has room again when tables are stored",
		    j->directory, j->settings.max_bytes);
	}
	do {
		pthread_mutex_lock(&j->write_lock);
		rc = write_locked(j, b, e);
		pthread_mutex_unlock(&j->write_lock);
	} while (rc > 0 && (rc = journal_roll(j, b->used, e)) == 0);
	return rc;
}

int
journal_write(struct journal *j, struct journal_buffer **ret, struct err *e)
{
	struct journal_buffer *b = j->filling;
	int rc;

	if (b == NULL || b->used == 0) {
		*ret = NULL;
		return 0;
	}
	rc = write_filling(j, e);
	atomic_store(&j->is_full, rc == -ENOSPC || rc == -EDQUOT);
	if (rc < 0) {
		return rc;
	}
	j->filling = NULL;
	*ret = b;
	return 0;
}

int
journal_buffer_next(const struct journal_buffer *b, size_t *at, struct frame *ret)
{
	while (*at < b->used) {
		/* Written by ourselves a moment ago: cannot fail. */
		if (segment_frame_view(
			b->bytes + *at, b->used - *at, b->start + *at, ret) < 0) {
			return 0;
		}
		*at = (size_t)(ret->end - b->start);
		if (ret->kind != FRAME_PAD) {
			return 1;
		}
	}
	return 0;
}
