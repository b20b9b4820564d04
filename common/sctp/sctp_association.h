/* What the files of sctp:// share: transport_sctp.c (connecting, reading, writing) and
 * transport_sctp_listen.c. */
#ifndef COMMON_SCTP_SCTP_ASSOCIATION_H
#define COMMON_SCTP_SCTP_ASSOCIATION_H

#include <netdb.h>

#include "common/sctp/sctp_stack.h"
#include "common/transport/scheme.h"

#define SCTP_PPID_PLAIN 0  /* IANA has no payload protocol identifier for IPFIX */
#define SCTP_PPID_DTLS  47 /* RFC 6083 section 4.1 */

struct association {
	const struct sctp_stack *stack;
	struct sctp_socket socket;
	struct sctp_settings settings;
	uint32_t protocol;
	bool write_waits; /* for room */
	bool head_waits;  /* stream 0 has what the other streams must not overtake */
	uint8_t *part;    /* of a message whose rest is still to come; NULL: none */
	size_t part_length;

	/* While connecting: the addresses of the host and the one to try next. */
	struct addrinfo *list, *next;
	char text[320];
};

/* The settings of a URI, checked against its stack. */
int association_settings(const struct transport_uri *uri, uint32_t protocol,
    bool is_listening, struct sctp_settings *ret, struct err *e);
/* The family of the socket that an address of a host wants. */
int association_family(const struct sctp_settings *s, const struct addrinfo *a);
/* The address of the host and the further ones of the URI; how many. */
unsigned association_addresses(const struct sctp_settings *s, const struct addrinfo *a,
    struct sockaddr_storage list[SCTP_ADDRESSES + 1]);
/* The association of t, which has its state, is there: learns its streams. */
int association_opened(struct transport *t);
void association_close(struct transport *t);

/* Of struct transport_ops. */
int association_listen(
    struct transport_listener *l, const struct transport_uri *uri, struct err *e);
int association_accept(struct transport_listener *l, struct transport *t,
    struct tls_context *tls, struct err *e);
void association_unlisten(struct transport_listener *l);

#endif
