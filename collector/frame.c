#include "collector/frame.h"

#include <errno.h>
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

size_t
session_identity_write(const struct session_identity *s, char *out, size_t capacity)
{
	struct session_identity clean;
	char port[16] = "";
	int n;

	copy_line(clean.transport, sizeof clean.transport, s->transport,
	    sizeof s->transport - 1);
	copy_line(clean.peer, sizeof clean.peer, s->peer, sizeof s->peer - 1);
	copy_line(
	    clean.identity, sizeof clean.identity, s->identity, sizeof s->identity - 1);
	if (s->port != 0) {
		snprintf(port, sizeof port, "port=%u\n", (unsigned)s->port);
	}
	n = snprintf(out, capacity, "transport=%s\npeer=%s\nidentity=%s\n%s",
	    clean.transport, clean.peer, clean.identity, port);
	return n < 0 || (size_t)n >= capacity ? 0 : (size_t)n;
}

/* 0: no port. */
static uint16_t
read_port(const char *text, size_t length)
{
	unsigned n = 0;

	for (size_t i = 0; i < length; i++) {
		if (text[i] < '0' || text[i] > '9') {
			return 0;
		}
		n = 10 * n + (unsigned)(text[i] - '0');
		if (n > UINT16_MAX) {
			return 0;
		}
	}
	return (uint16_t)n;
}

static void
read_pair(const char *line, size_t length, struct session_identity *s)
{
	const char *equals = memchr(line, '=', length);
	size_t key, left;

	if (equals == NULL) {
		return;
	}
	key = (size_t)(equals - line);
	left = length - key - 1;
	if (key == 9 && memcmp(line, "transport", key) == 0) {
		copy_line(s->transport, sizeof s->transport, equals + 1, left);
	} else if (key == 4 && memcmp(line, "peer", key) == 0) {
		copy_line(s->peer, sizeof s->peer, equals + 1, left);
	} else if (key == 8 && memcmp(line, "identity", key) == 0) {
		copy_line(s->identity, sizeof s->identity, equals + 1, left);
	} else if (key == 4 && memcmp(line, "port", key) == 0) {
		s->port = read_port(equals + 1, left);
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
	if (s.transport[0] == '\0' || s.peer[0] == '\0') {
		return -EINVAL;
	}
	*ret = s;
	return 0;
}
