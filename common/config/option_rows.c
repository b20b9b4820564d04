/* The rows that programs share: of the exporter and the collector, and of all. */
#include "common/config/option_private.h"
#include "common/config/option_shared.h"

#define COUNT(a) (unsigned)(sizeof(a) / sizeof(a)[0])

static const char *const summaries[] = {"text", "json", "none", NULL};
static const char *const progresses[] = {"auto", "always", "never", NULL};
static const char *const log_levels[] = {"error", "warning", "info", "debug", NULL};

#define AT(field) .offset = offsetof(struct option_shared, field)

static const struct option shared[] = {
    {ROW_STRING("certificate", "FILE"), AT(certificate), .section = "Certificates",
	.help = "Certificate chain (PEM) to present over encrypted transports."},
    {ROW_STRING("key", "FILE"), AT(key),
	.help = "Private key (PEM) of --certificate.  Other users must not be able to "
		"read the file."},
    {ROW_STRING("ca", "FILE"), AT(ca),
	.help = "Accept only peers whose certificate these authorities (PEM) issued.  "
		"Without it, the exporter trusts the system's authorities; the "
		"collector needs it."},
    {ROW_STRING("crl", "FILE"), AT(crl),
	.help = "Refuse certificates on these revocation lists (PEM), which the --ca "
		"authorities issued."},
    {ROW_FLAG("tls12"), AT(tls12),
	.help = "Also allow TLS 1.2, for peers without TLS 1.3."},

    {ROW_STRING("schemas", "DIR"), AT(schemas), .section = "Schemas",
	.help = "Read elements.xml, templates.yaml, records/ and tables/ from this "
		"directory instead of the installed one."},
    {ROW_LIST("elements", "XML"), AT(elements),
	.help = "Read information elements from this registry too (the XML format of "
		"libfixbuf and YAF).  May be repeated."},
    {ROW_NUMBER("own-pen", "32473", 1, UINT32_MAX), AT(own_pen),
	.help = "Private enterprise number of flowpair's own elements."},

    {ROW_STRING("user", "NAME"), AT(user), .section = "Process",
	.help = "Switch to this user and drop privileges once interfaces, ports and "
		"key files are open.  The collector opens its store, its journal and "
		"files to import as this user, and creates missing directories for "
		"it."},
    {ROW_CHOICE("summary", "FORM", "text", summaries), AT(summary),
	.help = "Print totals at the end in this form: text, json or none.  Totals go "
		"to standard output, or to standard error if the records go to "
		"standard output."},
    {ROW_STRING("metrics-file", "FILE"), AT(metrics_file),
	.help =
	    "Write metrics in Prometheus' text format to this file every 10 s and at "
	    "the end.  For node_exporter's textfile collector, name it *.prom in the "
	    "directory that it reads."},
    {ROW_CHOICE("progress", "WHEN", "auto", progresses), AT(progress),
	.help = "Show progress of reading files on standard error: auto (only on a "
		"terminal), always or never."},
};
#undef AT
#define AT(field) .offset = offsetof(struct option_builtin, field)

static const struct option builtins[] = {
    {ROW_STRING("config", "FILE"), AT(config), .section = "General",
	.help =
	    "Read options from this YAML file first.  Its keys are the long names of "
	    "options, without dashes.  The command line wins over the file."},
    {ROW_CHOICE("log-level", NULL, "info", log_levels), AT(log_level),
	.help = "Write messages of this level or above to standard error."},
    {ROW_FLAG("print-config"), AT(print_config),
	.help = "Print the options in effect as a file for --config, and exit."},
    {ROW_FLAG("print-manual"), AT(print_manual),
	.help = "Print the manual page in source form (for man -l -), and exit."},
    {ROW_FLAG("version"), AT(version), .help = "Print the version, and exit."},
    {ROW_FLAG("help"), AT(help), .letter = 'h',
	.help = "Print this summary, and exit."},
};

const struct option *
option_at(const struct option_program *p, unsigned i)
{
	if (i < p->count) {
		return &p->options[i];
	}
	i -= p->count;
	if (p->has_shared && i < COUNT(shared)) {
		return &shared[i];
	}
	i -= p->has_shared ? COUNT(shared) : 0;
	return i < COUNT(builtins) ? &builtins[i] : NULL;
}

bool
option_is_builtin(const struct option *o)
{
	return o >= builtins && o < builtins + COUNT(builtins);
}

void *
option_place(const struct option_program *p, const struct option *o, void *config,
    struct option_builtin *builtin)
{
	char *base = config;

	if (option_is_builtin(o)) {
		base = (char *)builtin;
	} else if (o >= shared && o < shared + COUNT(shared)) {
		base += p->shared;
	}
	return base + o->offset;
}

const char *
option_shared_tls(const struct option_shared *s)
{
	return s->certificate != NULL ? "--certificate"
	       : s->ca != NULL        ? "--ca"
	       : s->crl != NULL       ? "--crl"
				      : NULL;
}
