/* What sender.c (the interface) and sender_thread.c (the export thread) share. */
#ifndef EXPORTER_SENDER_STATE_H
#define EXPORTER_SENDER_STATE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "exporter/queue.h"
#include "exporter/sender.h"

struct sender {
	struct sender_settings settings;
	struct transport_uri uri;
	struct tls_context *tls;
	struct queue *queue;
	uint8_t *preamble;
	size_t preamble_length;
	uint32_t preamble_records;
	_Atomic bool is_finishing;
	uint64_t finish_ns; /* when sender_finish() began; set before is_finishing */
	uint64_t stop_ns;   /* when a push first saw that the program is to stop */
	pthread_t thread;
	bool is_running;

	/* The thread's own. */
	struct transport transport;
	bool is_dialled; /* transport must be closed */
	bool is_proven;  /* messages went out since the last delay */
	bool is_told;    /* this failure was logged */
	uint64_t hurry_ns;
	uint64_t delay_ns;
	int result;
	struct err result_err;

	_Atomic uint64_t messages, bytes, records, dropped_messages, dropped_records,
	    too_long_messages, connects, failures;
	pthread_mutex_t error_lock;
	char last_error[256];
};

static inline void
sender_bump(_Atomic uint64_t *counter, uint64_t n)
{
	atomic_fetch_add_explicit(counter, n, memory_order_relaxed);
}

/* The export thread's body: connects and delivers until sender_finish(). */
void *sender_run(void *sender);
/* Ends the connection, if there is one. */
void sender_hang_up(struct sender *s);

#endif
