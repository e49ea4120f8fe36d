#!/usr/bin/env python3
"""A one-layer OCI image of some files, as a tar on stdout."""

import argparse
import hashlib
import io
import json
import os
import platform
import re
import shlex
import subprocess
import sys
import tarfile
import tempfile

MEDIA_TYPE = "application/vnd.oci.image."
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}

# What a program says of the machine that it is for (e_machine of its ELF header).
MACHINES = {62: "amd64", 183: "arm64"}

# The same files make the same image, whenever they were written.
WRITTEN = int(os.environ.get("SOURCE_DATE_EPOCH", "0"))


def libraries(path):
    """What ldd names with a path: the libraries and the loader. A static file has none."""
    ldd = subprocess.run(["ldd", path], capture_output=True, text=True, check=False)
    return re.findall(r"(?:=> |^\s+)(/\S+) \(0x", ldd.stdout, re.MULTILINE)


def files(arguments, with_libs):
    """(source, destination) of everything in the image, each destination once."""
    found = {}
    for argument in arguments:
        source, destination = argument.split("=", 1)
        found[destination] = source
        if with_libs and os.path.isfile(source):
            found.update((library, library) for library in libraries(source))
    return sorted((source, destination) for destination, source in found.items())


def as_root(entry):
    entry.uid = entry.gid = 0
    entry.uname = entry.gname = ""
    entry.mode = 0o755 if entry.isdir() or entry.mode & 0o111 else 0o644
    entry.mtime = WRITTEN
    return entry


def need_machine(path, architecture):
    """An image for a machine on which its programs do not run would be found out there, and nowhere before."""
    if not os.path.isfile(path):
        return
    with open(path, "rb") as file:
        head = file.read(20)
    if head[:4] == b"\x7fELF":
        found = MACHINES.get(int.from_bytes(head[18:20], "little"), "another machine")
        if found != architecture:
            sys.exit(f"{path} is for {found}, and the image for {architecture}")


def layer(entries):
    """The layer's tar. Links are followed: a library is mostly a link to the file with its version."""
    file = tempfile.TemporaryFile()
    with tarfile.open(fileobj=file, mode="w", dereference=True) as tar:
        for source, destination in entries:
            tar.add(source, arcname=destination.lstrip("/"), filter=as_root)
    return file


def digest(file):
    file.seek(0)
    return "sha256:" + hashlib.file_digest(file, "sha256").hexdigest()


def instructions(path):
    """(word, rest) of each instruction of the last stage of a Dockerfile."""
    with open(path, encoding="utf-8") as file:
        lines = [line for line in file.read().splitlines() if line.strip() and not line.lstrip().startswith("#")]
    found = []
    for line in re.sub(r"\\\n", " ", "\n".join(lines)).splitlines():
        word, rest = line.split(None, 1)
        found = [] if word.upper() == "FROM" else found
        found.append((word.upper(), rest.strip()))
    return found


class Stage:
    """The last stage of a Dockerfile, of which each instruction has to be understood."""

    def __init__(self, path, values, sources):
        self.values, self.sources = values, sources
        self.arguments, self.files = {}, []
        self.run = {"Labels": {}, "Env": []}
        for word, rest in instructions(path):
            getattr(self, "on_" + word.lower())(rest)

    def plain(self, text):
        """`text`, with the build's arguments in it."""
        return re.sub(r"\$\{?(\w+)\}?", lambda found: self.arguments[found[1]], text)

    def pairs(self, rest):
        return [part.split("=", 1) for part in shlex.split(self.plain(rest))]

    def on_from(self, rest):
        if rest != "scratch":
            sys.exit(f"the last stage begins with {rest} and not with nothing")

    def on_arg(self, rest):
        name, usual = rest.split("=", 1)
        self.arguments[name] = self.values.get(name, usual)

    def on_copy(self, rest):
        _, source, destination = rest.split()
        self.files.append((self.sources.get(source, source), destination))

    def on_entrypoint(self, rest):
        self.run["Entrypoint"] = json.loads(rest)

    def on_env(self, rest):
        self.run["Env"] += ["=".join(pair) for pair in self.pairs(rest)]

    def on_expose(self, rest):
        self.run["ExposedPorts"] = {f"{port}/tcp": {} for port in rest.split()}

    def on_label(self, rest):
        self.run["Labels"].update(self.pairs(rest))

    def on_user(self, rest):
        self.run["User"] = rest


class Layout:
    """An OCI image layout, written as a tar."""

    def __init__(self, out):
        self.tar = tarfile.open(fileobj=out, mode="w|")

    def add(self, name, file):
        entry = tarfile.TarInfo(name)
        entry.size = file.seek(0, io.SEEK_END)
        file.seek(0)
        self.tar.addfile(entry, file)
        return entry.size

    def blob(self, file, kind):
        name = digest(file)
        size = self.add("blobs/" + name.replace(":", "/"), file)
        return {"mediaType": MEDIA_TYPE + kind, "digest": name, "size": size}

    def json_blob(self, value, kind):
        return self.blob(io.BytesIO(json.dumps(value).encode()), kind)

    def json(self, name, value):
        self.add(name, io.BytesIO(json.dumps(value).encode()))


def parse():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--with-libs",
        action="store_true",
        help="add the loader and the libraries of each file that is linked dynamically, where it looks for them",
    )
    parser.add_argument("--dockerfile", help="make what its last stage says, in place of ENTRYPOINT and files")
    parser.add_argument("--build-arg", action="append", default=[], metavar="NAME=VALUE")
    parser.add_argument("--source", action="append", default=[], metavar="SRC=FILE", help="where a COPY's source is")
    parser.add_argument("--arch", default=ARCHITECTURES.get(platform.machine(), platform.machine()))
    parser.add_argument("name")
    parser.add_argument("entrypoint", nargs="?", type=json.loads, help="as JSON")
    parser.add_argument("files", nargs="*", metavar="SRC=DEST")
    return parser.parse_args()


def wanted(arguments):
    """How it runs, and its files."""
    if arguments.dockerfile:
        named = [dict(pair.split("=", 1) for pair in pairs) for pairs in (arguments.build_arg, arguments.source)]
        stage = Stage(arguments.dockerfile, *named)
        return stage.run, sorted(stage.files)
    run = {"Entrypoint": arguments.entrypoint, "Env": ["PATH=/bin"]}
    return run, files(arguments.files, arguments.with_libs)


def main(arguments):
    out = Layout(sys.stdout.buffer)
    name = arguments.name
    run, entries = wanted(arguments)
    for source, _ in entries:
        need_machine(source, arguments.arch)
    content = layer(entries)
    config = {
        "architecture": arguments.arch,
        "os": "linux",
        "config": run,
        "rootfs": {"type": "layers", "diff_ids": [digest(content)]},
    }
    manifest = {
        "schemaVersion": 2,
        "mediaType": MEDIA_TYPE + "manifest.v1+json",
        "config": out.json_blob(config, "config.v1+json"),
        "layers": [out.blob(content, "layer.v1.tar")],
    }
    described = out.json_blob(manifest, "manifest.v1+json")
    described["platform"] = {"architecture": arguments.arch, "os": "linux"}
    described["annotations"] = {
        "io.containerd.image.name": name,
        "org.opencontainers.image.ref.name": name.rsplit(":", 1)[-1],
    }
    out.json("index.json", {"schemaVersion": 2, "manifests": [described]})
    out.json("oci-layout", {"imageLayoutVersion": "1.0.0"})
    out.tar.close()


main(parse())
