#include "collector/journal/frame.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* Names come from certificates and sockets: a line break would forge another key. */
static void
copy_line(char *out, size_t capacity, const char *text, size_t length)
{
	size_t n = 0;

	while (n < length && n + 1 < capacity && text[n] != '\0') {
		unsigned char c = (unsigned char)text[n];
		out[n] = c < 0x20 || c == 0x7f ? '?' : (char)c;
		n++;
	}
	out[n] = '\0';
}

/* Returns the length of all; capacity or more: it did not fit. */
static size_t
write_delivery(const struct session_delivery *d, char *out, size_t capacity, size_t at)
{
	char spool[2 * sizeof d->spool + 1];
	int n;

	for (unsigned i = 0; i < sizeof d->spool; i++) {
		snprintf(spool + 2 * i, 3, "%02x", d->spool[i]);
	}
	n = snprintf(out + at, capacity - at,
	    "spool=%s\nfirst=%" PRIu64 "\nstart=%" PRIu64 "\npreamble=%" PRIu32
	    "\nlost_messages=%" PRIu64 "\nlost_records=%" PRIu64 "\n",
	    spool, d->first, d->start, d->preamble, d->lost_messages, d->lost_records);
	return n < 0 ? capacity : at + (size_t)n;
}

/* As above. */
static size_t
write_roster(const struct session_identity *s, char *out, size_t capacity, size_t at)
{
	char name[sizeof s->name], domains[sizeof s->domains];
	int n;

	copy_line(name, sizeof name, s->name, sizeof s->name - 1);
	copy_line(domains, sizeof domains, s->domains, sizeof s->domains - 1);
	n = snprintf(out + at, capacity - at, "%s%s%s%s%s%s",
	    name[0] == '\0' ? "" : "name=", name, name[0] == '\0' ? "" : "\n",
	    domains[0] == '\0' ? "" : "domains=", domains,
	    domains[0] == '\0' ? "" : "\n");
	return n < 0 ? capacity : at + (size_t)n;
}

size_t
session_identity_write(const struct session_identity *s, char *out, size_t capacity)
{
	char transport[sizeof s->transport], identity[sizeof s->identity];
	char peer[sizeof s->peer_name], port[16] = "";
	size_t length;
	int n;

	copy_line(transport, sizeof transport, s->transport, sizeof s->transport - 1);
	copy_line(identity, sizeof identity, s->identity, sizeof s->identity - 1);
	copy_line(peer, sizeof peer, s->peer_name, sizeof s->peer_name - 1);
	if (peer[0] == '\0') {
		endpoint_format(&s->peer, peer);
	}
	if (s->port != 0) {
		snprintf(port, sizeof port, "port=%u\n", (unsigned)s->port);
	}
	n = snprintf(out, capacity, "transport=%s\npeer=%s\nidentity=%s\n%s", transport,
	    peer, identity, port);
	length = n < 0 ? capacity : (size_t)n;
	if (s->delivery.is_on && length < capacity) {
		length = write_delivery(&s->delivery, out, capacity, length);
	}
	if (length < capacity) {
		length = write_roster(s, out, capacity, length);
	}
	return length < capacity ? length : 0;
}

/* Digits of a base, and nothing else. */
static bool
read_number(const char *text, size_t length, unsigned base, uint64_t *ret)
{
	uint64_t v = 0;

	for (size_t i = 0; i < length; i++) {
		unsigned digit = base;
		if (text[i] >= '0' && text[i] <= '9') {
			digit = (unsigned)(text[i] - '0');
		} else if (text[i] >= 'a' && text[i] <= 'f') {
			digit = (unsigned)(text[i] - 'a') + 10;
		}
		if (digit >= base || v > (UINT64_MAX - digit) / base) {
			return false;
		}
		v = v * base + digit;
	}
	*ret = v;
	return length > 0;
}

static bool
read_spool(const char *text, size_t length, struct session_delivery *d)
{
	uint64_t byte;

	if (length != 2 * sizeof d->spool) {
		return false;
	}
	for (unsigned i = 0; i < sizeof d->spool; i++) {
		if (!read_number(text + 2 * i, 2, 16, &byte)) {
			return false;
		}
		d->spool[i] = (uint8_t)byte;
	}
	return true;
}

static void
read_delivery(const char *key, size_t length, const char *value, size_t n,
    struct session_delivery *d)
{
	uint64_t preamble;

	if (length == 5 && memcmp(key, "spool", length) == 0) {
		d->is_on = read_spool(value, n, d);
	} else if (length == 5 && memcmp(key, "first", length) == 0) {
		(void)read_number(value, n, 10, &d->first);
	} else if (length == 5 && memcmp(key, "start", length) == 0) {
		(void)read_number(value, n, 10, &d->start);
	} else if (length == 8 && memcmp(key, "preamble", length) == 0) {
		if (read_number(value, n, 10, &preamble) && preamble <= UINT32_MAX) {
			d->preamble = (uint32_t)preamble;
		}
	} else if (length == 13 && memcmp(key, "lost_messages", length) == 0) {
		(void)read_number(value, n, 10, &d->lost_messages);
	} else if (length == 12 && memcmp(key, "lost_records", length) == 0) {
		(void)read_number(value, n, 10, &d->lost_records);
	}
}

static void
read_pair(const char *line, size_t length, struct session_identity *s)
{
	const char *equals = memchr(line, '=', length);
	size_t key, left;
	uint64_t port;

	if (equals == NULL) {
		return;
	}
	key = (size_t)(equals - line);
	left = length - key - 1;
	if (key == 9 && memcmp(line, "transport", key) == 0) {
		copy_line(s->transport, sizeof s->transport, equals + 1, left);
	} else if (key == 4 && memcmp(line, "peer", key) == 0) {
		copy_line(s->peer_name, sizeof s->peer_name, equals + 1, left);
	} else if (key == 8 && memcmp(line, "identity", key) == 0) {
		copy_line(s->identity, sizeof s->identity, equals + 1, left);
	} else if (key == 4 && memcmp(line, "name", key) == 0) {
		copy_line(s->name, sizeof s->name, equals + 1, left);
	} else if (key == 7 && memcmp(line, "domains", key) == 0) {
		copy_line(s->domains, sizeof s->domains, equals + 1, left);
	} else if (key == 4 && memcmp(line, "port", key) == 0) {
		s->port = read_number(equals + 1, left, 10, &port) && port <= UINT16_MAX
			      ? (uint16_t)port
			      : 0;
	} else {
		read_delivery(line, key, equals + 1, left, &s->delivery);
	}
}

int
session_identity_read(const uint8_t *text, size_t length, struct session_identity *ret)
{
	struct session_identity s = {0};
	const char *at = (const char *)text, *end = at + length;

	while (at < end) {
		const char *stop = memchr(at, '\n', (size_t)(end - at));
		if (stop == NULL) {
			stop = end;
		}
		read_pair(at, (size_t)(stop - at), &s);
		at = stop + 1;
	}
	if (s.transport[0] == '\0' || s.peer_name[0] == '\0') {
		return -EINVAL;
	}
	if (strcmp(s.transport, "file") != 0 &&
	    endpoint_parse(s.peer_name, &s.peer) == 0) {
		s.peer_name[0] = '\0';
	}
	*ret = s;
	return 0;
}

const char *
session_identity_peer(const struct session_identity *s, char space[static ADDRESS_TEXT])
{
	if (s->peer_name[0] != '\0') {
		return s->peer_name;
	}
	address_format(&s->peer.address, space);
	return space;
}
