"""A real Chromium, a real JupyterLab, and a bare page that joins the widget's script to Python."""

import base64
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

ROOT = Path(__file__).resolve().parents[2]
PROGRAMS = ("chromium", "chromium-browser", "google-chrome")
START_SECONDS = 240  # a busy machine starts JupyterLab and Chromium slowly
OPTIONS = (
    "--no-sandbox",  # containers run as root
    "--disable-gpu",
    "--disable-background-networking",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",  # no network, whatever is asked
)


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    reason = "no playwright at hand: pip install '.[test]'"
    sync_api = pytest.importorskip("playwright.sync_api", reason=reason)
    program = next(filter(None, map(shutil.which, PROGRAMS)), None)
    if program is None:
        pytest.skip(f"no browser at hand: none of {', '.join(PROGRAMS)} is installed")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=program, args=list(OPTIONS), timeout=1000 * START_SECONDS
        )
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def page_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page "Colour your photograph", as the web site holds it."""
    if shutil.which("npm") is None:
        pytest.skip("no npm at hand, which gets ONNX Runtime for the web site")
    folder = tmp_path_factory.mktemp("try")
    command = (sys.executable, str(ROOT / ".ci" / "site_try.py"), str(folder))
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    said = done.stdout + done.stderr
    if "npm error" in said:
        pytest.skip("npm cannot get ONNX Runtime for the web site")
    assert done.returncode == 0, said[-4000:]
    return folder / "try"


@dataclass
class Lab:
    """A JupyterLab server of its own, and what its pages asked for."""

    root: Path
    origin: str
    token: str
    browser: Any
    requests: list[str] = field(default_factory=list)

    def make(self, name: str, *sources: str) -> Any:
        """The page of a new notebook with these code cells, all run."""
        import nbformat

        cells = [nbformat.v4.new_code_cell(source) for source in sources]
        kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
        book = nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": kernel})
        nbformat.write(book, self.root / f"{name}.ipynb")
        page = self.open(f"{name}.ipynb")
        for cell in self.run_all(page):
            assert not [o for o in cell["outputs"] if o["output_type"] == "error"], cell["outputs"]
        page.set_default_timeout(60_000)
        return page

    def open(self, notebook: str) -> Any:
        """Open ``notebook`` of the root folder in a new page and wait until it can run."""
        page = self.browser.new_page(viewport={"width": 1280, "height": 1400})
        page.set_default_timeout(1000 * START_SECONDS)
        page.on("request", lambda request: self.requests.append(request.url))
        page.on("websocket", lambda websocket: self.requests.append(websocket.url))
        page.goto(f"{self.origin}/lab/tree/{notebook}?reset&token={self.token}")
        page.wait_for_function(IDLE)
        return page

    def run_last(self, page: Any) -> str:
        """Run the last cell again and return what it prints."""
        last = page.evaluate(f"{CELLS}.length") - 1
        count = f"{CELLS}.get({last}).executionCount"
        before = page.evaluate(count)
        page.evaluate(
            f"window.jupyterapp.shell.currentWidget.content.activeCellIndex = {last};"
            "window.jupyterapp.commands.execute('notebook:run-cell')"
        )
        page.wait_for_function(f"before => ![null, before].includes({count})", arg=before)
        page.wait_for_function(IDLE)
        cell = page.locator(".jp-CodeCell").nth(last)
        return cell.locator(".jp-OutputArea-output").inner_text().strip()

    def run_all(self, page: Any, seconds: float = START_SECONDS) -> list[dict[str, Any]]:
        """Run > Run All Cells from the menu; returns the code cells when all ran, or one failed."""
        page.get_by_role("menuitem", name="Run", exact=True).click()
        page.get_by_role("menuitem", name="Run All Cells", exact=True).click()
        page.wait_for_function(
            f"""() => {{
                const cells = ({CODE_CELLS})().filter((cell) => cell.source.trim());
                return cells.every((cell) => cell.execution_count !== null)
                    || cells.some((cell) => cell.outputs.some((o) => o.output_type === "error"));
            }}""",
            timeout=1000 * seconds,
            polling=500,
        )
        return page.evaluate(CODE_CELLS)

    def strangers(self) -> list[str]:
        """Requests that went anywhere but to this server."""
        here = urlsplit(self.origin).netloc
        inner = ("data", "blob", "about")
        split = [(url, urlsplit(url)) for url in self.requests]
        return [url for url, parts in split if parts.scheme not in inner and parts.netloc != here]


IDLE = "window.jupyterapp?.shell.currentWidget?.sessionContext?.session?.kernel?.status === 'idle'"
# The notebook's model, not the page: JupyterLab draws only what is in sight.
CELLS = "window.jupyterapp.shell.currentWidget.content.model.cells"
CODE_CELLS = """() => [...window.jupyterapp.shell.currentWidget.content.model.cells]
    .map((cell) => cell.toJSON()).filter((cell) => cell.cell_type === "code")
    .map((cell) => ({...cell, source: [cell.source].flat().join("")}))"""


@pytest.fixture(scope="session")
def lab(browser: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    home = tmp_path_factory.mktemp("jupyter")
    root = tmp_path_factory.mktemp("root")
    quiet = home / "settings" / "@jupyterlab" / "apputils-extension"
    quiet.mkdir(parents=True)
    (quiet / "notification.jupyterlab-settings").write_text(
        json.dumps({"fetchNews": "false", "checkForUpdates": False, "doNotDisturbMode": True})
    )
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    token = os.urandom(16).hex()
    command = (
        *(sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root"),
        *("--ServerApp.ip=127.0.0.1", f"--ServerApp.port={port}", "--ServerApp.port_retries=0"),
        *(f"--IdentityProvider.token={token}", f"--ServerApp.root_dir={root}"),
        *("--LabApp.expose_app_in_browser=True", "--LabApp.news_url="),
        "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
    )
    places = {
        "JUPYTER_CONFIG_DIR": home / "config",
        "JUPYTER_DATA_DIR": home / "data",
        "JUPYTER_RUNTIME_DIR": home / "runtime",
        "JUPYTERLAB_SETTINGS_DIR": home / "settings",
        "JUPYTERLAB_WORKSPACES_DIR": home / "workspaces",
        "IPYTHONDIR": home / "ipython",
    }
    environment = {**os.environ, **{name: str(path) for name, path in places.items()}}
    log = home / "server.log"
    with log.open("w") as stream:
        server = subprocess.Popen(
            command, env=environment, stdout=stream, stderr=stream, start_new_session=True
        )
    try:
        origin = f"http://127.0.0.1:{port}"
        _wait(f"{origin}/api?token={token}", server, log)
        yield Lab(root, origin, token, browser)
    finally:
        server.terminate()  # it ends its kernels first
        try:
            server.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(server.pid, signal.SIGKILL)
            server.wait()


def _wait(url: str, server: subprocess.Popen, log: Path) -> None:
    until = time.monotonic() + START_SECONDS
    while time.monotonic() < until and server.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.2)
    pytest.fail(f"JupyterLab did not start:\n{log.read_text()[-3000:]}")


# A page that holds the widget alone. `save_changes` hands the changed traits to Python and takes
# back what Python changed: what a Jupyter front end does, without Jupyter.
BARE = """async ({script, style, state}) => {
    const bytes = (value) => value?.png
        ? new DataView(Uint8Array.from(atob(value.png), (c) => c.charCodeAt(0)).buffer) : value;
    const values = Object.fromEntries(Object.entries(state).map(([k, v]) => [k, bytes(v)]));
    const actions = {};
    const put = (key, value) => {
        values[key] = value;
        for (const action of actions[`change:${key}`] ?? []) action();
    };
    let changed = {};
    window.sent = [];
    const model = {
        get: (key) => values[key],
        set: (key, value) => { changed[key] = value; put(key, value); },
        on: (name, action) => (actions[name] ??= new Set()).add(action),
        off: (name, action) => actions[name]?.delete(action),
        async save_changes() {
            window.sent.push({time: performance.now(), ...changed});
            const news = Object.entries(await window.python(changed));
            for (const [key, value] of news) values[key] = bytes(value);
            for (const [key, value] of news) put(key, bytes(value));
        },
    };
    window.model = model;
    document.head.append(Object.assign(document.createElement("style"), {textContent: style}));
    const url = URL.createObjectURL(new Blob([script], {type: "text/javascript"}));
    const {default: {render}} = await import(url);
    const el = document.body.appendChild(document.createElement("div"));
    window.remove = render({model, el});
}"""


@pytest.fixture
def bare(browser: Any) -> Iterator[Callable[..., Any]]:
    """``bare(canvas)`` opens a page with the widget of ``canvas`` and nothing else."""
    contexts, errors = [], []

    def open_page(canvas: Any, **options: Any) -> Any:
        context = browser.new_context(viewport={"width": 1000, "height": 1000}, **options)
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: errors.append(str(error)))

        def state() -> dict[str, Any]:
            return {name: _jsonable(getattr(canvas, name)) for name in canvas.keys}

        def python(changed: dict[str, Any]) -> dict[str, Any]:
            before = state()
            with canvas.hold_trait_notifications():
                for name, value in changed.items():
                    setattr(canvas, name, value)
            return {k: v for k, v in state().items() if v != before[k] and k not in changed}

        page.expose_function("python", python)
        page.goto("about:blank")
        page.evaluate(
            BARE, {"script": str(canvas._esm), "style": str(canvas._css), "state": state()}
        )
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert not errors, "the script failed"


def _jsonable(value: Any) -> Any:
    if isinstance(value, bytes):
        return {"png": base64.b64encode(value).decode()}
    return value if isinstance(value, (bool, int, float, str, list, dict, type(None))) else None
