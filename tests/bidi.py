"""Firefox as tests drive it: WebDriver BiDi, which it speaks itself, without a driver."""

import contextlib
import itertools
import json
import re
import subprocess
import time

import pytest

PREFERENCES = {
    "app.normandy.enabled": False,
    "browser.shell.checkDefaultBrowser": False,
    "datareporting.policy.dataSubmissionEnabled": False,
    "network.captive-portal-service.enabled": False,
    "remote.prefs.recommended": True,
}


@contextlib.contextmanager
def firefox(executable, folder):
    """Start Firefox with a new profile in a folder, and give a `Tab` in it."""
    from websockets.sync.client import connect

    profile = folder / "profile"
    profile.mkdir()
    lines = (f"user_pref({json.dumps(k)}, {json.dumps(v)});" for k, v in PREFERENCES.items())
    (profile / "user.js").write_text("\n".join(lines))
    command = [executable, "--headless", "--no-remote", "--profile", profile]
    with subprocess.Popen(
        [*command, "--remote-debugging-port", "0"],
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
    ) as process:
        try:
            found = (re.search(r"BiDi listening on (ws://\S+)", line) for line in process.stderr)
            address = next(filter(None, found))[1]
            with connect(f"{address}/session", max_size=None) as socket:
                yield Tab(socket, folder)
        finally:
            process.kill()


class Tab:
    """A tab of Firefox."""

    def __init__(self, socket, folder):
        self.socket, self.numbers, self.events = socket, itertools.count(1), []
        self.call("session.new", capabilities={})
        self.context = self.call("browsingContext.getTree")["contexts"][0]["context"]
        try:
            self.call("session.subscribe", events=["log.entryAdded", "browsingContext.downloadEnd"])
        except RuntimeError as error:
            if "not a valid event name" not in str(error):
                raise
            pytest.skip("this Firefox does not tell of downloads over BiDi; newer ones do")
        behavior = {"type": "allowed", "destinationFolder": str(folder)}
        self.call("browser.setDownloadBehavior", downloadBehavior=behavior)

    def call(self, method, **given):
        number = next(self.numbers)
        self.socket.send(json.dumps({"id": number, "method": method, "params": given}))
        while True:
            answer = json.loads(self.socket.recv(timeout=60))
            if answer.get("id") != number:
                self.events.append(answer)
            elif answer["type"] == "error":
                raise RuntimeError(f"{method}: {answer['message']}")
            else:
                return answer["result"]

    @property
    def faults(self):
        """Errors that the page wrote to its console, or did not catch."""
        entries = [e["params"] for e in self.events if e["method"] == "log.entryAdded"]
        return [entry["text"] for entry in entries if entry["level"] == "error"]

    def visit(self, address):
        self.call("browsingContext.navigate", context=self.context, url=address, wait="complete")

    def run(self, script):
        """Return what an expression gives: text, a number, a truth or nothing."""
        target = {"context": self.context}
        answer = self.call(
            "script.evaluate",
            expression=script,
            target=target,
            awaitPromise=True,
            userActivation=True,
        )
        if answer["type"] == "exception":
            raise RuntimeError(answer["exceptionDetails"]["text"])
        return answer["result"].get("value")

    def wait(self, script, timeout_s=60):
        end = time.monotonic() + timeout_s
        while not self.run(script):
            assert time.monotonic() < end, f"it never came true: {script}"
            time.sleep(0.05)

    def give(self, element, *paths):
        """Choose files for an input."""
        target = {"context": self.context}
        node = self.call(
            "script.evaluate",
            expression=f"document.querySelector({json.dumps(element)})",
            target=target,
            awaitPromise=False,
        )["result"]
        self.call(
            "input.setFiles",
            context=self.context,
            element={"sharedId": node["sharedId"]},
            files=[str(path) for path in paths],
        )

    def downloaded(self, timeout_s=60):
        """Return the path of the file that was downloaded next."""
        end = time.monotonic() + timeout_s
        while time.monotonic() < end:
            self.run("0")  # lets events come in
            for event in self.events:
                if event["method"] == "browsingContext.downloadEnd":
                    self.events.remove(event)
                    return event["params"]["filepath"]
            time.sleep(0.05)
        raise AssertionError("nothing was downloaded")
