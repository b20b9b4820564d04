/* A journal in a folder of its own, for tests: what is written to it and read back. */
#ifndef TESTS_COLLECTOR_JOURNAL_SUPPORT_JOURNAL_H
#define TESTS_COLLECTOR_JOURNAL_SUPPORT_JOURNAL_H

#include "collector/journal/journal.h"
#include "tests/unit/common/base/support_directory.h"

/* Segments of 4 MiB, 64 MiB in all; set up again for each test. */
extern struct journal_settings scratch;

int scratch_set_up(void **state);
#define SCRATCH_TEST(f)                                                                \
	cmocka_unit_test_setup_teardown(f, scratch_set_up, support_directory_end)

/* Ends the test where it is refused. */
struct journal *scratch_open(void);
/* NULL: refused, and e says why. */
struct journal *scratch_try(bool skip_damage, struct err *e);
/* One frame that carries n bytes of value, dated 1000 + session. */
void scratch_add(struct journal *j, uint32_t session, size_t n, int value);
/* Writes what was added, and gives the buffer back. */
int scratch_try_write(struct journal *j);
void scratch_write(struct journal *j);
void scratch_sync(struct journal *j);
/* Frames of 900000 bytes, a buffer each; their segments get empty states if wanted. */
void scratch_fill(struct journal *j, unsigned frames, bool save_states);

struct scratch_seen {
	unsigned frames;
	uint64_t first, last_end;
	uint64_t bytes;
	uint32_t last_session;
	uint8_t last_value;
	bool is_wrong; /* out of order, a pad, or not n times the same value */
};
/* For journal_replay(). */
int scratch_see(const struct frame *f, void *data);
struct scratch_seen scratch_replay(struct journal *j, uint64_t from);

/* Of the segment that begins there. */
void scratch_path(uint64_t start, char out[static 128]);
/* Takes away what the segment has from this position on. */
void scratch_cut(uint64_t start, uint64_t position);

#endif
