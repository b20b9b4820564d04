/* A collector's reception of exporters with a spool: real listener, journal and TLS;
 * behind it sessions that note which numbers they were given.  And the exporter's end
 * of it, one call at a time. */
#ifndef TESTS_COLLECTOR_DOOR_SUPPORT_DELIVERY_H
#define TESTS_COLLECTOR_DOOR_SUPPORT_DELIVERY_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "collector/door/listener.h"
#include "collector/session/session.h"
#include "common/ipfix/delivery.h"
#include "common/transport/transport.h"

#define DELIVERY_NUMBERS 65536

struct station {
	char directory[64];
	char ca[160], certificate[160], key[160]; /* paths */
	struct listener_settings settings;
	struct loop *loop;
	struct journal *journal;
	struct ring *ring;
	struct listener *listener;
	struct elements *elements;
	struct sessions *sessions;
	pthread_t receiving, processing;
	bool is_running;
	_Atomic bool is_paused; /* the processing thread waits */
	_Atomic bool is_killed;
	uint16_t port;
	struct listener_counts counts; /* of the run that ended last */
	uint64_t lost, repeated;       /* counted by sessions since the start */
	/* How often a number was given to the tables, since the last start.  Which
	 * begins with all that is in the journal. */
	_Atomic uint32_t seen[DELIVERY_NUMBERS];
};

/* A directory of its own, nothing running. */
void station_init(struct station *s);
void station_start(struct station *s);
void station_stop(struct station *s); /* in order */
void station_kill(struct station *s); /* what is not in the journal's file is gone */
void station_done(struct station *s);

struct client {
	struct transport t;
	struct tls_context *context;
	struct delivery_word word; /* the latest */
	uint64_t number;           /* of the next message */
	uint32_t sequence;
	bool is_open;
};

/* TLS with this certificate ("exporter"); protocol NULL: plain RFC 7011. */
void client_dial(
    struct client *c, const struct station *s, const char *name, const char *protocol);
void client_write(struct client *c, const void *bytes, size_t n);
/* Waits for a word: 1; 0: the collector ended in order; -1: it broke off. */
int client_read(struct client *c);
/* Dials, says hello, and takes the answer: whether it is welcome. */
bool client_greet(
    struct client *c, const struct station *s, const struct delivery_hello *h);
/* A template, for the preamble. */
void client_send_template(struct client *c);
/* The next n numbers; false: the connection broke. */
bool client_send(struct client *c, unsigned n);
/* Waits until so much is acknowledged; false: it broke off before. */
bool client_await(struct client *c, uint64_t number);
void client_finish(struct client *c);
void client_close(struct client *c); /* at once */

#endif
