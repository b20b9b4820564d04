#include "collector/import/import.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "collector/import/import_private.h"
#include "common/base/clock.h"
#include "common/base/cursor.h"
#include "common/capture/compressed.h"
#include "common/tls/tls.h"

#define CHUNK       65536u
#define MAGIC_BYTES 4u

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

/* The identity of a file: its unpacked content.  Also its first bytes. */
static int
read_identity(const char *path, struct source_id *ret,
    uint8_t magic[static MAGIC_BYTES], uint64_t *ret_size, struct err *e)
{
	uint8_t digest[32], chunk[CHUNK];
	struct digest *d = NULL;
	struct compressed file;
	struct stat st;
	size_t n, all = 0;
	int rc;

	if (strcmp(path, "-") == 0 || (stat(path, &st) == 0 && !S_ISREG(st.st_mode))) {
		return err_set(e, -EINVAL,
		    "%s is no regular file: an import must be able to read it twice, "
		    "to know it by its content",
		    strcmp(path, "-") == 0 ? "standard input" : path);
	}
	rc = compressed_open(path, &file, e);
	if (rc < 0) {
		return rc;
	}
	d = digest_new();
	if (d == NULL) {
		rc = err_set(e, -ENOMEM, "no memory to read %s", path);
		goto out;
	}
	memset(magic, 0, MAGIC_BYTES);
	while ((n = fread(chunk, 1, sizeof chunk, file.stream)) > 0) {
		if (all == 0) {
			memcpy(magic, chunk, n < MAGIC_BYTES ? n : MAGIC_BYTES);
		}
		all += n;
		digest_add(d, chunk, n);
	}
	if (ferror(file.stream)) {
		const char *why = compressed_error(&file);
		rc = err_set(e, -EIO, "cannot read %s: %s", path,
		    why == NULL ? strerror(errno) : why);
	}
	digest_end(d, digest);
	for (unsigned i = 0; i < sizeof digest; i++) {
		snprintf(ret->text + 2 * i, 3, "%02x", digest[i]);
	}
	*ret_size = file.size;
out:
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

/* Nothing of this file ever comes behind this, which no message's place is. */
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
run(struct import *m, bool from_capture, struct err *e)
{
	struct err trouble;
	int rc, flushed;

	rc = process_resume(m->process, e);
	if (rc < 0) {
		return rc;
	}
	rc = from_capture ? import_capture(m, e) : import_messages(m, e);
	if (rc == 0) {
		rc = end(m, e);
	} else if (rc == -EPROTO) { /* damaged: it will be so the next time */
		(void)end(m, &trouble);
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

int
import_file(const char *path, const struct import_settings *s,
    struct elements *elements, struct tables *tables, struct store *store,
    struct import_counts *ret, struct err *e)
{
	struct import m = {.path = path, .settings = s, .counts = ret};
	uint8_t magic[MAGIC_BYTES];
	struct source_id id = {""};
	const char *slash;
	int rc;

	*ret = (struct import_counts){0};
	slash = strrchr(path, '/');
	m.name = slash == NULL ? path : slash + 1;
	rc = read_identity(path, &id, magic, &m.size, e);
	if (rc < 0) {
		return rc;
	}
	if (store_is_finished(store, &id)) {
		ret->is_already = true;
		return 0;
	}
	m.begin_ns = m.drawn_ns = clock_monotonic_ns();
	rc =
	    process_new(&s->process, elements, tables, store, &id, NULL, &m.process, e);
	if (rc < 0) {
		return rc;
	}
	rc = run(&m, is_capture(magic), e);
	process_free(m.process);
	return rc < 0 ? err_prefix(e, rc, "%s", path) : 0;
}
