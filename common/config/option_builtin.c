#include "common/config/option_private.h"

static const char *const log_levels[] = {"error", "warning", "info", "debug", NULL};

const struct option option_builtins[] = {
    {
	.name = "config",
	.kind = OPTION_STRING,
	.offset = offsetof(struct option_builtin, config),
	.argument = "FILE",
	.section = "General",
	.help =
	    "Read options from this YAML file first: its keys are the long names of "
	    "options, without dashes.  The command line wins over the file.",
    },
    {
	.name = "log-level",
	.kind = OPTION_CHOICE,
	.offset = offsetof(struct option_builtin, log_level),
	.standard = "info",
	.choices = log_levels,
	.help = "Least important messages to write to standard error.",
    },
    {
	.name = "print-config",
	.kind = OPTION_FLAG,
	.offset = offsetof(struct option_builtin, print_config),
	.help = "Print all options as they would be in effect, as a file for --config, "
		"and exit.",
    },
    {
	.name = "print-manual",
	.kind = OPTION_FLAG,
	.offset = offsetof(struct option_builtin, print_manual),
	.help = "Print the manual page in its source form, and exit.",
    },
    {
	.name = "version",
	.kind = OPTION_FLAG,
	.offset = offsetof(struct option_builtin, version),
	.help = "Print the version, and exit.",
    },
    {
	.name = "help",
	.letter = 'h',
	.kind = OPTION_FLAG,
	.offset = offsetof(struct option_builtin, help),
	.help = "Print this summary, and exit.",
    },
};
const unsigned option_builtin_count =
    sizeof option_builtins / sizeof option_builtins[0];
