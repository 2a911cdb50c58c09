"""One libtorrent node: says `ready`, starts on a line, says `stored` and, at the end of its input, what it moved."""

import json
import os
import sys
import time

import libtorrent

config = json.loads(sys.argv[1])
session = libtorrent.session({
    "listen_interfaces": config["address"] + ":6881",
    "enable_dht": False,
    "enable_lsd": False,
    "enable_upnp": False,
    "enable_natpmp": False,
    "allow_multiple_connections_per_ip": True,
    "alert_mask": 0,
})
parameters = libtorrent.add_torrent_params()
parameters.ti = libtorrent.torrent_info(config["torrent"])
parameters.save_path = config["directory"]
if config["publisher"]:
    parameters.flags |= libtorrent.torrent_flags.seed_mode
    if config["super"]:
        parameters.flags |= libtorrent.torrent_flags.super_seeding
print("ready", flush=True)
sys.stdin.readline()
handle = session.add_torrent(parameters)
if not config["publisher"]:
    while not handle.status().is_seeding:
        time.sleep(0.005)
    print("stored", time.time_ns(), flush=True)
sys.stdin.readline()
status = handle.status()
print("moved", status.total_payload_upload, status.total_payload_download, flush=True)
os._exit(0)
