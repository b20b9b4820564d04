#include "common/sqlite/database.h"

#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/address.h"
#include "common/base/clock.h"
#include "common/sqlite/database_image.h"

#define BUSY_MS        10000
#define WAL_FRAMES     8192 /* 256 MiB: a longer WAL is cut back when it can be */
#define DEADLINE_STEPS 4096 /* virtual machine steps between looks at the clock */

struct database {
	sqlite3 *handle;
	char *path;
	uint64_t deadline_ns;
	bool has_image; /* flowpair_image is attached */
};

struct statement {
	sqlite3_stmt *handle;
	struct database *database;
};

/* The code and the sentence for what SQLite said last. */
static int
failed(const struct database *d, int rc, struct err *e)
{
	int system = d->handle != NULL ? sqlite3_system_errno(d->handle) : errno;
	int code = -EIO;

	switch (rc & 0xff) {
	case SQLITE_FULL:
		code = -ENOSPC;
		break;
	case SQLITE_NOMEM:
		code = -ENOMEM;
		break;
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		code = -EBUSY;
		break;
	case SQLITE_INTERRUPT:
		return err_set(e, -ETIMEDOUT, "%s: the query timed out", d->path);
	case SQLITE_READONLY:
	case SQLITE_PERM:
	case SQLITE_AUTH:
		code = -EACCES;
		break;
	case SQLITE_CANTOPEN:
		code = system != 0 ? -system : -ENOENT;
		break;
	case SQLITE_IOERR:
		code = system == ENOSPC || system == EFBIG || system == EDQUOT ? -ENOSPC
									       : -EIO;
		break;
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
		code = -EBADMSG;
		break;
	default:
		code = -EINVAL;
	}
	if ((code == -EIO || code == -ENOSPC) && system != 0) {
		return err_set(e, code, "%s: %s (%s)", d->path,
		    d->handle != NULL ? sqlite3_errmsg(d->handle) : sqlite3_errstr(rc),
		    strerror(system));
	}
	return err_set(e, code, "%s: %s", d->path,
	    d->handle != NULL ? sqlite3_errmsg(d->handle) : sqlite3_errstr(rc));
}

/* "file:" URI of path with what a URI gives a meaning escaped. */
static char *
immutable_uri(const char *path)
{
	size_t n = strlen(path);
	char *uri = malloc(3 * n + 32), *at = uri;

	if (uri == NULL) {
		return NULL;
	}
	at = stpcpy(at, "file:");
	for (const char *p = path; *p != '\0'; p++) {
		if (*p == '%' || *p == '?' || *p == '#') {
			at += sprintf(at, "%%%02x", (unsigned char)*p);
		} else {
			*at++ = *p;
		}
	}
	strcpy(at, "?immutable=1");
	return uri;
}

static bool
has_wal(const char *path)
{
	struct stat st;
	char wal[4096];

	if (snprintf(wal, sizeof wal, "%s-wal", path) >= (int)sizeof wal) {
		return true;
	}
	return stat(wal, &st) == 0 && st.st_size > 0;
}

/* A reader who may not write the directory cannot make the -shm file that WAL mode
 * wants.  Where no writer has left a WAL the file alone is the whole database, and is
 * read as it is. */
static int
open_read(struct database *d, struct err *e)
{
	char *uri = NULL;
	int rc = sqlite3_open_v2(
	    d->path, &d->handle, SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX, NULL);

	if (rc == SQLITE_OK) {
		sqlite3_busy_timeout(d->handle, BUSY_MS);
		rc = sqlite3_exec(
		    d->handle, "SELECT 1 FROM sqlite_schema LIMIT 1", NULL, NULL, NULL);
	}
	if ((rc & 0xff) == SQLITE_CANTOPEN && access(d->path, R_OK) == 0 &&
	    !has_wal(d->path)) {
		uri = immutable_uri(d->path);
		if (uri == NULL) {
			return err_set(e, -ENOMEM, "%s: out of memory", d->path);
		}
		sqlite3_close_v2(d->handle);
		d->handle = NULL;
		rc = sqlite3_open_v2(uri, &d->handle,
		    SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_URI, NULL);
		free(uri);
		if (rc == SQLITE_OK) {
			rc = sqlite3_exec(d->handle,
			    "SELECT 1 FROM sqlite_schema LIMIT 1", NULL, NULL, NULL);
		}
	}
	if ((rc & 0xff) == SQLITE_CANTOPEN && access(d->path, R_OK) < 0 &&
	    errno == EACCES) {
		return err_set(e, -EACCES, "%s: %s", d->path, strerror(EACCES));
	}
	if (rc != SQLITE_OK) {
		return failed(d, rc, e);
	}
	return database_exec_text(d, "PRAGMA temp_store=MEMORY", e);
}

static int
open_write(struct database *d, struct err *e)
{
	struct stat st;
	int rc, fd = open(d->path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0640);

	if (fd < 0 || fstat(fd, &st) < 0) {
		rc = err_set(e, -errno, "%s: %s", d->path, strerror(errno));
		if (fd >= 0) {
			close(fd);
		}
		return rc;
	}
	close(fd);
	if (!S_ISREG(st.st_mode)) {
		return err_set(e, -EINVAL, "%s: not a regular file", d->path);
	}
	rc = sqlite3_open_v2(
	    d->path, &d->handle, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL);
	if (rc != SQLITE_OK) {
		return failed(d, rc, e);
	}
	sqlite3_busy_timeout(d->handle, BUSY_MS);
	/* Checkpoints are the store's business: after commit, when readers let it. */
	return database_exec_text(d,
	    "PRAGMA page_size=32768;"
	    "PRAGMA journal_mode=WAL;"
	    "PRAGMA synchronous=FULL;"
	    "PRAGMA journal_size_limit=67108864;"
	    "PRAGMA wal_autocheckpoint=0;"
	    "PRAGMA temp_store=MEMORY;"
	    "PRAGMA cache_size=-8192;"
	    "PRAGMA secure_delete=OFF",
	    e);
}

int
database_open(
    const char *path, enum database_mode mode, struct database **ret, struct err *e)
{
	struct database *d = calloc(1, sizeof *d);
	int rc = -ENOMEM;

	if (d == NULL || (d->path = strdup(path)) == NULL) {
		rc = err_set(e, -ENOMEM, "%s: out of memory", path);
		goto out;
	}
	switch (mode) {
	case DATABASE_READ:
		rc = open_read(d, e);
		break;
	case DATABASE_WRITE:
		rc = open_write(d, e);
		break;
	case DATABASE_MEMORY:
		rc = sqlite3_open_v2(":memory:", &d->handle,
		    SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX,
		    NULL);
		rc = rc == SQLITE_OK ? 0 : failed(d, rc, e);
		break;
	}
	if (rc < 0) {
		goto out;
	}
	sqlite3_extended_result_codes(d->handle, 1);
	*ret = d;
	d = NULL;
	rc = 0;
out:
	database_close(d);
	return rc;
}

void
database_close(struct database *d)
{
	if (d == NULL) {
		return;
	}
	sqlite3_close_v2(d->handle);
	free(d->path);
	free(d);
}

int
database_exec_text(struct database *d, const char *sql, struct err *e)
{
	int rc = sqlite3_exec(d->handle, sql, NULL, NULL, NULL);
	return rc == SQLITE_OK ? 0 : failed(d, rc, e);
}

int
database_exec(struct database *d, struct err *e, const char *fmt, ...)
{
	va_list args;
	char *sql = NULL;
	int rc;

	va_start(args, fmt);
	rc = vasprintf(&sql, fmt, args);
	va_end(args);
	if (rc < 0) {
		return err_set(e, -ENOMEM, "%s: out of memory", d->path);
	}
	rc = database_exec_text(d, sql, e);
	free(sql);
	return rc;
}

void
database_checkpoint(struct database *d)
{
	int frames = 0, done = 0;

	/* Passive never waits; a WAL that was copied whole is begun again by the next
	 * writer.  Truncating has to find no reader, and does not wait for that either.
	 */
	sqlite3_wal_checkpoint_v2(
	    d->handle, NULL, SQLITE_CHECKPOINT_PASSIVE, &frames, &done);
	if (frames > WAL_FRAMES && done == frames) {
		sqlite3_busy_timeout(d->handle, 0);
		sqlite3_wal_checkpoint_v2(
		    d->handle, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL);
		sqlite3_busy_timeout(d->handle, BUSY_MS);
	}
}

int
statement_new(
    struct database *d, const char *sql, struct statement **ret, struct err *e)
{
	struct statement *s = calloc(1, sizeof *s);
	int rc;

	if (s == NULL) {
		return err_set(e, -ENOMEM, "%s: out of memory", d->path);
	}
	s->database = d;
	rc = sqlite3_prepare_v2(d->handle, sql, -1, &s->handle, NULL);
	if (rc != SQLITE_OK) {
		rc = failed(d, rc, e);
		free(s);
		return rc;
	}
	*ret = s;
	return 0;
}

void
statement_free(struct statement *s)
{
	if (s != NULL) {
		sqlite3_finalize(s->handle);
		free(s);
	}
}

static int
bound(int rc)
{
	return rc == SQLITE_OK ? 0 : rc == SQLITE_NOMEM ? -ENOMEM : -EINVAL;
}

int
statement_bind_text(struct statement *s, int i, const char *text)
{
	return bound(sqlite3_bind_text(s->handle, i, text, -1, SQLITE_TRANSIENT));
}

int
statement_bind_blob(struct statement *s, int i, const void *bytes, size_t n)
{
	return bound(sqlite3_bind_blob64(s->handle, i, bytes, n, SQLITE_STATIC));
}

int
statement_bind_i64(struct statement *s, int i, int64_t v)
{
	return bound(sqlite3_bind_int64(s->handle, i, v));
}

int
statement_bind_f64(struct statement *s, int i, double v)
{
	return bound(sqlite3_bind_double(s->handle, i, v));
}

int
statement_bind_null(struct statement *s, int i)
{
	return bound(sqlite3_bind_null(s->handle, i));
}

int
statement_step(struct statement *s, struct err *e)
{
	int rc = sqlite3_step(s->handle);

	if (rc == SQLITE_ROW) {
		return 1;
	}
	if (rc == SQLITE_DONE) {
		return 0;
	}
	rc = failed(s->database, rc, e);
	sqlite3_reset(s->handle);
	return rc;
}

void
statement_reset(struct statement *s)
{
	sqlite3_reset(s->handle);
}

int
statement_columns(const struct statement *s)
{
	return sqlite3_column_count(s->handle);
}

const char *
statement_column_name(const struct statement *s, int i)
{
	const char *name = sqlite3_column_name(s->handle, i);
	return name != NULL ? name : "";
}

enum database_type
statement_type(const struct statement *s, int i)
{
	switch (sqlite3_column_type(s->handle, i)) {
	case SQLITE_INTEGER:
		return DATABASE_INTEGER;
	case SQLITE_FLOAT:
		return DATABASE_REAL;
	case SQLITE_NULL:
		return DATABASE_NULL;
	default:
		return DATABASE_TEXT;
	}
}

int64_t
statement_i64(const struct statement *s, int i)
{
	return sqlite3_column_int64(s->handle, i);
}

double
statement_f64(const struct statement *s, int i)
{
	return sqlite3_column_double(s->handle, i);
}

const char *
statement_text(const struct statement *s, int i)
{
	const unsigned char *text = sqlite3_column_text(s->handle, i);
	return text != NULL ? (const char *)text : "";
}

const uint8_t *
statement_blob(const struct statement *s, int i)
{
	return sqlite3_column_blob(s->handle, i);
}

size_t
statement_length(const struct statement *s, int i)
{
	return (size_t)sqlite3_column_bytes(s->handle, i);
}

int
database_show_image(
    struct database *d, const uint8_t *bytes, size_t length, struct err *e)
{
	int rc = 0;

	if (!d->has_image) {
		rc = database_exec_text(d, "ATTACH ':memory:' AS " DATABASE_IMAGE, e);
		if (rc < 0) {
			return rc;
		}
		d->has_image = true;
	}
	/* Not read-only, although nobody writes: BEGIN IMMEDIATE asks every database,
	 * and an empty one then gets its first page.
	 */
	rc = sqlite3_deserialize(d->handle, DATABASE_IMAGE, (unsigned char *)bytes,
	    (sqlite3_int64)length, (sqlite3_int64)length,
	    bytes == NULL
		? SQLITE_DESERIALIZE_RESIZEABLE | SQLITE_DESERIALIZE_FREEONCLOSE
		: 0);
	return rc == SQLITE_OK ? 0 : failed(d, rc, e);
}

/* Text of an address or prefix as its 16 bytes and prefix length. */
static bool
parse_argument(sqlite3_value *value, struct address *ret, unsigned *ret_bits)
{
	const char *text = (const char *)sqlite3_value_text(value);
	return text != NULL && address_parse_prefix(text, ret, ret_bits) == 0;
}

static void
ip_in_prefix(sqlite3_context *context, int argc, sqlite3_value **argv)
{
	struct address a, prefix;
	unsigned a_bits, bits;

	(void)argc;
	if (!parse_argument(argv[0], &a, &a_bits) ||
	    !parse_argument(argv[1], &prefix, &bits)) {
		sqlite3_result_int(context, 0);
		return;
	}
	sqlite3_result_int(
	    context, a_bits >= bits && address_in_prefix(&a, &prefix, bits));
}

static void
ip_order(sqlite3_context *context, int argc, sqlite3_value **argv)
{
	uint8_t order[17];
	struct address a;
	unsigned bits;

	(void)argc;
	if (!parse_argument(argv[0], &a, &bits)) {
		sqlite3_result_null(context);
		return;
	}
	memcpy(order, a.bytes, 16);
	order[16] =
	    (uint8_t)bits; /* among prefixes of one address the wider is first */
	sqlite3_result_blob(context, order, sizeof order, SQLITE_TRANSIENT);
}

/* In memory that SQLite aligns to 8 bytes. */
struct clipped_sum {
	__int128 integers;
	double reals;
	bool has_any, has_real;
} __attribute__((packed, aligned(8)));

static void
sum_clipped_step(sqlite3_context *context, int argc, sqlite3_value **argv)
{
	struct clipped_sum *s = sqlite3_aggregate_context(context, sizeof *s);
	int type = sqlite3_value_numeric_type(argv[0]);

	(void)argc;
	if (s == NULL || type == SQLITE_NULL) {
		return;
	}
	s->has_any = true;
	if (type == SQLITE_INTEGER) {
		s->integers += sqlite3_value_int64(argv[0]);
	} else {
		s->has_real = true;
		s->reals += sqlite3_value_double(argv[0]);
	}
}

static void
sum_clipped_final(sqlite3_context *context)
{
	const struct clipped_sum *s = sqlite3_aggregate_context(context, 0);

	if (s == NULL || !s->has_any) {
		sqlite3_result_null(context);
	} else if (s->has_real) {
		sqlite3_result_double(context, s->reals + (double)s->integers);
	} else {
		sqlite3_result_int64(context, s->integers > INT64_MAX ? INT64_MAX
					      : s->integers < INT64_MIN
						  ? INT64_MIN
						  : (int64_t)s->integers);
	}
}

int
database_add_functions(struct database *d, struct err *e)
{
	int flags = SQLITE_UTF8 | SQLITE_DETERMINISTIC | SQLITE_INNOCUOUS;
	int rc = sqlite3_create_function_v2(
	    d->handle, "ip_in_prefix", 2, flags, NULL, ip_in_prefix, NULL, NULL, NULL);

	if (rc == SQLITE_OK) {
		rc = sqlite3_create_function_v2(
		    d->handle, "ip_order", 1, flags, NULL, ip_order, NULL, NULL, NULL);
	}
	if (rc == SQLITE_OK) {
		rc = sqlite3_create_function_v2(d->handle, "sum_clipped", 1, flags,
		    NULL, NULL, sum_clipped_step, sum_clipped_final, NULL);
	}
	return rc == SQLITE_OK ? 0 : failed(d, rc, e);
}

static int
deadline_passed(void *data)
{
	const struct database *d = data;
	return clock_monotonic_ns() >= d->deadline_ns;
}

void
database_deadline(struct database *d, uint64_t monotonic_ns)
{
	d->deadline_ns = monotonic_ns;
	sqlite3_progress_handler(d->handle, monotonic_ns != 0 ? DEADLINE_STEPS : 0,
	    monotonic_ns != 0 ? deadline_passed : NULL, d);
}
