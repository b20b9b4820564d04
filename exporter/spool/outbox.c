#include "exporter/spool/outbox.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "common/ipfix/message.h"

#define STREAMS 64u

struct outbox {
	struct queue *queue;
	struct spool *spool;
	bool has_disk;
	uint64_t base;            /* number of the queue's first message */
	uint64_t base_total;      /* data records before it */
	uint64_t stowed;          /* messages handed over to the spool */
	uint64_t stowed_position; /* the same in bytes pushed */

	/* The connection's place: messages numbered and not yet taken whole. */
	const struct spool_preamble *preamble;
	uint64_t number;          /* of the first */
	uint16_t streams, stream; /* of the connection; of the gather */
	uint32_t sequences[STREAMS];
	const uint8_t *bytes;
	size_t length, done; /* done: taken already, of the first */
	uint64_t count;
	bool is_in_memory; /* bytes are the queue's, else the batch's */
	struct spool_batch batch;
};

int
outbox_new(const struct spool_settings *s, uint64_t queue_bytes_wanted,
    struct outbox **ret, struct err *e)
{
	struct outbox *o = calloc(1, sizeof *o);
	struct spool_counts counts;
	int rc = -ENOMEM;

	if (o == NULL) {
		return err_set(e, rc, "out of memory");
	}
	o->batch.bytes = malloc(SPOOL_BATCH_BYTES);
	o->queue = queue_new(queue_bytes_wanted);
	if (o->queue == NULL || o->batch.bytes == NULL) {
		err_set(e, rc, "no memory for a queue of %" PRIu64 " bytes",
		    queue_bytes_wanted);
		goto out;
	}
	rc = spool_open(s, &o->spool, e);
	if (rc < 0) {
		goto out;
	}
	spool_counts(o->spool, &counts);
	o->has_disk = s->directory != NULL;
	o->base = counts.next;
	o->base_total = counts.records;
	*ret = o;
	o = NULL;
out:
	outbox_free(o, false);
	return rc;
}

void
outbox_free(struct outbox *o, bool in_order)
{
	if (o == NULL) {
		return;
	}
	spool_close(o->spool, in_order);
	queue_free(o->queue);
	free(o->batch.bytes);
	free(o);
}

struct queue *
outbox_queue(struct outbox *o)
{
	return o->queue;
}

struct spool *
outbox_spool(struct outbox *o)
{
	return o->spool;
}

/* Memory. */

static uint64_t
number_of(const struct outbox *o, uint64_t index)
{
	return o->base + index;
}

static bool
is_in_queue(struct outbox *o, uint64_t number)
{
	return number >= number_of(o, queue_first(o->queue)) &&
	       number < number_of(o, o->stowed);
}

/* Releases the queue's messages before this number; those being written are first
 * copied to the batch. */
static void
release_memory(struct outbox *o, uint64_t number)
{
	uint64_t first = number_of(o, queue_first(o->queue));

	if (number <= first) {
		return;
	}
	if (o->is_in_memory && o->count > 0 && number > o->number) {
		memcpy(o->batch.bytes, o->bytes, o->length);
		o->bytes = o->batch.bytes;
		o->is_in_memory = false;
	}
	queue_release(o->queue, number - o->base);
}

/* When the queue is more than half full, in bytes or messages, releases messages that
 * are also on disk. */
static void
release_copies(struct outbox *o)
{
	uint64_t limit, i = queue_first(o->queue);
	uint64_t end = queue_pushed(o->queue), kept = queue_capacity(o->queue) / 4;
	uint64_t end_index = queue_end_index(o->queue);
	uint64_t kept_messages = queue_most_messages(o->queue) / 4;
	struct queue_message m;

	if (queue_bytes(o->queue) <= 2 * kept && end_index - i <= 2 * kept_messages) {
		return;
	}
	limit = spool_memory_only(o->spool, number_of(o, i)) - o->base;
	for (; i < limit && i < o->stowed; i++) {
		queue_look(o->queue, i, &m);
		if (end - m.position <= kept && end_index - i <= kept_messages) {
			break;
		}
	}
	release_memory(o, number_of(o, i));
}

uint64_t
outbox_unstowed(struct outbox *o)
{
	return queue_pushed(o->queue) - o->stowed_position;
}

uint64_t
outbox_unstowed_messages(struct outbox *o)
{
	return queue_end_index(o->queue) - o->stowed;
}

void
outbox_stow(struct outbox *o, uint64_t now_ns)
{
	struct queue_message batch[SPOOL_BATCH];
	uint64_t end = queue_end_index(o->queue);
	unsigned taken = 1;

	while (taken > 0 && o->stowed < end) {
		size_t bytes = 0;
		unsigned n = 0;
		while (o->stowed + n < end && n < SPOOL_BATCH && bytes < QUEUE_GATHER) {
			queue_look(o->queue, o->stowed + n, &batch[n]);
			bytes += batch[n++].length;
		}
		taken = spool_append(o->spool, batch, n, now_ns);
		if (taken > 0) {
			o->stowed += taken;
			o->stowed_position =
			    batch[taken - 1].position + batch[taken - 1].length;
		}
		if (o->has_disk) {
			release_copies(o);
		}
	}
}

/* The connection's place. */

void
outbox_begin(struct outbox *o, uint64_t number, const struct spool_preamble *preamble,
    uint32_t sequence, uint16_t streams)
{
	o->number = number;
	memset(o->sequences, 0, sizeof o->sequences);
	o->sequences[0] = sequence;
	o->streams = streams < STREAMS ? streams : STREAMS;
	o->stream = 0;
	o->preamble = preamble;
	o->length = o->done = 0;
	o->count = 0;
}

/* Adds messages from the queue, up to a gather. */
static void
gather_memory(struct outbox *o, uint64_t reach)
{
	struct queue_message m;

	/* The ring is mapped twice, so a gather is contiguous. */
	queue_look(o->queue, o->number - o->base, &m);
	o->bytes = m.bytes;
	o->is_in_memory = true;
	while (o->number + o->count < reach && o->length - o->done < QUEUE_GATHER) {
		queue_look(o->queue, o->number + o->count - o->base, &m);
		message_set_sequence(m.bytes, o->sequences[o->stream]);
		o->sequences[o->stream] += m.records;
		o->length += m.length;
		o->count++;
	}
}

static int
gather_disk(struct outbox *o)
{
	int rc = spool_read(o->spool, o->number, &o->batch);
	uint8_t *at = o->batch.bytes;

	if (rc < 0) {
		return rc;
	}
	for (unsigned i = 0; i < o->batch.count; i++) {
		message_set_sequence(at, o->sequences[o->stream]);
		o->sequences[o->stream] += o->batch.records[i];
		at += message_size(at);
	}
	o->bytes = o->batch.bytes;
	o->length = o->batch.length;
	o->count = o->batch.count;
	o->is_in_memory = false;
	return 0;
}

static int
gather_more(struct outbox *o)
{
	uint64_t reach;
	int rc = 0;

	if (o->count > 0 && (!o->is_in_memory || o->streams > 1)) {
		return 0; /* first finish the batch, or this stream's turn */
	}
	if (o->count == 0 && o->number == spool_next(o->spool)) {
		return 0;
	}
	reach = spool_reach(o->spool, o->number);
	if (o->count == 0 && (reach == o->number ||
				 spool_preamble(o->spool, o->number) != o->preamble)) {
		return -ENODATA;
	}
	if (o->streams > 1) {
		o->stream = (uint16_t)(o->stream % (o->streams - 1u) + 1);
	}
	if (is_in_queue(o, o->number)) {
		gather_memory(o, reach);
	} else {
		rc = gather_disk(o);
	}
	if (rc == 0) {
		spool_mark_sent(o->spool, o->number + o->count - 1);
	}
	return rc == -EBADMSG ? -ENODATA : rc;
}

int
outbox_gather(struct outbox *o, const uint8_t **ret, size_t *ret_n)
{
	int rc = gather_more(o);

	*ret_n = rc < 0 ? 0 : o->length - o->done;
	*ret = *ret_n == 0 ? NULL : o->bytes + o->done;
	return rc;
}

uint16_t
outbox_stream(const struct outbox *o)
{
	return o->stream;
}

bool
outbox_is_cut(const struct outbox *o)
{
	return o->done > 0;
}

void
outbox_take(struct outbox *o, size_t n, struct outbox_taken *ret)
{
	o->done += n;
	while (o->count > 0 && message_size(o->bytes) <= o->done) {
		size_t length = message_size(o->bytes);
		ret->messages++;
		ret->bytes += length;
		o->bytes += length;
		o->length -= length;
		o->done -= length;
		o->count--;
		o->number++;
	}
}

uint64_t
outbox_position(const struct outbox *o)
{
	return o->number;
}

uint32_t
outbox_insert(struct outbox *o, uint32_t records)
{
	uint32_t sequence = o->count > 0 ? message_sequence(o->bytes) : o->sequences[0];

	o->length = 0;
	o->count = 0;
	o->sequences[0] = sequence + records;
	return sequence;
}

/* Settling. */

int
outbox_total(struct outbox *o, uint64_t number, uint64_t *ret)
{
	struct queue_message m;

	if (is_in_queue(o, number)) {
		queue_look(o->queue, number - o->base, &m);
		*ret = o->base_total + m.total;
		return 0;
	}
	return spool_total(o->spool, number, ret);
}

static void
settle(struct outbox *o, uint64_t number, bool is_delivered)
{
	uint64_t total, first;

	if (number <= spool_first(o->spool)) {
		return;
	}
	if (outbox_total(o, number, &total) < 0) {
		if (spool_reach(o->spool, number) > number) {
			return;
		}
		total = 0; /* in a gap: no part ends here */
	}
	spool_release(o->spool, number, total, is_delivered);
	first = spool_first(o->spool);
	release_memory(
	    o, first < number_of(o, o->stowed) ? first : number_of(o, o->stowed));
}

int
outbox_acknowledge(struct outbox *o, uint64_t number)
{
	if (number > o->number) {
		return -EPROTO;
	}
	settle(o, number, true);
	return 0;
}

void
outbox_lose(struct outbox *o)
{
	struct outbox_taken ignored = {0};

	outbox_take(o, message_size(o->bytes), &ignored);
	settle(o, o->number, false);
}
