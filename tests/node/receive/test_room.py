"""Room on the disk: looked up seldom, and never overdrawn."""

import pytest

from node.errors import SpoolError
from node.receive.room import LOOK_AGAIN_S, Room


class Disk:
    """Stands for a spool, and counts who looks."""

    def __init__(self, free: int) -> None:
        self.free, self.looks = free, 0

    def free_bytes(self) -> int:
        self.looks += 1
        return self.free


@pytest.fixture
def now():
    return [0.0]


def test_a_look_is_good_for_many_images_and_not_for_long(now):
    disk = Disk(1_000_000)
    room = Room(disk, minimum_free_bytes=0, clock=lambda: now[0])
    for _ in range(100):
        room.take(1000)
    assert disk.looks == 1
    now[0] += LOOK_AGAIN_S
    room.take(1000)
    assert disk.looks == 2


def test_what_was_taken_since_the_last_look_is_not_given_twice(now):
    disk = Disk(1_000_000)
    room = Room(disk, minimum_free_bytes=900_000, clock=lambda: now[0])
    for _ in range(10):
        room.take(10_000)
        disk.free -= 10_000
    with pytest.raises(SpoolError, match="nearly full"):
        room.take(10_000)


def test_a_disk_that_has_room_again_is_seen_at_once(now):
    disk = Disk(0)
    room = Room(disk, minimum_free_bytes=1000, clock=lambda: now[0])
    for ask in (room.look, lambda: room.take(1)):
        with pytest.raises(SpoolError, match="nearly full"):
            ask()
    disk.free = 2000
    room.take(1000)
    with pytest.raises(SpoolError, match="nearly full"):
        room.take(1001)
