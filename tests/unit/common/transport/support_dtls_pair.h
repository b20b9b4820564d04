/* Both ends of a dtls+udp:// session in one thread, over loopback. */
#ifndef TESTS_COMMON_TRANSPORT_SUPPORT_DTLS_PAIR_H
#define TESTS_COMMON_TRANSPORT_SUPPORT_DTLS_PAIR_H

#include <stddef.h>
#include <stdint.h>

#include "common/base/err.h"
#include "common/tls/tls.h"
#include "common/transport/transport_listener.h"

/* Of the certificate with this name (support_certificates.h); NULL: none. */
struct tls_settings settings_of(const char *name);
struct tls_context *context_of(const char *name, bool is_server);

struct place { /* where a listener is */
	struct tls_context *context;
	struct transport_listener listener;
};
void place_open(struct place *p, const char *at);
void place_close(struct place *p);
/* What the listener's socket holds goes to its sessions. */
void sort(struct place *p);

struct pair {
	struct place place;
	struct tls_context *context;
	struct transport client, server;
};
void pair_open(struct pair *p);
void pair_open_at(struct pair *p, const char *at, const char *host);
void pair_close(struct pair *p);

void dial(struct transport *t, const char *host, uint16_t port, struct tls_context *c);
/* Goes on until each end is open or has failed. */
void shake(struct place *p, struct transport *client, struct transport *server,
    int *client_rc, int *server_rc, struct err *e);
void put(struct transport *t, const void *bytes, size_t n);
void expect(struct transport *t, const char *text);
void expect_sentence(const struct err *e, const char *part);
int connected_to(uint16_t port);         /* a UDP socket, to a port of this host */
void wait_for(int fd, int milliseconds); /* until it is readable */

#endif
