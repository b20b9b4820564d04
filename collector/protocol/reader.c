#include "collector/protocol/reader.h"

#include <stdlib.h>

#include "collector/protocol/nsel.h"
#include "collector/protocol/packet_section.h"

static enum reader_kind
kind_of(const struct template *t)
{
	return packet_section_is(t) ? READER_PACKETS
	       : nsel_is(t)         ? READER_EVENTS
				    : READER_FLOWS;
}

static void
reader_free(void *reader)
{
	struct reader *r = reader;

	if (r->plans != NULL) {
		r->plans_free(r->plans);
	}
	free(r);
}

struct reader *
reader_of(struct template *t)
{
	struct reader *r = t->reader;

	if (r == NULL) {
		r = calloc(1, sizeof *r);
		if (r == NULL) {
			return NULL;
		}
		r->kind = kind_of(t);
		t->reader = r;
		t->reader_free = reader_free;
	}
	return r;
}

enum reader_kind
reader_kind(struct template *t)
{
	const struct reader *r = reader_of(t);

	return r != NULL ? r->kind : kind_of(t);
}
