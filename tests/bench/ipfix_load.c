/* A bounded sender of IPFIX to this host, for tests/bench/collector.py:
 *   ipfix_load tcp|udp PORT RECORDS RATIO WINDOW RATE
 * RECORDS of 54 bytes, 26 a message, prebuilt.  Each 5-tuple comes exactly RATIO times;
 * WINDOW of them are alive at a time and come in turn, so that one repeats only after
 * all the others: the worst locality.  RATE: records a second, 0: as fast as they are
 * taken. Destinations are 7168 services, of which 70 % have ports below 1024.
 * Prints how many records a second it sent. */
#include <arpa/inet.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define RECORD   54
#define MESSAGE  26 /* records */
#define HEADER   20 /* of message and set */
#define SERVICES 7168
#define SECONDS  120 /* then it gives up */

static const uint16_t fields[][2] = {{8, 4}, {12, 4}, {7, 2}, {11, 2}, {4, 1}, {6, 1},
    {1, 8}, {2, 8}, {152, 8}, {153, 8}, {10, 4}, {14, 4}};

static void
put(uint8_t *p, uint64_t v, unsigned n)
{
	while (n > 0) {
		p[--n] = (uint8_t)v;
		v >>= 8;
	}
}

static double
now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* The k-th 5-tuple: different for every k below 2^32. */
static void
put_record(uint8_t *p, uint64_t k, uint64_t i, uint64_t start_ms)
{
	static const uint16_t ports[] = {
	    443, 80, 53, 22, 25, 123, 993, 3306, 8080, 5432};
	uint32_t mixed = (uint32_t)k * 2654435761u; /* odd: one to one */
	uint32_t service = (mixed ^ mixed >> 15) % SERVICES;
	uint64_t packets = 1 + i % 50;

	put(p, 0x0a000000 | mixed >> 15, 4);
	put(p + 4, 0xc0a80000 | service / 10, 4);
	put(p + 8, 1024 + (mixed & 0x7fff), 2);
	put(p + 10, ports[service % 10], 2);
	p[12] = 6;
	p[13] = 0x1b;
	put(p + 14, packets * (60 + i % 1400), 8);
	put(p + 22, packets, 8);
	put(p + 30, start_ms - i % 60000, 8);
	put(p + 38, start_ms - i % 60000 + i % 1000, 8);
	put(p + 46, 1 + i % 8, 4);
	put(p + 50, 1 + i % 4, 4);
}

/* The i-th record's key.  Where the window holds all keys they come in turn; else it
 * slides: with each new key come repetitions of those that were new WINDOW records ago,
 * twice that, and so on. */
static uint64_t
key_of(uint64_t i, uint64_t ratio, uint64_t window, uint64_t keys)
{
	if (window >= keys) {
		return i % keys;
	}
	return (i / ratio + ratio * keys - i % ratio * (window / ratio)) % keys;
}

static void
put_header(uint8_t *p, unsigned set, unsigned length, uint64_t sequence)
{
	put(p, 10, 2);
	put(p + 2, length, 2);
	put(p + 4, (uint64_t)time(NULL), 4);
	put(p + 8, sequence, 4);
	put(p + 12, 7, 4);
	put(p + 16, set, 2);
	put(p + 18, length - 16, 2);
}

static size_t
make_template(uint8_t *p)
{
	size_t n = sizeof fields / sizeof fields[0], length = HEADER + 4 + 4 * n;

	put_header(p, 2, (unsigned)length, 0);
	put(p + HEADER, 256, 2);
	put(p + HEADER + 2, n, 2);
	for (size_t i = 0; i < n; i++) {
		put(p + HEADER + 4 + 4 * i, fields[i][0], 2);
		put(p + HEADER + 6 + 4 * i, fields[i][1], 2);
	}
	return length;
}

static void
send_all(int fd, const uint8_t *p, size_t n)
{
	while (n > 0) {
		ssize_t sent = send(fd, p, n, MSG_NOSIGNAL);
		if (sent < 0 && errno == EINTR) {
			continue;
		}
		if (sent < 0) {
			perror("ipfix_load: send");
			exit(1);
		}
		p += sent;
		n -= (size_t)sent;
	}
}

static int
dial(int is_tcp, uint16_t port)
{
	struct sockaddr_in to = {.sin_family = AF_INET,
	    .sin_port = htons(port),
	    .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, is_tcp ? SOCK_STREAM : SOCK_DGRAM, 0), size = 4 << 20;

	setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
	if (connect(fd, (const struct sockaddr *)&to, sizeof to) < 0) {
		perror("ipfix_load: connect");
		exit(1);
	}
	return fd;
}

static void
pace(double begin, uint64_t sent, double rate)
{
	double ahead = begin + (double)sent / rate - now();

	if (ahead > 0.0002) {
		usleep((useconds_t)(ahead * 1e6));
	}
	if (now() - begin > SECONDS) {
		fprintf(stderr, "ipfix_load: gave up after %d s\n", SECONDS);
		exit(1);
	}
}

int
main(int argc, char **argv)
{
	const unsigned most = HEADER + MESSAGE * RECORD;
	uint64_t records, ratio, window, keys, start_ms = (uint64_t)time(NULL) * 1000;
	uint8_t template[256], *bytes, *at;
	size_t template_length;
	double rate, begin;
	int fd, is_tcp;

	if (argc != 7) {
		fprintf(stderr,
		    "usage: ipfix_load tcp|udp PORT RECORDS RATIO WINDOW RATE\n");
		return 2;
	}
	is_tcp = strcmp(argv[1], "tcp") == 0;
	records = strtoull(argv[3], NULL, 10);
	ratio = strtoull(argv[4], NULL, 10);
	window = strtoull(argv[5], NULL, 10);
	rate = atof(argv[6]);
	if (records == 0 || records > 50000000 || ratio == 0 || window == 0) {
		fprintf(stderr,
		    "ipfix_load: 1 to 50000000 records, ratio and window at "
		    "least 1\n");
		return 2;
	}
	keys = records / ratio > 0 ? records / ratio : 1;
	at = bytes = malloc((records / MESSAGE + 1) * most);
	if (bytes == NULL) {
		fprintf(stderr, "ipfix_load: no memory\n");
		return 1;
	}
	for (uint64_t i = 0; i < records; i += MESSAGE) {
		uint64_t n = records - i < MESSAGE ? records - i : MESSAGE;
		put_header(at, 256, (unsigned)(HEADER + n * RECORD), i);
		for (uint64_t k = 0; k < n; k++) {
			put_record(at + HEADER + k * RECORD,
			    key_of(i + k, ratio, window, keys), i + k, start_ms);
		}
		at += HEADER + n * RECORD;
	}
	fd = dial(is_tcp, (uint16_t)atoi(argv[2]));
	template_length = make_template(template);
	send_all(fd, template, template_length);
	usleep(200000);
	begin = now();
	at = bytes;
	for (uint64_t i = 0; i < records; i += MESSAGE) {
		uint64_t n = records - i < MESSAGE ? records - i : MESSAGE;
		send_all(fd, at, HEADER + n * RECORD);
		at += HEADER + n * RECORD;
		if (rate > 0 && i / MESSAGE % 8 == 7) {
			pace(begin, i + n, rate);
		}
	}
	printf("%.0f\n", (double)records / (now() - begin));
	if (is_tcp) {
		shutdown(fd, SHUT_WR);
		while (recv(fd, template, sizeof template, 0) > 0) {
		}
	}
	close(fd);
	free(bytes);
	return 0;
}
