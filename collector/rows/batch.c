#include "collector/rows/batch.h"

#include <errno.h>
#include <stdlib.h>

int
batch_init(struct batch *b, const struct layout *l, struct intern *intern)
{
	*b = (struct batch){
	    .layout = l, .intern = intern, .lists.elements = l->elements};
	b->columns = calloc(1, l->bytes + 8);
	return b->columns == NULL ? -ENOMEM : 0;
}

void
batch_done(struct batch *b)
{
	free(b->columns);
	b->columns = NULL;
}
