/* Sequence numbers count for each session, domain and stream (RFC 7011 section 3.1).
 * Nearly all peers use stream 0 only, which is part of the domain. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "collector/session/session_private.h"

/* The index of the first stream whose number is not less. */
static unsigned
stream_place(const struct domain *d, uint16_t number)
{
	unsigned low = 0, high = d->stream_count;

	while (low < high) {
		unsigned middle = low + (high - low) / 2;
		if (d->streams[middle].number < number) {
			low = middle + 1;
		} else {
			high = middle;
		}
	}
	return low;
}

static int
add_stream(struct sessions *s, struct domain *d, unsigned at, uint16_t number)
{
	struct stream *more;

	if (d->stream_count >= DOMAIN_STREAMS_MAX ||
	    s->streams >= SESSION_STREAMS_MAX) {
		return -ENOSPC;
	}
	more = realloc(d->streams, (d->stream_count + 1) * sizeof *more);
	if (more == NULL) {
		return -ENOMEM;
	}
	d->streams = more;
	memmove(more + at + 1, more + at, (d->stream_count - at) * sizeof *more);
	more[at] = (struct stream){.number = number};
	d->stream_count++;
	s->streams++;
	return 0;
}

int
domain_sequence(
    struct sessions *s, struct domain *d, uint16_t stream, struct sequence **ret)
{
	unsigned at;
	int rc = 0;

	if (stream == 0) {
		*ret = &d->sequence;
		return 0;
	}
	at = stream_place(d, stream);
	if (at == d->stream_count || d->streams[at].number != stream) {
		rc = add_stream(s, d, at, stream);
	}
	if (rc == 0) {
		*ret = &d->streams[at].sequence;
	}
	return rc;
}

uint64_t
domain_end_sequences(struct sessions *s, struct domain *d)
{
	uint64_t lost = sequence_end(&d->sequence);

	for (unsigned i = 0; i < d->stream_count; i++) {
		lost += sequence_end(&d->streams[i].sequence);
	}
	s->streams -= d->stream_count;
	free(d->streams);
	d->streams = NULL;
	d->stream_count = 0;
	return lost;
}
