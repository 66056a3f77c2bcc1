"""Starts the built fake upstream; knows the text that it answers."""

import os
import pathlib
import subprocess

ROOT = pathlib.Path(__file__).resolve().parents[3]
TARGET = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))


class FakeUpstream:
    """The fake upstream as a process; ends with the `with` block."""

    def __enter__(self):
        self._process = subprocess.Popen(
            [TARGET / "debug/examples/fake_upstream"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        line = self._process.stdout.readline()
        self.origin = line.rsplit(" ", 1)[-1].strip()
        self.base_url = f"{self.origin}/v1"
        return self

    def __exit__(self, *_):
        self._process.stdin.close()
        self._process.stdout.close()
        self._process.wait(timeout=10)


def expected_text(marker: str, words: int) -> str:
    """The answer to a prompt with `marker=<marker> words=<words>`."""
    return " ".join(f"{marker}.{index}" for index in range(words)) + " 终🙂"
