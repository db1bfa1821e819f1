"""Times the phantom on one core: a whole study, and the stream for training.

OMP_NUM_THREADS=1 python -m benchmarks.phantom_speed
"""

import time

from pipeline.phantom import simulate, stream


def main() -> None:
    simulate(0)
    start, busy = time.perf_counter(), time.process_time()
    simulate(1)
    print(
        f"rest + stress, 3 slices x 70 frames, 160 x 160: {time.perf_counter() - start:.1f} s "
        f"({time.process_time() - busy:.1f} s of processor)"
    )
    start, busy, number = time.perf_counter(), time.process_time(), 10
    for _ in zip(stream(100), range(number), strict=False):
        pass
    wall, busy = time.perf_counter() - start, time.process_time() - busy
    print(
        f"stream, slice-series of 70 frames, 160 x 160: {60 * number / wall:.0f} a minute "
        f"({60 * number / busy:.0f} a minute of processor)"
    )


if __name__ == "__main__":
    main()
