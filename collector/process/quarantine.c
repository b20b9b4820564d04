#include "collector/process/quarantine.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define CRASH_MAGIC   0x66706372617368ULL /* "fpcrash" */
#define CRASHES_LIMIT 2u
#define NOBODY        UINT64_MAX

/* Mapped from DIR/crash.  Native byte order: it never leaves this machine. */
struct crash {
	uint64_t magic;
	volatile uint64_t current; /* position in work; NOBODY: none */
	volatile uint64_t crashed; /* position of the last crash */
	volatile uint32_t times;
};

struct quarantine {
	int directory_fd; /* DIR/quarantine */
	struct crash *crash;
	uint64_t *positions; /* set aside before */
	size_t count;
};

static const int fatal[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT};
static struct sigaction before[sizeof fatal / sizeof *fatal];
/* What the handler sees. */
static struct crash *watched;
static volatile pid_t watched_thread;

static void
take_crash(int number, siginfo_t *info, void *context)
{
	struct crash *c = watched;

	(void)context;
	/* SI_USER: another process sent it. */
	if (c != NULL && c->current != NOBODY && info->si_code != SI_USER &&
	    (pid_t)syscall(SYS_gettid) == watched_thread) {
		c->times = c->crashed == c->current ? c->times + 1 : 1;
		c->crashed = c->current;
		c->current = NOBODY;
	}
	/* A fault happens again when this returns, and the previous handler gets it. */
	for (unsigned i = 0; i < sizeof fatal / sizeof *fatal; i++) {
		if (fatal[i] == number) {
			sigaction(number, &before[i], NULL);
		}
	}
	if (info->si_code <= 0) {
		raise(number);
	}
}

static int
map_crash(const char *directory, struct crash **ret, struct err *e)
{
	char path[4096];
	struct crash *c;
	int fd, rc;

	snprintf(path, sizeof path, "%s/crash", directory);
	fd = open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0 || ftruncate(fd, sizeof *c) < 0) {
		rc = err_set(e, -errno, "cannot open %s: %s", path, strerror(errno));
		if (fd >= 0) {
			close(fd);
		}
		return rc;
	}
	c = mmap(NULL, sizeof *c, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	rc = -errno;
	close(fd);
	if (c == MAP_FAILED) {
		return err_set(e, rc, "cannot map %s: %s", path, strerror(-rc));
	}
	if (c->magic != CRASH_MAGIC) {
		c->crashed = NOBODY;
		c->times = 0;
		c->magic = CRASH_MAGIC;
	}
	c->current = NOBODY;
	*ret = c;
	return 0;
}

static int
add_position(struct quarantine *q, uint64_t position)
{
	uint64_t *more = realloc(q->positions, (q->count + 1) * sizeof *more);

	if (more == NULL) {
		return -ENOMEM;
	}
	q->positions = more;
	q->positions[q->count++] = position;
	return 0;
}

static int
list_positions(struct quarantine *q, struct err *e)
{
	int fd = openat(q->directory_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	const struct dirent *entry;
	uint64_t position;
	int rc = 0;

	if (d == NULL) {
		rc = err_set(
		    e, -errno, "cannot read the quarantine: %s", strerror(errno));
		if (fd >= 0) {
			close(fd);
		}
		return rc;
	}
	while (rc == 0 && (entry = readdir(d)) != NULL) {
		if (strlen(entry->d_name) == 22 &&
		    strcmp(entry->d_name + 16, ".ipfix") == 0 &&
		    sscanf(entry->d_name, "%16" SCNx64, &position) == 1) {
			rc = add_position(q, position);
		}
	}
	closedir(d);
	return rc < 0 ? err_set(e, rc, "not enough memory for the quarantine") : 0;
}

static int
open_directory(struct quarantine *q, const char *directory, struct err *e)
{
	char path[4096];

	snprintf(path, sizeof path, "%s/quarantine", directory);
	if (mkdir(path, 0700) < 0 && errno != EEXIST) {
		return err_set(
		    e, -errno, "cannot create %s: %s", path, strerror(errno));
	}
	q->directory_fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (q->directory_fd < 0) {
		return err_set(e, -errno, "cannot open %s: %s", path, strerror(errno));
	}
	return list_positions(q, e);
}

static void
watch_signals(struct quarantine *q)
{
	struct sigaction action = {
	    .sa_sigaction = take_crash, .sa_flags = SA_NODEFER | SA_SIGINFO};

	watched = q->crash;
	quarantine_adopt(q);
	for (unsigned i = 0; i < sizeof fatal / sizeof *fatal; i++) {
		sigaction(fatal[i], &action, &before[i]);
	}
}

int
quarantine_new(const char *directory, struct quarantine **ret, struct err *e)
{
	struct quarantine *q = calloc(1, sizeof *q);
	int rc;

	if (q == NULL) {
		return err_set(e, -ENOMEM, "not enough memory for the quarantine");
	}
	q->directory_fd = -1;
	rc = open_directory(q, directory, e);
	if (rc == 0) {
		rc = map_crash(directory, &q->crash, e);
	}
	if (rc < 0) {
		quarantine_free(q);
		return rc;
	}
	watch_signals(q);
	*ret = q;
	return 0;
}

void
quarantine_free(struct quarantine *q)
{
	if (q == NULL) {
		return;
	}
	if (q->crash != NULL && watched == q->crash) {
		watched = NULL;
		for (unsigned i = 0; i < sizeof fatal / sizeof *fatal; i++) {
			sigaction(fatal[i], &before[i], NULL);
		}
	}
	if (q->crash != NULL) {
		munmap(q->crash, sizeof *q->crash);
	}
	if (q->directory_fd >= 0) {
		close(q->directory_fd);
	}
	free(q->positions);
	free(q);
}

void
quarantine_adopt(struct quarantine *q)
{
	(void)q;
	watched_thread = (pid_t)syscall(SYS_gettid);
}

static int
set_aside(struct quarantine *q, uint64_t position, const uint8_t *message,
    size_t length, struct err *e)
{
	char name[32];
	int fd, rc = 0;

	snprintf(name, sizeof name, "%016" PRIx64 ".ipfix", position);
	fd = openat(q->directory_fd, name,
	    O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0 || write(fd, message, length) != (ssize_t)length || fsync(fd) < 0 ||
	    fsync(q->directory_fd) < 0) {
		rc = err_set(
		    e, -EIO, "cannot write quarantine/%s: %s", name, strerror(errno));
	}
	if (fd >= 0) {
		close(fd);
	}
	return rc < 0 ? rc : add_position(q, position);
}

int
quarantine_begin(struct quarantine *q, uint64_t position, const uint8_t *message,
    size_t length, struct err *e)
{
	int rc;

	for (size_t i = 0; i < q->count; i++) {
		if (q->positions[i] == position) {
			return QUARANTINE_KNOWN;
		}
	}
	if (q->crash->crashed == position && q->crash->times >= CRASHES_LIMIT) {
		rc = set_aside(q, position, message, length, e);
		if (rc < 0) {
			return rc;
		}
		q->crash->crashed = NOBODY;
		return QUARANTINE_NEW;
	}
	q->crash->current = position;
	return 0;
}

void
quarantine_end(struct quarantine *q)
{
	q->crash->current = NOBODY;
}
