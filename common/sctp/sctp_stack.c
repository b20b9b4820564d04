#include "common/sctp/sctp_stack.h"

static const struct sctp_stack *user;

void
sctp_stack_set_user(const struct sctp_stack *stack)
{
	user = stack;
}

const struct sctp_stack *
sctp_stack_user(void)
{
	return user;
}
