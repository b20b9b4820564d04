/* A loaded document, for yaml.c, which reads it, and yaml_node.c, which answers what its
 * nodes say. */
#ifndef COMMON_CONFIG_YAML_PRIVATE_H
#define COMMON_CONFIG_YAML_PRIVATE_H

#include "common/config/yaml.h"

#define NAME_KEPT 160 /* of a file name, so that the rest of the sentence has room */
#define KEY_SHOWN 60  /* of a key or value in a sentence */

struct yaml {
	char *name;
	const struct yaml_node *root;
	struct chunk *chunks; /* memory of all nodes */
	struct anchor *anchors;
};

#endif
