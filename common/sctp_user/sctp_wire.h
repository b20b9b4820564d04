/* The UDP under SCTP in user space (RFC 6951): one port of this process, over IPv4 and
 * IPv6, and one thread that reads it and keeps the time.  All calls to libusrsctp are
 * made between enter and leave, the thread's too: the library's own threads, which
 * would do this work, corrupt its memory when connections end (version 0.9.5).
 *
 * The library believes that all its peers have the same address, and tells them apart
 * by their ports alone: these are aliases, put in the place of the peer's real port in
 * every packet that comes in, and taken out of every packet that goes out. */
#ifndef COMMON_SCTP_USER_SCTP_WIRE_H
#define COMMON_SCTP_USER_SCTP_WIRE_H

#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

struct sctp_wire_events { /* called between enter and leave */
	/* local: our address that it came to, with port 0. */
	void (*arrived)(
	    const void *packet, size_t n, const struct sockaddr_storage *local);
	void (*elapsed)(uint32_t ms);
	/* CRC-32C of a packet, as it stands in its header. */
	uint32_t (*checksum)(void *packet, size_t n);
};

void sctp_wire_enter(void);
void sctp_wire_leave(void);

/* All else is called between those. Ports and aliases are in host byte order. */

/* At this UDP port (0: any); 0, or a negative errno.  Later calls change nothing. */
int sctp_wire_start(uint16_t port, const struct sctp_wire_events *events);
uint16_t sctp_wire_port(void); /* 0: not started */

/* To the alias that the packet says.  Changes the packet. */
void sctp_wire_send(void *packet, size_t n);

/* The alias of a peer (its SCTP port in peer) that is reached at udp_port, from an
 * address of ours (NULL: any); it is kept until it is unpinned as often as it was
 * pinned.  0: no memory, or too many. */
uint16_t sctp_wire_pin_to(const struct sockaddr_storage *peer, uint16_t udp_port,
    const struct sockaddr_storage *local);
/* Pins the alias of a peer that sent something.  -1: it is forgotten already. */
int sctp_wire_pin(uint16_t alias);
void sctp_wire_unpin(uint16_t alias); /* 0: none */

/* Of a pinned one: the peer, with its SCTP port. */
void sctp_wire_peer(uint16_t alias, struct sockaddr_storage *ret);
/* Bytes that one packet to there can have; 0: unknown. */
size_t sctp_wire_room(uint16_t alias);

#endif
