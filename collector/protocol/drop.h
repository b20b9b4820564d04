/* Why received data was dropped: sessions count it, summaries, metrics and table
 * `exporters` show it.  Threads: any. */
#ifndef COLLECTOR_PROTOCOL_DROP_H
#define COLLECTOR_PROTOCOL_DROP_H

/* Counted in records, or in sets where their records cannot be counted. */
enum drop {
	DROP_NO_TEMPLATE,      /* sets */
	DROP_BAD_MESSAGE,      /* messages: header or set lengths impossible */
	DROP_BAD_TEMPLATE,     /* template records */
	DROP_BAD_RECORD,       /* sets whose variable-length record ran over its end */
	DROP_REFUSED_TEMPLATE, /* over the bound */
	DROP_UNKNOWN_SESSION,  /* messages of a session that was never opened */
	DROP_REFUSED_DOMAIN,   /* messages of one observation domain too many */
	DROP_FORBIDDEN_DOMAIN, /* messages of a domain that the peer may not use */
	DROP_IGNORED_WITHDRAWAL, /* of templates, over UDP (RFC 7011 section 8.4) */
	DROP_REPEATED,           /* messages that a spool sent twice */
	DROP_BAD_SAMPLE,         /* samples of sFlow; those around it count */
	DROP_UNKNOWN_SAMPLE,     /* samples of sFlow, neither of packets nor counters */
	/* Of records that are stored all the same, where tables ask for structured
	 * data (RFC 6313): */
	DROP_BAD_LIST,      /* lists: malformed */
	DROP_LIST_TEMPLATE, /* lists whose template never came */
	DROP_LONG_LIST,     /* texts that do not hold all of a list */
	/* Records, sets, templates, messages: the collector's fault, never the peer's */
	DROP_NO_MEMORY,
	DROPS,
};

const char *drop_name(enum drop d);     /* "no-template" */
const char *drop_sentence(enum drop d); /* "data came without ..." */
const char *drop_unit(enum drop d);     /* "sets" */

#endif
