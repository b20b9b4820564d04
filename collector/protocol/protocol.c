#include "collector/protocol/protocol.h"

#include <assert.h>
#include <errno.h>

#include "collector/protocol/protocol_private.h"

#define PROTOCOLS_MAX 16u

/* The most frequent first. */
static const struct protocol *rows[PROTOCOLS_MAX + 1] = {
    &protocol_ipfix,
    &protocol_netflow9,
    &protocol_netflow5,
    &protocol_sflow5,
};

void
protocol_add(const struct protocol *p)
{
	unsigned n = 0;

	while (rows[n] != NULL) {
		n++;
	}
	assert(n < PROTOCOLS_MAX);
	rows[n] = p;
}

const struct protocol *
protocol_find(const uint8_t *bytes, size_t length)
{
	unsigned begins = length < 2 ? 0 : load_u16(bytes);

	for (unsigned i = 0; length >= 2 && rows[i] != NULL; i++) {
		const struct protocol *p = rows[i];
		if (p->begins == begins && (p->is == NULL || p->is(bytes, length))) {
			return p;
		}
	}
	return NULL;
}

const struct protocol *
protocol_numbered(uint16_t number)
{
	unsigned i = 0;

	while (rows[i] != NULL && rows[i]->number != number) {
		i++;
	}
	return rows[i];
}

int
protocol_read(const uint8_t *bytes, size_t length, const struct protocol **ret,
    struct protocol_header *ret_header)
{
	const struct protocol *p = protocol_find(bytes, length);

	if (p == NULL || p->read_header(bytes, length, ret_header) < 0) {
		return -EPROTO;
	}
	*ret = p;
	return 0;
}

int
protocol_length(const uint8_t *bytes, size_t available)
{
	const struct protocol *p = protocol_find(bytes, available);

	if (available < 4) {
		return 0;
	}
	return p == NULL ? -EPROTO : p->length(bytes, available);
}

/* What the message that begins here says itself; 0: it does not. */
static size_t
told_length(const uint8_t *bytes, size_t left)
{
	const struct protocol *p = protocol_find(bytes, left);
	int n = p != NULL && p->is_framed && left >= 4 ? p->length(bytes, left) : 0;

	return n < 0 ? 0 : (size_t)n;
}

size_t
protocol_next(const uint8_t *bytes, size_t left)
{
	size_t n = told_length(bytes, left);

	return n == 0 || n > left ? left : n;
}

bool
protocol_is_exact(const uint8_t *bytes, size_t length)
{
	return length > 0 && told_length(bytes, length) == length;
}
