"""An independent reader of the collector's journal (collector/journal/segment.h says what it is)
and of the IPFIX messages in it: what tables must hold after any number of crashes."""

import collections
import pathlib
import struct

BLOCK = 4096
FRAME = struct.Struct(">IHHIIQQQ")
MAGIC = 0x66704672
OPEN, MESSAGES, CLOSE, REFUSED, TICK, PAD = range(1, 7)
FORMATS = {1: "B", 2: "H", 4: "I", 8: "Q"}

Frame = collections.namedtuple("Frame", "kind session stream arrival position payload")


def segments(folder):
    return sorted(pathlib.Path(folder).glob("*.journal"))


def frames(segment):
    """The frames of one segment; stops at anything else, such as a torn end."""
    data = pathlib.Path(segment).read_bytes()
    start = int(pathlib.Path(segment).stem, 16)
    at = BLOCK
    while at + FRAME.size <= len(data):
        magic, stream, kind, session, length, arrival, position, _ = FRAME.unpack_from(data, at)
        end = at + (FRAME.size + length + 7) // 8 * 8
        if magic != MAGIC or position != start + at - BLOCK or end > len(data):
            return
        if kind != PAD:
            payload = data[at + FRAME.size:at + FRAME.size + length]
            yield Frame(kind, session, stream, arrival, position, payload)
        at = end


def journal(folder):
    for segment in segments(folder):
        yield from frames(segment)


class Template:
    def __init__(self, fields, scope):
        self.fields, self.scope = fields, scope
        self.is_fixed = all(length != 65535 for _, length in fields)
        if self.is_fixed:
            self.record = struct.Struct(
                ">" + "".join(FORMATS.get(n, f"{n}s") for _, n in fields))
        self.names = [name for name, _ in fields]

    def records(self, body):
        if self.is_fixed:
            whole = len(body) // self.record.size * self.record.size
            return list(self.record.iter_unpack(body[:whole]))
        return self._variable(body)

    def _variable(self, body):
        out, at = [], 0
        least = sum(1 if n == 65535 else n for _, n in self.fields)
        while len(body) - at >= least:
            record = []
            for _, n in self.fields:
                if n == 65535:
                    n, at = body[at], at + 1
                    if n == 255:
                        n, at = struct.unpack_from(">H", body, at)[0], at + 2
                record.append(body[at:at + n])
                at += n
            out.append(tuple(record))
        return out


class Decoder:
    """IPFIX of all sessions: counts, and each data record with a template."""

    def __init__(self, each):
        self.each = each  # (session, template, record)
        self.templates = {}
        self.identities = {}
        self.messages = collections.Counter()
        self.records = collections.Counter()
        self.options = collections.Counter()

    def frame(self, frame):
        if frame.kind == OPEN:
            pairs = (line.split("=", 1) for line in frame.payload.decode().splitlines())
            self.identities[frame.session] = dict(pairs)
        elif frame.kind == MESSAGES:
            at = 0
            while at < len(frame.payload):
                length = struct.unpack_from(">H", frame.payload, at + 2)[0]
                self.message(frame.session, frame.payload[at:at + length])
                at += length

    def message(self, session, message):
        domain = struct.unpack_from(">I", message, 12)[0]
        self.messages[session] += 1
        at = 16
        while at < len(message):
            number, length = struct.unpack_from(">HH", message, at)
            body = message[at + 4:at + length]
            if number in (2, 3):
                self._templates(session, domain, number, body)
            elif number >= 256:
                self._data(session, domain, number, body)
            at += length

    def _templates(self, session, domain, number, body):
        at = 0
        while len(body) - at >= 4:
            template, count = struct.unpack_from(">HH", body, at)
            at += 4
            scope = 0
            if number == 3:
                scope = struct.unpack_from(">H", body, at)[0]
                at += 2
            fields = []
            for _ in range(count):
                element, length = struct.unpack_from(">HH", body, at)
                at += 4
                enterprise = 0
                if element & 0x8000:
                    enterprise = struct.unpack_from(">I", body, at)[0]
                    at += 4
                fields.append(((enterprise, element & 0x7fff), length))
            self.templates[session, domain, template] = Template(fields, scope)

    def _data(self, session, domain, number, body):
        template = self.templates.get((session, domain, number))
        if template is None:
            return
        found = template.records(body)
        if template.scope:
            self.options[session] += len(found)
            return
        self.records[session] += len(found)
        for record in found:
            self.each(session, template, record)
