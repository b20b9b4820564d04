/* A capture to measure with: CONVERSATIONS conversations spread over SECONDS, the same
 * bytes for the same seed.  A mix as on an access link: name look-ups, short and long
 * TCP with handshake and close, UDP streams; one in six over IPv6; many clients, few
 * popular servers.  Writes classic pcap by hand, so it needs no library.
 *	generate OUT.pcap CONVERSATIONS SECONDS SEED */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ETHERNET    14u
#define SEGMENT     536u
#define START       1700000000ULL
#define MOST_EVENTS 300u /* packets of one conversation */

enum kind { LOOK_UP, SHORT_TCP, LONG_TCP, STREAM };

struct conversation {
	enum kind kind;
	bool is_ipv6;
	uint32_t client, server, packets;
	uint16_t client_port, server_port;
};

struct event {
	uint64_t at_us;
	uint32_t conversation, index;
};

static uint64_t state;

static uint32_t
draw(uint32_t below)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return (uint32_t)((state * 0x2545F4914F6CDD1DULL >> 32) % below);
}

static void
put16(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static void
put32(uint8_t *p, uint32_t v)
{
	put16(p, v >> 16);
	put16(p + 2, v);
}

static struct conversation
draw_conversation(void)
{
	static const uint16_t ports[] = {443, 443, 443, 80, 22, 25, 8080, 993};
	uint32_t percent = draw(100), popular = draw(8000);
	struct conversation c = {.is_ipv6 = draw(6) == 0,
	    .client = draw(UINT32_MAX),
	    .client_port = (uint16_t)(1024 + draw(64000))};

	c.server = popular / 20 * (popular / 20) / 20; /* low numbers more often */
	c.kind = percent < 28   ? LOOK_UP
		 : percent < 55 ? SHORT_TCP
		 : percent < 80 ? LONG_TCP
				: STREAM;
	c.server_port = c.kind == LOOK_UP  ? 53
			: c.kind == STREAM ? (uint16_t)(443 + draw(3) * 1000)
					   : ports[draw(8)];
	switch (c.kind) {
	case LOOK_UP:
		c.packets = 2;
		break;
	case SHORT_TCP:
		c.packets = 8 + draw(8);
		break;
	case LONG_TCP:
		c.packets = draw(10) == 0 ? 50 + draw(MOST_EVENTS - 50) : 10 + draw(20);
		break;
	case STREAM:
		c.packets = 1 + draw(12);
		break;
	}
	return c;
}

/* Flags and payload of packet i, and who sends it. */
static uint32_t
shape(const struct conversation *c, uint32_t i, uint8_t *flags, bool *is_reverse)
{
	*flags = 0;
	*is_reverse = i % 2 == 1;
	if (c->kind == LOOK_UP) {
		return i == 0 ? 35 : 120;
	}
	if (c->kind == STREAM) {
		*is_reverse = i % 3 == 1;
		return 60 + (c->client + i * 37) % 300;
	}
	*flags = i == 0 ? 0x02 : i == 1 ? 0x12 : 0x10;
	if (i + 3 == c->packets || i + 2 == c->packets) {
		*flags = 0x11;
	}
	if (i < 3 || i + 3 >= c->packets) {
		return 0;
	}
	*flags = 0x18;
	*is_reverse = i % 3 != 0;
	return i % 3 == 2 ? SEGMENT : i % 4 == 0 ? 0 : 80 + (c->client ^ i) % 300;
}

/* The frame of packet i; how long it is. */
static uint32_t
build(const struct conversation *c, uint32_t i, uint8_t *frame)
{
	bool is_tcp = c->kind == SHORT_TCP || c->kind == LONG_TCP, is_reverse;
	uint8_t flags;
	uint32_t payload = shape(c, i, &flags, &is_reverse);
	uint32_t header = is_tcp ? 20 : 8, ip = c->is_ipv6 ? 40 : 20;
	uint32_t ends[2] = {c->client, c->server};
	uint16_t ports[2] = {c->client_port, c->server_port};
	uint8_t *at = frame + ETHERNET;

	memset(frame, 0, ETHERNET + 60);
	put16(frame + 12, c->is_ipv6 ? 0x86dd : 0x0800);
	if (c->is_ipv6) {
		at[0] = 0x60;
		put16(at + 4, header + payload);
		at[6] = is_tcp ? 6 : 17;
		at[7] = 64;
		for (unsigned j = 0; j < 2; j++) {
			put32(at + 8 + 16 * j, 0x20010db8);
			put32(at + 20 + 16 * j, ends[j ^ is_reverse]);
			at[13 + 16 * j] = (uint8_t)(j ^ is_reverse);
		}
	} else {
		at[0] = 0x45;
		put16(at + 2, ip + header + payload);
		at[8] = is_reverse ? 57 : 64;
		at[9] = is_tcp ? 6 : 17;
		put32(at + 12 + 4 * is_reverse, 0x0a000000 | c->client >> 8);
		put32(at + 12 + 4 * !is_reverse, 0xc6120000 | c->server);
	}
	at += ip;
	put16(at, ports[is_reverse]);
	put16(at + 2, ports[!is_reverse]);
	if (is_tcp) {
		put32(at + 4, c->client + i * SEGMENT);
		at[12] = 0x50;
		at[13] = flags;
	} else {
		put16(at + 4, header + payload);
	}
	return ETHERNET + ip + header + payload;
}

static int
earlier(const void *a, const void *b)
{
	const struct event *x = a, *y = b;

	if (x->at_us != y->at_us) {
		return x->at_us < y->at_us ? -1 : 1;
	}
	if (x->conversation != y->conversation) {
		return x->conversation < y->conversation ? -1 : 1;
	}
	return x->index < y->index ? -1 : x->index > y->index;
}

/* Times of one conversation's packets: three in four long-lived ones are stretched over
 * half of the capture or more. */
static struct event *
schedule(
    const struct conversation *c, uint32_t number, uint64_t length_us, struct event *to)
{
	bool is_stretched = c->packets > 3 && draw(4) > 0;
	uint64_t span = is_stretched ? length_us / 2 + draw((uint32_t)(length_us / 2))
				     : 1 + draw(4000000);
	uint64_t at;

	span = span < length_us ? span : length_us / 2;
	at = draw((uint32_t)(length_us - span));
	for (uint32_t i = 0; i < c->packets; i++) {
		*to++ = (struct event){at, number, i};
		at += 1 + draw((uint32_t)(2 * span / c->packets) + 1);
	}
	return to;
}

static int
write_capture(const char *path, const struct conversation *list,
    const struct event *events, size_t count)
{
	static const uint32_t head[6] = {0xa1b2c3d4, 4 << 16 | 2, 0, 0, 65535, 1};
	static uint8_t frame[ETHERNET + 60 + SEGMENT + 1200];
	FILE *out = fopen(path, "wb");

	if (out == NULL) {
		return -1;
	}
	fwrite(head, sizeof head, 1, out);
	for (size_t i = 0; i < count; i++) {
		const struct event *e = &events[i];
		uint32_t n = build(&list[e->conversation], e->index, frame);
		uint32_t record[4] = {(uint32_t)(START + e->at_us / 1000000),
		    (uint32_t)(e->at_us % 1000000), n, n};
		fwrite(record, sizeof record, 1, out);
		fwrite(frame, n, 1, out);
	}
	return fclose(out);
}

int
main(int argc, char **argv)
{
	uint32_t n = argc == 5 ? (uint32_t)strtoul(argv[2], NULL, 10) : 0;
	uint64_t length_us = argc == 5 ? strtoull(argv[3], NULL, 10) * 1000000 : 0;
	struct conversation *list = calloc(n + 1, sizeof *list);
	size_t count = 0;
	struct event *events, *end;

	if (n == 0 || length_us == 0 || length_us > UINT32_MAX || list == NULL) {
		fprintf(
		    stderr, "usage: generate OUT.pcap CONVERSATIONS SECONDS SEED\n");
		return 2;
	}
	state = strtoull(argv[4], NULL, 10) * 0x9E3779B97F4A7C15ULL + 1;
	for (uint32_t i = 0; i < n; i++) {
		list[i] = draw_conversation();
		count += list[i].packets;
	}
	events = end = malloc(count * sizeof *events);
	if (events == NULL) {
		return 1;
	}
	for (uint32_t i = 0; i < n; i++) {
		end = schedule(&list[i], i, length_us, end);
	}
	qsort(events, count, sizeof *events, earlier);
	if (write_capture(argv[1], list, events, count) != 0) {
		perror(argv[1]);
		return 1;
	}
	printf("%zu packets\n", count);
	free(events);
	free(list);
	return 0;
}
