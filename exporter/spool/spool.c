#include "exporter/spool/spool.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/ipfix/message.h"
#include "exporter/spool/spool_private.h"

#define SEGMENTS      32u /* about how many fit into max_bytes */
#define SEGMENT_LEAST ((uint64_t)64 << 10)
#define SEGMENT_MOST  ((uint64_t)16 << 20)
#define RETRY_NS      NS_PER_SECOND /* after a disk failure */

/* Preambles. */

struct spool_preamble *
spool_add_preamble(struct spool *s, uint8_t *bytes, size_t length, uint32_t records)
{
	struct spool_preamble p = {.bytes = bytes,
	    .length = length,
	    .records = records,
	    .messages = (uint32_t)spool_count_preamble(bytes, length),
	    .sequence = length == 0 ? 0 : message_sequence(bytes),
	    .key = spool_preamble_key(bytes, length)};
	struct spool_preamble **list, *copy;

	for (unsigned i = 0; i < s->preamble_count; i++) {
		const struct spool_preamble *x = s->preambles[i];
		if (x->key == p.key && x->length == length && x->records == records) {
			free(bytes);
			return s->preambles[i];
		}
	}
	copy = malloc(sizeof *copy);
	list = reallocarray(s->preambles, s->preamble_count + 1, sizeof(*list));
	if (list != NULL) {
		s->preambles = list;
	}
	if (copy == NULL || list == NULL) {
		free(copy);
		free(bytes);
		return NULL;
	}
	*copy = p;
	s->preambles[s->preamble_count++] = copy;
	return copy;
}

static struct spool_preamble *
add_own_preamble(struct spool *s, const struct export_preamble *p)
{
	uint8_t *bytes = malloc(p->length + 1);

	if (bytes == NULL) {
		return NULL;
	}
	memcpy(bytes, p->bytes, p->length);
	return spool_add_preamble(s, bytes, p->length, p->records);
}

/* Opening and closing. */

static void
make_id(uint8_t id[static 16])
{
	if (getrandom(id, 16, 0) != 16) {
		arc4random_buf(id, 16);
	}
}

struct spool *
spool_make(const struct spool_settings *settings)
{
	struct spool *s = calloc(1, sizeof *s);

	if (s == NULL) {
		return NULL;
	}
	s->directory_fd = s->ledger_fd = s->write_fd = s->read_fd = -1;
	s->max_bytes = settings->max_bytes;
	s->may_wait = settings->may_wait;
	s->segment_bytes = s->max_bytes / SEGMENTS;
	if (s->segment_bytes < SEGMENT_LEAST) {
		s->segment_bytes = SEGMENT_LEAST;
	}
	if (s->segment_bytes > SEGMENT_MOST) {
		s->segment_bytes = SEGMENT_MOST;
	}
	make_id(s->ledger.id);
	if (settings->directory != NULL) {
		s->directory = strdup(settings->directory);
		s->buffer = malloc(SPOOL_READ);
	}
	if ((settings->directory != NULL &&
		(s->directory == NULL || s->buffer == NULL)) ||
	    add_own_preamble(s, settings->preamble) == NULL) {
		spool_close(s, false);
		return NULL;
	}
	return s;
}
static void
close_fd(int fd)
{
	if (fd >= 0) {
		close(fd);
	}
}

void
spool_close(struct spool *s, bool in_order)
{
	if (s == NULL) {
		return;
	}
	if (in_order && s->ledger_fd >= 0) {
		s->ledger.is_running = false;
		(void)spool_save(s);
		while (s->held_messages == 0 && s->count > 0) {
			spool_remove_part(s, 0);
		}
	}
	for (unsigned i = 0; i < s->count; i++) {
		free(s->parts[i].marks);
	}
	for (unsigned i = 0; i < s->preamble_count; i++) {
		free(s->preambles[i]->bytes);
		free(s->preambles[i]);
	}
	close_fd(s->write_fd);
	close_fd(s->read_fd);
	close_fd(s->ledger_fd);
	close_fd(s->directory_fd);
	free(s->preambles);
	free(s->parts);
	free(s->buffer);
	free(s->directory);
	free(s);
}

const char *
spool_directory(const struct spool *s)
{
	return s->directory;
}

/* Room. */

/* The oldest segment that surely nobody was sent anything of.  False: there is none. */
static bool
drop_oldest(struct spool *s)
{
	for (unsigned i = 0; i < s->count; i++) {
		const struct spool_part *p = &s->parts[i];
		bool may_be_sent = s->ledger.has_sent && p->name <= s->ledger.sent;
		if (p->bytes == 0 || may_be_sent || spool_is_written(s, i)) {
			continue;
		}
		log_debug("%s is full: dropped segment %016" PRIx64 " with %" PRIu64
			  " messages",
		    s->directory, p->name, p->next - p->first);
		(void)spool_save(s); /* first, so that none of its numbers is reused */
		spool_remove_part(s, i);
		return true;
	}
	return false;
}

static uint64_t
room_for(const struct spool *s, const struct queue_message *m, unsigned n)
{
	/* a new segment may be needed */
	uint64_t bytes = SPOOL_HEADER + s->preambles[0]->length;

	for (unsigned i = 0; i < n; i++) {
		bytes += SPOOL_ENTRY + m[i].length;
	}
	return bytes;
}

/* Appending. */

static bool
is_disk_tried(struct spool *s, uint64_t now_ns)
{
	return s->directory != NULL && (!s->is_failing || now_ns >= s->retry_ns);
}

static void
disk_failed(struct spool *s, int code, uint64_t now_ns)
{
	s->disk_failures++;
	s->retry_ns = now_ns + RETRY_NS;
	if (!s->is_failing) {
		log_warning("cannot write to %s: %s; until that clears, %s",
		    s->directory, strerror(-code),
		    s->may_wait ? "no input is read"
				: "new messages are held in memory only");
	}
	s->is_failing = true;
}

static void
disk_works(struct spool *s)
{
	if (s->is_failing) {
		log_info("%s is writable again", s->directory);
	}
	s->is_failing = false;
}

/* Makes sure that the last part can take messages held in memory only. */
static int
need_memory_part(struct spool *s)
{
	struct spool_part p = {.first = s->next,
	    .next = s->next,
	    .total_first = s->total,
	    .total_next = s->total,
	    .preamble = s->preambles[0]};
	const struct spool_part *last = s->count > 0 ? &s->parts[s->count - 1] : NULL;

	if (last != NULL && last->bytes == 0 && last->next == s->next) {
		return 0;
	}
	spool_end_segment(s);
	return spool_add_part(s, &p);
}

/* Adds these messages to the last part's counts. */
static void
account(struct spool *s, const struct queue_message *m, unsigned n)
{
	struct spool_part *last = &s->parts[s->count - 1];
	uint64_t data = 0;

	for (unsigned i = 0; i < n; i++) {
		data += m[i].data;
	}
	last->next += n;
	last->total_next += data;
	s->next += n;
	s->total += data;
	s->held_messages += n;
	s->held_records += data;
}

unsigned
spool_append(
    struct spool *s, const struct queue_message *m, unsigned n, uint64_t now_ns)
{
	bool is_written = false;
	int rc;

	if (is_disk_tried(s, now_ns)) {
		while (s->bytes + room_for(s, m, n) > s->max_bytes) {
			if (s->may_wait || !drop_oldest(s)) {
				return 0;
			}
		}
		rc = spool_write(s, m, n);
		is_written = rc == 0;
		if (is_written) {
			disk_works(s);
		} else {
			disk_failed(s, rc, now_ns);
		}
	}
	if (!is_written && s->directory != NULL && s->may_wait) {
		return 0;
	}
	if (!is_written && need_memory_part(s) < 0) {
		return 0;
	}
	account(s, m, n);
	if (!is_written && s->directory != NULL) {
		(void)spool_save(s);
	}
	return n;
}

/* Looking. */

uint64_t
spool_memory_only(const struct spool *s, uint64_t number)
{
	for (unsigned i = 0; i < s->count; i++) {
		const struct spool_part *p = &s->parts[i];
		if (p->bytes == 0 && number < p->next) {
			return number > p->first ? number : p->first;
		}
	}
	return s->next;
}

uint64_t
spool_first(const struct spool *s)
{
	for (unsigned i = 0; i < s->count; i++) {
		if (s->parts[i].first < s->parts[i].next) {
			return s->parts[i].first;
		}
	}
	return s->next;
}

uint64_t
spool_next(const struct spool *s)
{
	return s->next;
}

struct spool_preamble *
spool_preamble(struct spool *s, uint64_t number)
{
	for (unsigned i = 0; i < s->count; i++) {
		if (number < s->parts[i].next) {
			return s->parts[i].preamble;
		}
	}
	return s->preambles[0];
}

uint64_t
spool_reach(const struct spool *s, uint64_t number)
{
	const struct spool_preamble *preamble = NULL;

	for (unsigned i = 0; i < s->count; i++) {
		const struct spool_part *p = &s->parts[i];
		if (number < p->first || number >= p->next) {
			continue;
		}
		if (preamble != NULL && p->preamble != preamble) {
			break;
		}
		preamble = p->preamble;
		number = p->next;
	}
	return number;
}

uint64_t
spool_sent(const struct spool *s)
{
	return s->sent_next;
}

/* The last segment that begins at or before number; number itself may be in memory
 * after it. */
static const struct spool_part *
last_segment(const struct spool *s, uint64_t number)
{
	for (unsigned i = s->count; i > 0; i--) {
		const struct spool_part *p = &s->parts[i - 1];
		if (p->bytes > 0 && p->name <= number) {
			return p;
		}
	}
	return NULL;
}

void
spool_mark_sent(struct spool *s, uint64_t number)
{
	const struct spool_part *p = last_segment(s, number);

	if (p != NULL && (!s->ledger.has_sent || p->name > s->ledger.sent)) {
		s->ledger.has_sent = true;
		s->ledger.sent = p->name;
		(void)spool_save(s);
	}
	if (number >= s->sent_next) {
		s->sent_next = number + 1;
	}
}

uint64_t
spool_target(const struct spool *s)
{
	return s->ledger.target;
}

void
spool_set_target(struct spool *s, uint64_t target)
{
	if (target != s->ledger.target) {
		s->ledger.target = target;
		(void)spool_save(s);
	}
}

void
spool_counts(const struct spool *s, struct spool_counts *ret)
{
	*ret = (struct spool_counts){
	    .first = spool_first(s),
	    .next = s->next,
	    .messages = s->next,
	    .records = s->total,
	    .delivered_messages = s->ledger.delivered_messages,
	    .delivered_records = s->ledger.delivered_records,
	    .held_messages = s->held_messages,
	    .held_records = s->held_records,
	    .bytes = s->bytes,
	    .disk_failures = s->disk_failures,
	    .target = s->ledger.target,
	    .is_running = s->ledger.is_running,
	};
	memcpy(ret->id, s->ledger.id, sizeof ret->id);
	ret->lost_messages =
	    ret->messages - ret->delivered_messages - ret->held_messages;
	ret->lost_records = ret->records - ret->delivered_records - ret->held_records;
}

/* Settling. */

void
spool_release(struct spool *s, uint64_t number, uint64_t total, bool is_delivered)
{
	uint64_t messages = s->held_messages, records = s->held_records;
	int rc;

	for (unsigned i = 0; i < s->count && s->parts[i].first < number; i++) {
		struct spool_part *p = &s->parts[i];
		uint64_t to = number < p->next ? number : p->next;
		uint64_t total_to = number < p->next ? total : p->total_next;
		s->held_messages -= to - p->first;
		s->held_records -= total_to - p->total_first;
		p->first = to;
		p->total_first = total_to;
	}
	if (is_delivered) {
		s->ledger.delivered_messages += messages - s->held_messages;
		s->ledger.delivered_records += records - s->held_records;
	}
	if (number > s->ledger.first) {
		s->ledger.first = number;
	}
	/* The ledger before the files: if the program dies in between, delivered
	 * messages do not count as lost.  If the ledger cannot be written, the files
	 * stay, unless they use up its space. */
	rc = s->directory == NULL ? 0 : spool_save(s);
	if (rc < 0 && rc != -ENOSPC && rc != -EDQUOT) {
		return;
	}
	while (s->count > 0 && s->parts[0].next <= number &&
	       !(spool_is_written(s, 0) && s->parts[0].bytes < s->segment_bytes)) {
		spool_remove_part(s, 0);
	}
	if (rc < 0) {
		(void)spool_save(s);
	}
}

bool
spool_welcome(struct spool *s, uint64_t wanted)
{
	uint64_t known = s->opened_next > s->sent_next ? s->opened_next : s->sent_next;
	uint64_t total = s->total, held = s->held_messages;

	if (wanted <= known || wanted <= spool_first(s)) {
		return true;
	}
	if (spool_total(s, s->opened_next, &total) == 0) {
		spool_release(s, s->opened_next, total, true);
	}
	spool_end_segment(s);
	make_id(s->ledger.id);
	log_warning(
	    "the collector knows messages of this spool that were not sent from here: "
	    "%s%s is a copy or an old state of another spool; its %" PRIu64 " old "
	    "messages count as delivered, newer ones get a new spool id",
	    s->directory == NULL ? "" : s->directory, s->directory == NULL ? "it" : "",
	    held - s->held_messages);
	s->opened_next = s->sent_next = 0;
	if (s->directory != NULL) {
		(void)spool_save(s);
	}
	return false;
}
