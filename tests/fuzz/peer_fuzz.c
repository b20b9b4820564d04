/* A plain peer's stream in any pieces, through a real socket and a real journal.  The
 * first byte says how many of the next are piece lengths, used in turn; the rest is the
 * stream.  From 128 on it begins with the hello of an exporter with a spool.  However
 * it is cut: the frames between open and close are its whole messages, as a walk over
 * the complete stream finds them, and the close says why it ended. */
#include <dirent.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "collector/door/peer.h"
#include "common/base/log.h"
#include "common/ipfix/message.h"
#include "common/transport/scheme.h"
#include "common/transport/transport_tcp.h"

#define RUNS_A_JOURNAL 1000

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length);

static char directory[64];
static struct intake intake;

static void
drop_journal(void)
{
	DIR *d = opendir(directory);
	struct dirent *entry;

	journal_close(intake.journal);
	intake.journal = NULL;
	while (d != NULL && (entry = readdir(d)) != NULL) {
		unlinkat(dirfd(d), entry->d_name, 0);
	}
	closedir(d);
	rmdir(directory);
}

/* A journal keeps what it is given, so there is a new one now and then. */
static void
make_journal(void)
{
	static unsigned runs;
	struct journal_settings s = {
	    .directory = directory, .segment_bytes = 4 << 20, .max_bytes = 1 << 30};

	if (runs++ % RUNS_A_JOURNAL != 0) {
		return;
	}
	if (intake.journal != NULL) {
		drop_journal();
	} else {
		intake.out = ring_new(16);
		log_set_level(LOG_ERROR);
		atexit(drop_journal);
	}
	strcpy(directory, "/tmp/flowpair-peer-fuzz-XXXXXX");
	if (mkdtemp(directory) == NULL || journal_open(&s, &intake.journal, NULL) < 0) {
		abort();
	}
}

/* What the frames hold must be the first n bytes of the stream. */
static void
check_frames(const uint8_t *stream, size_t n, bool is_in_order)
{
	struct journal_buffer *b;
	size_t at = 0;
	bool is_closed = false;

	if (!intake_pass(&intake)) {
		abort();
	}
	while ((b = ring_pop(intake.out, 0)) != NULL) {
		struct frame f;
		size_t next = 0;
		while (journal_buffer_next(b, &next, &f) == 1) {
			if (f.kind == FRAME_CLOSE) {
				is_closed = true;
				if ((f.length == 0) != is_in_order) {
					abort();
				}
			} else if (f.kind == FRAME_MESSAGES) {
				if (f.length == 0 || f.length > n - at ||
				    memcmp(stream + at, f.payload, f.length) != 0) {
					abort();
				}
				at += f.length;
			}
		}
		journal_buffer_return(intake.journal, b);
	}
	if (at != n || !is_closed) {
		abort();
	}
}

static enum peer_next
step_until_quiet(struct peer *p, size_t budget)
{
	enum peer_next next;
	struct err e;

	do {
		next = peer_step(p, &intake, budget, &e);
	} while (next == PEER_AGAIN || (next == PEER_STUCK && intake_pass(&intake)));
	return next;
}

static void
check_numbers(const struct peer *p, const struct delivery_hello *h)
{
	uint64_t numbered = p->messages > h->preamble ? p->messages - h->preamble : 0;

	if (p->mark == NULL || p->mark->next != h->first + numbered ||
	    p->mark->next != p->number) {
		abort();
	}
}

static void
finish(struct peer *p)
{
	peer_leave(p, 1);
	peer_free(p);
	watermarks_free(intake.marks);
	intake.marks = NULL;
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
	size_t pieces = length > 0 ? bytes[0] % 8 : 0, whole = 0, at = 0;
	const uint8_t *stream = bytes + 1 + pieces;
	enum peer_next next = PEER_WAITS;
	bool has_spool = length > 0 && bytes[0] >= 128, is_turned;
	struct delivery_hello hello;
	struct transport t = {.peer.text = "192.0.2.1:5"};
	struct peer *p;
	size_t n, turn = 0;
	uint8_t words[64];
	int ends[2], rc;

	if (length < 1 + pieces) {
		return 0;
	}
	n = length - 1 - pieces;
	is_turned = has_spool &&
		    (n < DELIVERY_HELLO || delivery_read_hello(stream, &hello) < 0);
	whole = has_spool && !is_turned ? DELIVERY_HELLO : 0;
	while ((rc = message_length(stream + whole, n - whole)) > 0 &&
	       (size_t)rc <= n - whole) {
		whole += (size_t)rc;
	}
	make_journal();
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends) < 0) {
		abort();
	}
	transport_tcp_take(&t, ends[0]);
	p = peer_new(&t);
	if (p == NULL) {
		abort();
	}
	if (has_spool) {
		intake.marks = watermarks_new(1);
		p->state = PEER_GREETING;
	}
	while (at < n && next == PEER_WAITS) {
		size_t piece = pieces > 0 ? 1 + bytes[1 + turn++ % pieces] * 17u : n;
		ssize_t put =
		    send(ends[1], stream + at, piece < n - at ? piece : n - at, 0);
		if (put <= 0) {
			abort();
		}
		at += (size_t)put;
		next = step_until_quiet(p, 1 + bytes[0] * 33u);
	}
	/* What it was told is read first: else its end would be a reset. */
	while (recv(ends[1], words, sizeof words, 0) > 0) {
	}
	close(ends[1]);
	if (next == PEER_WAITS) {
		next = step_until_quiet(p, 1 << 20);
	}
	if (is_turned) {
		if (next != PEER_REFUSED || p->turn != PEER_BAD_HELLO) {
			abort();
		}
		finish(p);
		return 0;
	}
	if (next != (whole == n ? PEER_SYNCED : PEER_GONE) ||
	    p->is_foreign != (rc < 0)) {
		abort();
	}
	if (has_spool) {
		check_numbers(p, &hello);
		stream += DELIVERY_HELLO;
		whole -= DELIVERY_HELLO;
		n -= DELIVERY_HELLO;
	}
	check_frames(stream, whole, whole == n);
	finish(p);
	return 0;
}
