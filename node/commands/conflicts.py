"""`perfusion-node conflicts`: different images under one UID, and which of them is used."""

import argparse
import json
import time
from datetime import datetime

from node.arguments import add_actions
from node.config import load_config
from node.errors import NodeError
from node.index import conflicts
from node.index.conflicts import Conflict
from node.index.tables import open_index
from node.spool import Spool

HELP = "different images that came under one UID: see them, settle them"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the actions and options of the command."""
    add_actions(
        parser,
        listing="the image kept aside and the image used, by file",
        others={
            "exchange": "use the image kept aside, analyse the study again; keep the other aside",
            "drop": "go on with the image that is used; delete the one kept aside",
        },
        of="FILE",
    )


def run(arguments: argparse.Namespace) -> int:
    """Do one action on index and spool; the worker sees it within a second."""
    from node.receive.recover import arrival_of  # and with it numpy

    storage = load_config(arguments.config).storage
    index, spool = open_index(storage), Spool.open(storage)
    try:
        if arguments.action in (None, "list"):
            _list(conflicts.conflicts(index), spool, as_json=arguments.json)
            return 0
        if not conflicts.conflicts(index, file=arguments.file):
            raise NodeError("no such file is kept aside")
        if arguments.action == "drop":
            conflicts.forget(index, arguments.file)
            spool.drop(arguments.file)
            print("deleted; the image that is used stays")
        else:
            aside = arrival_of(spool.path(arguments.file), arguments.file)
            conflicts.exchange(index, aside._replace(received_s=time.time()))
            print("exchanged; the study is analysed again when it has been quiet for a while")
    finally:
        index.dispose()
        spool.close()
    return 0


def _list(found: tuple[Conflict, ...], spool: Spool, *, as_json: bool) -> None:
    if as_json:
        print(json.dumps([vars(conflict) for conflict in found], indent=2))
        return
    if not found:
        print("no conflicts")
    for one in found:
        print(f"{one.sop_instance_uid} of study {one.study_uid}")
        for word, file, sender, when_s in (
            ("used", one.used_file, one.used_calling_ae, one.used_received_s),
            ("kept aside", one.file, one.calling_ae, one.received_s),
        ):
            when = datetime.fromtimestamp(when_s).astimezone().strftime("%Y-%m-%d %H:%M:%S")
            print(f"  {word + ',':11} from {sender} at {when}: {file}")
    if found:
        print(f"the files lie in {spool.root}")
