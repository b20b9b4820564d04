/* What the files of a run share: run.c opens and finishes; run_files.c, run_live.c and
 * run_trace.c are the loops; run_pipe.c waits for a pipe; run_step.c is what loops do
 * between two chunks; run_metrics.c counts and reports; run_delivery.c has the senders.
 * Each calls only those named after it. */
#ifndef EXPORTER_RUN_RUN_PRIVATE_H
#define EXPORTER_RUN_RUN_PRIVATE_H

#include "common/capture/capture.h"
#include "common/ipfix/element.h"
#include "exporter/export/export.h"
#include "exporter/run/options.h"
#include "exporter/run/packet_clock.h"
#include "exporter/run/pipeline.h"
#include "exporter/run/progress.h"
#include "exporter/run/summary.h"
#include "exporter/sender/sender.h"
#include "exporter/trace/trace_csv.h"

struct run {
	const struct options *o;
	struct elements *elements;
	struct export *export;
	struct sender **senders; /* one, or one per collector */
	struct summary_delivery *deliveries;
	unsigned sender_count;
	uint64_t pushed_records; /* data records in messages so far */
	struct trace *trace;
	/* One pipeline per interface; files share the first. */
	struct pipeline **pipelines;
	struct capture **open; /* live: one per pipeline; files: the current one */
	unsigned pipeline_count;
	struct summary_capture *captures; /* final counts when closed, else current */
	unsigned capture_count;
	struct progress progress;
	uint64_t now_ns;                  /* wall clock when last read: export time */
	uint64_t begin_ns, begin_wall_ns; /* monotonic; wall clock */
	uint64_t second_ns;       /* monotonic: when messages were last flushed */
	struct packet_clock pace; /* of a pipe */
	bool is_present;          /* a pipe's last packet was recent when it was read */
	uint64_t metrics_ns, warned_ns; /* monotonic: next metrics; last warning */
	bool is_told_metrics;           /* that metrics cannot be written */
	bool is_told_twins;             /* that one collector gets everything twice */
	struct tls_expiry expiry;
	uint64_t statistics_ns; /* next statistics, in input time */
};

#define RUN_CHUNK 4096u /* packets or rows between two readings of the clock */

int run_files(struct run *r);
int run_live(struct run *r);
int run_trace(struct run *r);

/* Opens o->files.items[i] as the current file. */
int run_open_file(struct run *r, unsigned i, struct err *e);
void run_close_file(struct run *r, unsigned i);
/* A stop was requested, or a sender cannot deliver any more. */
bool run_is_stopped(const struct run *r);
uint64_t run_packets_read(const struct run *r);
void run_send_statistics(struct run *r);
/* Sends statistics when their interval of input time has passed. */
void run_statistics(struct run *r, uint64_t input_ns);

/* Once a second (now_ns is monotonic): sends the message under construction even if it
 * is not full. */
void run_each_second(struct run *r, uint64_t now_ns, uint64_t input_ns);
/* The compressed_wait of a pipe (data: the run).  While the pipe is silent, it does
 * what a live capture does without packets. */
int run_await(int fd, void *run);

/* Every 10 s: writes the metrics, and warns of certificates that are about to
 * expire. */
void run_metrics(struct run *r);

/* Opens the senders; their spools belong to --user.  The preamble is copied. */
int run_open_senders(
    struct run *r, const struct export_preamble *preamble, struct err *e);
int run_start_senders(struct run *r, struct err *e);
/* Hands a message to every sender. */
void run_push(struct run *r, const uint8_t *message, size_t length, uint32_t records);
void run_hurry(struct run *r);
/* A sender cannot deliver any more. */
bool run_is_over(const struct run *r);
/* 0, or a negative code when a sender failed: the last failure is in e, earlier ones
 * are logged. */
int run_finish_senders(struct run *r, struct err *e);
void run_count_senders(struct run *r);
/* Warns, once, when two senders have reached the same collector under two names. */
void run_tell_twins(struct run *r);
void run_free_senders(struct run *r);

#endif
