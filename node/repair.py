"""What a person does about a database that cannot be used: in most cases it is not damaged."""

import sqlalchemy as sa

from node.errors import is_for_a_lock, is_for_want_of_room


def what_helps(error: BaseException, url: sa.URL, *, damaged: str) -> str:
    """Return what to do, in words that may follow a colon.

    Parameters
    ----------
    damaged
        What helps where nothing else explains the error.
    """
    if is_for_a_lock(error):
        return "end the program that holds its lock, a backup most likely; nothing is lost"
    if is_for_want_of_room(error):
        return "make room on its disk"
    if url.get_backend_name() != "sqlite" and isinstance(error, sa.exc.OperationalError):
        return "start the server, or mend storage.database_url"
    return damaged
