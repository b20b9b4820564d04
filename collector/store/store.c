#include "collector/store/store.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "collector/store/store_private.h"
#include "collector/store/store_query.h"
#include "common/base/clock.h"
#include "common/base/log.h"

void
store_path(const struct store *s, const char *file, char out[static 4096])
{
	if (snprintf(out, 4096, "%s/%s", s->directory, file) >= 4096) {
		/* Cannot be opened; store_open() refuses such directories. */
		out[0] = '\0';
	}
}

void
store_partition_file(const struct table *t, int64_t day, char out[static 128])
{
	char text[11], version[24] = "";

	clock_format_day(day, text);
	if (t->schema->version > 1) {
		snprintf(version, sizeof version, ".v%llu",
		    (unsigned long long)t->schema->version);
	}
	snprintf(out, 128, "%s%s-%s.sqlite", t->schema->name, version, text);
}

static void
close_partition(struct store_partition *p)
{
	database_close(p->database);
	*p = (struct store_partition){0};
}

static int
open_partition(struct store *s, const struct table *t, const char *file,
    struct database **ret, struct err *e)
{
	struct database *d = NULL;
	char path[4096];
	int rc;

	store_path(s, file, path);
	rc = database_open(path, DATABASE_WRITE, &d, e);
	if (rc < 0) {
		return rc;
	}
	/* Rows come in the order in which they lie: pages go to the disk while they are
	 * in a core's own cache. */
	rc = database_exec_text(d, "PRAGMA cache_size=-2048; BEGIN IMMEDIATE", e);
	if (rc == 0) {
		rc = store_schema_prepare(d, e);
	}
	if (rc == 0) {
		rc = store_schema_apply(d, file, t, e);
	}
	if (rc == 0) {
		rc = database_exec_text(d, "COMMIT", e);
	}
	if (rc < 0) {
		database_close(d);
		return rc;
	}
	*ret = d;
	return 0;
}

/* An operator may delete a day while its file is open here: what is written to it then
 * is lost. */
static bool
is_deleted(const struct store *s, const struct store_partition *p)
{
	char path[4096];
	struct stat now;

	store_path(s, p->file, path);
	return stat(path, &now) < 0 ? errno == ENOENT : now.st_ino != p->inode;
}

int
store_partition(struct store *s, const struct table *t, const char *file,
    struct database **ret, struct err *e)
{
	struct store_partition *oldest = &s->open[0];
	char path[4096];
	struct stat made;
	int rc;

	for (unsigned i = 0; i < STORE_OPEN_MAX; i++) {
		struct store_partition *p = &s->open[i];
		if (strcmp(p->file, file) == 0 && is_deleted(s, p)) {
			close_partition(p);
		} else if (strcmp(p->file, file) == 0) {
			p->used = ++s->uses;
			*ret = p->database;
			return 0;
		}
		if (p->used < oldest->used) {
			oldest = p;
		}
	}
	close_partition(oldest);
	rc = open_partition(s, t, file, &oldest->database, e);
	if (rc < 0) {
		return rc;
	}
	store_path(s, file, path);
	oldest->inode = stat(path, &made) == 0 ? made.st_ino : 0;
	snprintf(oldest->file, sizeof oldest->file, "%s", file);
	oldest->used = ++s->uses;
	*ret = oldest->database;
	return 0;
}

/* One writer per store: the lock is held as long as the store is open. */
static int
lock(struct store *s, struct err *e)
{
	char path[4096], pid[32] = "";
	ssize_t n;

	store_path(s, "lock", path);
	s->lock_fd = open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0640);
	if (s->lock_fd < 0) {
		return err_set(e, -errno, "%s: cannot write to the store: %s", path,
		    strerror(errno));
	}
	if (flock(s->lock_fd, LOCK_EX | LOCK_NB) < 0) {
		n = read(s->lock_fd, pid, sizeof pid - 1);
		pid[n > 0 ? strcspn(pid, "\n") : 0] = '\0';
		return err_set(e, -EBUSY,
		    "%s: another collector%s%s is writing to this store; give each "
		    "collector its own",
		    s->directory, pid[0] != '\0' ? ", process " : "", pid);
	}
	n = snprintf(pid, sizeof pid, "%ld\n", (long)getpid());
	if (ftruncate(s->lock_fd, 0) < 0 || pwrite(s->lock_fd, pid, (size_t)n, 0) < 0) {
		return err_set(e, -errno, "%s: %s", path, strerror(errno));
	}
	return 0;
}

static int
directory_of(const char *target, char **ret, struct err *e)
{
	size_t scheme = strspn(target, "abcdefghijklmnopqrstuvwxyz");

	if (strncmp(target, "sqlite:", 7) == 0) {
		target += 7;
	} else if (scheme > 0 && target[scheme] == ':') {
		return err_set(e, -EINVAL,
		    "unknown kind of store '%.*s' (expected sqlite:DIR or a directory)",
		    (int)scheme, target);
	}
	if (*target == '\0' || strlen(target) > 3900) {
		return err_set(e, -EINVAL,
		    "the store needs a directory of at most 3900 bytes: sqlite:DIR");
	}
	*ret = strdup(target);
	return *ret == NULL ? err_set(e, -ENOMEM, "not enough memory") : 0;
}

static int
make_directory(const char *path, struct err *e)
{
	struct stat st;

	if (mkdir(path, 0750) < 0 && errno != EEXIST) {
		return err_set(e, -errno, "%s: cannot create the store: %s%s", path,
		    strerror(errno),
		    errno == ENOENT ? "; create the directory above it first" : "");
	}
	if (stat(path, &st) < 0 || !S_ISDIR(st.st_mode)) {
		return err_set(e, -ENOTDIR, "%s: not a directory", path);
	}
	return 0;
}

int
store_open(const char *target, struct tables *t, struct store **ret, struct err *e)
{
	struct store *s = calloc(1, sizeof *s);
	char path[4096];
	int rc;

	if (s == NULL) {
		return err_set(e, -ENOMEM, "not enough memory");
	}
	s->lock_fd = -1;
	s->tables = t;
	rc = directory_of(target, &s->directory, e);
	if (rc == 0) {
		rc = store_check(t, e);
	}
	if (rc == 0) {
		rc = make_directory(s->directory, e);
	}
	if (rc == 0) {
		rc = lock(s, e);
	}
	if (rc == 0) {
		store_path(s, STORE_MAIN_FILE, path);
		rc = database_open(path, DATABASE_WRITE, &s->main, e);
	}
	if (rc == 0) {
		rc = store_schema_apply_main(s->main, t, e);
	}
	if (rc < 0) {
		store_close(s);
		return rc;
	}
	*ret = s;
	return 0;
}

struct tables *
store_tables(const struct store *s)
{
	return s->tables;
}

void
store_close(struct store *s)
{
	if (s == NULL) {
		return;
	}
	for (unsigned i = 0; i < STORE_OPEN_MAX; i++) {
		close_partition(&s->open[i]);
	}
	database_close(s->main);
	if (s->lock_fd >= 0) {
		close(s->lock_fd);
	}
	free(s->directory);
	free(s);
}

/* What store_progress() learns from the day files. */
struct survey {
	const struct source_id *source;
	uint64_t complete, pending;
	char pending_file[128];
};

static int
survey_file(struct store *s, const char *file, struct survey *v, struct err *e)
{
	const struct store_query has_progress = {
	    .sql = "SELECT 1 FROM sqlite_schema WHERE name = 'flowpair_progress'"};
	const struct store_query in_catalog = {
	    .sql = "SELECT position FROM flowpair_partitions WHERE file = ? AND source "
		   "= ?",
	    .texts = {file, v->source->text}};
	struct database *d = NULL;
	uint64_t catalog = 0, position = 0;
	char path[4096];
	int rc;

	store_path(s, file, path);
	/* A crash while the file was made may have left a rollback journal, which a
	 * reader could not undo. */
	rc = database_open(path, DATABASE_WRITE, &d, e);
	if (rc < 0) {
		return rc;
	}
	rc = store_query(d, &has_progress, NULL, e);
	if (rc > 0) { /* else the file was made and nothing came into it */
		rc = store_position(d, v->source, &position, e);
	}
	database_close(d);
	if (rc == 0) {
		rc = store_query_position(s->main, &in_catalog, &catalog, e);
	}
	if (rc < 0) {
		return rc;
	}
	if (position < catalog) {
		return err_set(e, -ESTALE,
		    "%s: older than the catalog: it ends at position %llu, but %s/%s "
		    "expects %llu. Put the newer file back, remove this one to give up its "
		    "day, or restore the whole directory from one backup",
		    path, (unsigned long long)position, s->directory, STORE_MAIN_FILE,
		    (unsigned long long)catalog);
	}
	if (position <= v->complete) {
		return 0;
	}
	if (v->pending != v->complete && v->pending != position) {
		return err_set(e, -ESTALE,
		    "%s/%s: an older copy: it ends at position %llu, but %s ends at %llu "
		    "and %s at %llu. Put the newer file back, or restore the whole "
		    "directory from one backup",
		    s->directory, STORE_MAIN_FILE, (unsigned long long)v->complete,
		    v->pending_file, (unsigned long long)v->pending, file,
		    (unsigned long long)position);
	}
	v->pending = position;
	snprintf(v->pending_file, sizeof v->pending_file, "%s", file);
	return 0;
}

/* Day files that the catalog knows and the directory has not: the operator's way to
 * forget a day. */
static int
forget_missing(struct store *s, struct err *e)
{
	struct store_query forget = {
	    .sql = "DELETE FROM flowpair_partitions WHERE file = ?"};
	struct statement *q = NULL;
	char path[4096];
	int rc = statement_new(
	    s->main, "SELECT DISTINCT file FROM flowpair_partitions", &q, e);

	while (rc >= 0 && (rc = statement_step(q, e)) > 0) {
		forget.texts[0] = statement_text(q, 0);
		store_path(s, forget.texts[0], path);
		if (access(path, F_OK) < 0 && errno == ENOENT) {
			log_info("%s: file was removed; forgetting its day", path);
			rc = store_query(s->main, &forget, NULL, e);
		}
	}
	statement_free(q);
	return rc;
}

static int
is_day_file(const struct dirent *d)
{
	size_t n = strlen(d->d_name);
	return n > 7 && n < 128 && strcmp(d->d_name + n - 7, ".sqlite") == 0 &&
	       strcmp(d->d_name, STORE_MAIN_FILE) != 0;
}

int
store_progress(struct store *s, const struct source_id *source, uint64_t *ret_complete,
    uint64_t *ret_pending, struct err *e)
{
	const struct store_query q = {
	    .sql = "SELECT position FROM flowpair_sources WHERE source = ?",
	    .texts = {source->text}};
	struct survey v = {.source = source};
	struct dirent **list = NULL;
	int n, rc = store_query_position(s->main, &q, &v.complete, e);

	if (rc == 0) {
		rc = forget_missing(s, e);
	}
	if (rc < 0) {
		return rc;
	}
	v.pending = v.complete;
	n = scandir(s->directory, &list, is_day_file, alphasort);
	if (n < 0) {
		return err_set(e, -errno, "%s: %s", s->directory, strerror(errno));
	}
	for (int i = 0; i < n; i++) {
		if (rc == 0) {
			rc = survey_file(s, list[i]->d_name, &v, e);
		}
		free(list[i]);
	}
	free(list);
	if (rc < 0) {
		return rc;
	}
	*ret_complete = v.complete;
	*ret_pending = v.pending;
	return 0;
}

bool
store_is_finished(struct store *s, const struct source_id *source)
{
	const struct store_query q = {
	    .sql = "SELECT finished FROM flowpair_sources WHERE source = ?",
	    .texts = {source->text}};
	int64_t is_finished = 0;

	return store_query(s->main, &q, &is_finished, NULL) > 0 && is_finished != 0;
}
