/* Rows that programs have besides their own. */
#include "common/config/option_private.h"
#include "common/config/option_shared.h"

#define COUNT(a) (unsigned)(sizeof(a) / sizeof(a)[0])

static const char *const summaries[] = {"text", "json", "none", NULL};
static const char *const progresses[] = {"auto", "always", "never", NULL};
static const char *const log_levels[] = {"error", "warning", "info", "debug", NULL};

#define AT(field) .offset = offsetof(struct option_shared, field)

static const struct option shared[] = {
    {.name = "certificate",
	.kind = OPTION_STRING,
	AT(certificate),
	.argument = "FILE",
	.section = "Certificates",
	.help = "Certificate chain (PEM) to present over encrypted transports."},
    {.name = "key",
	.kind = OPTION_STRING,
	AT(key),
	.argument = "FILE",
	.help = "Private key (PEM) of --certificate.  Other users must not be able to "
		"read the file."},
    {.name = "ca",
	.kind = OPTION_STRING,
	AT(ca),
	.argument = "FILE",
	.help = "Accept only peers whose certificate these authorities (PEM) issued.  "
		"Without it, the exporter trusts the system's authorities; the "
		"collector needs it."},
    {.name = "crl",
	.kind = OPTION_STRING,
	AT(crl),
	.argument = "FILE",
	.help = "Refuse certificates on these revocation lists (PEM), which the --ca "
		"authorities issued."},
    {.name = "tls12",
	.kind = OPTION_FLAG,
	AT(tls12),
	.help = "Also allow TLS 1.2, for peers without TLS 1.3."},

    {.name = "schemas",
	.kind = OPTION_STRING,
	AT(schemas),
	.argument = "DIR",
	.section = "Schemas",
	.help = "Read elements.xml, templates.yaml, records/ and tables/ from this "
		"directory instead of the installed one."},
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

    {.name = "user",
	.kind = OPTION_STRING,
	AT(user),
	.argument = "NAME",
	.section = "Process",
	.help = "Switch to this user, without privileges, once interfaces, ports and "
		"key files are open.  The collector opens its store, its journal and "
		"files to import as this user, and creates missing directories for "
		"it."},
    {.name = "summary",
	.kind = OPTION_CHOICE,
	AT(summary),
	.argument = "FORM",
	.standard = "text",
	.choices = summaries,
	.help = "Print totals at the end in this form: text, json or none.  They go to "
		"standard output, or to standard error if the records go to standard "
		"output."},
    {.name = "metrics-file",
	.kind = OPTION_STRING,
	AT(metrics_file),
	.argument = "FILE",
	.help =
	    "Write metrics in Prometheus' text format to this file every 10 s and at "
	    "the end.  For node_exporter's textfile collector, name it *.prom in the "
	    "directory that it reads."},
    {.name = "progress",
	.kind = OPTION_CHOICE,
	AT(progress),
	.argument = "WHEN",
	.standard = "auto",
	.choices = progresses,
	.help = "Show progress of reading files on standard error: auto (only on a "
		"terminal), always or never."},
};
#undef AT
#define AT(field) .offset = offsetof(struct option_builtin, field)

static const struct option builtins[] = {
    {.name = "config",
	.kind = OPTION_STRING,
	AT(config),
	.argument = "FILE",
	.section = "General",
	.help =
	    "Read options from this YAML file first.  Its keys are the long names of "
	    "options, without dashes.  The command line wins over the file."},
    {.name = "log-level",
	.kind = OPTION_CHOICE,
	AT(log_level),
	.standard = "info",
	.choices = log_levels,
	.help = "Write messages of this level or above to standard error."},
    {.name = "print-config",
	.kind = OPTION_FLAG,
	AT(print_config),
	.help = "Print the options in effect as a file for --config, and exit."},
    {.name = "print-manual",
	.kind = OPTION_FLAG,
	AT(print_manual),
	.help = "Print the manual page in source form (for man -l -), and exit."},
    {.name = "version",
	.kind = OPTION_FLAG,
	AT(version),
	.help = "Print the version, and exit."},
    {.name = "help",
	.letter = 'h',
	.kind = OPTION_FLAG,
	AT(help),
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
