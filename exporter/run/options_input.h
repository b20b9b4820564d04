/* Checks the exporter's input options: part of options.h. */
#ifndef EXPORTER_RUN_OPTIONS_INPUT_H
#define EXPORTER_RUN_OPTIONS_INPUT_H

#include "exporter/run/options.h"

/* One kind of input, each interface once, and nothing that --to file: would overwrite.
 * 0 or negative. */
int options_check_input(const struct options *o, struct err *e);

#endif
