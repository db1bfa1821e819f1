"""The whole loop: a phantom study over the network into the node, its results into a PACS."""

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pydicom
import yaml
from rich.console import Console

from node.config import Config, load_config
from node.demo.pacs import HOST, Pacs, free_port, running_pacs
from node.demo.sender import send
from node.demo.show import missing_objects, report_table, write_pictures
from node.dicom_phantom import study_datasets
from node.errors import NodeError
from node.index.jobs import JobState
from node.index.ledger import DeliveryState
from node.index.overview import StudyOverview, overview
from node.index.tables import open_index
from pipeline.phantom import PhantomSettings, simulate

ANALYSIS_TIMEOUT_S = 900.0
START_TIMEOUT_S = 60.0

_ENDED = {JobState.DONE, JobState.FAILED}


def run_demo(out: Path, *, seed: int, console: Console) -> None:
    """Run the loop and leave its pictures, results and log in `out`.

    Raises
    ------
    NodeError
        Something that a user would expect did not arrive; the message says what.
    """
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="perfusion-demo-") as folder:
        work = Path(folder)
        with console.status("simulating a rest and stress study"):
            files = _write_study(work / "scanner", seed)
        console.print(f"study: {len(files)} images of a synthetic patient (phantom seed {seed})")
        with running_pacs(work / "pacs") as pacs:
            console.print(f"PACS: {pacs.name}")
            config = _write_config(work, pacs)
            with _running_node(config, out / "node.log"):
                results = _through_the_node(files, load_config(config), pacs, console)
    _show(results, out, console)


def _write_study(folder: Path, seed: int) -> list[Path]:
    folder.mkdir()
    files = []
    for number, dataset in enumerate(
        study_datasets(simulate(seed, PhantomSettings()), "siemens"), start=1
    ):
        files.append(folder / f"{number:05d}.dcm")
        dataset.save_as(files[-1], enforce_file_format=True)
    return files


def _write_config(work: Path, pacs: Pacs) -> Path:
    """Write a configuration for this machine alone, with short silences: nobody waits for more."""
    settings = {
        "receive": {"host": HOST, "port": free_port(), "minimum_free_mb": 100},
        "completion": {"series_quiet_s": 2, "study_quiet_s": 3},
        "storage": {"directory": str(work / "node")},
        "delivery": {
            "destinations": [
                {"name": "pacs", "ae_title": pacs.ae_title, "host": HOST, "port": pacs.port}
            ],
            "first_retry_s": 2,
        },
    }
    file = work / "config.yaml"
    file.write_text(yaml.safe_dump(settings))
    return file


@contextmanager
def _running_node(config: Path, log: Path) -> Iterator[None]:
    """Run `perfusion-node serve` with its log in `log`, and end it with all its children."""
    command = [sys.executable, "-m", "node", "serve", "--config", str(config)]
    with log.open("wb") as output:
        process = subprocess.Popen(  # noqa: S603  ourselves
            command, stdout=output, stderr=subprocess.STDOUT, start_new_session=True
        )
        try:
            _wait_until_listening(process, load_config(config).receive.port, log)
            yield
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(timeout=60)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


def _wait_until_listening(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline and process.poll() is None:
        if f":{port}" in log.read_text(errors="replace"):
            return
        time.sleep(0.2)
    raise NodeError(f"the node did not start; see {log}")


def _through_the_node(
    files: Sequence[Path], config: Config, pacs: Pacs, console: Console
) -> list[pydicom.Dataset]:
    """Send the study, wait until its results are delivered, and fetch them from the PACS."""
    started = time.monotonic()
    sender = send(files, host=HOST, port=config.receive.port, called_ae=config.receive.ae_title)
    console.print(f"sent with {sender} in {time.monotonic() - started:.1f} s; every image kept")
    study = _wait_for_delivery(config, console)
    console.print(f"{study.verdict or study.state} after {time.monotonic() - started:.0f} s")
    return pacs.instances()


def _wait_for_delivery(config: Config, console: Console) -> StudyOverview:
    index = open_index(config.storage)
    deadline = time.monotonic() + ANALYSIS_TIMEOUT_S
    try:
        with console.status("waiting for the node") as status:
            while time.monotonic() < deadline:
                studies = overview(index)
                if studies:
                    status.update(_words(studies[0]))
                    if studies[0].state in _ENDED and _nothing_under_way(studies[0]):
                        return studies[0]
                time.sleep(0.5)
    finally:
        index.dispose()
    raise NodeError(f"no results within {ANALYSIS_TIMEOUT_S:.0f} s")


def _nothing_under_way(study: StudyOverview) -> bool:
    return not any(states.get(DeliveryState.PENDING) for states in study.deliveries.values())


def _words(study: StudyOverview) -> str:
    sent = [
        f"{count} results {state.value}"
        for states in study.deliveries.values()
        for state, count in states.items()
    ]
    return ", ".join([f"{study.images} images", study.state, *sent])


def _show(results: Sequence[pydicom.Dataset], out: Path, console: Console) -> None:
    """Print and draw what came back from the PACS; complain about what did not."""
    console.print(f"fetched {len(results)} objects from the PACS")
    pictures = write_pictures(results, out)
    missing = missing_objects(results)
    if missing:
        raise NodeError(f"missing in the PACS: {', '.join(missing)}; see {out / 'node.log'}")
    console.print("\n".join(report_table(results)), highlight=False)
    console.print(f"{len(pictures)} pictures in {out}. Research use only.")
