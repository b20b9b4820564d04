#include "exporter/run/options.h"

#include <errno.h>
#include <inttypes.h>
#include <stddef.h>
#include <strings.h>

#include "common/base/clock.h"
#include "common/ipfix/element.h"
#include "common/ipfix/message.h"
#include "common/schemes/schemes.h"
#include "common/sctp/sctp_manual.h"
#include "exporter/conversation/conversation.h"
#include "exporter/run/options_input.h"
#include "exporter/spool/spool.h"

#define QUEUE_LIVE  ((uint64_t)64 << 20)
#define QUEUE_FILES ((uint64_t)2 << 20)

static const char *const units[] = {"ms", "us", "s", NULL};
static const char *const summaries[] = {"text", "json", "none", NULL};
static const char *const deliveries[] = {"failover", "duplicate", NULL};
static const char *const progresses[] = {"auto", "always", "never", NULL};

#define AT(field) .offset = offsetof(struct options, field)
#define TIMEOUT   .min = 1000000, .max = CONVERSATION_TIMEOUT_MAX_NS

static const struct option table[] = {
    {.name = "interface",
	.letter = 'i',
	.kind = OPTION_LIST,
	AT(interfaces),
	.argument = "NAME",
	.section = "Input",
	.help =
	    "Capture on this interface until told to stop (any: on all of them).  "
	    "May be repeated: each interface has conversations of its own.  When one "
	    "disappears the others go on; when none is left the program ends, with "
	    "status 1."},
    {.name = "read",
	.letter = 'r',
	.kind = OPTION_LIST,
	AT(files),
	.argument = "FILE",
	.help =
	    "Read this capture (pcap or pcapng, also .gz and .zst; - is standard "
	    "input).  May be repeated: files are read in the order given.  From a "
	    "pipe, records leave within a second of their end though nothing more "
	    "comes, and those of packets that are no older than 5 s expire while "
	    "nothing comes, as in a live capture; tcpdump then wants its option U."},
    {.name = "trace-csv",
	.kind = OPTION_STRING,
	AT(trace_csv),
	.argument = "FILE",
	.help = "Read this flow trace (CSV with a header line, also .gz and .zst) and "
		"send one record a row."},
    {.name = "trace-duration-unit",
	.kind = OPTION_CHOICE,
	AT(trace_unit),
	.argument = "UNIT",
	.standard = "ms",
	.choices = units,
	.help = "Unit of the trace's column Flow.Duration."},
    {.name = "filter",
	.letter = 'f',
	.kind = OPTION_STRING,
	AT(filter),
	.argument = "EXPRESSION",
	.help = "Count only packets that match this pcap-filter(7) expression."},
    {.name = "snaplen",
	.kind = OPTION_SIZE,
	AT(snaplen),
	.argument = "BYTES",
	.standard = "512",
	.min = 64,
	.max = 262144,
	.help = "How much of each packet to capture on an interface; headers are "
		"enough, lengths come from them."},
    {.name = "promiscuous",
	.kind = OPTION_FLAG,
	AT(promiscuous),
	.standard = "true",
	.help = "Also capture what is addressed to others, unless switched off by "
		"--no-promiscuous."},
    {.name = "ring-size",
	.kind = OPTION_SIZE,
	AT(ring_bytes),
	.argument = "BYTES",
	.standard = "16MiB",
	.min = 65536,
	.max = 1u << 30,
	.help = "Kernel buffer of each interface."},
    {.name = "duration",
	.kind = OPTION_DURATION,
	AT(duration_ns),
	.argument = "TIME",
	.help = "Stop capturing after this time."},
    {.name = "count",
	.kind = OPTION_NUMBER,
	AT(count),
	.argument = "N",
	.help = "Stop after this many packets."},
    {.name = "user",
	.kind = OPTION_STRING,
	AT(user),
	.argument = "NAME",
	.help = "Go on as this user once interfaces, keys and output are open."},

    {.name = "max-conversations",
	.kind = OPTION_NUMBER,
	AT(max_conversations),
	.argument = "N",
	.standard = "1M",
	.min = 1,
	.max = 1000000000,
	.section = "Conversations",
	.help =
	    "At most this many live conversations, of about 230 bytes each, shared "
	    "evenly by the interfaces.  When there are more, those idle for longest "
	    "end early (end reason 5)."},
    {.name = "idle-timeout",
	.kind = OPTION_DURATION,
	AT(idle_ns),
	.argument = "TIME",
	.standard = "15s",
	TIMEOUT,
	.help = "A conversation ends after this time without a packet."},
    {.name = "idle-timeout-tcp",
	.kind = OPTION_DURATION,
	AT(idle_tcp_ns),
	.argument = "TIME",
	.max = CONVERSATION_TIMEOUT_MAX_NS,
	.help = "The same for TCP; 0: as idle-timeout."},
    {.name = "idle-timeout-udp",
	.kind = OPTION_DURATION,
	AT(idle_udp_ns),
	.argument = "TIME",
	.max = CONVERSATION_TIMEOUT_MAX_NS,
	.help = "The same for UDP; 0: as idle-timeout."},
    {.name = "idle-timeout-icmp",
	.kind = OPTION_DURATION,
	AT(idle_icmp_ns),
	.argument = "TIME",
	.max = CONVERSATION_TIMEOUT_MAX_NS,
	.help = "The same for ICMP and ICMPv6; 0: as idle-timeout."},
    {.name = "active-timeout",
	.kind = OPTION_DURATION,
	AT(active_ns),
	.argument = "TIME",
	.standard = "30min",
	TIMEOUT,
	.help = "A conversation that lives longer is reported in segments of this "
		"length, each with counters of its own."},
    {.name = "adaptive-timeout",
	.kind = OPTION_FLAG,
	AT(is_adaptive),
	.help = "Let each conversation's pace set its idle timeout: adaptive-factor "
		"times its mean inter-arrival time plus 4 standard deviations, but not "
		"less than adaptive-min nor more than adaptive-max."},
    {.name = "adaptive-min",
	.kind = OPTION_DURATION,
	AT(adaptive_min_ns),
	.argument = "TIME",
	.standard = "5s",
	TIMEOUT,
	.help = "Shortest adaptive idle timeout."},
    {.name = "adaptive-max",
	.kind = OPTION_DURATION,
	AT(adaptive_max_ns),
	.argument = "TIME",
	.standard = "5min",
	TIMEOUT,
	.help = "Longest adaptive idle timeout."},
    {.name = "adaptive-factor",
	.kind = OPTION_NUMBER,
	AT(adaptive_factor),
	.argument = "N",
	.standard = "5",
	.min = 1,
	.max = 1000,
	.help = "Mean inter-arrival times without a packet until a conversation ends."},
    {.name = "vlan-in-key",
	.kind = OPTION_FLAG,
	AT(vlan_in_key),
	.help = "Keep conversations of different VLANs apart."},

    {.name = "domain",
	.kind = OPTION_NUMBER,
	AT(domain),
	.argument = "N",
	.standard = "1",
	.max = UINT32_MAX,
	.section = "Records",
	.help = "Observation domain id of the messages."},
    {.name = "message-size",
	.kind = OPTION_SIZE,
	AT(message_size),
	.argument = "BYTES",
	.standard = "16384",
	.min = 512,
	.max = MESSAGE_MAX,
	.help = "Longest message.  Over DTLS at most 16384; over UDP at most what fits "
		"a packet on the path to the collector, and 1472."},
    {.name = "statistics-interval",
	.kind = OPTION_DURATION,
	AT(statistics_ns),
	.argument = "TIME",
	.standard = "60s",
	.help = "How often to send statistics of the exporter itself; 0: at the end "
		"only."},
    {.name = "elements",
	.kind = OPTION_LIST,
	AT(elements),
	.argument = "XML",
	.help = "Read information elements from this registry too (the XML format of "
		"libfixbuf and YAF).  May be repeated."},
    {.name = "templates",
	.kind = OPTION_STRING,
	AT(templates),
	.argument = "FILE",
	.help = "Send what this file lists instead of what schemas' templates.yaml "
		"does."},
    {.name = "schemas",
	.kind = OPTION_STRING,
	AT(schemas),
	.argument = "DIR",
	.help = "Directory of elements.xml and templates.yaml."},
    {.name = "own-pen",
	.kind = OPTION_NUMBER,
	AT(own_pen),
	.argument = "N",
	.standard = "32473",
	.min = 1,
	.max = UINT32_MAX,
	.help = "Private enterprise number of flowpair's own elements."},
    {.name = "list-elements",
	.kind = OPTION_FLAG,
	AT(list_elements),
	.help = "Print what a templates file may list, and exit."},

    {.name = "to",
	.letter = 't',
	.kind = OPTION_LIST,
	AT(to),
	.argument = "URI",
	.section = "Delivery",
	.help = "Where the records go: file:PATH, tcp://HOST[:4739], "
		"tls://HOST[:4740], sctp://HOST[:4739], dtls+sctp://HOST[:4740], "
		"udp://HOST[:4739] or dtls+udp://HOST[:4740].  Over UDP, what the "
		"network loses is lost: the collector counts it; where a HOST with "
		"several addresses refuses "
		"datagrams at one (ICMP), the next is tried, and when all do, messages "
		"wait as they do for a TCP port that is closed.  May be repeated; "
		"delivery says how."},
    {.name = "delivery",
	.kind = OPTION_CHOICE,
	AT(delivery),
	.argument = "HOW",
	.standard = "failover",
	.choices = deliveries,
	.help = "With several --to: failover sends to one of them, in the order given, "
		"and goes on with the next as failover-after says; duplicate sends "
		"everything to each: a collector that has two names, or transports, is "
		"to be given once, for it would count everything twice."},
    {.name = "failover-after",
	.kind = OPTION_DURATION,
	AT(failover_after_ns),
	.argument = "TIME",
	.help = "Go on with the next collector when one has taken nothing for so long "
		"and cannot be reached; 0: wait for it, however long.  What was sent "
		"and not acknowledged goes to the next too, and is counted as possibly "
		"duplicate."},
    {.name = "template-refresh",
	.kind = OPTION_DURATION,
	AT(refresh_ns),
	.argument = "TIME",
	.standard = "10min",
	.help =
	    "Over UDP, send templates again after this time (RFC 7011 section 8.4); "
	    "0: not by time."},
    {.name = "template-refresh-packets",
	.kind = OPTION_NUMBER,
	AT(refresh_messages),
	.argument = "N",
	.standard = "1000",
	.help =
	    "Over UDP, send templates again after so many messages; 0: not by their "
	    "number."},
    {.name = "spool",
	.kind = OPTION_STRING,
	AT(spool),
	.argument = "DIR",
	.help = "Keep messages in this directory until a collector has them for good: "
		"they survive the exporter, and what is left is delivered by the next "
		"run that names the directory.  Without it, they are kept in memory.  "
		"With --delivery duplicate each collector has a spool in DIR/1, DIR/2 "
		"and so on, in the order of --to; while something is held there for "
		"another collector (or for this one, by another name or address), such "
		"an order is refused."},
    {.name = "spool-size",
	.kind = OPTION_SIZE,
	AT(spool_bytes),
	.argument = "BYTES",
	.standard = "1GiB",
	.min = SPOOL_LEAST,
	.help =
	    "How large the directory may grow.  Then reading files waits, and a live "
	    "capture drops the oldest that was never sent, and counts."},
    {.name = "acknowledge",
	.kind = OPTION_FLAG,
	AT(acknowledge),
	.standard = "true",
	.help = "Ask secured collectors to acknowledge what is durable, and keep "
		"messages until they have, unless switched off by --no-acknowledge."},
    {.name = "deliver-only",
	.kind = OPTION_FLAG,
	AT(deliver_only),
	.help = "Read nothing: deliver what the spool holds, and end."},
    {.name = "spool-status",
	.kind = OPTION_FLAG,
	AT(spool_status),
	.help = "Print the account of the spool (by --summary, as text or JSON), and "
		"exit.  Somebody may be using it."},
    {.name = "certificate",
	.kind = OPTION_STRING,
	AT(certificate),
	.argument = "FILE",
	.help = "Certificate chain (PEM) that tells the collector who this is."},
    {.name = "key",
	.kind = OPTION_STRING,
	AT(key),
	.argument = "FILE",
	.help = "Private key (PEM) of the certificate; nobody else may read the file."},
    {.name = "ca",
	.kind = OPTION_STRING,
	AT(ca),
	.argument = "FILE",
	.help = "Authorities (PEM) that the collector's certificate must come from; "
		"without it, the system's."},
    {.name = "crl",
	.kind = OPTION_STRING,
	AT(crl),
	.argument = "FILE",
	.help = "Revocation lists (PEM) of those authorities."},
    {.name = "tls12",
	.kind = OPTION_FLAG,
	AT(tls12),
	.help = "Also speak TLS 1.2, to a collector that has nothing newer."},
    {.name = "queue-size",
	.kind = OPTION_SIZE,
	AT(queue_bytes),
	.argument = "BYTES",
	.min = 1 << 20,
	.help =
	    "Messages kept in memory while the collector is slow or away, or has not "
	    "acknowledged them; 64MiB live and over secured transports, else 2MiB.  "
	    "When they are more and not on disk (--spool), reading files waits, and "
	    "a live capture drops and counts."},
    {.name = "give-up",
	.kind = OPTION_DURATION,
	AT(give_up_ns),
	.argument = "TIME",
	.standard = "60s",
	.help =
	    "At the end, how long to try to deliver what is held; 0: for ever.  What "
	    "is left then stays in the spool, if there is one."},

    {.name = "summary",
	.kind = OPTION_CHOICE,
	AT(summary),
	.argument = "FORM",
	.standard = "text",
	.choices = summaries,
	.section = "Report",
	.help = "Totals on standard output at the end (on standard error when the "
		"records go to standard output)."},
    {.name = "metrics-file",
	.kind = OPTION_STRING,
	AT(metrics_file),
	.argument = "FILE",
	.help = "Write metrics here every 10 s and at the end, in Prometheus' text "
		"format; with the ending .prom in the directory that node_exporter's "
		"textfile collector reads."},
    {.name = "progress",
	.kind = OPTION_CHOICE,
	AT(progress),
	.argument = "WHEN",
	.standard = "auto",
	.choices = progresses,
	.help = "Progress of reading files on standard error; auto: when that is a "
		"terminal."},
};

static const struct option_program program = {
    .name = "flowpair-exporter",
    .summary = "turn packets into bidirectional conversation records (IPFIX)",
    .synopsis = "-i NAME [-i NAME ...] --to URI [option ...]\n"
		"-r FILE [-r FILE ...] --to URI [option ...]\n"
		"--trace-csv FILE --to URI [option ...]\n"
		"--deliver-only --spool DIR --to URI [option ...]\n"
		"--spool-status --spool DIR",
    .manual =
	"Watches packets on interfaces or in captures, follows the conversations in "
	"them, and sends one IPFIX record (RFC 7011, RFC 5103) for each: packets, "
	"octets, payload and inter-arrival statistics of both directions.\n\n"
	"SIGINT and SIGTERM end the input: what lives is sent with end reason 4 "
	"(forced), the queue is delivered, and the summary printed.  A second signal "
	"gives up what is not delivered within two seconds.\n\n"
	"Certificate, key, authorities and revocation lists are read anew before each "
	"reconnection, where the user that it runs as may read them: renewing them "
	"needs no restart.  SIGHUP says whether those that lie there now are in order, "
	"and until when; the connection and what it carries stay as they "
	"are.\n\n" SCTP_MANUAL "# EXAMPLES\n\n"
	"A capture into an IPFIX file:\n\n"
	"\tflowpair-exporter -r day.pcap.gz --to file:day.ipfix\n\n"
	"An interface to a collector, with mutual certificates:\n\n"
	"\tflowpair-exporter -i eth0 --to tls://collector.example.net \\\n"
	"\t    --certificate tap1.pem --key tap1.key --ca ca.pem --user nobody\n\n"
	"The same, losing nothing while the collector is away:\n\n"
	"\tflowpair-exporter -i eth0 --to tls://collector.example.net \\\n"
	"\t    --certificate tap1.pem --key tap1.key --ca ca.pem \\\n"
	"\t    --spool /var/spool/flowpair\n\n"
	"# DELIVERY\n\n"
	"A collector of ours, reached over a secured stream, acknowledges messages "
	"when they are durable in its journal.  Until then the exporter keeps them, "
	"in memory or in the directory of --spool, and sends them again after a "
	"reconnect; what came twice the collector counts once.  To any other "
	"collector, and over UDP and DTLS/UDP to any, a message is delivered when the "
	"transport has taken it: summary and metrics call its records unconfirmed.  "
	"Of those, the collector's table exporters shows as lost what it missed "
	"before a message that did come; what was on its way when this program, the "
	"path or the collector ended for good is in unconfirmed alone.\n\n"
	"A spool has one user at a time and a random id.  The collector refuses a "
	"second connection with the same id (a copy).  If it knows messages that this "
	"spool never sent (an old state was restored), what the spool brought along "
	"is taken for delivered and new messages go under a new id.\n\n"
	"After a crash the live conversations are lost, and the next run says so; what "
	"was handed over to the spool is not.\n",
    .options = table,
    .count = sizeof table / sizeof *table,
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
			    "--%s is longer than --active-timeout: an idle "
			    "conversation would be reported late; make it shorter or "
			    "the active timeout longer",
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
		    "--message-size %" PRIu64
		    " is too long for %s://, whose messages have at most %" PRIu32
		    " bytes",
		    o->message_size, to.scheme->name, to.scheme->message_max);
	}
	return rc;
}

/* Everything to each: who is named twice would count everything twice. */
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
			    "--to %s and --to %s are one collector: with --delivery "
			    "duplicate it would count everything twice; give it once",
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
		    "nowhere to send records to: give --to file:PATH, --to tcp://HOST "
		    "or --to tls://HOST");
	}
	if (o->failover_after_ns != 0 &&
	    (o->to.count < 2 || o->delivery != DELIVERY_FAILOVER)) {
		return err_set(e, -EINVAL,
		    "--failover-after needs another collector to go to: give --to "
		    "twice, and --delivery failover");
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
	struct transport_uri uri;

	for (unsigned i = 0; i < o->to.count; i++) {
		if (schemes_parse_uri(o->to.items[i], &uri, NULL) == 0 &&
		    uri.scheme->is_secure) {
			return true;
		}
	}
	return false;
}

/* Acknowledgements come a fraction of a second after the messages: so much must find
 * room until then. */
static uint64_t
standard_queue(const struct options *o)
{
	return options_is_secured(o) || options_is_live(o) ? QUEUE_LIVE : QUEUE_FILES;
}

int
options_parse(int argc, char **argv, struct options *ret, struct err *e)
{
	int rc = option_parse(&program, argc, argv, ret, NULL, e);

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
			rc = elements_check_own_pen(ret->own_pen, e);
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
