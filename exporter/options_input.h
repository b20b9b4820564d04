/* What the exporter is told to read, checked: part of options.h. */
#ifndef EXPORTER_OPTIONS_INPUT_H
#define EXPORTER_OPTIONS_INPUT_H

#include "exporter/options.h"

/* One kind of input, each interface once, and nothing that --to file: would overwrite.
 * 0 or negative. */
int options_check_input(const struct options *o, struct err *e);

#endif
