#include "exporter/run/options.h"

#include <errno.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <strings.h>

#include "common/base/clock.h"
#include "common/ipfix/element.h"
#include "common/ipfix/message.h"
#include "common/schemes/schemes.h"
#include "exporter/conversation/conversation.h"
#include "exporter/run/options_input.h"
#include "exporter/spool/spool.h"

#define QUEUE_LIVE  ((uint64_t)64 << 20)
#define QUEUE_FILES ((uint64_t)2 << 20)

static const char *const units[] = {"ms", "us", "s", NULL};
static const char *const deliveries[] = {"failover", "duplicate", NULL};

static char to_help[512]; /* options_parse() names the transports */

#define AT(field) .offset = offsetof(struct options, field)

static const struct option table[] = {
    {ROW_LIST("interface", "NAME"), AT(interfaces), .letter = 'i', .section = "Input",
	.help = "Capture on this interface until stopped (any: on all interfaces).  "
		"May be repeated; each interface has its own conversations.  When an "
		"interface disappears, capture continues on the others; when none is "
		"left, the program ends with status 1."},
    {ROW_LIST("read", "FILE"), AT(files), .letter = 'r',
	.help = "Read this capture (pcap or pcapng, also .gz and .zst; - is standard "
		"input).  May be repeated; files are read in the order given.  A pipe "
		"is treated as live: records are sent within a second after they "
		"end even when no more packets follow, and conversations expire by the "
		"clock while their packets are at most 5 s old (start tcpdump with "
		"-U)."},
    {ROW_STRING("trace-csv", "FILE"), AT(trace_csv),
	.help = "Read this flow trace (CSV with a header line, also .gz and .zst) and "
		"send one record per row."},
    {ROW_CHOICE("trace-duration-unit", "UNIT", "ms", units), AT(trace_unit),
	.help = "Unit of the column Flow.Duration in the trace."},
    {ROW_STRING("filter", "EXPRESSION"), AT(filter), .letter = 'f',
	.help = "Count only packets that match this pcap-filter(7) expression."},
    {ROW_SIZE("snaplen", "512", 64, 262144), AT(snaplen),
	.help = "Capture at most this many bytes of each packet on an interface.  "
		"Headers are enough, because they contain the lengths."},
    {ROW_FLAG("promiscuous"), AT(promiscuous), .standard = "true",
	.help = "Put the interface in promiscuous mode (--no-promiscuous turns it "
		"off)."},
    {ROW_SIZE("ring-size", "16MiB", 65536, 1u << 30), AT(ring_bytes),
	.help = "Size of the kernel's capture buffer for each interface."},
    {ROW_DURATION("duration", NULL, 0, 0), AT(duration_ns),
	.help = "Stop capturing after this time."},
    {ROW_NUMBER("count", NULL, 0, 0), AT(count),
	.help = "Stop after this many packets."},

    {ROW_NUMBER("max-conversations", "1M", 1, 1000000000), AT(max_conversations),
	.section = "Conversations",
	.help = "Track at most this many live conversations, of about 230 bytes each, "
		"divided evenly among the interfaces.  When there are more, end those "
		"that have been idle longest (end reason 5)."},
    {ROW_DURATION("idle-timeout", "15s", NS_PER_MS, CONVERSATION_TIMEOUT_MAX_NS),
	AT(idle_ns), .help = "End a conversation after this time without a packet."},
    {ROW_DURATION("idle-timeout-tcp", NULL, 0, CONVERSATION_TIMEOUT_MAX_NS),
	AT(idle_tcp_ns),
	.help = "End a TCP conversation after this time without a packet; 0 (default): "
		"after --idle-timeout."},
    {ROW_DURATION("idle-timeout-udp", NULL, 0, CONVERSATION_TIMEOUT_MAX_NS),
	AT(idle_udp_ns),
	.help = "End a UDP conversation after this time without a packet; 0 (default): "
		"after --idle-timeout."},
    {ROW_DURATION("idle-timeout-icmp", NULL, 0, CONVERSATION_TIMEOUT_MAX_NS),
	AT(idle_icmp_ns),
	.help = "End an ICMP or ICMPv6 conversation after this time without a packet; "
		"0 (default): after --idle-timeout."},
    {ROW_DURATION("active-timeout", "30min", NS_PER_MS, CONVERSATION_TIMEOUT_MAX_NS),
	AT(active_ns),
	.help = "Report a conversation that lasts longer than this in segments of this "
		"length, each with its own counters."},
    {ROW_FLAG("adaptive-timeout"), AT(is_adaptive),
	.help = "Choose the idle timeout of each conversation by its pace: "
		"--adaptive-factor times its mean inter-arrival time, plus 4 standard "
		"deviations, within --adaptive-min and --adaptive-max."},
    {ROW_DURATION("adaptive-min", "5s", NS_PER_MS, CONVERSATION_TIMEOUT_MAX_NS),
	AT(adaptive_min_ns),
	.help = "Shortest idle timeout that --adaptive-timeout chooses."},
    {ROW_DURATION("adaptive-max", "5min", NS_PER_MS, CONVERSATION_TIMEOUT_MAX_NS),
	AT(adaptive_max_ns),
	.help = "Longest idle timeout that --adaptive-timeout chooses."},
    {ROW_NUMBER("adaptive-factor", "5", 1, 1000), AT(adaptive_factor),
	.help = "Factor by which --adaptive-timeout multiplies the mean inter-arrival "
		"time."},
    {ROW_FLAG("vlan-in-key"), AT(vlan_in_key),
	.help = "Keep conversations in different VLANs apart."},

    {ROW_NUMBER("domain", "1", 0, UINT32_MAX), AT(domain), .section = "Records",
	.help = "Observation domain ID to put into messages."},
    {ROW_SIZE("message-size", "16384", 512, MESSAGE_MAX), AT(message_size),
	.help = "Longest message to send, in bytes.  The maximum is 16384 over DTLS; "
		"over UDP it is what fits one packet on the path to the collector, and "
		"at most 1472."},
    {ROW_DURATION("statistics-interval", "60s", 0, 0), AT(statistics_ns),
	.help = "Send statistics of the exporter itself this often; 0: only at the "
		"end."},
    {ROW_STRING("templates", "FILE"), AT(templates),
	.help = "Send the fields that this file lists instead of those in "
		"templates.yaml of the schemas."},
    {ROW_FLAG("list-elements"), AT(list_elements),
	.help = "Print the elements that a templates file may list, and exit."},

    {ROW_LIST("to", "URI"), AT(to), .letter = 't', .section = "Delivery",
	.help = to_help},
    {ROW_CHOICE("delivery", "HOW", "failover", deliveries), AT(delivery),
	.help = "How to use several --to.  failover: send to one collector at a time, "
		"in the order given, and change to the next after --failover-after.  "
		"duplicate: send everything to each; give a collector only once, even "
		"if it has several names or transports, because it would count "
		"everything twice."},
    {ROW_DURATION("failover-after", NULL, 0, 0), AT(failover_after_ns),
	.help = "Change to the next collector when this one has accepted no data for "
		"this time and cannot be reached; 0 (default): wait for it forever.  "
		"Messages that were sent but not acknowledged also go to the next "
		"collector, and are counted as possibly duplicate."},
    {ROW_DURATION("template-refresh", "10min", 0, 0), AT(refresh_ns),
	.help = "Over UDP, send templates again after this time (RFC 7011 section "
		"8.4); 0 turns this off."},
    {ROW_NUMBER("template-refresh-packets", "1000", 0, 0), AT(refresh_messages),
	.help = "Over UDP, send templates again after this many messages; 0 turns this "
		"off."},
    {ROW_STRING("spool", "DIR"), AT(spool),
	.help =
	    "Keep messages in this directory until a collector has stored them.  They "
	    "survive a restart: the next run that names the directory delivers what is "
	    "left.  Without it, messages are kept in memory.  With --delivery "
	    "duplicate, each collector has its own spool in DIR/1, DIR/2 and so on, in "
	    "the order of --to.  An order that would deliver spooled messages to "
	    "another collector, or to the same one under another name or address, is "
	    "refused."},
    {ROW_SIZE("spool-size", "1GiB", SPOOL_LEAST, 0), AT(spool_bytes),
	.help = "Largest size of the spool directory.  When it is full, reading files "
		"pauses until there is room; a live capture drops the oldest messages "
		"that were never sent, and counts them."},
    {ROW_FLAG("acknowledge"), AT(acknowledge), .standard = "true",
	.help = "Ask collectors over encrypted transports to acknowledge what they "
		"have stored, and keep messages until they do (--no-acknowledge turns "
		"it off)."},
    {ROW_FLAG("deliver-only"), AT(deliver_only),
	.help = "Read no input: deliver what the spool holds, and exit."},
    {ROW_FLAG("spool-status"), AT(spool_status),
	.help = "Print what the spool holds (as text or JSON, see --summary), and "
		"exit.  Safe while an exporter is using the spool."},
    {ROW_SIZE("queue-size", NULL, 1 << 20, 0), AT(queue_bytes),
	.help = "Keep at most this much in memory while the collector is slow, cannot "
		"be reached or has not acknowledged it.  Default: 64MiB for live "
		"captures and encrypted transports, else 2MiB.  When the queue is full "
		"and there is no --spool, reading files pauses until there is room, "
		"and a live capture drops messages and counts them."},
    {ROW_DURATION("give-up", "60s", 0, 0), AT(give_up_ns),
	.help = "At the end, try for this time to deliver what is left; 0: forever.  "
		"What remains undelivered stays in the spool, if there is one."},
};

/* flowpair-exporter.1.in: the manual's text. */
extern const char flowpair_exporter_manual[];

static const struct option_program program = {
    .name = "flowpair-exporter",
    .summary = "turn packets into bidirectional conversation records (IPFIX)",
    .synopsis = "-i NAME [-i NAME ...] --to URI [option ...]\n"
		"-r FILE [-r FILE ...] --to URI [option ...]\n"
		"--trace-csv FILE --to URI [option ...]\n"
		"--deliver-only --spool DIR --to URI [option ...]\n"
		"--spool-status --spool DIR",
    .manual = flowpair_exporter_manual,
    .options = table,
    .count = sizeof table / sizeof *table,
    .has_shared = true,
    .shared = offsetof(struct options, shared),
};

static int
check_timeouts(const struct options *o, struct err *e)
{
	const struct {
		const char *name;
		uint64_t ns;
	} idle[] = {
	    {"idle-timeout", o->idle_ns},
	    {"idle-timeout-tcp", o->idle_tcp_ns},
	    {"idle-timeout-udp", o->idle_udp_ns},
	    {"idle-timeout-icmp", o->idle_icmp_ns},
	    {"adaptive-max", o->is_adaptive ? o->adaptive_max_ns : 0},
	};

	for (unsigned i = 0; i < sizeof idle / sizeof *idle; i++) {
		if (idle[i].ns > o->active_ns) {
			return err_set(e, -EINVAL,
			    "--%s is longer than --active-timeout, so idle "
			    "conversations would be reported late; shorten it or "
			    "lengthen --active-timeout",
			    idle[i].name);
		}
	}
	if (o->adaptive_min_ns > o->adaptive_max_ns) {
		return err_set(
		    e, -EINVAL, "--adaptive-min is longer than --adaptive-max");
	}
	return 0;
}

static int
check_target(const struct options *o, const char *text, struct err *e)
{
	struct transport_uri to;
	int rc = schemes_parse_uri(text, &to, e);

	if (rc == 0 && o->message_size > to.scheme->message_max) {
		rc = err_set(e, -EINVAL,
		    "--message-size %" PRIu64 " is too long for %s:// (maximum %" PRIu32
		    " bytes)",
		    o->message_size, to.scheme->name, to.scheme->message_max);
	}
	return rc;
}

/* A collector given twice would count everything twice with --delivery duplicate. */
static int
check_twins(const struct options *o, unsigned i, struct err *e)
{
	struct transport_uri to, other;

	if (o->delivery != DELIVERY_DUPLICATE ||
	    schemes_parse_uri(o->to.items[i], &to, NULL) < 0 || to.scheme->is_file) {
		return 0;
	}
	for (unsigned j = 0; j < i; j++) {
		if (schemes_parse_uri(o->to.items[j], &other, NULL) == 0 &&
		    other.scheme == to.scheme && other.port == to.port &&
		    strcasecmp(other.host, to.host) == 0) {
			return err_set(e, -EINVAL,
			    "--to %s and --to %s are one collector, which would count "
			    "everything twice with --delivery duplicate; give it once",
			    other.text, to.text);
		}
	}
	return 0;
}

static int
check_delivery(const struct options *o, struct err *e)
{
	int rc = 0;

	if (o->to.count == 0) {
		return err_set(e, -EINVAL,
		    "no destination: give --to file:PATH, --to tcp://HOST or --to "
		    "tls://HOST");
	}
	if (o->failover_after_ns != 0 &&
	    (o->to.count < 2 || o->delivery != DELIVERY_FAILOVER)) {
		return err_set(e, -EINVAL,
		    "--failover-after needs another collector: give --to twice, and "
		    "--delivery failover");
	}
	for (unsigned i = 0; i < o->to.count && rc == 0; i++) {
		rc = check_target(o, o->to.items[i], e);
		if (rc == 0) {
			rc = check_twins(o, i, e);
		}
	}
	return rc;
}

bool
options_is_secured(const struct options *o)
{
	return schemes_any_secure(o->to.items, o->to.count);
}

/* Acknowledgements arrive a fraction of a second after the messages, which need room
 * until then. */
static uint64_t
standard_queue(const struct options *o)
{
	return options_is_secured(o) || options_is_live(o) ? QUEUE_LIVE : QUEUE_FILES;
}

int
options_parse(char **argv, struct options *ret, struct err *e)
{
	int rc;

	snprintf(to_help, sizeof to_help,
	    "Send records to %s.  May be repeated; --delivery decides how several "
	    "are used.",
	    schemes_text(false));
	rc = option_parse(&program, argv, ret, NULL, e);
	if (rc != 0 || ret->list_elements) {
		return rc;
	}
	if (ret->spool_status) {
		rc = ret->spool != NULL
			 ? 0
			 : err_set(e, -EINVAL, "--spool-status needs --spool DIR");
	} else {
		rc = options_check_input(ret, e);
		if (rc == 0) {
			rc = check_timeouts(ret, e);
		}
		if (rc == 0) {
			rc = elements_check_own_pen(ret->shared.own_pen, e);
		}
		if (rc == 0) {
			rc = check_delivery(ret, e);
		}
	}
	if (rc < 0) {
		options_free(ret);
		return rc;
	}
	if (ret->queue_bytes == 0) {
		ret->queue_bytes = standard_queue(ret);
	}
	return 0;
}

void
options_free(struct options *o)
{
	option_free(&program, o, NULL);
}
