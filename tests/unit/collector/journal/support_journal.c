#include "tests/unit/collector/journal/support_journal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "collector/journal/segment.h"
#include "tests/unit/common/base/support_directory.h"

struct journal_settings scratch;

int
scratch_set_up(void **state)
{
	(void)state;
	scratch = (struct journal_settings){.directory = support_directory(),
	    .segment_bytes = 4 << 20,
	    .max_bytes = 64 << 20};
	return 0;
}

struct journal *
scratch_try(bool skip_damage, struct err *e)
{
	struct journal *j = NULL;

	scratch.skip_damage = skip_damage;
	(void)journal_open(&scratch, &j, e);
	return j;
}

struct journal *
scratch_open(void)
{
	struct err e = {""};
	struct journal *j = scratch_try(false, &e);

	if (j == NULL) {
		fail_msg("%s", e.text);
	}
	return j;
}

void
scratch_add(struct journal *j, uint32_t session, size_t n, int value)
{
	const struct frame f = {.kind = FRAME_MESSAGES,
	    .session = session,
	    .arrival_ns = 1000 + session,
	    .length = n};
	size_t room;
	uint8_t *p = journal_reserve(j, &room);

	assert_non_null(p);
	assert_true(room >= n);
	memset(p, value, n);
	assert_int_equal(journal_commit(j, &f, NULL), 0);
}

int
scratch_try_write(struct journal *j)
{
	struct journal_buffer *b = NULL;
	struct err e = {""};
	int rc = journal_write(j, &b, &e);

	journal_buffer_return(j, b);
	return rc;
}

void
scratch_write(struct journal *j)
{
	assert_int_equal(scratch_try_write(j), 0);
}

void
scratch_sync(struct journal *j)
{
	assert_int_equal(journal_sync(j, journal_end(j), NULL), 0);
}

int
scratch_see(const struct frame *f, void *data)
{
	struct scratch_seen *s = data;

	if (s->frames == 0) {
		s->first = f->position;
	}
	if (f->position < s->last_end || f->kind == FRAME_PAD) {
		s->is_wrong = true;
	}
	for (size_t i = 1; i < f->length; i++) {
		s->is_wrong = s->is_wrong || f->payload[i] != f->payload[0];
	}
	s->frames++;
	s->bytes += f->length;
	s->last_end = f->end;
	s->last_session = f->session;
	s->last_value = f->length > 0 ? f->payload[0] : 0;
	return 0;
}

struct scratch_seen
scratch_replay(struct journal *j, uint64_t from)
{
	struct scratch_seen s = {0};
	struct err e = {""};

	if (journal_replay(j, from, &(struct frame_sink){scratch_see, &s}, &e) < 0) {
		fail_msg("%s", e.text);
	}
	assert_false(s.is_wrong);
	return s;
}

void
scratch_path(uint64_t start, char out[static 128])
{
	snprintf(out, 128, "%s/%016" PRIx64 ".journal", scratch.directory, start);
}

void
scratch_cut(uint64_t start, uint64_t position)
{
	char path[128];

	scratch_path(start, path);
	assert_int_equal(
	    truncate(path, (off_t)(SEGMENT_BLOCK + (position - start))), 0);
}

void
scratch_fill(struct journal *j, unsigned frames, bool save_states)
{
	for (unsigned i = 0; i < frames; i++) {
		uint64_t start;
		char path[128];
		scratch_add(j, 1, 900000, 'a' + (int)(i % 20));
		scratch_write(j);
		start = journal_segment_start(j, journal_end(j));
		journal_state_path(j, start, path, sizeof path);
		if (save_states) {
			close(open(path, O_CREAT | O_WRONLY, 0600));
		}
	}
}
