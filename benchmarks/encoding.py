"""How long it takes to encode and write everything of a study (2 x 3 slices, 80 frames).

Run from the repository: ``python -m benchmarks.encoding``. The result that is encoded is the
truth of a simulated study, so that nothing but the encoding is measured.
"""

import tempfile
import time
from pathlib import Path

from node.config import Analysis, Results
from node.dicom_phantom import study_datasets
from node.dicom_read import read_study
from node.dicom_write import encode_results, write_results
from pipeline.phantom import PhantomSettings, simulate
from tests.node.dicom_write.truth import true_result


def main() -> None:
    """Print seconds of processor and wall time, after one run to warm up."""
    phantom = simulate(1, PhantomSettings(n_frames=80, n_slices=3, matrix=160))
    with tempfile.TemporaryDirectory() as folder:
        files = []
        for number, dataset in enumerate(study_datasets(phantom, "siemens")):
            files.append(Path(folder) / f"{number}.dcm")
            dataset.save_as(files[-1], enforce_file_format=True)
        read = read_study(files, Analysis())
        result = true_result(read.study, phantom)
        for name in ("first run", "second run"):
            started, cpu = time.perf_counter(), time.process_time()
            objects = encode_results(result, read, Results(), version="0", settings="none")
            encoded, encoded_cpu = time.perf_counter(), time.process_time()
            write_results(objects, Path(folder) / name)
            written, written_cpu = time.perf_counter(), time.process_time()
            print(
                f"{name}: {len(objects)} objects encoded in {encoded - started:.2f} s "
                f"(processor {encoded_cpu - cpu:.2f} s), written in {written - encoded:.2f} s "
                f"(processor {written_cpu - encoded_cpu:.2f} s)"
            )


if __name__ == "__main__":
    main()
