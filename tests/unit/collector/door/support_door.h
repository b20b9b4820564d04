/* The listener and its peers in one thread: real sockets and journal, and a loop that
 * runs until what is waited for has come. */
#ifndef TESTS_COLLECTOR_DOOR_SUPPORT_DOOR_H
#define TESTS_COLLECTOR_DOOR_SUPPORT_DOOR_H

#include "collector/door/door_private.h"

enum door_uri { TCP, TLS, DTLS };

extern const char *door_directory;
extern struct loop *door_loop;
extern struct journal *door_journal;
extern struct ring *door_ring;
extern struct listener *door_listener;

int door_set_up(void **state);
int door_tear_down(void **state);
/* At the three places of any address, without limits. */
struct listener_settings door_settings(void);
void door_open(struct listener_settings *s);
/* The processing thread's part: frames go nowhere. */
void door_pass_on(void);
/* Runs the loop for 2 ms. */
void door_turn(void);
#define door_until(condition)                                                          \
	do {                                                                           \
		for (unsigned i_ = 0; i_ < 10000 && !(condition); i_++) {              \
			door_turn();                                                   \
		}                                                                      \
		assert_true(condition);                                                \
	} while (0)

/* Connects from this address of loopback, and waits until the listener has it. */
int door_come_from(const char *address, enum door_uri where);
int door_come(enum door_uri where);
/* The first n bytes of a message of 16; until they have been received. */
void door_send(int fd, size_t n);
/* The i-th that has proved itself, in the order in which they did so. */
struct peer *door_peer(unsigned i);

#endif
