"""Pure: figures and overviews as a page for people and as text for Prometheus."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from html import escape

from node.index.overview import StudyOverview
from node.status.figures import Figures

_STYLE = (
    "body{font:15px/1.4 system-ui,sans-serif;margin:2em;color:#222}"
    "table{border-collapse:collapse}td,th{padding:.3em .8em;text-align:left;"
    "border-bottom:1px solid #ddd}.stuck{background:#fde8e8}"
    "p.note{color:#666}"
)


def page(figures: Figures, studies: Sequence[StudyOverview], free_bytes: int) -> str:
    """Return the status page as HTML; it refreshes itself and needs no script."""
    stuck = sum(study.needs_a_person for study in studies)
    rows = "".join(_row(study) for study in studies)
    return (
        "<!doctype html><html lang='en'><head><meta charset='utf-8'>"
        "<meta http-equiv='refresh' content='10'><title>perfusion-node</title>"
        f"<style>{_STYLE}</style></head><body><h1>perfusion-node</h1>"
        f"<p>{figures.images} images, {figures.arriving} studies arriving, "
        f"{sum(figures.jobs.values())} analyses, {free_bytes // 2**20} MB free. "
        f"<strong>{stuck} need a person.</strong></p>"
        "<table><tr><th>last image (UTC)</th><th>study</th><th>images</th><th>revision</th>"
        f"<th>state</th><th>why</th><th>delivered</th></tr>{rows}</table>"
        "<p class='note'>Research use only. Studies are named by their UIDs alone.</p>"
        "</body></html>"
    )


def _row(study: StudyOverview) -> str:
    when = datetime.fromtimestamp(study.last_s, UTC).strftime("%Y-%m-%d %H:%M:%S")
    state = f"{study.state} ({study.verdict})" if study.verdict else study.state
    cells = [
        when,
        study.study_uid,
        study.images,
        study.revision,
        state,
        study.reason,
        study.delivered,
    ]
    mark = " class='stuck'" if study.needs_a_person else ""
    return f"<tr{mark}>" + "".join(f"<td>{escape(str(cell))}</td>" for cell in cells) + "</tr>"


def metrics(figures: Figures, free_bytes: int) -> str:
    """Return the figures in the text format of Prometheus."""
    lines = [
        *_metric("images", "Images kept", [({}, figures.images)]),
        *_metric("conflicts", "Images kept aside: UID known", [({}, figures.conflicts)]),
        *_metric("studies_arriving", "Studies not complete yet", [({}, figures.arriving)]),
        *_metric(
            "jobs",
            "Analyses of study revisions",
            [({"state": state}, number) for state, number in figures.jobs.items()],
        ),
        *_metric(
            "deliveries",
            "Result instances by destination",
            [
                ({"destination": destination, "state": state}, number)
                for (destination, state), number in figures.deliveries.items()
            ],
        ),
        *_metric(
            "oldest_pending_delivery_seconds",
            "Longest wait of a result",
            [({"destination": name}, age_s) for name, age_s in figures.oldest_pending_s.items()],
        ),
        *_metric("disk_free_bytes", "Room in the storage directory", [({}, free_bytes)]),
    ]
    return "\n".join(lines) + "\n"


def _metric(name: str, what: str, samples: Iterable[tuple[dict[str, str], float]]) -> Iterable[str]:
    yield f"# HELP perfusion_node_{name} {what}"
    yield f"# TYPE perfusion_node_{name} gauge"
    for labels, value in samples:
        # Labels are names from the configuration and states: nothing that needs escaping.
        inside = ",".join(f'{key}="{text}"' for key, text in labels.items())
        yield (
            f"perfusion_node_{name}{{{inside}}} {value}"
            if inside
            else (f"perfusion_node_{name} {value}")
        )
