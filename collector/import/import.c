#include "collector/import/import.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "collector/import/import_private.h"
#include "common/base/clock.h"
#include "common/base/cursor.h"
#include "common/capture/compressed.h"
#include "common/tls/digest.h"

#define CHUNK 65536u

static const struct {
	const char *name, *unit;
} skips[IMPORT_SKIPS] = {
    [IMPORT_LEADING] = {"leading", "bytes"},
    [IMPORT_TRAILING] = {"trailing", "bytes"},
    [IMPORT_NOT_UDP] = {"not-udp", "packets"},
    [IMPORT_NOT_EXPORT] = {"not-export", "datagrams"},
    [IMPORT_CUT] = {"cut", "packets"},
    [IMPORT_MALFORMED] = {"malformed", "packets"},
    [IMPORT_PIECES] = {"pieces", "datagrams"},
};

const char *
import_skip_name(enum import_skip s)
{
	return s < IMPORT_SKIPS ? skips[s].name : "unknown";
}

const char *
import_skip_unit(enum import_skip s)
{
	return s < IMPORT_SKIPS ? skips[s].unit : "";
}

static int
complain_of_reading(const char *path, const struct compressed *file, struct err *e)
{
	const char *why = compressed_error(file);

	return err_set(
	    e, -EIO, "cannot read %s: %s", path, why == NULL ? strerror(errno) : why);
}

/* The identity of what was read so far.  It is kept as the beginning that is known, where
 * the store has a content of this length with it. */
static int
identify(struct import *m, const struct digest *d, uint64_t length, struct err *e)
{
	struct store_content *c = &m->content;
	int rc = 0;

	c->length = length;
	if (digest_format(d, c->id.text) < 0) {
		return err_set(e, -ENOMEM, "not enough memory to read %s", m->path);
	}
	if (length == m->next_known) {
		rc = store_content_find(m->settings->process.store, c, e);
		if (rc > 0) {
			m->known = *c;
		}
		if (rc >= 0) {
			rc = store_content_next(
			    m->settings->process.store, length, &m->next_known, e);
		}
	}
	return rc < 0 ? rc : 0;
}

/* Of the unpacked content: its identity, its first bytes, and the longest beginning of it
 * that the store knows as a content of its own. */
static int
read_content(struct import *m, struct compressed *file, struct err *e)
{
	struct digest *d = digest_new();
	uint8_t chunk[CHUNK];
	uint64_t length = 0;
	size_t n = CHUNK;
	int rc = store_content_next(m->settings->process.store, 0, &m->next_known, e);

	if (d == NULL) {
		return err_set(e, -ENOMEM, "not enough memory to read %s", m->path);
	}
	while (rc == 0 && n > 0) {
		uint64_t left = m->next_known - length;
		n = fread(chunk, 1, left < CHUNK ? (size_t)left : CHUNK, file->stream);
		if (length < MAGIC_BYTES) {
			size_t room = MAGIC_BYTES - (size_t)length;
			memcpy(m->magic + length, chunk, n < room ? n : room);
		}
		digest_add(d, chunk, n);
		length += n;
		if (n == 0 || length == m->next_known) {
			rc = identify(m, d, length, e);
		}
	}
	if (rc == 0 && ferror(file->stream)) {
		rc = complain_of_reading(m->path, file, e);
	}
	digest_free(d);
	return rc;
}

static int
read_identity(struct import *m, struct err *e)
{
	struct compressed file;
	struct stat st;
	int rc;

	if (strcmp(m->path, "-") == 0 ||
	    (stat(m->path, &st) == 0 && !S_ISREG(st.st_mode))) {
		return err_set(e, -EINVAL,
		    "%s is not a regular file: an import reads its input twice, "
		    "first to recognise its content",
		    strcmp(m->path, "-") == 0 ? "standard input" : m->path);
	}
	rc = compressed_open(m->path, &file, e);
	if (rc < 0) {
		return rc;
	}
	m->size = file.size;
	rc = read_content(m, &file, e);
	compressed_close(&file);
	return rc;
}

/* pcap in four byte orders and resolutions, its "modified" variant, and pcapng. */
static bool
is_capture(const uint8_t magic[static MAGIC_BYTES])
{
	static const uint32_t known[] = {0xa1b2c3d4, 0xd4c3b2a1, 0xa1b23c4d, 0x4d3cb2a1,
	    0xa1b2cd34, 0x34cdb2a1, 0x0a0d0d0a};

	for (unsigned i = 0; i < sizeof known / sizeof *known; i++) {
		if (load_u32(magic) == known[i]) {
			return true;
		}
	}
	return false;
}

/* A mark behind all messages: nothing waits any more. */
static int
end(struct import *m, struct err *e)
{
	static const char word[] = "end";
	const uint64_t position = process_position(m->process);
	const struct frame f = {.kind = FRAME_TICK,
	    .position = position,
	    .end = position + sizeof word - 1,
	    .payload = (const uint8_t *)word,
	    .length = sizeof word - 1};

	return process_frame(m->process, &f, e);
}

static int
run(struct import *m, struct err *e)
{
	struct err trouble;
	int rc, flushed;

	rc = process_resume(m->process, e);
	if (rc < 0) {
		return rc;
	}
	rc = is_capture(m->magic) ? import_capture(m, e) : import_messages(m, e);
	if (rc == 0) {
		rc = end(m, e);
	} else if (rc == -EPROTO || rc == -EBADMSG) {
		/* Damaged: it will be so the next time. */
		if (import_end(m, &trouble) == 0) {
			(void)end(m, &trouble);
		}
	}
	/* A file that breaks off: what came before is kept. */
	flushed = process_flush(m->process, rc == 0, &trouble);
	if (flushed < 0 && rc == 0) {
		*e = trouble;
		rc = flushed;
	}
	process_counts(m->process, &m->counts->process);
	if (m->has_drawn) {
		fputs("\r\033[K", stderr);
	}
	return rc;
}

/* Goes on behind the known beginning, unless this import has begun before. */
static int
go_on(struct import *m, struct err *e)
{
	struct store *store = m->settings->process.store;
	uint64_t complete = 0, pending = 0;
	int rc = store_progress(store, &m->content.id, &complete, &pending, e);

	if (rc < 0 || pending > 0) {
		return rc;
	}
	rc = store_progress(store, &m->known.id, &complete, &pending, e);
	if (rc < 0) {
		return rc;
	}
	if (pending > complete) {
		return err_set(e, -EBUSY,
		    "a crash interrupted its import when it had %llu bytes; import a copy "
		    "cut to that length first, then this file again",
		    (unsigned long long)m->known.length);
	}
	return store_content_continue(store, &m->known, &m->content.id, e);
}

/* Where the file begins with what was imported before, it adds only what is new.  The
 * longest content known by its name tells whether it has changed otherwise. */
static int
begin(struct import *m, struct err *e)
{
	struct store *store = m->settings->process.store;
	char name[PATH_MAX];
	uint64_t named = 0;
	int rc;

	if (realpath(m->path, name) == NULL) {
		return err_set(
		    e, -errno, "cannot read %s: %s", m->path, strerror(errno));
	}
	rc = store_content_named(store, name, &named, e);
	if (m->known.length == m->content.length) { /* it is itself, interrupted */
		m->known.length = 0;
		named = named > m->content.length ? named : 0;
	}
	if (rc == 0 && m->known.length > 0) {
		rc = go_on(m, e);
	}
	if (rc == 0) {
		rc = store_content_add(store, &m->content, name, e);
	}
	m->counts->known = m->known.length;
	m->counts->changed = named > m->known.length ? named : 0;
	return rc;
}

int
import_file(const char *path, const struct import_settings *s,
    struct import_counts *ret, struct err *e)
{
	struct import m = {.path = path, .settings = s, .counts = ret};
	const char *slash = strrchr(path, '/');
	int rc;

	*ret = (struct import_counts){0};
	m.name = slash == NULL ? path : slash + 1;
	rc = read_identity(&m, e);
	if (rc < 0) {
		return rc;
	}
	if (store_is_finished(s->process.store, &m.content.id)) {
		ret->is_already = true;
		return 0;
	}
	m.begin_ns = m.drawn_ns = clock_monotonic_ns();
	rc = begin(&m, e);
	if (rc == 0) {
		rc = process_new(&s->process, &m.content.id, &m.process, e);
	}
	if (rc == 0) {
		rc = run(&m, e);
	}
	process_free(m.process);
	return rc < 0 ? err_prefix(e, rc, "%s", path) : 0;
}
