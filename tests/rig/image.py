#!/usr/bin/env python3
"""A one-layer OCI image of some files, as a tar on stdout."""

import argparse
import hashlib
import io
import json
import os
import platform
import re
import subprocess
import sys
import tarfile
import tempfile

MEDIA_TYPE = "application/vnd.oci.image."
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


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
    return entry


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
    parser.add_argument("--user", help="UID:GID that it runs as")
    parser.add_argument("--label", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("name")
    parser.add_argument("entrypoint", type=json.loads, help="as JSON")
    parser.add_argument("files", nargs="+", metavar="SRC=DEST")
    return parser.parse_args()


def main(arguments):
    out = Layout(sys.stdout.buffer)
    name = arguments.name
    content = layer(files(arguments.files, arguments.with_libs))
    run = {"Entrypoint": arguments.entrypoint, "Env": ["PATH=/bin"]}
    if arguments.user:
        run["User"] = arguments.user
    if arguments.label:
        run["Labels"] = dict(label.split("=", 1) for label in arguments.label)
    config = {
        "architecture": ARCHITECTURES.get(platform.machine(), platform.machine()),
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
    described["annotations"] = {
        "io.containerd.image.name": name,
        "org.opencontainers.image.ref.name": name.rsplit(":", 1)[-1],
    }
    out.json("index.json", {"schemaVersion": 2, "manifests": [described]})
    out.json("oci-layout", {"imageLayoutVersion": "1.0.0"})
    out.tar.close()


main(parse())
