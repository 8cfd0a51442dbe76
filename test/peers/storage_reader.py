#!/usr/bin/env python3
"""Prints every record of a leveret data directory as a line of JSON, with what Python 3 brings along and nothing else.

Written from docs/storage-format.md alone, to prove that the page is enough. Usage: storage_reader.py DIR
"""
import base64, hashlib, json, os, re, struct, sys, zlib

SEALED, END, COMPACTED = 1, 4, 8


def line_at(content, at):
    """The object of the line at a position, or None, and the position behind it."""
    end = content.find(b"\n", at)
    if end < 0:
        return None, len(content)
    text = content[at + 9 : end]
    if content[at : at + 9] != b"%08x " % zlib.crc32(text):
        return None, end + 1
    return json.loads(text), end + 1


def read(path):
    with open(path, "rb") as file:
        return file.read()


def read_lines(path):
    content, at, lines = read(path), 0, []
    while at < len(content):
        line, at = line_at(content, at)
        lines.append(line)
    return lines


def read_catalog(data):
    copies = [read(path) for path in (f"{data}/catalog.a", f"{data}/catalog.b") if os.path.exists(path)]
    heads = [line_at(copy, 0)[0] for copy in copies]
    newest = max((head["generation"] for head in heads if head), default=None)
    copies = [copy for copy, head in zip(copies, heads) if head is None or head["generation"] == newest]
    lines, at = [], 0
    while True:
        whole = [(line, end, copy[at:end]) for copy in copies for line, end in [line_at(copy, at)] if line is not None]
        if not whole:
            break
        if len({text for _, _, text in whole}) > 1:
            sys.exit("the copies of the catalog contradict each other")
        lines.append(whole[0][0])
        at = whole[0][1]
    if all(len(copy) > at for copy in copies) and any(b"\n" in copy[at:-1] for copy in copies):
        sys.exit("both copies of the catalog are damaged in the same place")
    if not lines or lines[0]["kind"] != "catalog" or lines[0]["format"] != 1:
        sys.exit("there is no catalog of format 1")
    return lines


def varint(body, at):
    value = shift = 0
    while True:
        value |= (body[at] & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if body[at - 1] < 0x80:
            return value, at


def fields(body):
    """Number and content of the fields of a protobuf message that have a length; others are skipped."""
    at = 0
    while at < len(body):
        tag, at = varint(body, at)
        if tag & 7 == 2:
            length, at = varint(body, at)
            yield tag >> 3, body[at : at + length]
            at += length
        elif tag & 7 == 0:
            _, at = varint(body, at)
        else:
            at += {1: 8, 5: 4}[tag & 7]


def decode_record(content):
    record = {"key": None, "payload": b"", "headers": []}
    for number, value in fields(content):
        if number == 1:
            record["key"] = value
        elif number == 2:
            record["payload"] = value
        elif number == 3:
            header = dict(fields(value))
            record["headers"].append([header.get(1, b"").decode(), text_of(header.get(2, b""))])
    return {"key": text_of(record["key"]), "payload": text_of(record["payload"]), "headers": record["headers"]}


def text_of(value):
    return None if value is None else base64.b64encode(value).decode()


def batch_at(content, at, place, base):
    """Count, base offset, timestamp, flags, body and end of the batch at a position, or None."""
    if at + 48 > len(content):
        return None
    header = struct.unpack_from("<IBBHIIQQ8sII", content, at)
    checksum, magic, version, header_bytes, body_bytes, count, offset, time, its_place, flags, seat = header
    end = at + header_bytes + body_bytes
    if (magic, version, its_place, seat) != (0x4C, 1, place, (base + at) % 2**32):
        return None
    if header_bytes < 48 or end > len(content) or zlib.crc32(content[at + 4 : end]) != checksum:
        return None
    return count, offset, time, flags, content[at + header_bytes : end], end


def batches(content, place, base):
    at = 0
    while at < len(content):
        batch = batch_at(content, at, place, base)
        if batch:
            yield batch
            at = batch[5]
        else:
            found = content.find(place, at + 33)
            at = found - 32 if found >= 0 else len(content)


def standing(directory, dropped):
    """The segments that count: base offset and path, in order."""
    names = [name for name in os.listdir(directory) if re.fullmatch(r"[0-9]{20}\.log", name)]
    return sorted((int(name[:20]), f"{directory}/{name}") for name in names if int(name[:20]) > dropped)


def read_partition(directory, place, dropped, print_record):
    start, segments = 0, standing(directory, dropped)
    if os.path.exists(f"{directory}/checkpoint"):
        checkpoint = read_lines(f"{directory}/checkpoint")[0]
        if checkpoint and checkpoint["place"] == place.hex() and checkpoint["segment"] > dropped:
            start = checkpoint["logStart"]
    journal = read_lines(f"{directory}/compaction")[0] if os.path.exists(f"{directory}/compaction") else None
    if journal:
        first = journal["bases"][0]
        path = f"{directory}/{first:020}.log"
        path = f"{path}.compacted" if os.path.exists(f"{path}.compacted") else path
        content = read(path)
        last = batch_at(content, len(content) - 48, place, first) if len(content) >= 48 else None
        if last and last[3] & END and last[1] == journal["end"]:
            segments = sorted([s for s in segments if s[0] not in journal["bases"]] + [(first, path)])
    following = segments[0][0] if segments else 0
    for base, path in segments:
        for count, offset, time, flags, body, _ in batches(read(path), place, base):
            if offset + count <= following:
                continue
            if offset > following and not flags & (COMPACTED | END):
                print(f"offsets {following} to {offset} are missing in {path}", file=sys.stderr)
            following = offset + count
            if flags & SEALED:
                print(f"offsets {offset} to {following} are sealed in {path}", file=sys.stderr)
                continue
            for index, (_, content) in enumerate(fields(body)):
                if offset + index >= start:
                    print_record({"offset": offset + index, "timestampMs": time, **decode_record(content)})


def main(data):
    lines = read_catalog(data)
    topics, dropped = {}, {}
    for line in lines:
        if line["kind"] == "topic":
            topics[line["id"]] = line["name"]
        elif line["kind"] == "dropped":
            topics.pop(line["id"], None)
        elif line["kind"] == "reserved" and "from" in line:
            dropped[line["id"], line["partition"]] = line["from"]
    directories = {int(name.rpartition("@")[2]): name for name in os.listdir(f"{data}/topics")}
    for number, topic in sorted(topics.items()):
        if number not in directories:
            continue
        for partition in sorted(os.listdir(f"{data}/topics/{directories[number]}"), key=int):
            if partition == "4294967295":  # what groups remember is no record
                continue
            place = hashlib.sha256(f"{lines[0]['data']}/{number}/{partition}".encode()).digest()[:8]
            known = {"topic": topic, "partition": int(partition)}
            read_partition(
                f"{data}/topics/{directories[number]}/{partition}",
                place,
                dropped.get((number, int(partition)), -1),
                lambda record: print(json.dumps(known | record)),
            )


main(sys.argv[1])
