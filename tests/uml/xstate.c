/* Preloaded into user-mode Linux (tests/uml/run): lets kernels of before 6.13 run on
 * processors with AMX.  They save and restore the processor state of their processes by
 * ptrace, in buffers of 2696 bytes, which hold everything up to AVX-512 and PKRU. Where
 * the state is larger, the host gives the beginning of it but only takes it whole
 * (EFAULT), and the kernel dies at its first process.  So here a restored beginning is
 * completed with what the process has behind it.  A process without permission for AMX,
 * which it must ask for, never has anything there. */
#include <dlfcn.h>
#include <elf.h>
#include <errno.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/types.h>
#include <sys/uio.h>

#define LARGEST 65536

typedef long (*ptrace_call)(int request, pid_t pid, void *at, void *data);

static long
restore(ptrace_call real, pid_t pid, void *at, const struct iovec *state)
{
	static uint8_t whole[LARGEST]; /* the kernel has one thread that does this */
	struct iovec v = {.iov_base = whole, .iov_len = sizeof whole};

	if (real(PTRACE_GETREGSET, pid, at, &v) < 0) {
		return -1;
	}
	if (state->iov_len > v.iov_len) {
		errno = EFAULT;
		return -1;
	}
	memcpy(whole, state->iov_base, state->iov_len);
	return real(PTRACE_SETREGSET, pid, at, &v);
}

long
ptrace(enum __ptrace_request request, ...)
{
	static ptrace_call real;
	va_list list;
	pid_t pid;
	void *at, *data;

	va_start(list, request);
	pid = va_arg(list, pid_t);
	at = va_arg(list, void *);
	data = va_arg(list, void *);
	va_end(list);
	if (real == NULL) {
		void *found = dlsym(RTLD_NEXT, "ptrace");
		memcpy(&real, &found, sizeof real);
	}
	if (request == PTRACE_SETREGSET && (uintptr_t)at == NT_X86_XSTATE) {
		return restore(real, pid, at, data);
	}
	return real(request, pid, at, data);
}
