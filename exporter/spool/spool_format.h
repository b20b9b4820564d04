/* Format of the spool's files (exporter/spool/spool.h).  All numbers are big-endian;
 * hashes are XXH3.
 *
 * A segment, <its first number, 16 hex digits>.spool: a header, the preamble that its
 * messages were encoded under, and entries of one message each, numbered one by one.
 * Each entry holds the count of the spool's data records up to it, so that removing
 * earlier segments loses no total.
 *
 * The ledger, two slots written in turn: totals of what was settled and is not in any
 * segment any more. */
#ifndef EXPORTER_SPOOL_SPOOL_FORMAT_H
#define EXPORTER_SPOOL_SPOOL_FORMAT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SPOOL_HEADER       64u
#define SPOOL_ENTRY        40u /* before each message */
#define SPOOL_SLOT         512u
#define SPOOL_LEDGER       (2 * SPOOL_SLOT)
#define SPOOL_PREAMBLE_MAX (16u << 20)

struct spool_header {
	uint8_t id[16];
	uint64_t first; /* number of the first entry */
	uint64_t total; /* data records of the spool before it */
	uint32_t preamble_length, preamble_records;
};

struct spool_entry {
	uint64_t number;
	uint64_t total;   /* data records of the spool up to this message, inclusive */
	uint32_t records; /* data and options records in it */
	uint32_t length;  /* of the message */
};

struct spool_ledger {
	uint8_t id[16];
	uint64_t generation;
	uint64_t first; /* nothing before it is held */
	uint64_t next;  /* no number below may be given to a new message */
	uint64_t total; /* data records of the spool before `next` */
	uint64_t delivered_messages, delivered_records;
	uint64_t sent;   /* segments that begin at or before it may have been sent */
	uint64_t target; /* spool_target() */
	bool has_sent;
	bool is_running; /* an exporter is running, or did not shut down cleanly */
};

/* The preamble follows the header in the file. */
void spool_write_header(const struct spool_header *h, const uint8_t *preamble,
    uint8_t out[static SPOOL_HEADER]);
/* 0, or -EBADMSG: not a header, or damaged.  *ret_preamble points into bytes. */
int spool_read_header(const uint8_t *bytes, size_t n, struct spool_header *ret,
    const uint8_t **ret_preamble);
/* How many bytes spool_read_header() needs; 0: not a header. */
size_t spool_header_size(const uint8_t bytes[static SPOOL_HEADER]);

/* The message follows. */
void spool_write_entry(const struct spool_entry *x, const uint8_t *message,
    uint8_t out[static SPOOL_ENTRY]);
/* The entry that bytes begin with: its size with the message, 0: more bytes are needed,
 * or -EBADMSG. */
int spool_read_entry(const uint8_t *bytes, size_t n, struct spool_entry *ret);

/* Writes the slot of its generation; returns its offset in the file. */
size_t spool_write_ledger(const struct spool_ledger *l, uint8_t out[static SPOOL_SLOT]);
/* The newer of the valid slots; -EBADMSG: neither is valid. */
int spool_read_ledger(
    const uint8_t bytes[static SPOOL_LEDGER], struct spool_ledger *ret);

/* The number of messages in the preamble, or -EBADMSG when it is invalid. */
int spool_count_preamble(const uint8_t *preamble, size_t length);
/* Equal for two preambles that differ only in export times and sequence numbers. */
uint64_t spool_preamble_key(const uint8_t *preamble, size_t length);

#endif
