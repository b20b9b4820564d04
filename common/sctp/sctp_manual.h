/* What both programs' manuals say of sctp:// and dtls+sctp:// URIs. */
#ifndef COMMON_SCTP_SCTP_MANUAL_H
#define COMMON_SCTP_SCTP_MANUAL_H

#define SCTP_MANUAL                                                                    \
	"# SCTP\n\n"                                                                   \
	"URIs of sctp:// and dtls+sctp:// take options behind a question mark, such "  \
	"as sctp://collector.example?streams=4&heartbeat=5.  The kernel's SCTP is "    \
	"used (modprobe sctp), unless the URI says otherwise.\n\n"                     \
	"addresses=A,B: further addresses of the collector, to listen at or to reach " \
	"it by.  Without it, all that it has.\n\n"                                     \
	"local=A,B: the exporter's own addresses to use.  Without it, all that it "    \
	"has.\n\n"                                                                     \
	"heartbeat=S: a silent path is tried every S seconds (15).\n\n"                \
	"streams=N: sctp:// only.  Templates go out on stream 0 and data on the "      \
	"others, so that a lost packet holds up only its own stream.\n\n"              \
	"reliability=full, timed:MS or attempts:N: sctp:// with two streams or more "  \
	"only.  Data that is older than so many milliseconds, or was sent again so "   \
	"often, is given up; the collector counts it as lost.  Templates never are.\n" \
	"\n"                                                                           \
	"encapsulation=udp: SCTP in user space, its packets carried in UDP (RFC "      \
	"6951), for kernels without SCTP.  Either end may instead be a kernel that "   \
	"is told to (sysctl net.sctp.udp_port and net.sctp.encap_port).  "             \
	"udp-port=P is the collector's UDP port (9899), local-udp-port=P the "         \
	"exporter's (any).  Such an association has one path: no addresses=, and one " \
	"address of local= at most.\n\n"

#endif
