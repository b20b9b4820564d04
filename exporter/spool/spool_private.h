/* What the files of the spool share: spool_recover.c (opening), spool_read.c (reading
 * back), spool.c (account), spool_disk.c (directory, ledger, segments), spool_part.c
 * (parts).  Each calls only those named after it. */
#ifndef EXPORTER_SPOOL_SPOOL_PRIVATE_H
#define EXPORTER_SPOOL_SPOOL_PRIVATE_H

#include "exporter/spool/spool.h"
#include "exporter/spool/spool_format.h"

#define SPOOL_NAME      32 /* 16 hex digits, a suffix and NUL */
#define SPOOL_MARK_STEP 65536u

struct spool_mark {             /* offset of an entry, one per 64 KiB */
	uint64_t number, total; /* total: before this entry */
	uint64_t offset;
};

/* Consecutive messages [first, next) under one preamble: a segment, or in memory
 * only. */
struct spool_part {
	uint64_t first, next;
	uint64_t total_first, total_next; /* data records before them */
	uint64_t name;                    /* of the segment */
	uint64_t bytes;                   /* of the segment; 0: in memory only */
	struct spool_preamble *preamble;
	struct spool_mark *marks;
	unsigned mark_count, mark_capacity;
};

struct spool {
	char *directory; /* NULL: memory only */
	uint64_t max_bytes, segment_bytes;
	bool may_wait;
	int directory_fd, ledger_fd;
	struct spool_ledger ledger; /* as on disk, or as it will be written next */

	struct spool_part *parts; /* oldest first */
	unsigned count, capacity;
	struct spool_preamble **preambles; /* [0]: of this run */
	unsigned preamble_count;

	uint64_t next, total; /* handed over: messages, data records */
	uint64_t held_messages, held_records, bytes;
	uint64_t opened_next; /* next, when the spool was opened or got a new id */
	uint64_t sent_next;   /* after the highest number that this run has sent */

	int write_fd; /* of the last part; -1: none */
	bool is_failing, has_ledger_failed;
	uint64_t retry_ns, disk_failures;

	int read_fd; /* of the segment read_name; -1: none */
	uint64_t read_name, read_number, read_offset, read_total;
	uint8_t *buffer; /* SPOOL_READ bytes */
};

#define SPOOL_READ (2 * SPOOL_BATCH_BYTES)

/* Account. */
struct spool *spool_make(const struct spool_settings *settings); /* NULL: no memory */
/* Whether part i is the segment being written. */
bool spool_is_written(const struct spool *s, unsigned i);
int spool_add_part(struct spool *s, const struct spool_part *p); /* takes its marks */
void spool_remove_part(struct spool *s, unsigned i);             /* and its segment */
/* The part that holds number, or NULL. */
struct spool_part *spool_find(const struct spool *s, uint64_t number);
/* Ends a part before number: the rest is unreadable. */
void spool_cut(struct spool *s, struct spool_part *p, uint64_t number, uint64_t total);
/* Takes bytes (malloc).  Returns the preamble already known, if there is one.  NULL: no
 * memory. */
struct spool_preamble *spool_add_preamble(
    struct spool *s, uint8_t *bytes, size_t length, uint32_t records);
/* Notes the offset of an entry, if a mark is due. */
void spool_mark(struct spool_part *p, uint64_t number, uint64_t total, uint64_t offset);

/* Disk. */
void spool_name(uint64_t first, char out[static SPOOL_NAME]);
int spool_open_directory(struct spool *s, struct err *e);
int spool_read_directory(
    struct spool *s, struct err *e); /* for status: without a lock */
/* Writes the ledger.  0, or negative when the disk failed (counted, logged once). */
int spool_save(struct spool *s);
/* Appends messages to the current segment, or to a new one.  0, or negative when the
 * disk failed; then nothing is written. */
int spool_write(struct spool *s, const struct queue_message *m, unsigned n);
void spool_end_segment(struct spool *s);
void spool_unlink(struct spool *s, uint64_t name);

#endif
