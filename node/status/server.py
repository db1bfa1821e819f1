"""A small HTTP server: `/` for people, `/metrics` for Prometheus, `/health` for a watchdog."""

import logging
import shutil
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar

import sqlalchemy as sa

from node.config import Config
from node.index.overview import overview
from node.status.figures import count
from node.status.text import metrics, page

log = logging.getLogger(__name__)

STUDIES_SHOWN = 200
HTML, PLAIN = "text/html; charset=utf-8", "text/plain; version=0.0.4; charset=utf-8"


class StatusServer(ThreadingHTTPServer):
    """Serves until `shutdown`; reads the index, changes nothing."""

    daemon_threads = True

    def __init__(self, config: Config, index: sa.Engine) -> None:
        self.config = config
        self.index = index
        super().__init__((config.status.host, config.status.port or 0), _Handler)

    def answer(self, path: str) -> tuple[int, str, str]:
        """(status, content type, text) for a path."""
        if path not in ("/", "/metrics", "/health"):
            return 404, PLAIN, "not here\n"
        try:
            free_bytes = shutil.disk_usage(self.config.storage.directory).free
            figures = count(self.index, time.time())
            if path == "/metrics":
                return 200, PLAIN, metrics(figures, free_bytes)
            if path == "/":
                studies = overview(self.index, newest=STUDIES_SHOWN)
                return 200, HTML, page(figures, studies, free_bytes)
        except (OSError, sa.exc.SQLAlchemyError) as error:
            log.warning("the status cannot be read: %s", type(error).__name__)
            return 503, PLAIN, "storage or index cannot be read\n"
        if free_bytes < self.config.receive.minimum_free_mb * 2**20:
            return 503, PLAIN, "the disk is nearly full: images are refused\n"
        return 200, PLAIN, "ok\n"


class _Handler(BaseHTTPRequestHandler):
    server: StatusServer
    protocol_version = "HTTP/1.0"
    timeout: ClassVar[float] = 10.0

    def do_GET(self) -> None:
        status, content_type, text = self.server.answer(self.path.partition("?")[0])
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.send_header("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  http.server's name
        """Say nothing: requests of a watchdog are no news."""
