"""Compares our receiver with Orthanc, DCMTK's storescp and pynetdicom's storescp on one machine.

    python -m benchmarks.receive [--images 1000] [--associations 1 4 16] [--repeats 3]

Sender: DCMTK's dcmsend with TCP_NODELAY=1, one process an association, MR images of 87 kB. Every
receiver starts anew in an empty folder on the filesystem of --folder; runs are interleaved, and
medians printed. CPU is user and system time of the receiver's processes, without its start. Answer
times are those of one association of a sender of our own. Peers that are absent are left out.
"""

import argparse
import contextlib
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from node.receive.part10 import file_header
from tests.peers import free_port
from tests.raw_sender import EXPLICIT_LITTLE, MR_IMAGE, RawSender, mr_data_set

IMAGE_BYTES = 86_000
ANSWERS = 300
IDLE_ASSOCIATIONS, IDLE_S = 40, 10.0
CLOCK_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass
class Peer:
    """A receiver, how to start it, and what was measured."""

    name: str
    program: str
    command: Callable[[Path, int, int], list[str]]
    """(folder, port, associations) -> command line."""
    most_associations: int = 64
    rates: dict[int, list[float]] = field(default_factory=dict)
    cpu_ms: dict[int, list[float]] = field(default_factory=dict)
    answers_ms: list[float] = field(default_factory=list)


def ours(folder: Path, port: int, _: int) -> list[str]:
    receive = {
        "ae_title": "BENCH",
        "host": "127.0.0.1",
        "port": port,
        "maximum_associations": 64,
        "maximum_associations_per_address": 64,
    }
    content = {
        "receive": receive,
        "storage": {"directory": str(folder / "state")},
        "logging": {"level": "WARNING"},
    }
    (folder / "config.yaml").write_text(yaml.safe_dump(content))
    return [sys.executable, "-m", "node", "receive", "--config", str(folder / "config.yaml")]


def orthanc(folder: Path, port: int, _: int) -> list[str]:
    content = {
        "StorageDirectory": str(folder / "store"),
        "IndexDirectory": str(folder / "store"),
        "DicomPort": port,
        "DicomAet": "BENCH",
        "HttpServerEnabled": False,
        "DicomModalities": {},
    }
    (folder / "orthanc.json").write_text(json.dumps(content))
    return ["Orthanc", str(folder / "orthanc.json")]


def dcmtk(folder: Path, port: int, associations: int) -> list[str]:
    fork = ["--fork"] if associations > 1 else []
    return ["storescp", *fork, "-aet", "BENCH", "-od", str(folder), str(port)]


def pynetdicom(folder: Path, port: int, _: int) -> list[str]:
    command = [sys.executable, "-m", "pynetdicom", "storescp", "-aet", "BENCH", "-q"]
    return [*command, "-ba", "127.0.0.1", "-od", str(folder), str(port)]


PEERS = (
    Peer("perfusion-node (durable)", sys.executable, ours),
    Peer("Orthanc (durable, its default)", "Orthanc", orthanc),
    Peer("DCMTK storescp (no sync)", "storescp", dcmtk),
    Peer("pynetdicom storescp (no sync)", sys.executable, pynetdicom, most_associations=10),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=1000)
    parser.add_argument("--associations", type=int, nargs="+", default=[1, 4, 16])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()))
    parser.add_argument(
        "--only", nargs="+", default=["perfusion", "Orthanc", "DCMTK", "pynetdicom"]
    )
    arguments = parser.parse_args()
    os.environ["TCP_NODELAY"] = "1"
    peers = [
        peer
        for peer in PEERS
        if shutil.which(peer.program) and peer.name.startswith(tuple(arguments.only))
    ]
    with tempfile.TemporaryDirectory(dir=arguments.folder, prefix="receive-") as name:
        folder = Path(name)
        images = write_images(folder / "images", arguments.images)
        syncs = [sync_rates(folder)]
        for _ in range(arguments.repeats):
            for associations in arguments.associations:
                for peer in peers:
                    measure(peer, folder, images, associations)
            syncs.append(sync_rates(folder))
        for peer in peers:
            measure_answers(peer, folder)
        report(peers, arguments.associations, syncs)
        report_idle(folder)


def write_images(folder: Path, count: int) -> list[Path]:
    folder.mkdir()
    for number in range(count):
        uid, data = mr_data_set("1.2.826.0.1.7", "1.2.826.0.1.7.1", number, IMAGE_BYTES)
        meta = file_header(
            sop_class_uid=MR_IMAGE,
            sop_instance_uid=uid,
            transfer_syntax_uid=EXPLICIT_LITTLE,
            calling_ae="BENCH",
        )
        (folder / f"{number:06d}.dcm").write_bytes(meta + data)
    return sorted(folder.iterdir())


@contextlib.contextmanager
def running(peer: Peer, folder: Path, associations: int) -> Iterator[tuple[int, int]]:
    """Start a receiver in an empty folder; give its process id and port."""
    # A new folder, and nothing is deleted before the end: for a new file, ext4 looks long among the
    # places of files that were deleted a moment ago.
    own = Path(tempfile.mkdtemp(dir=folder, prefix="peer-"))
    port = free_port()
    process = subprocess.Popen(
        peer.command(own, port, associations),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        for _ in range(200):
            echo = ["echoscu", "-aec", "BENCH", "127.0.0.1", str(port)]
            if subprocess.run(echo, capture_output=True, check=False).returncode == 0:
                break
            time.sleep(0.1)
        yield process.pid, port
    finally:
        process.terminate()
        process.wait()


def cpu_s(pid: int) -> float:
    """User and system time of a process and of the children it has waited for."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return sum(int(value) for value in fields[11:15]) / CLOCK_TICKS


def measure(peer: Peer, folder: Path, images: list[Path], associations: int) -> None:
    used = min(associations, peer.most_associations)
    with running(peer, folder, used) as (pid, port):
        command = ["dcmsend", "-aec", "BENCH", "127.0.0.1", str(port)]
        cpu_before_s, began_s = cpu_s(pid), time.monotonic()
        senders = [
            subprocess.Popen(
                [*command, *map(str, images[number::used])],
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            for number in range(used)
        ]
        failed = sum(sender.wait() != 0 for sender in senders)
        duration_s = time.monotonic() - began_s
        time.sleep(0.2)  # a forked child is waited for a moment later
        cpu_used_s = cpu_s(pid) - cpu_before_s
    if failed:
        print(f"{peer.name}: {failed} of {used} senders failed", file=sys.stderr)
        return
    peer.rates.setdefault(associations, []).append(len(images) / duration_s)
    peer.cpu_ms.setdefault(associations, []).append(1000 * cpu_used_s / len(images))


def measure_answers(peer: Peer, folder: Path) -> None:
    with running(peer, folder, 1) as (_, port), RawSender(port, called="BENCH") as sender:
        for number in range(ANSWERS):
            uid, data = mr_data_set("1.2.826.0.1.8", "1.2.826.0.1.8.1", number, IMAGE_BYTES)
            began_s = time.perf_counter()
            status = sender.store(uid, data)
            peer.answers_ms.append(1000 * (time.perf_counter() - began_s))
            if status != 0:
                raise SystemExit(f"{peer.name} answered {status:04X}")
        sender.release()


def sync_rates(folder: Path) -> tuple[float, float]:
    """Return how often a second the disk makes (a file with its folder, 4 kB in place) durable."""
    data, count = bytes(IMAGE_BYTES), 100
    work = Path(tempfile.mkdtemp(dir=folder, prefix="syncs-"))  # stays, as said in `running`
    descriptor = os.open(work, os.O_RDONLY)
    began_s = time.monotonic()
    for number in range(count):
        with (work / f"{number}.part").open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        (work / f"{number}.part").rename(work / f"{number}")
        os.fsync(descriptor)
    files = count / (time.monotonic() - began_s)
    os.close(descriptor)
    with (work / "0").open("r+b", buffering=0) as file:
        began_s = time.monotonic()
        for _ in range(count):
            file.seek(0)
            file.write(data[:4096])
            os.fdatasync(file.fileno())
        blocks = count / (time.monotonic() - began_s)
    return files, blocks


def report(peers: list[Peer], associations: list[int], syncs: list[tuple[float, float]]) -> None:
    head = " | ".join(f"{number} assoc. [inst/s] | CPU [ms/inst]" for number in associations)
    print(f"| receiver | {head} | answer p50 | p99 [ms] |")
    print("|---|" + "---|" * (2 * len(associations) + 2))
    for peer in peers:
        cells = []
        for number in associations:
            rates, cpu = peer.rates.get(number, []), peer.cpu_ms.get(number, [])
            if not rates:
                cells += ["-", "-"]
                continue
            cells += [
                f"{statistics.median(rates):.0f} [{min(rates):.0f}-{max(rates):.0f}]",
                f"{statistics.median(cpu):.2f}",
            ]
        answers = sorted(peer.answers_ms)
        cells += [f"{answers[len(answers) // 2]:.2f}", f"{answers[len(answers) * 99 // 100]:.2f}"]
        print(f"| {peer.name} | {' | '.join(cells)} |")
    print()
    for number in associations:
        rates = {
            peer.name: statistics.median(peer.rates[number])
            for peer in peers
            if number in peer.rates
        }
        own = rates.pop(PEERS[0].name, None)
        if own is not None:
            print(f"{number} associations, ours to:", end=" ")
            print(", ".join(f"{name} {own / rate:.2f}" for name, rate in rates.items()))
    files = [rate for rate, _ in syncs]
    blocks = [rate for _, rate in syncs]
    print(
        f"the disk, one thread: {statistics.median(files):.0f} files/s with their folder "
        f"[{min(files):.0f}-{max(files):.0f}], {statistics.median(blocks):.0f} blocks/s in place "
        f"[{min(blocks):.0f}-{max(blocks):.0f}]"
    )


def report_idle(folder: Path) -> None:
    with (
        running(PEERS[0], folder, IDLE_ASSOCIATIONS) as (pid, port),
        contextlib.ExitStack() as all_,
    ):
        for _ in range(IDLE_ASSOCIATIONS):
            all_.enter_context(RawSender(port, called="BENCH"))
        before_s = cpu_s(pid)
        time.sleep(IDLE_S)
        cores = (cpu_s(pid) - before_s) / IDLE_S
        memory_mb = next(
            int(line.split()[1]) / 1024
            for line in Path(f"/proc/{pid}/status").read_text().splitlines()
            if line.startswith("VmRSS")
        )
    print(f"{IDLE_ASSOCIATIONS} idle associations: {cores:.3f} core, {memory_mb:.0f} MB resident")


if __name__ == "__main__":
    main()
