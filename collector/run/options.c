#include "collector/run/options.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "common/ipfix/element.h"
#include "common/schemes/schemes.h"
#include "common/sctp/sctp_manual.h"

static const char *const summaries[] = {"text", "json", "none", NULL};
static const char *const compacts[] = {"auto", "never", NULL};
static const char *const udp_sessions[] = {"port", "address", NULL};
static const char *const progresses[] = {"auto", "always", "never", NULL};

#define AT(field) .offset = offsetof(struct options, field)

static const struct option table[] = {
    {.name = "listen",
	.letter = 'l',
	.kind = OPTION_LIST,
	AT(listen),
	.argument = "URI",
	.section = "Input",
	.help =
	    "Take IPFIX messages here: tls://HOST[:4740], tcp://HOST[:4739], "
	    "sctp://HOST[:4739], dtls+sctp://HOST[:4740], dtls+udp://HOST[:4740] or "
	    "udp://HOST[:4739], which takes NetFlow v9 and v5 and sFlow v5 too.  HOST "
	    "* is every address of this host, port 0 any free one.  May be repeated."},
    {.name = "read",
	.letter = 'r',
	.kind = OPTION_LIST,
	AT(files),
	.argument = "FILE",
	.help =
	    "Import this IPFIX file, or capture (pcap, pcapng) of IPFIX, NetFlow v9 "
	    "or v5, or sFlow v5 over UDP, also .gz and .zst, and end when all is "
	    "stored.  Content "
	    "that the "
	    "store already has adds nothing.  May be repeated."},
    {.name = "exporter",
	.kind = OPTION_STRING,
	AT(exporter),
	.argument = "NAME",
	.help = "What to call the exporter of every record, instead of the name in its "
		"certificate, its address, or the file's name."},

    {.name = "store",
	.letter = 's',
	.kind = OPTION_STRING,
	AT(store),
	.argument = "TARGET",
	.section = "Tables",
	.help = "Where the tables are: sqlite:DIR, or a directory alone."},
    {.name = "tables",
	.kind = OPTION_LIST,
	AT(tables),
	.argument = "NAME[,NAME...]",
	.help = "Keep these tables only, instead of all that schemas' tables/ "
		"declares.  May be repeated."},
    {.name = "schemas",
	.kind = OPTION_STRING,
	AT(schemas),
	.argument = "DIR",
	.help = "Directory of elements.xml, records/ and tables/."},
    {.name = "elements",
	.kind = OPTION_LIST,
	AT(elements),
	.argument = "XML",
	.help = "Read information elements from this registry too (the XML format of "
		"libfixbuf and YAF).  May be repeated."},
    {.name = "own-pen",
	.kind = OPTION_NUMBER,
	AT(own_pen),
	.argument = "N",
	.standard = "32473",
	.min = 1,
	.max = UINT32_MAX,
	.help = "Private enterprise number of flowpair's own elements."},
    {.name = "max-keys",
	.kind = OPTION_NUMBER,
	AT(max_keys),
	.argument = "N",
	.standard = "1M",
	.min = 1,
	.max = 1000000000,
	.help = "Rows that a table gathers in memory before they are stored.  More "
		"reduce better and take about 250 bytes each."},
    {.name = "flush-interval",
	.kind = OPTION_DURATION,
	AT(flush_interval_ns),
	.argument = "TIME",
	.standard = "10s",
	.min = 1000000,
	.help = "Store what came at the latest after this time.  Imports store when "
		"a table is full, and at the end."},
    {.name = "lateness",
	.kind = OPTION_DURATION,
	AT(lateness_ns),
	.argument = "TIME",
	.standard = "2d",
	.help =
	    "Records that began longer ago than this when they arrive are filed "
	    "under their arrival, so that a router with a lost clock makes no days.  "
	    "Imports and peers with a verified certificate are exempt."},
    {.name = "skew",
	.kind = OPTION_DURATION,
	AT(skew_ns),
	.argument = "TIME",
	.standard = "1h",
	.help = "So are records that begin later than this after their arrival."},
    {.name = "template-lifetime",
	.kind = OPTION_DURATION,
	AT(template_lifetime_ns),
	.argument = "TIME",
	.standard = "1d",
	.help =
	    "Templates that came over UDP are forgotten when they were not repeated "
	    "for so long; what needs them waits for the next."},
    {.name = "compact",
	.kind = OPTION_CHOICE,
	AT(compact),
	.argument = "WHEN",
	.standard = "auto",
	.choices = compacts,
	.help = "Make one row per key, with indexes on the addresses, of days that "
		"ended longer ago than lateness; auto: after what came is stored, "
		"and after imports.  Takes about 2 s for a million rows."},

    {.name = "journal",
	.kind = OPTION_STRING,
	AT(journal),
	.argument = "DIR",
	.section = "Journal",
	.help = "Where messages are kept until tables have them; journal/ in the "
		"store's directory by default."},
    {.name = "journal-size",
	.kind = OPTION_SIZE,
	AT(journal_bytes),
	.argument = "BYTES",
	.standard = "4GiB",
	.min = 16 << 20,
	.help = "At most this much; then exporters wait until tables are stored.  "
		"What fills half of it is stored at once, before --flush-interval "
		"has passed."},
    {.name = "segment-size",
	.kind = OPTION_SIZE,
	AT(segment_bytes),
	.argument = "BYTES",
	.standard = "64MiB",
	.min = 4 << 20,
	.help = "Size of the journal's files, which go one by one."},
    {.name = "sync-interval",
	.kind = OPTION_DURATION,
	AT(sync_interval_ns),
	.argument = "TIME",
	.standard = "200ms",
	.min = 1000000,
	.max = 60000000000,
	.help = "What was received is durable after this time."},
    {.name = "skip-damaged-journal",
	.kind = OPTION_FLAG,
	AT(skip_damaged_journal),
	.help = "Go on without those parts of the journal that the disk damaged, and "
		"say how much was lost."},

    {.name = "certificate",
	.kind = OPTION_STRING,
	AT(certificate),
	.argument = "FILE",
	.section = "Peers",
	.help = "Certificate chain (PEM) of this collector."},
    {.name = "key",
	.kind = OPTION_STRING,
	AT(key),
	.argument = "FILE",
	.help = "Private key (PEM) of the certificate; nobody else may read the file."},
    {.name = "ca",
	.kind = OPTION_STRING,
	AT(ca),
	.argument = "FILE",
	.help = "Authorities (PEM) that exporters' certificates must come from."},
    {.name = "crl",
	.kind = OPTION_STRING,
	AT(crl),
	.argument = "FILE",
	.help = "Revocation lists (PEM) of those authorities."},
    {.name = "insecure-no-client-auth",
	.kind = OPTION_FLAG,
	AT(insecure_no_client_auth),
	.help = "Take records over TLS from anybody, without a certificate."},
    {.name = "tls12",
	.kind = OPTION_FLAG,
	AT(tls12),
	.help = "Also speak TLS 1.2, with exporters that have nothing newer."},
    {.name = "peers",
	.kind = OPTION_STRING,
	AT(peers),
	.argument = "FILE",
	.help = "Who may send, as which exporter, in which observation domains: see "
		"PEERS.  Without it everybody may whom certificates let in."},
    {.name = "max-peers",
	.kind = OPTION_NUMBER,
	AT(max_peers),
	.argument = "N",
	.standard = "1000",
	.min = 1,
	.max = 100000,
	.help = "Connections at a time."},
    {.name = "max-peers-per-address",
	.kind = OPTION_NUMBER,
	AT(max_peers_per_address),
	.argument = "N",
	.standard = "256",
	.max = 100000,
	.help =
	    "Connections at a time from one address, or one IPv6 /64; 0: as many as "
	    "from all."},
    {.name = "max-handshakes",
	.kind = OPTION_NUMBER,
	AT(max_half_open),
	.argument = "N",
	.standard = "256",
	.max = 100000,
	.help = "Connections at a time whose handshake is not done or, where there is "
		"no certificate, that have not sent a message yet.  When there is no "
		"room for one more, the oldest of them goes; 0: no bound of its own."},
    {.name = "max-spools",
	.kind = OPTION_NUMBER,
	AT(max_spools),
	.argument = "N",
	.standard = "65536",
	.min = 1,
	.max = 1000000,
	.help = "Spools of exporters of which it is remembered how much is durable; "
		"one more is turned away until one was silent for a week, unless its "
		"certificate's identity has less than its share of them: then it takes "
		"the place of one of an identity that has more."},
    {.name = "handshake-timeout",
	.kind = OPTION_DURATION,
	AT(handshake_timeout_ns),
	.argument = "TIME",
	.standard = "10s",
	.min = 1000000,
	.help = "How long a TLS handshake may take."},
    {.name = "max-errors",
	.kind = OPTION_NUMBER,
	AT(max_errors),
	.argument = "N",
	.standard = "1000",
	.max = 1000000000,
	.help = "A connection ends when more than this was wrong with what it sent "
		"within a minute: messages, sets and templates that are malformed or "
		"over a bound, and messages of forbidden domains; 0: never."},
    {.name = "message-timeout",
	.kind = OPTION_DURATION,
	AT(message_timeout_ns),
	.argument = "TIME",
	.standard = "30s",
	.min = 1000000,
	.help = "How long a message may take from its first byte to its last."},
    {.name = "idle-timeout",
	.kind = OPTION_DURATION,
	AT(idle_timeout_ns),
	.argument = "TIME",
	.standard = "0",
	.help = "End connections that are silent for so long; 0: never."},

    {.name = "udp-sessions",
	.kind = OPTION_CHOICE,
	AT(udp_sessions),
	.argument = "BY",
	.standard = "port",
	.choices = udp_sessions,
	.section = "Datagrams",
	.help = "What makes a session over UDP, with templates and sequence numbers of "
		"its own: each port of an exporter's address, or the address alone, "
		"for exporters that send templates and data from different ports."},
    {.name = "udp-sources",
	.kind = OPTION_NUMBER,
	AT(udp_sources),
	.argument = "N",
	.standard = "4096",
	.min = 1,
	.max = 1000000,
	.help = "Sessions over UDP at a time, of each listener; when one more begins, "
		"the longest idle ends, of the same host where that has more than an "
		"eighth of them."},
    {.name = "udp-idle",
	.kind = OPTION_DURATION,
	AT(udp_idle_ns),
	.argument = "TIME",
	.standard = "30min",
	.help =
	    "Sessions over UDP end after so much silence; 0: never.  What was learned "
	    "from them is kept for when they begin again (--template-lifetime).  Over "
	    "DTLS too, unless --idle-timeout says otherwise: their peers open another "
	    "one."},
    {.name = "udp-buffer",
	.kind = OPTION_SIZE,
	AT(udp_buffer_bytes),
	.argument = "BYTES",
	.standard = "32MiB",
	.min = 4096,
	.max = 1 << 30,
	.help = "Receive buffer to ask the kernel for, for each udp:// listener: it "
		"holds datagrams while the collector is busy.  Without the privilege "
		"to have more, net.core.rmem_max bounds it."},

    {.name = "user",
	.kind = OPTION_STRING,
	AT(user),
	.argument = "NAME",
	.section = "Running",
	.help = "Go on as this user once ports and keys are open; store and journal "
		"are opened as this user, and made for it where they are missing.  "
		"Imports read their files as this user, too."},
    {.name = "port-file",
	.kind = OPTION_STRING,
	AT(port_file),
	.argument = "FILE",
	.help = "Write the URIs that are listened at here, one a line, when ready."},
    {.name = "check",
	.kind = OPTION_FLAG,
	AT(check),
	.help = "Check options, schemas and certificates, and exit."},
    {.name = "explain",
	.kind = OPTION_FLAG,
	AT(explain),
	.help = "Print how records become rows, and the SQL of the tables, and exit."},
    {.name = "summary",
	.kind = OPTION_CHOICE,
	AT(summary),
	.argument = "FORM",
	.standard = "text",
	.choices = summaries,
	.section = "Report",
	.help = "Totals on standard output at the end."},
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
	.help =
	    "Progress of imports on standard error; auto: when that is a terminal."},
};

static const struct option_program program = {
    .name = "flowpair-collector",
    .summary = "reduce flow records (IPFIX) to tables",
    .synopsis = "--listen URI [--listen URI ...] --store TARGET [option ...]\n"
		"-r FILE [-r FILE ...] --store TARGET [option ...]\n"
		"--check | --explain [option ...]",
    .manual =
	"Takes IPFIX messages (RFC 7011) from exporters over TLS, TCP or UDP, "
	"NetFlow v9 and v5 and sFlow v5 over UDP, or any of them from files, "
	"and reduces their records by key to the tables that schemas declare: "
	"conversations, pairs of hosts, daily services, and the exporters themselves.  "
	"Any SQLite client reads the tables while they are written; flowpair-query(1) "
	"asks them across days.\n\n"
	"Of sFlow, samples of packets become records of one packet each, which were "
	"sampled at the rate that the sample tells.  Samples of counters are counted "
	"(counter_samples in table exporters), not read; samples of other kinds and "
	"malformed ones are counted by reason (unknown-sample, bad-sample), and cost "
	"none of those around them.  Agents are told apart by the address that they "
	"write into their datagrams: where somebody else sends for them (a relay, a "
	"NAT, another interface), the table exporters has 'AGENT via ADDRESS' as the "
	"peer, and as the exporter unless it has a name.\n\n"
	"What was received is first written to a journal.  After a crash, the same "
	"command goes on from there: every message in the journal is counted exactly "
	"once.\n\n"
	"Exporters that keep a spool are told what is durable in the journal; what is "
	"not they send again after a connection broke or either end crashed, and no "
	"message is counted twice.  Of others (UDP, DTLS/UDP, plain TCP), lost in "
	"summary and table exporters is what gaps in sequence numbers show: what went "
	"missing behind the last message that came, as when the exporter crashed, "
	"leaves no gap and is not in it; our exporter's summary has it among its "
	"unconfirmed records.\n\n"
	"SIGINT and SIGTERM end it in order: what peers have sent is taken, everything "
	"stored, and the summary printed.  SIGHUP reads certificate, key, authorities, "
	"revocation lists and the peers' file anew, and ends the sessions of peers "
	"that would not be let in any more; the others go on.\n\n"
	"# PEERS\n\n"
	"The file of --peers lists who may send.  An identity is what the verified "
	"certificate says (the first DNS name of its subject alternative names, else "
	"its URI, address, or common name), exactly, or with a wildcard for the first "
	"label.  Whoever has a certificate is judged by its identity alone, whoever "
	"has "
	"none (tcp, udp, sctp, --insecure-no-client-auth) by its address; the exact "
	"name and the longest prefix win.  name: what tables call the exporter; "
	"domains: the observation domains that it may use, all without it.\n\n"
	"\tpeers:\n"
	"\t  - identity: tap1.example\n"
	"\t    name: tap1\n"
	"\t    domains: [1, 5-9]\n"
	"\t  - identity: '*.edge.example'\n"
	"\t  - address: 192.0.2.0/24\n\n"
	"Who is not in it is refused (counted as identity); messages of other domains "
	"are counted (forbidden-domain) and not stored.  The journal keeps what "
	"applied "
	"when a session began, so a replay decides the same.  SIGHUP reads the file "
	"anew; sessions stay, except of those whom it no longer has, or has with "
	"another name or other domains: they end, and may come again on their new "
	"terms.\n\n"
	"# FILES\n\n"
	"In the directory of --store: flowpair.sqlite holds the small tables and the "
	"catalog, TABLE-YYYY-MM-DD.sqlite one day of a large one, which is compacted "
	"once the day is over.  In that of --journal: "
	"segments (.journal) with the state at their start (.state); synced says how "
	"far "
	"they are durable; folder quarantine "
	"holds messages that crashed the collector twice.\n\n"
	"Days are kept until their files are deleted, which may be done while the "
	"collector runs, once the day is over:\n\n"
	"\tfind /var/lib/flowpair -maxdepth 1 -name '*-20*.sqlite*' "
	"-mtime +90 -delete\n\n"
	"What comes for such a day later begins it anew.  Rollups of partition none "
	"(services) keep their rows of the day.\n\n" SCTP_MANUAL "# EXAMPLES\n\n"
	"Exporters with certificates:\n\n"
	"\tflowpair-collector --listen tls://*:4740 --store /var/lib/flowpair \\\n"
	"\t    --certificate collector.pem --key collector.key --ca ca.pem\n\n"
	"A file:\n\n"
	"\tflowpair-collector -r day.ipfix --store tables\n"
	"\tflowpair-query --store tables pairs --top 10\n",
    .options = table,
    .count = sizeof table / sizeof *table,
};

static int
check_input(const struct options *o, struct err *e)
{
	if (o->check || o->explain) {
		return 0;
	}
	if (o->listen.count == 0 && o->files.count == 0) {
		return err_set(
		    e, -EINVAL, "nothing to do: give --listen URI or -r FILE");
	}
	if (o->listen.count > 0 && o->files.count > 0) {
		return err_set(e, -EINVAL,
		    "--listen and -r exclude each other: import files with a second "
		    "command and a store of its own, or before listening");
	}
	if (o->files.count > 0 && (o->peers != NULL || o->port_file != NULL)) {
		return err_set(e, -EINVAL,
		    "--%s goes with --listen: files are read whoever is in them",
		    o->peers != NULL ? "peers" : "port-file");
	}
	if (o->store == NULL) {
		return err_set(e, -EINVAL,
		    "nowhere to keep tables: give --store sqlite:DIR or --store DIR");
	}
	return 0;
}

bool
options_is_secured(const struct options *o)
{
	struct transport_uri uri;

	for (unsigned i = 0; i < o->listen.count; i++) {
		if (schemes_parse_uri(o->listen.items[i], &uri, NULL) == 0 &&
		    uri.scheme->is_secure) {
			return true;
		}
	}
	return false;
}

static int
check_peers(const struct options *o, struct err *e)
{
	for (unsigned i = 0; i < o->listen.count; i++) {
		struct transport_uri uri;
		int rc = schemes_parse_uri(o->listen.items[i], &uri, e);
		if (rc < 0) {
			return rc;
		}
		if (uri.scheme->is_secure &&
		    (o->certificate == NULL || o->key == NULL)) {
			return err_set(e, -EINVAL,
			    "--listen %s needs --certificate and --key",
			    o->listen.items[i]);
		}
		if (uri.scheme->is_secure && o->ca == NULL &&
		    !o->insecure_no_client_auth) {
			return err_set(e, -EINVAL,
			    "--listen %s needs --ca, the authorities that exporters' "
			    "certificates come from (or --insecure-no-client-auth)",
			    o->listen.items[i]);
		}
	}
	return 0;
}

static bool
has_table(const struct options *o, const char *name, size_t n)
{
	for (unsigned i = 0; i < o->table_count; i++) {
		if (strlen(o->table_names[i]) == n &&
		    memcmp(o->table_names[i], name, n) == 0) {
			return true;
		}
	}
	return false;
}

/* --tables pairs,services */
static int
split_tables(struct options *o, struct err *e)
{
	for (unsigned i = 0; i < o->tables.count; i++) {
		const char *at = o->tables.items[i];
		for (;;) {
			size_t n = strcspn(at, ",");
			char **more;
			if (has_table(o, at, n)) {
				return err_set(e, -EINVAL, "--tables names %.*s twice",
				    (int)n, at);
			}
			more = realloc(o->table_names,
			    (o->table_count + 1) * sizeof *o->table_names);
			if (more == NULL) {
				return err_set(e, -ENOMEM, "out of memory");
			}
			o->table_names = more;
			o->table_names[o->table_count] = strndup(at, n);
			if (o->table_names[o->table_count++] == NULL) {
				return err_set(e, -ENOMEM, "out of memory");
			}
			if (at[n] == '\0') {
				break;
			}
			at += n + 1;
		}
	}
	return 0;
}

int
options_parse(int argc, char **argv, struct options *ret, struct err *e)
{
	int rc = option_parse(&program, argc, argv, ret, NULL, e);

	if (rc != 0) {
		return rc;
	}
	ret->table_names = NULL;
	ret->table_count = 0;
	rc = check_input(ret, e);
	if (rc == 0) {
		rc = elements_check_own_pen(ret->own_pen, e);
	}
	if (rc == 0) {
		rc = check_peers(ret, e);
	}
	if (rc == 0) {
		rc = split_tables(ret, e);
	}
	if (rc < 0) {
		options_free(ret);
	}
	return rc;
}

void
options_free(struct options *o)
{
	for (unsigned i = 0; i < o->table_count; i++) {
		free(o->table_names[i]);
	}
	free(o->table_names);
	o->table_names = NULL;
	o->table_count = 0;
	option_free(&program, o, NULL);
}
