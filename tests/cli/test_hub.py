"""A base model that lies on a hub and nowhere else is fetched, pinned, and then served offline."""

import hashlib
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from .console import Console

COMMIT = "a" * 40
REPO = "someone/tiny"
TINY_LORA = (
    "validation_users: 4\nevaluations: 1\nbatch_size: 4\nmicro_batch_tokens: 2048\n"
    "max_length: 192\nmax_steps: 1\n"
)


class Hub(BaseHTTPRequestHandler):
    """Serves one folder as one repository, the way the hub's client asks for it."""

    protocol_version = "HTTP/1.1"
    files: dict[str, bytes]
    asked: list[str]

    def do_GET(self) -> None:
        self.answer(body=True)

    def do_HEAD(self) -> None:
        self.answer(body=False)

    def log_message(self, format: str, *args: object) -> None: ...

    def answer(self, *, body: bool) -> None:
        path = self.path.split("?")[0]
        self.asked.append(path)
        name = path.rpartition("/")[2]
        if path.startswith(f"/api/models/{REPO}"):
            siblings = [{"rfilename": file} for file in self.files]
            about = {"id": REPO, "modelId": REPO, "sha": COMMIT, "siblings": siblings, "tags": []}
            tree = [
                {"type": "file", "path": file, "size": len(content), "oid": COMMIT}
                for file, content in self.files.items()
            ]
            self.send(200, json.dumps(tree if "/tree/" in path else about).encode(), body=body)
        elif path.startswith(f"/{REPO}/resolve/") and name in self.files:
            self.send(200, self.files[name], body=body)
        else:
            self.send(404, b"", body=body)

    def send(self, status: int, content: bytes, *, body: bool) -> None:
        self.send_response(status)
        self.send_header("X-Repo-Commit", COMMIT)
        if status == 404:
            self.send_header("X-Error-Code", "EntryNotFound")
        self.send_header("ETag", f'"{hashlib.sha256(content).hexdigest()[:40]}"')
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if body:
            self.wfile.write(content)


@pytest.fixture
def hub(trained: Console) -> Iterator[ThreadingHTTPServer]:
    """A hub whose only model is the one that another test has trained."""
    model = trained.workspace / "runs" / "sample" / "nano-1" / "model"
    Hub.files = {path.name: path.read_bytes() for path in model.iterdir()}
    Hub.asked = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def test_a_hub_model_is_downloaded_pinned_and_then_served_without_the_hub(
    hub: ThreadingHTTPServer, tmp_path: Path
) -> None:
    console = Console(tmp_path / "workspace")
    console.done("prepare", "sample")
    (tmp_path / "lora.yaml").write_text(TINY_LORA)
    reachable = {
        "HF_ENDPOINT": f"http://127.0.0.1:{hub.server_address[1]}",
        "HF_HUB_OFFLINE": "0",
        "HTTPS_PROXY": "",
        "https_proxy": "",
    }
    finetune = ("finetune", "--base-model", REPO, "--config", str(tmp_path / "lora.yaml"))
    # A plan reads the config only, which must not pass for a model that is there.
    dry = console.in_its_own_process(*finetune, "--dry-run", environment=reachable)
    assert dry.code == 0, dry.err
    made = console.in_its_own_process(*finetune, "--json", environment=reachable)
    assert made.code == 0, made.err
    assert any(path.endswith("model.safetensors") for path in Hub.asked)
    assert made.json["base"]["revision"] == COMMIT
    asked = len(Hub.asked)
    served = console.in_its_own_process("predict", "--user", "v001", "--json", environment={})
    assert served.code == 0, served.err
    assert len(served.json["users"][0]["recommendations"]) == 10
    assert len(Hub.asked) == asked
