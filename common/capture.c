#include "common/capture.h"

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <pcap/pcap.h>

#include "common/capture_classic.h"
#include "common/source.h"

#define SNAPLEN_DEFAULT 262144
#define RING_DEFAULT    (16U << 20)
#define LIVE_TIMEOUT_MS 100 /* how long the kernel may gather packets into a block */
#define LINKTYPE_RAW    101 /* what files say for DLT_RAW */

struct capture {
	char *name;
	pcap_t *pcap; /* NULL: classic reads */
	struct capture_classic
	    classic;          /* a file without filter in the classic format */
	struct source source; /* files only */
	int link_type;
	bool is_live, has_ended;
	uint64_t received, cut_short;
};

static struct capture *
capture_new(const char *name, struct err *e)
{
	struct capture *c = calloc(1, sizeof *c);

	if (c != NULL) {
		c->name = strdup(name);
	}
	if (c == NULL || c->name == NULL) {
		free(c);
		err_set(e, -ENOMEM, "%s: out of memory", name);
		return NULL;
	}
	return c;
}

static int
set_filter(struct capture *c, const struct capture_settings *s, struct err *e)
{
	struct bpf_program program;
	int rc = 0;

	if (s->filter == NULL || *s->filter == '\0') {
		return 0;
	}
	if (pcap_compile(c->pcap, &program, s->filter, 1, PCAP_NETMASK_UNKNOWN) != 0) {
		return err_set(e, -EINVAL,
		    "%s: the filter \"%s\" is not understood: %s (pcap-filter(7) "
		    "describes the language)",
		    c->name, s->filter, pcap_geterr(c->pcap));
	}
	if (pcap_setfilter(c->pcap, &program) != 0) {
		rc = err_set(e, -EINVAL, "%s: the filter \"%s\" cannot be set: %s",
		    c->name, s->filter, pcap_geterr(c->pcap));
	}
	pcap_freecode(&program);
	return rc;
}

/* libpcap reads what is left of the source. */
static int
open_with_libpcap(struct capture *c, const struct capture_settings *s, struct err *e)
{
	char why[PCAP_ERRBUF_SIZE] = "";
	FILE *f = source_stream(&c->source);

	if (f == NULL) {
		return err_set(e, -ENOMEM, "%s: out of memory", c->name);
	}
	c->pcap = pcap_fopen_offline_with_tstamp_precision(
	    f, PCAP_TSTAMP_PRECISION_NANO, why);
	if (c->pcap == NULL) {
		fclose(f);
		return err_set(e, -EBADMSG,
		    "%s: is not a capture file in pcap or pcapng format: %s", c->name,
		    why);
	}
	c->link_type = pcap_datalink(c->pcap);
	return set_filter(c, s, e);
}

int
capture_open_file(const char *path, const struct capture_settings *s,
    struct capture **ret, struct err *e)
{
	struct capture *c =
	    capture_new(strcmp(path, "-") == 0 ? "standard input" : path, e);
	bool has_filter = s->filter != NULL && *s->filter != '\0';
	ssize_t have;
	int rc;

	if (c == NULL) {
		return -ENOMEM;
	}
	rc = source_open(path, &c->source, e);
	if (rc < 0) {
		goto out;
	}
	have = source_fill(&c->source, CAPTURE_CLASSIC_HEADER, e);
	if (have < 0) {
		rc = err_prefix(e, (int)have, "%s", c->name);
		goto out;
	}
	if (have == 0) {
		rc = err_set(e, -ENODATA,
		    "%s: is empty; a capture file in pcap or pcapng format was "
		    "expected",
		    c->name);
		goto out;
	}
	if (!has_filter && capture_classic_begin(&c->source, &c->classic)) {
		c->link_type = c->classic.link_type == LINKTYPE_RAW
				   ? DLT_RAW
				   : c->classic.link_type;
	} else {
		rc = open_with_libpcap(c, s, e);
		if (rc < 0) {
			goto out;
		}
	}

	*ret = c;
	c = NULL;
	rc = 0;
out:
	capture_close(c);
	return rc;
}

/* Says which interface was perhaps meant. */
static int
no_such_interface(const char *name, struct err *e)
{
	char why[PCAP_ERRBUF_SIZE];
	const char *names[64], *nearest;
	unsigned n = 0;
	pcap_if_t *all = NULL;
	int rc;

	if (pcap_findalldevs(&all, why) == 0) {
		for (pcap_if_t *i = all; i != NULL && n < 64; i = i->next) {
			names[n++] = i->name;
		}
	}
	nearest = err_nearest(name, names, n);
	rc = nearest == NULL ? err_set(e, -ENODEV,
				   "there is no interface \"%s\" (\"ip link\" lists "
				   "them; \"any\" is "
				   "all of them)",
				   name)
			     : err_set(e, -ENODEV,
				   "there is no interface \"%s\"; did you mean \"%s\"?",
				   name, nearest);
	pcap_freealldevs(all);
	return rc;
}

static int
live_error(pcap_t *p, const char *name, int status, struct err *e)
{
	switch (status) {
	case PCAP_ERROR_NO_SUCH_DEVICE:
		return no_such_interface(name, e);
	case PCAP_ERROR_PERM_DENIED:
	case PCAP_ERROR_PROMISC_PERM_DENIED:
		return err_set(e, -EPERM,
		    "%s: capturing is not permitted; run as root or give the program "
		    "the capability (setcap cap_net_raw=ep)",
		    name);
	case PCAP_ERROR_IFACE_NOT_UP:
		return err_set(e, -ENETDOWN,
		    "%s: the interface is down (\"ip link set %s up\")", name, name);
	default:
		return err_set(e, -EIO, "%s: cannot capture: %s", name,
		    *pcap_geterr(p) == '\0' ? pcap_statustostr(status)
					    : pcap_geterr(p));
	}
}

/* Not in immediate mode: the kernel hands over whole blocks of packets (TPACKET_V3),
 * which need no system call per packet. */
static int
configure_live(pcap_t *p, const char *name, const struct capture_settings *s)
{
	uint32_t ring = s->ring_bytes == 0 ? RING_DEFAULT : s->ring_bytes;

	pcap_set_snaplen(p, (int)(s->snaplen == 0 ? SNAPLEN_DEFAULT : s->snaplen));
	pcap_set_promisc(p, s->promiscuous && strcmp(name, "any") != 0);
	pcap_set_timeout(p, LIVE_TIMEOUT_MS);
	pcap_set_buffer_size(p, ring > INT_MAX ? INT_MAX : (int)ring);
	pcap_set_tstamp_precision(p, PCAP_TSTAMP_PRECISION_NANO);
	return pcap_activate(p);
}

int
capture_open_live(const char *interface, const struct capture_settings *s,
    struct capture **ret, struct err *e)
{
	char why[PCAP_ERRBUF_SIZE] = "";
	struct capture *c = capture_new(interface, e);
	int rc;

	if (c == NULL) {
		return -ENOMEM;
	}
	c->is_live = true;
	c->pcap = pcap_create(interface, why);
	if (c->pcap == NULL) {
		rc = err_set(e, -EIO, "%s: cannot capture: %s", interface, why);
		goto out;
	}
	rc = configure_live(c->pcap, interface, s);
	if (rc < 0) {
		rc = live_error(c->pcap, interface, rc, e);
		goto out;
	}
	c->link_type = pcap_datalink(c->pcap);
	rc = set_filter(c, s, e);
	if (rc < 0) {
		goto out;
	}
	if (pcap_setnonblock(c->pcap, 1, why) != 0) {
		rc = err_set(
		    e, -EIO, "%s: cannot capture without blocking: %s", interface, why);
		goto out;
	}

	*ret = c;
	c = NULL;
	rc = 0;
out:
	capture_close(c);
	return rc;
}

/* A file that was cut off in the middle of a packet (a full disk, a killed tcpdump) is
 * common and no error: what came before counts.  libpcap tells by its text alone. */
static int
libpcap_failed(struct capture *c, struct err *e)
{
	const char *why = pcap_geterr(c->pcap);

	c->has_ended = true;
	if (!c->is_live && strstr(why, "truncated") != NULL) {
		c->cut_short = 1;
		return 0;
	}
	return err_set(e, -EIO, "%s: after %llu packets: %s", c->name,
	    (unsigned long long)c->received, why);
}

static int
next_from_libpcap(struct capture *c, struct capture_packet *ret, struct err *e)
{
	struct pcap_pkthdr *header;
	const u_char *bytes;

	switch (pcap_next_ex(c->pcap, &header, &bytes)) {
	case 1:
		ret->bytes = bytes;
		ret->captured = header->caplen;
		ret->wire = header->len < header->caplen ? header->caplen : header->len;
		/* with nanosecond precision tv_usec holds nanoseconds */
		ret->time_ns = (uint64_t)header->ts.tv_sec * 1000000000ULL +
			       (uint64_t)header->ts.tv_usec;
		c->received++;
		return 1;
	case PCAP_ERROR:
		return libpcap_failed(c, e);
	case 0: /* live: nothing waits */
		return 0;
	default: /* the end of the file */
		c->has_ended = !c->is_live;
		return 0;
	}
}

int
capture_next(struct capture *c, struct capture_packet *ret, struct err *e)
{
	int rc;

	if (c->pcap != NULL) {
		return c->has_ended ? 0 : next_from_libpcap(c, ret, e);
	}
	rc = capture_classic_next(&c->classic, ret, e);
	if (rc > 0) {
		c->received++;
		return rc;
	}
	c->cut_short = c->classic.cut_short;
	return rc == 0 ? 0
		       : err_prefix(e, rc, "%s: after %llu packets", c->name,
			     (unsigned long long)c->received);
}

int
capture_fd(const struct capture *c)
{
	return c->is_live ? pcap_get_selectable_fd(c->pcap) : -1;
}

int
capture_link_type(const struct capture *c)
{
	return c->link_type;
}

const char *
capture_name(const struct capture *c)
{
	return c->name;
}

void
capture_counts(struct capture *c, struct capture_counts *ret)
{
	struct pcap_stat stats;

	*ret = (struct capture_counts){
	    .received = c->received,
	    .cut_short = c->cut_short,
	};
	if (!c->is_live) {
		ret->size = c->source.file.size;
		ret->position = compressed_position(&c->source.file);
	} else if (pcap_stats(c->pcap, &stats) == 0) {
		ret->kernel_dropped = stats.ps_drop;
		ret->interface_dropped = stats.ps_ifdrop;
	}
}

void
capture_close(struct capture *c)
{
	if (c == NULL) {
		return;
	}
	if (c->pcap != NULL) {
		pcap_close(c->pcap); /* a file's stream with it, before its source */
	}
	if (!c->is_live) {
		source_close(&c->source);
	}
	free(c->name);
	free(c);
}
