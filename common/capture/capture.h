/* Packets from a file or a live interface.  Bytes are valid until the next call; drops
 * by the kernel are counted on live interfaces.  capture.c alone uses libpcap (live,
 * filters, rare formats); capture_classic.c and capture_ng.c are faster readers of pcap
 * and pcapng files.
 * Threads: one at a time.  Memory: capture_close(). */
#ifndef COMMON_CAPTURE_CAPTURE_H
#define COMMON_CAPTURE_CAPTURE_H

#include <stdint.h>

#include "common/base/err.h"
#include "common/capture/compressed.h"

struct capture_packet {
	const uint8_t *bytes;
	uint32_t captured; /* bytes at `bytes` */
	uint32_t wire;     /* length on the wire, at least captured */
	uint64_t time_ns;  /* since 1970 */
	int link_type;     /* DLT_*: files may hold packets of several kinds */
};

struct capture_counts {
	uint64_t received; /* packets handed out */
	uint64_t kernel_dropped, interface_dropped;
	uint64_t position;  /* bytes of the file that were read */
	uint64_t size;      /* of the file; 0: unknown */
	uint64_t cut_short; /* 1: the file ends in the middle of a packet */
};

struct capture;

struct capture_settings {
	const char *filter;  /* BPF expression; NULL: all */
	uint32_t snaplen;    /* 0: 262144 */
	uint32_t ring_bytes; /* live */
	int promiscuous;
};

int capture_open_file(const char *path, const struct capture_settings *s,
    struct capture **ret, struct err *e);
/* compressed_set_wait() for a file. */
void capture_set_wait(struct capture *c, compressed_wait *wait, void *data);
int capture_open_live(const char *interface, const struct capture_settings *s,
    struct capture **ret, struct err *e);
/* 1: *ret is the next packet; 0: live: nothing now, wait on capture_fd(); file: the
 * end; negative: the sentence is in e and the capture is over (what came before
 * counts). */
int capture_next(struct capture *c, struct capture_packet *ret, struct err *e);
int capture_fd(const struct capture *c); /* readable when packets wait; -1: a file */
const char *capture_name(const struct capture *c);
void capture_counts(struct capture *c, struct capture_counts *ret);
void capture_close(struct capture *c);

#endif
