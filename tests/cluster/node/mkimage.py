#!/usr/bin/env python3
"""Makes a one-layer image (docker-archive, as `ctr images import` takes it) from files, without an engine.

mkimage.py OUT.tar REPO:TAG ENTRYPOINT_JSON SOURCE=DEST ...

SOURCE is a file of this machine (copied with mode 755), or @TARGET for a symbolic link.
"""

import hashlib
import io
import json
import os
import platform
import sys
import tarfile

PASSWD = b"root:x:0:0:root:/:/bin/sh\nnonroot:x:65532:65532::/:/bin/sh\n"


def add_file(archive, name, data, mode=0o644):
    info = tarfile.TarInfo(name)
    info.size, info.mode = len(data), mode
    archive.addfile(info, io.BytesIO(data))


def add_folders(archive, path, seen):
    parts = path.strip("/").split("/")
    for depth in range(1, len(parts) + 1):
        folder = "/".join(parts[:depth])
        if folder and folder not in seen:
            seen.add(folder)
            info = tarfile.TarInfo(folder)
            info.type = tarfile.DIRTYPE
            info.mode = 0o1777 if folder == "tmp" else 0o755
            archive.addfile(info)


def layer(files):
    buffer, seen = io.BytesIO(), set()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for folder in ("tmp", "etc"):
            add_folders(archive, folder, seen)
        add_file(archive, "etc/passwd", PASSWD)
        for source, destination in files:
            destination = destination.lstrip("/")
            add_folders(archive, os.path.dirname(destination), seen)
            if source.startswith("@"):
                link = tarfile.TarInfo(destination)
                link.type, link.linkname = tarfile.SYMTYPE, source[1:]
                archive.addfile(link)
            else:
                with open(source, "rb") as file:
                    add_file(archive, destination, file.read(), 0o755)
    return buffer.getvalue()


def main(out, reference, entrypoint, *pairs):
    blob = layer([pair.split("=", 1) for pair in pairs])
    digest = hashlib.sha256(blob).hexdigest()
    architecture = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
    config = json.dumps({
        "architecture": architecture,
        "os": "linux",
        "config": {"Entrypoint": json.loads(entrypoint), "Env": ["PATH=/bin:/usr/bin"]},
        "rootfs": {"type": "layers", "diff_ids": ["sha256:" + digest]},
    }).encode()
    name = hashlib.sha256(config).hexdigest() + ".json"
    manifest = [{"Config": name, "RepoTags": [reference], "Layers": [digest + "/layer.tar"]}]
    with tarfile.open(out, "w") as archive:
        add_file(archive, name, config)
        add_file(archive, digest + "/layer.tar", blob)
        add_file(archive, "manifest.json", json.dumps(manifest).encode())


if __name__ == "__main__":
    if len(sys.argv) < 5:
        sys.exit(__doc__)
    main(*sys.argv[1:])
