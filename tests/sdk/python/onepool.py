"""Starts the built server and fills in its forms like an operator."""

import http.cookiejar
import os
import re
import subprocess
import tempfile
import urllib.parse
import urllib.request

import fake

PASSWORD = "correct horse battery staple"


class OnePool:
    """The server as a process on an empty data folder, with a session of the account `admin`; ends with the `with` block."""

    def __enter__(self):
        self._folder = tempfile.TemporaryDirectory(prefix="onepool-test-")
        environment = {
            "PATH": os.environ["PATH"],
            "DATA_DIR": self._folder.name,
            "PORT": "0",
            "ADMIN_PASSWORD": PASSWORD,
            "FIRST_BYTE_TIMEOUT_MS": "8000",
            "IDLE_TIMEOUT_MS": "8000",
        }
        self._log = open(os.path.join(self._folder.name, "output"), "w+")
        self._process = subprocess.Popen(
            [fake.TARGET / "debug/onepool"], env=environment, stdout=subprocess.PIPE, stderr=self._log, text=True
        )
        self.origin = self._read_address()
        self.base_url = f"{self.origin}/v1"
        cookies = urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar())
        self._browser = urllib.request.build_opener(cookies)
        self.post("/login", name="admin", password=PASSWORD)
        return self

    def __exit__(self, *_):
        self._process.terminate()
        self._process.communicate(timeout=40)
        self._log.close()
        self._folder.cleanup()

    def _read_address(self) -> str:
        for line in self._process.stdout:
            if found := re.search(r"listening on (http://127\.0\.0\.1:\d+)", line):
                return found[1]
        self._log.seek(0)
        raise AssertionError(f"the server ended before it listened: {self._log.read()}")

    def post(self, path: str, **fields: str | list[str]) -> str:
        """Sends a form and follows it to the next page; gives that page's text."""
        body = urllib.parse.urlencode(fields, doseq=True).encode()
        request = urllib.request.Request(self.origin + path, body, {"Origin": self.origin})
        with self._browser.open(request) as response:
            return response.read().decode()

    def add_channel(self, name: str, base_url: str, keys: list[str], models: list[str], **fields: str) -> None:
        self.post(
            "/channels/new",
            **{
                "name": name, "base_url": base_url, "keys": "\n".join(keys), "models": "\n".join(models),
                "protocol": "openai", "priority": "0", "weight": "1", "allow_private": "true", "enabled": "true",
                **fields,
            },
        )

    def add_token(self, name: str, **fields: str) -> str:
        """Makes a token and gives its value."""
        value = f"sk-{name}{'0123456789abcdef' * 3}"
        self.post(
            "/tokens/new",
            **{
                "name": name, "value_source": "given", "value": value, "expiry": "never", "profile": "generic",
                "enabled": "true", "quota_reset": "month", **fields,
            },
        )
        return value
