import pytest

from tests.keeping import Kept


@pytest.fixture
def begin(tmp_path):
    made = []

    def build(**rules):
        made.append(Kept(tmp_path, **rules))
        return made[-1]

    yield build
    for kept in made:
        kept.shipping.pacs.stop()
        kept.index.dispose()
        kept.spool.close()


@pytest.fixture
def kept(begin):
    return begin()
