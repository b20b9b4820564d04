/* A loaded document: yaml.c reads it, yaml_node.c reads values of its nodes. */
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
