#include "common/sctp_user/sctp_user_places.h"

#include <string.h>

#include "common/base/cursor.h"
#include "common/base/endpoint.h"

/* RFC 9260 sections 3.1, 3.2, 3.3.2 and 3.3.7. */
#define CHUNK_INIT   1
#define CHUNK_ABORT  6
#define CHUNK_HEADER 4u
#define CHECKSUM     4u /* bytes */

static struct sctp_user_place *places;

void
sctp_user_place_open(struct sctp_user_place *p)
{
	p->next = places;
	places = p;
}

void
sctp_user_place_close(struct sctp_user_place *p)
{
	for (struct sctp_user_place **at = &places; *at != NULL; at = &(*at)->next) {
		if (*at == p) {
			*at = p->next;
			return;
		}
	}
}

static bool
is_same_host(const struct sockaddr_storage *a, const struct sockaddr_storage *b)
{
	struct endpoint x, y;

	endpoint_from_sockaddr(a, &x);
	endpoint_from_sockaddr(b, &y);
	return memcmp(&x.address, &y.address, sizeof x.address) == 0;
}

static bool
has(const struct sctp_user_place *p, const struct sockaddr_storage *host)
{
	bool is_there = p->hosts == 0;

	for (unsigned i = 0; i < p->hosts && !is_there; i++) {
		is_there = is_same_host(&p->host[i], host);
	}
	return is_there;
}

/* The library itself refuses ports that are not listened at. */
static bool
is_elsewhere(uint16_t port, const struct sockaddr_storage *local)
{
	bool is_known = false;

	for (const struct sctp_user_place *p = places; p != NULL; p = p->next) {
		if (p->port == port && has(p, local)) {
			return false;
		}
		is_known |= p->port == port;
	}
	return is_known;
}

bool
sctp_user_place_refuses(const struct sockaddr_storage *local, const uint8_t *packet,
    size_t n, uint8_t ret[static SCTP_USER_PLACE_REFUSAL])
{
	struct cursor c = cursor_of(packet, n);
	uint16_t from = cursor_u16(&c), to = cursor_u16(&c);
	uint32_t tag;

	cursor_take(&c, sizeof tag + CHECKSUM); /* an INIT has tag 0 */
	if (cursor_u8(&c) != CHUNK_INIT) {
		return false;
	}
	cursor_take(&c, CHUNK_HEADER - 1);
	tag = cursor_u32(&c); /* of what its sender wants to hear */
	if (c.failed || !is_elsewhere(to, local)) {
		return false;
	}
	memset(ret, 0, SCTP_USER_PLACE_REFUSAL);
	store_u16(ret, to);
	store_u16(ret + 2, from);
	store_u32(ret + 4, tag);
	ret[12] = CHUNK_ABORT;
	store_u16(ret + 14, CHUNK_HEADER);
	return true;
}
