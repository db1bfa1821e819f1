"""A real viewer for tests: OHIF's built site on Orthanc's DICOMweb, in headless Chromium.

The site is the package @ohif/app of npm, unpacked; nothing of it is changed and nothing is fetched
while the tests run.
"""

import http.client
import http.server
import io
import mimetypes
import os
import re
import shutil
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

PLUGIN = Path("/usr/share/orthanc/plugins/libOrthancDicomWeb.so")
CONFIGURATION = b"""
window.config = {
  name: 'tests', routerBasename: null, extensions: [], modes: [], customizationService: {},
  showStudyList: true, maxNumberOfWebWorkers: 2, showWarningMessageForCrossOrigin: false,
  showCPUFallbackMessage: false, showLoadingIndicator: true,
  strictZSpacingForVolumeViewport: true, investigationalUseDialog: { option: 'never' },
  defaultDataSourceName: 'orthanc',
  dataSources: [{
    namespace: '@ohif/extension-default.dataSourcesModule.dicomweb', sourceName: 'orthanc',
    configuration: {
      friendlyName: 'orthanc', name: 'orthanc', wadoUriRoot: '/wado', qidoRoot: '/dicom-web',
      wadoRoot: '/dicom-web', qidoSupportsIncludeField: false, imageRendering: 'wadors',
      thumbnailRendering: 'wadors', enableStudyLazyLoad: true, supportsFuzzyMatching: false,
      supportsWildcard: true, staticWado: false, singlepart: 'bulkdata,video,pdf',
      bulkDataURI: { enabled: true }, omitQuotationForMultipartRequest: true } }],
};
"""


def site(folder: Path, orthanc_port: int) -> type[http.server.BaseHTTPRequestHandler]:
    """Make the handler that serves the built site and passes DICOMweb on to Orthanc."""

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_):
            """Stay quiet."""

        def do_GET(self):
            path = self.path.split("?")[0]
            if path.startswith(("/dicom-web", "/wado")):
                self._pass_on()
            elif path == "/app-config.js":
                self._answer(200, "text/javascript", CONFIGURATION)
            else:
                file = (folder / path.lstrip("/")).resolve()
                if not (file.is_relative_to(folder) and file.is_file()):
                    file = folder / "index.html"
                kind = {".wasm": "application/wasm", ".js": "text/javascript"}.get(file.suffix)
                kind = kind or mimetypes.guess_type(file)[0] or "application/octet-stream"
                self._answer(200, kind, file.read_bytes())

        def do_POST(self):
            self._pass_on(self.rfile.read(int(self.headers.get("Content-Length", 0))))

        def _pass_on(self, body=None):
            upstream = http.client.HTTPConnection("127.0.0.1", orthanc_port, timeout=120)
            dropped = ("connection", "accept-encoding")
            headers = {k: v for k, v in self.headers.items() if k.lower() not in dropped}
            upstream.request(self.command, self.path, body=body, headers=headers)
            response = upstream.getresponse()
            kind = response.getheader("Content-Type", "application/octet-stream")
            self._answer(response.status, kind, response.read())
            upstream.close()

        def _answer(self, status, kind, content):
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(content)))
            self.send_header("Cross-Origin-Opener-Policy", "same-origin")
            self.send_header("Cross-Origin-Embedder-Policy", "require-corp")
            self.end_headers()
            self.wfile.write(content)

    return Handler


class Viewer:
    """One study, open in the viewer."""

    def __init__(self, page) -> None:
        self.page = page

    def open_series(self, description: str) -> None:
        """Show a series in the viewport."""
        thumbnail = self.page.get_by_text(description, exact=True).first
        thumbnail.scroll_into_view_if_needed()
        thumbnail.dblclick()
        self.settle()

    def settle(self, timeout_s: float = 40.0) -> np.ndarray:
        """Wait until the picture stands still; return it [row, column, colour]."""
        deadline, before, still = time.monotonic() + timeout_s, None, 0
        while time.monotonic() < deadline:
            self.page.wait_for_timeout(700)
            now = self.picture()
            same = before is not None and now.shape == before.shape and np.array_equal(now, before)
            still = still + 1 if same else 0
            if still >= 3:
                break
            before = now
        return self.picture()

    def box(self) -> dict[str, float]:
        """The largest canvas on the page; the viewer makes new ones as it goes."""
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            self.page.wait_for_selector("canvas", timeout=60_000)
            boxes = [canvas.bounding_box() for canvas in self.page.locator("canvas").all()]
            if any(boxes):
                return max(filter(None, boxes), key=lambda one: one["width"] * one["height"])
            self.page.wait_for_timeout(200)
        raise TimeoutError("the viewer shows no canvas")

    def picture(self) -> np.ndarray:
        """What the viewport shows."""
        png = self.page.screenshot(clip=self.box())
        return np.asarray(Image.open(io.BytesIO(png)).convert("RGB")).astype(float)

    def scroll(self, steps: int) -> None:
        """Go on by so many slices."""
        box = self.box()
        self.page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] * 0.8)
        for _ in range(abs(steps)):
            self.page.mouse.wheel(0, 120 if steps > 0 else -120)
            self.page.wait_for_timeout(400)

    def shown_instance(self) -> int:
        """Instance number of the image in the viewport, as the viewer writes it."""
        found = re.search(r"I:\s*(\d+)\s*\(\d+/\d+\)", self.page.locator("body").inner_text())
        assert found, "the viewer does not say which image it shows"
        return int(found.group(1))

    def save(self, name: str) -> None:
        """Keep the whole window as a picture, where PERFUSION_SCREENSHOTS names a folder."""
        folder = os.environ.get("PERFUSION_SCREENSHOTS")
        if folder:
            self.page.screenshot(path=Path(folder) / f"{name}.png")

    def click_if_there(self, text: str) -> None:
        """Answer a question of the viewer's, where it asks."""
        found = self.page.get_by_text(text, exact=True)
        if found.count():
            found.first.click()
            self.page.wait_for_timeout(1500)


@pytest.fixture(scope="module")
def ohif_site() -> Path:
    """The unpacked site; `make viewer-check` fetches it."""
    folder = Path(os.environ.get("PERFUSION_OHIF", "absent"))
    if not (folder / "index.html").is_file():
        pytest.skip("OHIF absent: run `make viewer-check`, which fetches it")
    return folder.resolve()


@pytest.fixture
def open_viewer(ohif_site, own_orthanc) -> Iterator:
    """Store objects in an Orthanc and open their study in the viewer."""
    playwright = pytest.importorskip("playwright.sync_api", reason="pip install playwright")
    chromium = shutil.which("chromium")
    if chromium is None or not PLUGIN.exists():
        pytest.skip("install Debian's chromium and orthanc-dicomweb")
    archive = own_orthanc(
        Plugins=[str(PLUGIN)],
        DicomWeb={"Enable": True, "Root": "/dicom-web/", "EnableWado": True, "WadoRoot": "/wado",
                  "StudiesMetadata": "Full", "SeriesMetadata": "Full"},
    )  # fmt: skip
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), site(ohif_site, archive.http_port))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(
            executable_path=chromium,
            args=["--no-sandbox", "--use-gl=angle", "--use-angle=swiftshader",
                  "--enable-unsafe-swiftshader"],
        )  # fmt: skip
        page = browser.new_page(viewport={"width": 1600, "height": 900})

        def show(objects) -> Viewer:
            for one in objects:
                buffer = io.BytesIO()
                one.save_as(buffer, enforce_file_format=True)
                archive.request("POST", "/instances", buffer.getvalue())
            host, port = server.server_address[:2]
            study = objects[0].StudyInstanceUID
            page.goto(f"http://{host}:{port}/viewer?StudyInstanceUIDs={study}",
                      wait_until="domcontentloaded")  # fmt: skip
            page.wait_for_selector("canvas", timeout=90_000)
            viewer = Viewer(page)
            viewer.settle()
            viewer.click_if_there("Skip all")
            return viewer

        yield show
        browser.close()
    server.shutdown()
    server.server_close()
    thread.join()
