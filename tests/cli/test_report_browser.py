"""The report in a real browser: it asks for nothing, complains of nothing, and fits a phone."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from made_report import NDCG, bench, card

from genrec_cli.evaluation.report.contents import Contents, Witness
from genrec_cli.evaluation.report.page import report_html

BROWSER = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), ""
)
PHONE = 390
POLICY = re.compile(r'<meta http-equiv="Content-Security-Policy"[^>]*>')
# A window is never as narrow as a phone, but a frame is; its page says how much room it needs.
FRAME = """<!doctype html><iframe id="phone" style="width: {width}px; height: 844px; border: 0">
</iframe><script>
const phone = document.getElementById("phone");
phone.onload = () => {{
  const page = phone.contentDocument.documentElement;
  document.body.setAttribute("data-size", [page.clientWidth, page.scrollWidth].join(" "));
}};
phone.srcdoc = {page};
</script>"""

pytestmark = pytest.mark.skipif(not BROWSER, reason="no Chromium is installed")


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report with everything in it, and texts that could break a layout."""
    names = {f"a-run-with-a-very-long-name-{n}": 0.1 + n / 1000 for n in range(9)}
    manifest = bench({**NDCG, **names})
    lists = {name: ["W" * 300, "العربية 🎬", "<b>Heat</b>"] for name in [*NDCG, *names]}
    witnesses = [Witness("u" * 200, ["W" * 300, "Alien (1979)"], "<b>Heat</b>", lists)] * 3
    curve = [{"step": step, "loss": 7.0 - step / 10} for step in range(9)]
    file = tmp_path_factory.mktemp("report") / "report.html"
    page = report_html(Contents(manifest, card(), witnesses, {"nano-1": curve}))
    file.write_text(page.replace("<details", "<details open"), encoding="utf-8")
    return file


def browse(page: Path) -> tuple[str, str, list[str]]:
    """Load a page: its elements as they became, the browser's log, and what the page asked for.

    What the browser asks for on its own account has no page as its origin, and is left out.
    """
    network = page.with_suffix(".network.json")
    command = [
        BROWSER, "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run",
        "--disable-background-networking", "--disable-component-update", "--disable-sync",
        "--host-resolver-rules=MAP * ~NOTFOUND",  # it does not phone home from here
        f"--user-data-dir={page.parent / 'profile'}", "--hide-scrollbars",
        "--enable-logging=stderr", f"--log-net-log={network}",
        "--dump-dom", page.as_uri(),
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    log = json.loads(network.read_text(encoding="utf-8"))
    begun = [event["params"] for event in log["events"] if "initiator" in event.get("params", {})]
    asked = [start["url"] for start in begun if start["initiator"] != "not an origin"]
    return done.stdout, done.stderr, [url for url in asked if not url.startswith("file:")]


def complaints(log: str) -> list[str]:
    return [line for line in log.splitlines() if "CONSOLE" in line]


def test_the_report_asks_the_network_for_nothing_and_the_console_is_silent(report: Path) -> None:
    dom, log, asked = browse(report)
    assert "Users side by side" in dom
    assert complaints(log) == []
    assert asked == []


def test_a_page_that_asks_and_complains_would_be_noticed(report: Path) -> None:
    bad = report.with_name("bad.html")
    extra = "<img src='http://127.0.0.1:9/pixel.png'><script>console.error('so bad')</script>"
    bad.write_text(POLICY.sub(extra, report.read_text(encoding="utf-8")), encoding="utf-8")
    _, log, asked = browse(bad)
    assert any("so bad" in line for line in complaints(log))
    assert "http://127.0.0.1:9/pixel.png" in asked


def test_the_report_forbids_scripts_and_requests_by_itself(report: Path) -> None:
    injected = report.with_name("injected.html")
    extra = "<img src='http://127.0.0.1:9/pixel.png'><script>document.title = 'run'</script></body>"
    page = report.read_text(encoding="utf-8")
    injected.write_text(page.replace("</body>", extra), encoding="utf-8")
    dom, _, asked = browse(injected)
    assert "<title>run</title>" not in dom
    assert asked == []


def test_nothing_is_wider_than_a_phone(report: Path) -> None:
    measured = report.with_name("measured.html")
    page = POLICY.sub("", report.read_text(encoding="utf-8"))
    framed = FRAME.format(width=PHONE, page=json.dumps(page).replace("</", "<\\/"))
    measured.write_text(framed, encoding="utf-8")
    dom, _, _ = browse(measured)
    found = re.search(r'data-size="(\d+) (\d+)"', dom)
    assert found
    width, needed = map(int, found.groups())
    assert width == PHONE
    assert needed <= PHONE
