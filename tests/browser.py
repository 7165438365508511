"""A headless Chromium driven through chromedriver's HTTP interface, with the standard library alone."""

import base64
import io
import json
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path

from PIL import Image

ARGUMENTS = (
    *("--headless", "--no-sandbox", "--disable-dev-shm-usage", "--no-first-run", "--disable-background-networking"),
    *(
        "--disable-component-update",
        "--disable-sync",
        "--disable-quic",
        "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
    ),
    *("--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"),  # WebGL without a GPU
)
PATIENCE = 240.0  # seconds


def installed() -> bool:
    return shutil.which("chromedriver") is not None and any(map(shutil.which, ("chromium", "google-chrome")))


class Browser:
    def __init__(self, profile: Path, width: int = 1280, height: int = 900) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.address = f"http://127.0.0.1:{port}"
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        self.driver = subprocess.Popen(["chromedriver", f"--port={port}"], **quiet)
        self.until(lambda: self.answers())
        arguments = [*ARGUMENTS, f"--user-data-dir={profile}", f"--window-size={width},{height}"]
        wanted = {
            "goog:chromeOptions": {"args": arguments},
            "goog:loggingPrefs": {"browser": "ALL", "performance": "ALL"},
        }
        self.session = f"/session/{self.call('POST', '/session', capabilities={'alwaysMatch': wanted})['sessionId']}"

    def call(self, method: str, path: str, **content):
        data = None if method == "GET" else json.dumps(content).encode()
        request = urllib.request.Request(self.address + path, data, {"Content-Type": "application/json"}, method=method)
        try:
            with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
                return json.load(answer)["value"]
        except urllib.error.HTTPError as error:
            raise RuntimeError(error.read().decode()) from None

    def answers(self) -> bool:
        try:
            return self.call("GET", "/status")["ready"]
        except OSError:
            return False

    def until(self, condition, patience: float = PATIENCE):
        """What `condition` gives, as soon as it is true."""
        end = time.monotonic() + patience
        while not (value := condition()):
            assert time.monotonic() < end, "the browser does not get there"
            time.sleep(0.1)
        return value

    def open(self, page: Path | str) -> None:
        """A file, or an address."""
        self.call("POST", f"{self.session}/url", url=page if isinstance(page, str) else page.as_uri())

    def drop(self, selector: str, file: Path) -> None:
        """Into the file input that is, or lies in, the first such element."""
        found = self.call("POST", f"{self.session}/element", using="css selector", value=selector)
        (element,) = found.values()
        self.call("POST", f"{self.session}/element/{element}/value", text=str(file.absolute()))

    def click(self, selector: str) -> None:
        self.run("document.querySelector(arguments[0]).click()", selector)

    def prefer(self, scheme: str) -> None:
        """ "light" or "dark", as the system would."""
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self.call(
            "POST", f"{self.session}/goog/cdp/execute", cmd="Emulation.setEmulatedMedia", params={"features": features}
        )

    def requests(self) -> list[str]:
        """The addresses that were asked for since the last call."""
        entries = self.call("POST", f"{self.session}/se/log", type="performance")
        messages = [json.loads(entry["message"])["message"] for entry in entries]
        return [one["params"]["request"]["url"] for one in messages if one["method"] == "Network.requestWillBeSent"]

    def run(self, script: str, *arguments):
        return self.call("POST", f"{self.session}/execute/sync", script=script, args=list(arguments))

    def complaints(self) -> list[str]:
        """Of its console, at any level."""
        return [entry["message"] for entry in self.call("POST", f"{self.session}/se/log", type="browser")]

    def resize(self, width: int, height: int) -> None:
        """The page, in CSS pixels; a window has a least width that is wider than a phone."""
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        command = "Emulation.setDeviceMetricsOverride"
        self.call("POST", f"{self.session}/goog/cdp/execute", cmd=command, params=metrics)

    def picture(self) -> Image.Image:
        data = self.call("GET", f"{self.session}/screenshot")
        return Image.open(io.BytesIO(base64.b64decode(data))).convert("RGB")

    def drag(self, selector: str, right: int, down: int) -> None:
        """From the middle of the first such element, which is scrolled to: the pointer must stay in the window."""
        middle = """
            const element = document.querySelector(arguments[0]);
            element.scrollIntoView({block: "center", behavior: "instant"});
            const box = element.getBoundingClientRect();
            return [box.x + box.width / 2, box.y + box.height / 2].map(Math.round);
        """
        x, y = self.run(middle, selector)
        moves = [
            {"type": "pointerMove", "duration": 0, "x": x, "y": y},
            {"type": "pointerDown", "button": 0},
            {"type": "pointerMove", "duration": 100, "x": x + right, "y": y + down},
            {"type": "pointerUp", "button": 0},
        ]
        self.call("POST", f"{self.session}/actions", actions=[{"type": "pointer", "id": "mouse", "actions": moves}])

    def close(self) -> None:
        try:
            self.call("DELETE", self.session)
        finally:
            self.driver.terminate()
            self.driver.wait()
