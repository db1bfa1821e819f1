"""A ledger with results for one PACS, and a clock that only the test moves."""

from dataclasses import replace

from node.audit import AuditTrail
from node.config import Config
from node.deliver.attempt import Deliverer
from node.index import entry, ledger
from node.index.ledger import Result
from node.index.tables import open_index
from node.representation import first_states
from tests.end_to_end.analysis import OBJECTS, result
from tests.peers import study_of

KINDS = [kind for kind, _ in OBJECTS]
HOUR_S = 3600.0
LONGEST_S = 4 * HOUR_S


def three_small_ones(folder) -> list[Result]:
    images = study_of(3, seed="shipping")
    uids = [str(one.SOPInstanceUID) for one in images]
    made = []
    for kind, sop_class in OBJECTS:
        dataset = result(images[0], uids, kind, sop_class)
        dataset.save_as(folder / f"{kind}.dcm", enforce_file_format=True)
        made.append(
            Result(
                sop_instance_uid=str(dataset.SOPInstanceUID),
                sop_class_uid=sop_class,
                kind=kind,
                file=f"{kind}.dcm",
            )
        )
    return made


class Shipping:
    """A ledger with results for one PACS, and a clock that only the test moves.

    The results are three small ones, or those that `fill` puts into the folder it is given and
    returns, with their files relative to it.
    """

    def __init__(self, folder, pacs, fill=None, **rules) -> None:
        self.now_s = 1_000_000.0
        self.config = Config.model_validate(
            {
                "storage": {"directory": folder},
                "delivery": {
                    "destinations": [
                        {
                            "name": "pacs",
                            "ae_title": "PACS",
                            "host": "127.0.0.1",
                            "port": pacs.port,
                            **rules,
                        }
                    ],
                    "timeout_s": 1.0,
                    "longest_retry_s": LONGEST_S,
                    "confirm_within_s": LONGEST_S,
                },
            }
        )
        self.index = open_index(self.config.storage)
        self.pacs = pacs
        self.deliverer = Deliverer(
            self.index,
            self.config,
            results=folder / "results",
            audit=AuditTrail(self.config.audit, self.config.storage, ae_title="PERFUSION"),
            clock=lambda: self.now_s,
        )
        self.study = str(study_of(1, seed="shipping")[0].StudyInstanceUID)
        results = folder / "results"
        (results / "a").mkdir(parents=True)
        made = (fill or three_small_ones)(results / "a")
        wanted = self.config.delivery.destinations[0].objects
        states = {"pacs": first_states({one.kind for one in made}, wanted)}
        entry.register(
            self.index,
            self.study,
            1,
            [replace(one, file=f"a/{one.file}") for one in made],
            first_states=states,
            now_s=self.now_s,
        )

    def attempt(self) -> bool:
        """Make the attempt that is due next, moving the clock to it; False if nothing is due."""
        waiting = ledger.consignments(self.index)
        if not waiting:
            return False
        (consignment,) = waiting
        self.now_s = max(self.now_s, consignment.next_try_s)
        ledger.claim(self.index, consignment, not_before_s=self.now_s)
        self.deliverer.attempt(consignment)
        return True

    @property
    def all_rows(self):
        return ledger.study_deliveries(self.index, self.study)

    @property
    def rows(self):
        return {row.kind: row for row in self.all_rows}

    @property
    def states(self):
        return {kind: row.state for kind, row in self.rows.items()}
