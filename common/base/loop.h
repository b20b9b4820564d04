/* An epoll loop with timers and signals.
 * Threads: one; loop_wake() may be called from any thread or signal handler.
 * Watches and timers are owned by the caller and must outlive their registration. */
#ifndef COMMON_BASE_LOOP_H
#define COMMON_BASE_LOOP_H

#include <stdbool.h>
#include <stdint.h>

struct loop;

struct loop_watch {
	int fd;
	uint32_t events;                                      /* EPOLLIN, EPOLLOUT */
	void (*ready)(struct loop_watch *w, uint32_t events); /* may remove itself */
	void *data;
};

struct loop_timer {
	uint64_t due_ns; /* monotonic; 0: idle */
	void (*expired)(struct loop_timer *t, uint64_t now_ns);
	void *data;
	struct loop_timer *next;
};

struct loop *loop_new(void); /* NULL: errno */
void loop_free(struct loop *l);
int loop_add(struct loop *l, struct loop_watch *w);
int loop_change(struct loop *l, struct loop_watch *w, uint32_t events);
/* The fd stays open; w may be freed. */
void loop_remove(struct loop *l, struct loop_watch *w);
void loop_timer_set(struct loop *l, struct loop_timer *t, uint64_t due_ns);
void loop_timer_clear(struct loop *l, struct loop_timer *t);
/* These signals (0 ends the list) arrive here instead of killing; call before threads
 * start. */
int loop_signals(struct loop *l, const int *signals,
    void (*arrived)(int signal, void *data), void *data);
/* Called in the loop's thread after each loop_wake(). */
void loop_on_wake(struct loop *l, void (*woken)(void *data), void *data);
void loop_wake(struct loop *l);
int loop_run(struct loop *l); /* until loop_stop(); 0 or a negative errno */
void loop_stop(struct loop *l);

#endif
