"""The contract holds for the fake upstream itself: what fails elsewhere is not the fake's fault."""

import json
import unittest
import urllib.request

import fake
from contract import Contract


class FakeUpstreamTest(Contract, unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        upstream = cls.enterClassContext(fake.FakeUpstream())
        cls.base_url, cls.api_key = upstream.base_url, "key-good"
        faults = ["rate_limited_seconds", "context_length400", "status500", "error_after_content"]
        models = ["small", *(f"fault:{fault}" for fault in faults)]
        for name, body in [("models", models), ("keys", {"key": "key-good"})]:
            request = urllib.request.Request(f"{upstream.origin}/_fake/{name}", json.dumps(body).encode())
            urllib.request.urlopen(request).close()


if __name__ == "__main__":
    unittest.main()
